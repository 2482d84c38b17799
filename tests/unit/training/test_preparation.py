from dataclasses import replace
from pathlib import Path

import pytest

from adapters.engines.base import Turn
from adapters.errors import DatasetError
from adapters.recipe import Hyperparameters, load_recipes, override
from adapters.training.examples import Example, read_examples
from adapters.training.preparation import freeze, prepare, thaw
from adapters.training.rejects import RejectExample, Rejects
from db.vocabulary import Role

SETTINGS = Hyperparameters()
STARTER = Path(__file__).resolve().parents[3] / "adapters" / "starter"


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


def test_near_duplicates_go_and_are_shown_with_what_they_repeat():
    answer = " ".join(f"word{number}" for number in range(60))
    examples = [replace(example("What is gout?", f"{answer} {end}."), row=7 + end) for end in range(2)]
    prepared = prepare([*examples, example("What is asthma?", "Tight airways.")], SETTINGS, 100)
    assert [item.question for item in prepared.train] == ["What is gout?", "What is asthma?"]
    assert prepared.report.near_duplicates == 1
    assert prepared.report.rejects == (
        Rejects("near-duplicate", 1, (RejectExample(8, "like row 7: What is gout?"),)),
    )


def test_alike_questions_are_never_on_both_sides():
    long = "the early signs and the late symptoms of gout in adults over sixty years of age with diabetes"
    alike = [example(f"What are {long} and {end}?", f"Answer {end}.") for end in "abcdefgh"]
    prepared = prepare([*many(30), *alike], override(SETTINGS, {"eval_fraction": 0.5}), 100)
    sides = [sum("gout" in item.question for item in part) for part in (prepared.train, prepared.evaluation)]
    assert sorted(sides) == [0, 8]


def test_the_report_counts_every_row_left_out():
    bad = Rejects("empty answer", 3, (RejectExample(2, "instruction: Gout?"),))
    examples = [example("a"), example("a"), example("b", "word " * 81), *many(20)]
    report = prepare(examples, override(SETTINGS, {"max_samples": 5}), 80, [bad]).report
    left_out = (
        report.bad_rows + report.duplicates + report.near_duplicates + report.too_long + report.over_cap
    )
    assert report.given == 26 == left_out + report.train + report.evaluation
    assert sum(group.count for group in report.rejects) == left_out
    assert report.to_dict()["reasons"] == {
        "empty answer": 3,
        "duplicate": 1,
        "answer over 80 words": 1,
        "over the most examples": 16,
    }
    assert "3 bad rows left out, 1 duplicates left out" in report.summary


def test_a_stored_set_is_repeated_as_it_was_split(database, home):
    with database.session() as session:
        first = freeze(home, session, prepare(many(40), SETTINGS, 100), "starter")
        train, evaluation = thaw(home.root / first.path, first.sha256)
        other_settings = override(SETTINGS, {"seed": 7, "eval_fraction": 0.5, "max_samples": 3})
        repeated = prepare([*train, *evaluation], other_settings, 100)
        again = freeze(home, session, repeated, "snapshot")
    assert again.id == first.id
    assert "split as it was stored" in repeated.report.summary


def test_a_stored_set_still_obeys_the_limit_of_the_audience():
    stored = [
        replace(example("a", "word " * 20), part="train"),
        replace(example("b"), part="train"),
        replace(example("c", "word " * 20), part="evaluation"),
    ]
    prepared = prepare(stored, SETTINGS, 10)
    assert ([item.question for item in prepared.train], prepared.evaluation) == (["b"], ())
    with pytest.raises(DatasetError, match="have more than 2 words"):
        prepare(stored, SETTINGS, 2)


DPO, KTO = (override(SETTINGS, {"objective": objective}) for objective in ("dpo", "kto"))


def pair(question: str, rejected: str = "Ignore it.", answer: str = "Rest and drink.") -> Example:
    return replace(example(question, answer), rejected=rejected)


def labelled(question: str, label: bool, answer: str = "Rest and drink.") -> Example:
    return replace(example(question, answer), label=label)


def test_for_dpo_rows_are_the_same_when_prompt_and_both_answers_are():
    examples = [pair("Gout?"), pair(" gout?", "ignore it."), pair("Gout?", "Eat more meat.")]
    prepared = prepare(examples, DPO, 100)
    assert [item.rejected for item in prepared.train] == ["Ignore it.", "Eat more meat."]
    assert prepared.report.duplicates == 1
    assert len(prepare(examples, SETTINGS, 100).train) == 1  # sft learns the chosen answer alone


