"""Two voices asked the same questions: what is sent, what is refused, and going on after a stop."""

from pathlib import Path

import pytest
from adapter_factory import make_adapter, register_adapter
from factories import add_response
from fake_engine import FakeEngine

from db.models import Response, ReviewItem
from elara_ui.errors import Conflict, EngineError, InvalidInput, NotFound
from elara_ui.services import Services
from elara_ui.services.comparing import ComparisonPlan, ComparisonState, Voice, split_questions
from elara_ui.services.training_data import DataChoice, DataSource

BASE = Voice("base")
QUESTIONS = ("What is asthma?", "What is gout?", "What is a stroke?")


@pytest.fixture
def adapter(services: Services, engine: FakeEngine, tmp_path: Path) -> str:
    """A candidate for patients; with the base it says other words."""
    engine.reply = "I am {adapter}."
    folder = make_adapter(tmp_path / "trained", seed=1, rank=2)
    return register_adapter(services.database, services.settings.folders, folder)


def plan(first: str, second: Voice = BASE, questions: tuple[str, ...] = QUESTIONS, **more) -> ComparisonPlan:
    return ComparisonPlan("patient", Voice(first), second, questions, more.pop("batch", "first look"), **more)


def sent(services: Services) -> list[ReviewItem]:
    with services.database.reading() as session:
        return [
            item for item in session.query(ReviewItem).order_by(ReviewItem.sent_at)
            if item.response.text and item.other_response.text
        ]  # fmt: skip


def wait(services: Services) -> ComparisonState:
    services.comparing._thread.join(20)
    return services.comparing.current.state


def test_an_adapter_is_compared_with_the_base_and_nothing_else_is_sent(
    services: Services, adapter: str
) -> None:
    services.comparing.start(plan(adapter, wanted=3))
    assert wait(services) is ComparisonState.DONE
    now = services.comparing.current
    assert (now.done, now.sent, now.equal) == (3, 3, 0)
    items = sent(services)
    assert [(item.batch, item.wanted, item.reason) for item in items] == [("first look", 3, "candidate")] * 3
    assert {(item.response.adapter, item.other_response.adapter) for item in items} == {(adapter, None)}
    assert [item.response.question for item in items] == list(QUESTIONS)
    (batch,) = services.pairs.batches()
    assert (batch.batch, batch.pairs, batch.finished, batch.judgements, batch.wanted) == (
        "first look",
        3,
        0,
        0,
        9,
    )


def test_two_temperatures_of_one_adapter_are_two_voices(
    services: Services, engine: FakeEngine, adapter: str
) -> None:
    first, second = Voice(adapter, 0.0), Voice(adapter, 1.0)
    given = ComparisonPlan("patient", first, second, QUESTIONS, "warm")
    *_, done = services.comparing.run(services.comparing.check(given))
    assert (done.sent, done.equal) == (0, 3)  # the fake engine says the same however warm it is
    assert [request.sampling.temperature for request in engine.requests] == [0.0, 1.0] * 3
    assert first.title == f"{adapter} at temperature 0"


def test_a_stopped_batch_goes_on_with_what_it_lacks(services: Services, adapter: str) -> None:
    checked = services.comparing.check(plan(adapter))
    begun = services.comparing.run(checked)
    next(begun)
    next(begun)
    begun.close()
    assert len(sent(services)) == 1
    start, *_, done = services.comparing.run(checked)
    assert (start.done, done.done, done.sent) == (1, 3, 2)
    assert len({item.response.question for item in sent(services)}) == 3


def test_stopping_keeps_what_was_sent_and_one_works_at_a_time(
    services: Services, engine: FakeEngine, adapter: str
) -> None:
    engine.pause = 0.05
    services.comparing.start(plan(adapter))
    with pytest.raises(Conflict, match="first look"):
        services.comparing.start(plan(adapter, batch="another"))
    services.comparing.stop()
    assert wait(services) is ComparisonState.STOPPED
    assert len(sent(services)) < 3


def test_an_engine_that_fails_says_why_and_what_was_sent_stays(
    services: Services, engine: FakeEngine, adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = engine.stream

    def stream(request):
        if "gout" in request.turns[-1].content:
            raise EngineError("Out of memory.")
        return answered(request)

    monkeypatch.setattr(engine, "stream", stream)
    services.comparing.start(plan(adapter))
    assert wait(services) is ComparisonState.FAILED
    assert services.comparing.current.error == "Out of memory."
    assert len(sent(services)) == 1


def test_what_can_not_be_compared_is_refused_before_anything_is_asked(
    services: Services, engine: FakeEngine, adapter: str
) -> None:
    for wrong, says in (
        (plan(adapter, Voice(adapter)), "Two different voices"),
        (plan(adapter, questions=(" ",)), "no question to ask"),
        (plan(adapter, batch=" "), "1 to 100 characters"),
        (plan(adapter, wanted=0), "judgements can be wanted"),
        (plan(adapter, Voice("base", 3.0)), "temperature is 3.0"),
        (plan(adapter, questions=("x" * 9000,)), "at most 8,000"),
        (ComparisonPlan("doctor", Voice(adapter), BASE, QUESTIONS, "b"), "speaks for patient"),
    ):
        with pytest.raises(InvalidInput, match=says):
            services.comparing.start(wrong)
    with pytest.raises(NotFound):
        services.comparing.start(plan("patient@9"))
    assert engine.requests == []


def test_questions_come_from_what_was_asked_from_starters_and_from_lines(services: Services) -> None:
    with services.database.session() as session:
        for question in ("Old?", "New?", "Old?"):
            add_response(session, question=question)
        add_response(session, question="Imported?", origin="file.jsonl")
        add_response(session, question="For doctors?", audience="doctor")
    assert services.comparing.asked("patient", 5) == ("Old?", "New?")
    starter = DataChoice(DataSource.STARTER)
    five = services.comparing.stored("patient", starter, 5)
    assert (len(five), services.comparing.stored("patient", starter, 5)) == (5, five)
    assert len(services.comparing.stored("patient", starter, 500)) == 154
    with pytest.raises(InvalidInput, match="1 to 1,000"):
        services.comparing.asked("patient", 0)
    assert split_questions(" One?\n\n Two?\n") == ("One?", "Two?")


def test_what_can_answer_is_the_base_and_the_adapters_of_the_audience(
    services: Services, adapter: str
) -> None:
    assert services.comparing.voices("patient") == ["base", adapter]
    assert services.comparing.voices("doctor") == ["base"]
    with services.database.reading() as session:
        assert session.query(Response).count() == 0
