"""A lesson goes on in the background: watched, stopped, gone on with, and told when it can't be."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from adapter_factory import make_adapter, register_adapter
from fake_engine import FakeEngine
from sqlalchemy import func, select

from adapters.starters import starter_file
from adapters.training.examples import read_examples
from db.home import Home
from db.models import ReviewItem
from db.session import Database
from elara_ui.errors import Conflict, IdentifiersFound, InvalidInput, ModelError, NotFound
from elara_ui.services import Services
from elara_ui.services.teaching import Teaching, TeachingPlan, TeachingState, Use
from elara_ui.services.training import DataChoice, DataSource

QUESTIONS = 30


@pytest.fixture
def teacher(database: Database, home: Home, tmp_path: Path) -> str:
    return register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))


@pytest.fixture
def asked(tmp_path: Path) -> DataChoice:
    """Questions to answer: as many as are worth stopping in the middle of."""
    path = tmp_path / "asked.jsonl"
    rows = read_examples(starter_file("patient"))[:QUESTIONS]
    lines = (json.dumps({"instruction": each.question, "response": each.answer}) for each in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return DataChoice(DataSource.FILE, path)


@pytest.fixture
def gate(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Holds back every answer after the first until it is set."""
    opened, stream = threading.Event(), engine.stream

    def wait(request: object) -> object:
        if engine.requests:
            opened.wait(10)
        return stream(request)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "stream", wait)
    return opened


def wait_for(services: Services, holds: Callable[[Teaching], bool]) -> Teaching:
    for _ in range(500):
        teaching = services.teaching.current
        if teaching is not None and holds(teaching):
            return teaching
        time.sleep(0.02)
    raise AssertionError(f"It came to nothing: {services.teaching.current}")


def finish(services: Services) -> Teaching:
    return wait_for(services, lambda teaching: not teaching.is_under_way)


def test_what_passes_is_stored_and_learned_from(
    services: Services, teacher: str, asked: DataChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.training.supervisor.start_queued", lambda *_: None)
    begun = services.teaching.start(TeachingPlan(teacher, asked, Use.TRAIN, "smollm2-135m"))
    assert (begun.done, begun.total, begun.is_under_way) == (0, 30, True)
    ended = finish(services)
    assert (ended.state, ended.done, ended.accepted, ended.error) == (TeachingState.DONE, 30, 30, "")
    run = services.runs.show(ended.run_id)
    assert (run.snapshot, run.source) == (ended.snapshot, f"distilled from {teacher}")


def test_answers_that_don_t_pass_are_counted_by_reason(
    services: Services, teacher: str, asked: DataChoice, engine: FakeEngine
) -> None:
    engine.reply = "Rest now. " * 200
    services.teaching.start(TeachingPlan(teacher, asked))
    ended = finish(services)
    assert (ended.state, ended.accepted) == (TeachingState.FAILED, 0)
    assert [(group.reason, group.count) for group in ended.rejects] == [("answer over 300 words", 30)]
    assert "none can be learned from" in ended.error


def test_a_lesson_with_likely_identifiers_goes_to_another_machine_only_when_they_were_accepted(
    services: Services, teacher: str, engine: FakeEngine, tmp_path: Path
) -> None:
    services.serving.engine()
    engine.is_remote = True
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"instruction": "What helps jane.roe@example.com?", "response": "x"}\n')
    plan = TeachingPlan(teacher, DataChoice(DataSource.FILE, path), Use.REVIEW)
    with pytest.raises(IdentifiersFound, match="sent to another machine"):
        services.teaching.start(plan)
    assert services.teaching.current is None
    accepted = replace(plan, accept_identifiers=True)
    assert accepted.command.endswith("--accept-identifiers")
    services.teaching.start(accepted)
    assert finish(services).accepted == 1
    assert len(engine.requests) == 1


def test_answers_can_go_to_review(
    services: Services, teacher: str, asked: DataChoice, database: Database
) -> None:
    services.teaching.start(TeachingPlan(teacher, asked, Use.REVIEW))
    ended = finish(services)
    assert (ended.state, ended.accepted, ended.snapshot) == (TeachingState.DONE, 30, "")
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(ReviewItem)) == 30


def test_it_stops_and_goes_on_from_there(
    services: Services, teacher: str, asked: DataChoice, gate: threading.Event
) -> None:
    plan = TeachingPlan(teacher, asked)
    services.teaching.start(plan)
    wait_for(services, lambda teaching: teaching.done == 1)
    with pytest.raises(Conflict, match="One adapter teaches at a time, and patient@1 does"):
        services.teaching.start(plan)
    services.teaching.stop()
    gate.set()
    stopped = finish(services)
    assert stopped.state is TeachingState.STOPPED
    again = services.teaching.start(plan)
    assert again.done == stopped.done < 30
    assert finish(services).accepted == 30


def test_closing_waits_for_the_answer_that_is_being_given(
    services: Services, teacher: str, asked: DataChoice, gate: threading.Event
) -> None:
    services.teaching.start(TeachingPlan(teacher, asked))
    wait_for(services, lambda teaching: teaching.done == 1)
    threading.Timer(0.1, gate.set).start()
    services.teaching.close()
    assert services.teaching.current is not None
    assert services.teaching.current.state is TeachingState.STOPPED


def test_a_failure_nobody_foresaw_is_told_without_its_words(
    services: Services, teacher: str, asked: DataChoice, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(request: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(engine, "stream", crash)
    services.teaching.start(TeachingPlan(teacher, asked))
    ended = finish(services)
    assert "the log has the details" in ended.error
    assert "secret" not in ended.error


@pytest.mark.parametrize(
    ("changes", "refusal", "said"),
    [
        ({"teacher": ""}, InvalidInput, "No teacher is chosen"),
        ({"teacher": "patient@9"}, NotFound, "no adapter 'patient@9'"),
        ({"use": Use.TRAIN}, InvalidInput, "needs a base model"),
        ({"use": Use.TRAIN, "base_model": "no/such model"}, ModelError, "is none of them"),
        ({"max_grade": 0}, InvalidInput, "highest reading grade must be above 0"),
        ({"max_tokens": 0}, InvalidInput, "longest answer must be at least 1 token"),
    ],
)
def test_what_can_t_come_to_anything_is_refused_at_once(
    services: Services,
    teacher: str,
    asked: DataChoice,
    changes: dict[str, object],
    refusal: type[Exception],
    said: str,
) -> None:
    plan = TeachingPlan(**({"teacher": teacher, "prompts": asked} | changes))  # type: ignore[arg-type]
    with pytest.raises(refusal, match=said):
        services.teaching.start(plan)
    assert services.teaching.current is None


def test_the_same_can_be_had_from_a_terminal() -> None:
    stored = DataChoice(DataSource.SNAPSHOT, reference="ab12")
    plan = TeachingPlan("patient@1", stored, Use.TRAIN, "owner/big", 9.5, 200)
    words = "--prompts snapshot:ab12 --base owner/big --train --max-grade 9.5 --max-tokens 200"
    assert plan.command == f"python -m elara_ui adapters distill patient@1 {words}"
    review = TeachingPlan("patient@1", DataChoice(DataSource.STARTER), Use.REVIEW, "owner/big")
    assert review.command == "python -m elara_ui adapters distill patient@1 --prompts starter --review"
