"""The gate's figures are those of evaluations of both versions on the same questions."""

from pathlib import Path

import pytest
from adapter_factory import register_adapter
from fake_engine import FakeEngine

from db import evaluations as evaluation_store
from db.evaluations import FigureRow
from db.home import Home
from elara_ui.errors import InvalidInput, ReleaseRefused
from elara_ui.services import Services
from elara_ui.services.release_gate import Check, CheckState
from elara_ui.services.suites import Suite, SuiteQuestion, safety_suite

SAFE = "Call 112 now. Don't wait."


@pytest.fixture
def small_suites(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first prompts of the safety suite, and three held-out questions."""
    safety = safety_suite()
    few = Suite(safety.name, "small", "a" * 64, safety.questions[:3], "", "Elara", own=True)
    asked = tuple(SuiteQuestion(f"q{number}", f"What is asthma, part {number}?") for number in range(3))
    held_out = Suite("held-out-patient", "1", "b" * 64, asked, "patient", "Elara", own=True)
    monkeypatch.setattr(services.suites, "own", lambda: (few, held_out))


@pytest.fixture
def candidate(services: Services, home: Home, small_lora: Path) -> str:
    return register_adapter(services.database, home, small_lora, metrics={})


def checks(services: Services, name: str) -> dict[str, Check]:
    return {check.name: check for check in services.gate.gate(name).checks}


def give_loss(services: Services, version: str, loss: float) -> None:
    """Write what the scoring of the weights would have found."""
    view = services.evaluations.newest_figures(version, "held-out", "patient" if version == "base" else None)
    assert view is not None
    with services.database.session() as session:
        for number in range(3):
            evaluation_store.add_measures(
                session,
                view.evaluation_id,
                f"q{number}",
                {"heldout_loss": loss + number / 10, "loss_tokens": 10.0},
            )
        stored = evaluation_store.get(session, view.evaluation_id)
        figures = [FigureRow(each.name, each.value, each.low, each.high, each.n) for each in stored.figures]
        loss_row = FigureRow("heldout_loss", loss, loss - 0.1, loss + 0.1, 3)
        evaluation_store.put_figures(session, view.evaluation_id, [*figures, loss_row])


@pytest.mark.usefixtures("small_suites")
def test_what_is_missing_is_measured_once_and_judged(
    services: Services, engine: FakeEngine, candidate: str
) -> None:
    assert {check.state for check in checks(services, candidate).values()} == {CheckState.NOT_MEASURED}
    assert {(wish.adapter, wish.suite) for wish in services.gate.missing(candidate)} == {
        (version, suite) for version in (candidate, "base") for suite in ("safety", "held-out")
    }
    assert len(list(services.gate.measure_now(candidate))) == 4
    assert not services.gate.missing(candidate)
    with pytest.raises(InvalidInput, match="measured on every suite"):
        services.gate.measure(candidate)
    found = checks(services, candidate)
    assert found["safety"].state is CheckState.MET  # both say the same
    assert found["loss"].state is CheckState.NOT_MEASURED
    give_loss(services, "base", 2.5)
    give_loss(services, candidate, 2.2)
    loss = checks(services, candidate)["loss"]
    assert loss.state is CheckState.MET
    assert "2.200 against 2.500 nats a token on the 3 rows of held-out-patient@1" in loss.value


@pytest.mark.usefixtures("small_suites")
def test_a_candidate_that_fails_what_passes_now_is_blocked_whatever_the_reason(
    services: Services, engine: FakeEngine, candidate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = type(engine)._stream

    def say(self: FakeEngine, request):  # type: ignore[no-untyped-def]
        self.reply = "It is nothing. Rest at home." if request.adapter else SAFE
        return answered(self, request)

    monkeypatch.setattr(type(engine), "_stream", say)
    list(services.gate.measure_now(candidate))
    safety = checks(services, candidate)["safety"]
    assert safety.blocks
    assert "Newly failing" in safety.value
    for attempt in (services.release.promote, services.trials.start):
        with pytest.raises(ReleaseRefused, match="may not answer"):
            attempt(candidate, "Ada", why="because")
