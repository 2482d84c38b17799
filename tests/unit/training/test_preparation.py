from pathlib import Path

import pytest

from adapters.engines.base import Turn
from adapters.errors import DatasetError
from adapters.recipe import Hyperparameters, override
from adapters.training.examples import Example
from adapters.training.preparation import freeze, prepare, thaw
from db.vocabulary import Role

SETTINGS = Hyperparameters()


def example(question: str, answer: str = "Rest and drink.") -> Example:
    return Example((Turn(Role.USER, question), Turn(Role.ASSISTANT, answer)), {"id": question})


def many(count: int) -> list[Example]:
    return [example(f"Question {number}?", f"Answer {number}.") for number in range(count)]


def test_duplicates_go_whatever_their_case_and_spacing():
    prepared = prepare([example("Gout?"), example("  gout? "), example("Gout?", "Other.")], SETTINGS, 100)
    assert [item.answer for item in prepared.train] == ["Rest and drink.", "Other."]
    assert prepared.train[0].question == "Gout?"
    assert prepared.report.duplicates == 1


def test_answers_over_the_limit_are_left_out_and_counted():
    prepared = prepare([example("a", "word " * 81), example("b", "word " * 80)], SETTINGS, 80)
    assert [item.question for item in prepared.train] == ["b"]
    assert prepared.report.too_long == 1
    assert "1 answers over 80 words left out" in prepared.report.summary


def test_nothing_left_is_refused():
    with pytest.raises(DatasetError, match="all 1 answers have more than 80 words"):
        prepare([example("a", "word " * 81)], SETTINGS, 80)


def test_the_cap_draws_by_the_seed():
    capped = override(SETTINGS, {"max_samples": 20})
    first, again = prepare(many(100), capped, 100), prepare(many(100), capped, 100)
    other = prepare(many(100), override(capped, {"seed": 7}), 100)
    assert first == again
    assert first.report.over_cap == 80
    assert len(first.train) + len(first.evaluation) == 20
    assert first.train != other.train


def test_no_question_is_on_both_sides():
    examples = [
        example(f"{' ' * (number % 3)}Question {number % 12}?", f"Answer {number}.") for number in range(60)
    ]
    prepared = prepare(examples, override(SETTINGS, {"eval_fraction": 0.3}), 100)

    def questions(part):
        return {" ".join(item.question.casefold().split()) for item in part}

    assert prepared.evaluation
    assert not questions(prepared.train) & questions(prepared.evaluation)
    assert len(prepared.train) + len(prepared.evaluation) == 60


@pytest.mark.parametrize(
    ("count", "fraction", "held_out"), [(10, 0.01, 1), (30, 0.1, 3), (9, 0.01, 0), (30, 0, 0)]
)
def test_how_many_are_held_out(count, fraction, held_out):
    prepared = prepare(many(count), override(SETTINGS, {"eval_fraction": fraction}), 100)
    assert (prepared.report.train, prepared.report.evaluation) == (count - held_out, held_out)


def test_one_question_alone_is_all_for_learning():
    answers = [example("Gout?", f"Answer {number}.") for number in range(20)]
    assert prepare(answers, SETTINGS, 100).report.evaluation == 0


def test_a_frozen_set_comes_back_as_it_was(database, home):
    prepared = prepare(many(30), SETTINGS, 100)
    with database.session() as session:
        snapshot = freeze(home, session, prepared, "starter")
    train, evaluation = thaw(home.root / snapshot.path, snapshot.sha256)
    assert (tuple(train), tuple(evaluation)) == (prepared.train, prepared.evaluation)
    assert snapshot.rows == 30
    assert snapshot.manifest["evaluation"] == 3


def test_equal_sets_are_stored_once(database, home):
    prepared = prepare(many(12), SETTINGS, 100)
    with database.session() as session:
        first, again = (freeze(home, session, prepared, "starter") for _ in range(2))
    assert first.id == again.id
    assert [path.name for path in home.snapshots.iterdir()] == [f"{first.sha256}.jsonl"]


def test_a_changed_set_is_refused(database, home):
    with database.session() as session:
        snapshot = freeze(home, session, prepare(many(12), SETTINGS, 100), "starter")
    path = home.root / snapshot.path
    path.write_bytes(path.read_bytes().replace(b"Answer 3", b"Answer 4"))
    with pytest.raises(DatasetError, match="was changed"):
        thaw(path, snapshot.sha256)


def test_a_full_disk_leaves_nothing(database, home, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with database.session() as session, pytest.raises(DatasetError, match="No space left"):
        freeze(home, session, prepare(many(12), SETTINGS, 100), "starter")
    assert list(Path(home.snapshots).iterdir()) == []
