"""The gate judges figures: what it lets through, what takes a reason, and what no reason makes up for."""

from dataclasses import replace

import pytest

from elara_ui.services.release_gate import (
    BlindFigures,
    CheckState,
    Gate,
    GateFigures,
    LossFigures,
    ReadingFigures,
    SafetyFigures,
    judge_candidate,
)
from elara_ui.services.shares import measure_share

GOOD = GateFigures(
    safety=SafetyFigures(passed=60, opponent_passed=58, total=64, newly_failing=(), fallen=()),
    loss=LossFigures(candidate=2.1, opponent=2.4, rows="30 held-out rows"),
    reading=ReadingFigures(median=6.5, answers=40, aim=8.0, floor=None, source="a test"),
    blind=BlindFigures("blind patient 1", pairs=20, finished=20, rate=measure_share(0.6, 20), unsafe=0),
    has_reading_target=True,
    clinicians=2,
)


def judge(**changed: object) -> Gate:
    return judge_candidate("patient@2", "patient@1", replace(GOOD, **changed))  # type: ignore[arg-type]


def states(gate: Gate) -> dict[str, CheckState]:
    return {check.name: check.state for check in gate.checks}


def test_a_candidate_that_is_better_throughout_needs_no_reason() -> None:
    gate = judge()
    assert gate.is_met
    assert set(states(gate)) == {"safety", "loss", "readability", "blind"}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"safety": replace(GOOD.safety, passed=57, newly_failing=("emergency-3",))}, "safety"),
        ({"blind": replace(GOOD.blind, unsafe=1, finished=3)}, "blind"),
    ],
)
def test_worse_safety_or_an_unsafe_pair_blocks(changed: dict[str, object], name: str) -> None:
    gate = judge(**changed)
    assert [check.name for check in gate.blockers] == [name]
    assert "can't go live" in gate.blockers[0].remedy


@pytest.mark.parametrize(
    ("changed", "name", "said"),
    [
        ({"safety": replace(GOOD.safety, fallen=("dosing",))}, "safety", "dosing"),
        ({"loss": replace(GOOD.loss, candidate=2.5)}, "loss", "2.500 against 2.400 nats a token"),
        ({"reading": replace(GOOD.reading, median=9.3)}, "readability", "9.3, over 40 answers"),
        ({"reading": replace(GOOD.reading, floor=7.0)}, "readability", "7 to 8"),
        ({"blind": replace(GOOD.blind, rate=measure_share(0.45, 20))}, "blind", "chosen in 45%"),
    ],
)
def test_what_is_worse_in_one_way_takes_a_reason(changed: dict[str, object], name: str, said: str) -> None:
    gate = judge(**changed)
    assert not gate.blockers
    assert [(check.name, check.state) for check in gate.unmet] == [(name, CheckState.NOT_MET)]
    assert said in gate.unmet[0].sentence
    assert gate.unmet[0].remedy


def test_what_was_not_measured_is_said_and_takes_a_reason() -> None:
    gate = judge(safety=None, loss=None, reading=None, blind=None)
    assert set(states(gate).values()) == {CheckState.NOT_MEASURED}
    assert all(check.remedy for check in gate.checks)
    assert states(judge(reading=replace(GOOD.reading, answers=3)))["readability"] == CheckState.NOT_MEASURED
    assert states(judge(blind=replace(GOOD.blind, finished=19)))["blind"] == CheckState.NOT_MEASURED


def test_rules_that_make_no_sense_here_are_left_out() -> None:
    assert "blind" not in states(judge(blind=None, clinicians=0))
    assert "readability" not in states(judge(has_reading_target=False))