def test_for_kto_the_same_answer_may_be_judged_in_two_ways():
    answer = " ".join(f"word{number}" for number in range(60))
    examples = [labelled("Gout?", True, answer), labelled("Gout?", False, answer)]
    again = [labelled("Gout?", True, f"{answer} more"), labelled("gout?", False, answer)]
    prepared = prepare([*examples, *again], KTO, 100)
    assert prepared.train == tuple(examples)
    assert (prepared.report.near_duplicates, prepared.report.duplicates) == (1, 1)


def test_near_duplicates_of_pairs_take_the_rejected_answer_into_account():
    answer, worse, other = (" ".join(f"{word}{n}" for n in range(40)) for word in ("good", "bad", "odd"))
    examples = [pair("Gout?", rejected, answer) for rejected in (worse, f"{worse} more", other)]
    assert [item.rejected for item in prepare(examples, DPO, 100).train] == [worse, other]


def test_only_answers_that_are_wanted_have_to_be_short():
    long = "word " * 81
    assert len(prepare([pair("a", long)], DPO, 80).train) == 1
    assert prepare([pair("a", "No.", long), pair("b")], DPO, 80).report.too_long == 1
    prepared = prepare([labelled("a", False, long), labelled("b", True)], KTO, 80)
    assert len(prepared.train) == 2


def test_sft_never_imitates_what_is_marked_as_not_wanted():
    prepared = prepare([labelled("a", False), labelled("b", True), example("c")], SETTINGS, 100)
    assert [item.question for item in prepared.train] == ["b", "c"]
    assert prepared.report.unwanted == 1
    assert "1 answers marked as not wanted left out" in prepared.report.summary
    with pytest.raises(DatasetError, match=r"all answers are marked as not wanted.*set objective to kto"):
        prepare([labelled("a", False)], SETTINGS, 100)


@pytest.mark.parametrize(
    ("settings", "examples", "said"),
    [
        (DPO, [pair("a"), example("b")], "DPO learns from pairs.*1 of 2 rows have no rejected answer"),
        (DPO, [labelled("a", True)], r"kto, if a label says"),
        (KTO, [pair("a"), labelled("b", True), example("c")], "1 of 3 rows have no label that is true or"),
        (KTO, [labelled("a", True), labelled("b", True)], "all 2 to learn from are wanted"),
        (KTO, [labelled("a", False)], "all 1 to learn from are not wanted"),
    ],
)
def test_data_that_an_objective_cannot_learn_from_is_refused(settings, examples, said):
    with pytest.raises(DatasetError, match=said):
        prepare(examples, settings, 100)


def test_a_stored_set_of_preferences_serves_every_objective(database, home):
    prepared = prepare([pair(f"Question {n}?", f"No {n}.", f"Yes {n}.") for n in range(30)], DPO, 100)
    with database.session() as session:
        first = freeze(home, session, prepared, "file")
        train, evaluation = thaw(home.root / first.path, first.sha256)
        again = {
            freeze(home, session, prepare([*train, *evaluation], settings, 100), "snapshot").id
            for settings in (SETTINGS, DPO, KTO)
        }
    assert (tuple(train), tuple(evaluation)) == (prepared.train, prepared.evaluation)
    assert train[0].rejected
    assert again == {first.id}


def test_labels_are_stored_too(database, home):
    prepared = prepare([labelled(f"Question {n}?", n % 2 == 0, f"Yes {n}.") for n in range(30)], KTO, 100)
    with database.session() as session:
        snapshot = freeze(home, session, prepared, "file")
    train, evaluation = thaw(home.root / snapshot.path, snapshot.sha256)
    assert (tuple(train), tuple(evaluation)) == (prepared.train, prepared.evaluation)


def test_what_has_neither_is_stored_as_ever(database, home):
    """The hash names the set in runs and adapters made before there were preferences."""
    with database.session() as session:
        snapshot = freeze(home, session, prepare([example("Gout?")], SETTINGS, 100), "file")
    assert (home.root / snapshot.path).read_text() == (
        '{"messages":[{"content":"Gout?","role":"user"},{"content":"Rest and drink.","role":"assistant"}],'
        '"origin":{"id":"Gout?"},"part":"train"}\n'
    )


@pytest.mark.parametrize("path", sorted(STARTER.glob("*.jsonl")), ids=lambda path: path.stem)
def test_nothing_is_lost_of_a_starter_set(path):
    examples = read_examples(path)
    report = prepare(examples, SETTINGS, load_recipes()[path.stem].max_explanation_length).report
    assert report.train + report.evaluation == len(examples)
    assert report.evaluation
