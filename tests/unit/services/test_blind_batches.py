"""Blind A/B: fair questions, no word of who made what before the end, and an unsafe pair that blocks."""

import time
from pathlib import Path

import pytest
from adapter_factory import register_adapter
from fake_engine import FakeEngine

from db import blind_batches
from db.home import Home
from elara_ui.errors import InvalidInput, ReleaseRefused
from elara_ui.services import Services
from elara_ui.services.pairs import PairDraft
from elara_ui.services.review_tasks import PairTask

OWN = ("What is asthma?", "What is a fever?", "What is flu?")


@pytest.fixture
def candidate(services: Services, home: Home, small_lora: Path, engine: FakeEngine) -> str:
    engine.reply = "{adapter} says: rest and drink water."
    return register_adapter(services.database, home, small_lora, metrics={})


def ask(services: Services, candidate: str, **options: object) -> None:
    *_, last = services.blind.run(candidate, "Ada", **{"wanted": 1, "questions": OWN, **options})
    assert last.sent == len(last.plan.questions)


def choose(services: Services, candidate: str | None, reviewer: str = "Rater A") -> None:
    """Judge the next pair: for the candidate, or as both unsafe."""
    task = services.reviewing.next(reviewer)
    assert isinstance(task, PairTask)
    assert "patient@" not in repr(task).replace(task.answer_a, "").replace(task.answer_b, "")
    best = "a" if candidate and task.answer_a.startswith(candidate) else "b"
    told = services.pairs.submit(PairDraft(task.item_id, reviewer, best if candidate else "both_unsafe"))
    waits = services.reviewing.next(reviewer) is not None
    assert told.told is not waits or not candidate
    assert services.reviewing.mine(reviewer)[0].told is not waits


def test_nothing_tells_the_versions_before_the_last_pair_is_judged(
    services: Services, candidate: str
) -> None:
    ask(services, candidate)
    for _ in OWN:
        choose(services, candidate)
    result = services.blind.result(candidate, None)
    assert result is not None
    assert (result.batch, result.sent, result.finished, result.unsafe) == ("blind patient 1", 3, 3, 0)
    assert result.rate is not None
    assert (result.rate.value, result.rate.units) == (1.0, 3)
    assert 0 < result.rate.low < 1
    assert {each.adapter for each in services.reviewing.mine("Rater A")} == {None}
    assert {each.other_adapter for each in services.reviewing.mine("Rater A")} == {candidate}


def test_an_unsafe_pair_blocks_even_after_another_comparison(services: Services, candidate: str) -> None:
    ask(services, candidate, questions=OWN[:1])
    task = services.reviewing.next("Rater A")
    assert isinstance(task, PairTask)
    services.pairs.submit(PairDraft(task.item_id, "Rater A", "both_unsafe"))
    ask(services, candidate, questions=OWN[1:])
    blind = next(check for check in services.gate.gate(candidate).checks if check.name == "blind")
    assert blind.blocks
    with pytest.raises(ReleaseRefused, match="1 judged unsafe"):
        services.release.promote(candidate, "Ada", "because")


def test_questions_are_those_asked_here_then_the_starters(services: Services, candidate: str) -> None:
    question = services.chat.check("patient", "Why do my knees ache?")
    list(services.chat.ask(question))
    plan = next(services.blind.run(candidate, "Ada", 3)).plan
    assert plan.questions[0] == "Why do my knees ache?"
    assert len(plan.questions) == 3
    assert candidate not in plan.batch


def test_a_live_version_and_a_nameless_request_are_refused(services: Services, candidate: str) -> None:
    with pytest.raises(InvalidInput, match="says who they are"):
        services.blind.start(candidate, " ")
    services.release.promote(candidate, "Ada", "a test")
    with pytest.raises(InvalidInput, match="is live"):
        services.blind.start(candidate, "Ada")
    with services.database.reading() as session:
        assert not blind_batches.of_candidate(session, candidate)


def test_it_goes_on_in_the_background_under_the_same_name(services: Services, candidate: str) -> None:
    next(services.blind.run(candidate, "Ada", questions=OWN))  # stopped before the first answer
    services.blind.start(candidate, "Ben", questions=("Another question?",))
    while (now := services.comparing.current) is None or now.is_under_way:
        time.sleep(0.01)
    result = services.blind.result(candidate, None)
    assert result is not None
    assert (result.batch, result.questions, result.sent) == ("blind patient 1", 3, 3)
