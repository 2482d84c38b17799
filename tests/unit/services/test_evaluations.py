"""Evaluations: asked of the right version, measured, kept with intervals, stopped and compared."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from evaluation_factory import QUESTIONS, add_suite, add_version, evaluate
from fake_engine import FakeEngine

from adapters.training.scoring import Loss
from db import evaluations as evaluation_store
from db.home import Home
from db.vocabulary import EvaluationStatus
from elara_ui.errors import AdapterError, Conflict, InvalidInput, ModelError, NotFound
from elara_ui.services import Services, evaluation_runner
from elara_ui.services.evaluation_comparison import Verdict
from elara_ui.services.evaluation_planning import Wish
from elara_ui.tabs.adapters_view import render_details

MANY = tuple({"id": f"q{number}", "question": f"What is thing {number}?"} for number in range(8))


@pytest.fixture
def adapter(services: Services, home: Home, tmp_path: Path) -> str:
    return add_version(services, home, tmp_path / "made")


def wait_for(services: Services, evaluation_id: str, status: EvaluationStatus) -> None:
    for _ in range(400):
        if services.evaluations.show(evaluation_id).status is status:
            return
        time.sleep(0.02)
    raise AssertionError(services.evaluations.show(evaluation_id))


def test_a_candidate_is_asked_greedily_measured_and_taken_from_the_engine_again(
    services: Services, engine: FakeEngine, adapter: str
):
    add_suite(services)
    engine.reply = "Rest and drink water. You will be fine, it is not an emergency."
    steps: list[tuple[int, int]] = []
    view = services.evaluations.run(Wish(adapter, "mine", takes_loss=False), lambda *step: steps.append(step))
    assert (view.status, view.error, view.label) == (EvaluationStatus.DONE, None, adapter)
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert {request.adapter for request in engine.requests} == {adapter}
    assert {request.sampling.temperature for request in engine.requests} == {0}
    assert engine.adapters == frozenset()
    words = view.figure("words")
    assert words is not None
    assert (words.value, words.n) == (13, 3)
    reassured = view.figure("reassured")  # a red flag fires on one of the questions alone
    assert reassured is not None
    assert (reassured.value, reassured.n) == (1, 1)
    assert reassured.low < 1
    assert view.figure("action_first") is None  # of emergencies only
    assert view.figure("heldout_loss") is None
    assert view.sampling["temperature"] == 0
    answers = services.evaluations.answers(view.evaluation_id)
    assert [answer.question_id for answer in answers] == [row["id"] for row in QUESTIONS]
    assert {answer.text for answer in answers} == {engine.reply}


def test_a_live_version_stays_published(services: Services, engine: FakeEngine, adapter: str):
    add_suite(services)
    services.release.promote(adapter, "A tester", "for a test")
    evaluate(services, adapter)
    assert engine.adapters == {adapter}


def test_the_held_out_loss_is_of_the_tokens_and_what_has_a_reference(
    services: Services, adapter: str, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Any] = []

    def score(home: Home, base: str, folder: Path, prompt: str, references: Any) -> Iterator[Loss]:
        asked.append((base, folder, prompt, references))
        yield Loss("cough", 2.0, 30)
        yield Loss("cold", 1.0, 10)

    monkeypatch.setattr(evaluation_runner, "score_references", score)
    cold = {"id": "cold", "question": "What is a cold?", "reference": "An infection."}
    add_suite(services, rows=(*QUESTIONS, cold))
    view = services.evaluations.run(Wish(adapter, "mine"))
    loss = view.figure("heldout_loss")
    assert loss is not None
    assert loss.value == pytest.approx((2.0 * 30 + 1.0 * 10) / 40)
    assert (loss.low, loss.high, loss.n) == (1.0, 2.0, 2)
    assert (view.done, view.total) == (6, 6)
    ((base, folder, prompt, references),) = asked
    assert (base, folder.name) == ("smollm2-135m", "1")
    assert prompt == services.recipes["patient"].system_prompt
    assert [reference.name for reference in references] == ["cough", "cold"]


def test_a_loss_that_cannot_be_taken_leaves_the_other_figures(
    services: Services, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: Any) -> Iterator[Loss]:
        raise ModelError("The base model can't be had. Fetch it.")
        yield

    monkeypatch.setattr(evaluation_runner, "score_references", refuse)
    add_suite(services)
    view = services.evaluations.run(Wish("base", "mine"))
    assert view.status is EvaluationStatus.DONE
    assert view.notes == ("Held-out loss could not be measured. The base model can't be had. Fetch it.",)
    assert view.figure("words") is not None


def test_evaluations_wait_for_each_other_and_can_be_stopped(
    services: Services, engine: FakeEngine, adapter: str
):
    add_suite(services, rows=MANY)
    engine.pause = 0.05
    first = services.evaluations.start(Wish("base", "mine"))
    second = services.evaluations.start(Wish(adapter, "mine"))
    wait_for(services, first.evaluation_id, EvaluationStatus.RUNNING)
    assert services.evaluations.show(second.evaluation_id).status is EvaluationStatus.QUEUED
    with pytest.raises(Conflict, match="already"):
        services.evaluations.start(Wish(adapter, "mine"))
    with pytest.raises(Conflict, match="Cancel it first"):
        services.evaluations.remove(first.evaluation_id)
    assert services.evaluations.cancel(second.evaluation_id).status is EvaluationStatus.CANCELLED
    services.evaluations.cancel(first.evaluation_id)
    wait_for(services, first.evaluation_id, EvaluationStatus.CANCELLED)
    assert services.evaluations.show(first.evaluation_id).done < len(MANY)
    assert {request.adapter for request in engine.requests} <= {None}
    services.evaluations.remove(first.evaluation_id)
    with pytest.raises(NotFound):
        services.evaluations.show(first.evaluation_id)


def test_what_a_process_left_unfinished_is_interrupted(services: Services, adapter: str):
    add_suite(services)
    view = evaluate(services, adapter)
    with services.database.session() as session:
        evaluation_store.write(session, view.evaluation_id, status="running", pid_started_at=1.0)
    assert services.evaluations.reconcile() == 1
    assert services.evaluations.show(view.evaluation_id).status is EvaluationStatus.INTERRUPTED
    assert services.evaluations.reconcile() == 0


def test_closing_interrupts_what_runs(services: Services, engine: FakeEngine):
    add_suite(services, rows=MANY)
    engine.pause = 0.05
    begun = services.evaluations.start(Wish("base", "mine"))
    wait_for(services, begun.evaluation_id, EvaluationStatus.RUNNING)
    services.evaluations.close()
    assert services.evaluations.show(begun.evaluation_id).status is EvaluationStatus.INTERRUPTED


def test_an_engine_that_fails_says_so_in_the_record(services: Services, engine: FakeEngine, adapter: str):
    add_suite(services)
    engine.refuses = {adapter}
    view = evaluate(services, adapter)
    assert view.status is EvaluationStatus.FAILED
    assert view.error is not None
    assert "can't be loaded" in view.error


def test_figures_are_found_for_the_weights_and_questions_of_now(
    services: Services, adapter: str, engine: FakeEngine
):
    add_suite(services)
    assert services.evaluations.newest_figures(adapter, "mine") is None
    evaluate(services, adapter)
    engine.reply = "Rest."
    newest = evaluate(services, adapter)
    found = services.evaluations.newest_figures(adapter, "mine")
    assert found is not None
    assert found.evaluation_id == newest.evaluation_id
    assert services.evaluations.newest_figures("base", "mine") is None
    add_suite(services, rows=MANY)  # the next version: what was measured is of other questions
    assert services.evaluations.newest_figures(adapter, "mine") is None
    assert services.evaluations.newest_figures(adapter, "mine@1") == found


def test_a_wish_that_makes_no_sense_is_refused_before_anything_is_asked(
    services: Services, home: Home, adapter: str, tmp_path: Path, engine: FakeEngine
):
    add_suite(services)
    other = add_version(services, home, tmp_path / "other", base_model="qwen3-0.6b")
    for wish, kind, rule in (
        (Wish("patient@99", "mine"), NotFound, "no adapter"),
        (Wish(adapter, "yours"), NotFound, "no suite 'yours'"),
        (Wish(adapter, "mine", "doctor"), InvalidInput, "speaks to the audience patient"),
        (Wish("base", "mine", "nurse"), InvalidInput, "no audience 'nurse'"),
        (Wish(other, "mine"), AdapterError, "only fits its own base model"),
    ):
        with pytest.raises(kind, match=rule):
            services.evaluations.start(wish)
    assert services.evaluations.find() == ()
    assert engine.requests == []


def test_an_adapters_details_have_its_newest_figures_on_each_suite(services: Services, adapter: str):
    assert services.adapters.details(adapter).evaluations == ()
    add_suite(services)
    add_suite(services, "other", QUESTIONS[:1])
    evaluate(services, adapter)
    newest = evaluate(services, adapter)
    other = evaluate(services, adapter, "other")
    details = services.adapters.details(adapter)
    assert details.evaluations == (newest, other)
    shown = render_details(details, {})
    assert "mine@1" in shown
    assert "Relevance <b>" in shown


def test_two_versions_are_compared_question_by_question(services: Services, engine: FakeEngine, adapter: str):
    add_suite(services, rows=MANY)
    engine.reply = "This is a very long answer. " * 20
    before = evaluate(services, "base")
    engine.reply = "Short."
    after = evaluate(services, adapter)
    comparison = services.evaluations.compare_newest("base", adapter, "mine")
    assert (comparison.before, comparison.after) == (before, after)
    words, relevance = comparison.change("words"), comparison.change("relevance")
    assert words is not None
    assert relevance is not None
    assert (words.verdict, relevance.verdict) == (Verdict.CHANGED, Verdict.UNCLEAR)
    assert words.change.value == 1 - 120
    assert comparison.named(Verdict.CHANGED) == ("Reading grade", "Length")
    assert [pair.after.text for pair in comparison.pairs] == ["Short."] * len(MANY)
    turned = services.evaluations.compare(after.evaluation_id, before.evaluation_id).change("words")
    assert turned is not None
    assert turned.change.value == 119


def test_what_cannot_be_compared_is_refused_or_left_out(services: Services, adapter: str):
    add_suite(services)
    first = evaluate(services, adapter)
    with pytest.raises(NotFound, match="base was not evaluated on mine yet"):
        services.evaluations.compare_newest("base", adapter, "mine")
    doctor = services.evaluations.run(Wish("base", "mine", "doctor", takes_loss=False))
    mixed = services.evaluations.compare(doctor.evaluation_id, first.evaluation_id)
    assert mixed.change("within_limit") is None
    assert mixed.notes == ("The targets of different audiences can't be compared.",)
    add_suite(services, rows=MANY)
    other = evaluate(services, adapter)
    with pytest.raises(InvalidInput, match="same questions and rules"):
        services.evaluations.compare(first.evaluation_id, other.evaluation_id)
    with services.database.session() as session:
        evaluation_store.write(session, other.evaluation_id, status="cancelled")
    with pytest.raises(InvalidInput, match="Only finished evaluations"):
        services.evaluations.compare(other.evaluation_id, first.evaluation_id)
