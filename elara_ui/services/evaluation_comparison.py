"""Two evaluations of the same questions: what improved, what fell, and what can't be told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from elara_ui.errors import InvalidInput
from elara_ui.services.evaluation_measures import (
    RULED,
    SAFETY_PREFIX,
    Better,
    Kind,
    Measure,
    find_measure,
    statistic_of,
    weights_of,
)
from elara_ui.services.evaluation_statistics import (
    LEAST_PAIRS,
    Interval,
    bootstrap_change,
    changed_clearly,
)
from elara_ui.services.evaluation_views import AnswerView, EvaluationView, FigureView

_BY_AUDIENCE = ("in_target", "within_limit", "action_first")
"""Measures that hold an answer against its audience's targets."""


class Verdict(StrEnum):
    """What a change means."""

    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"  # clearly, and neither way is better in itself
    UNCLEAR = "no clear difference"


@dataclass(frozen=True)
class Change:
    """One figure before and after.

    Args:
        before: as the first evaluation has it.
        after: as the second has it.
        change: after minus before, on the questions that both measured, with its 95% interval.
        verdict: what it means.
    """

    before: FigureView
    after: FigureView
    change: Interval
    verdict: Verdict


@dataclass(frozen=True)
class Pair:
    """One question with both answers."""

    before: AnswerView
    after: AnswerView


@dataclass(frozen=True)
class Comparison:
    """Two evaluations of the same questions.

    Args:
        changes: what both measured, in the order of the measures.
        pairs: the answers side by side, in the suite's order.
        notes: what was left out of the comparison, and why.
    """

    before: EvaluationView
    after: EvaluationView
    changes: tuple[Change, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    def change(self, name: str) -> Change | None:
        """What became of one measure; None when it can't be compared."""
        return next((change for change in self.changes if change.before.name == name), None)

    def named(self, verdict: Verdict) -> tuple[str, ...]:
        """The labels of the figures of one verdict."""
        return tuple(change.before.label for change in self.changes if change.verdict is verdict)


def compare_evaluations(
    before: EvaluationView,
    after: EvaluationView,
    answers: tuple[Sequence[AnswerView], Sequence[AnswerView]],
) -> Comparison:
    """Hold two evaluations of the same questions against each other, question by question.

    Args:
        answers: those of `before` and of `after`.

    Raises:
        InvalidInput: they are of different questions or rules, so that a comparison would mean nothing.
    """
    if before.suite_sha256 != after.suite_sha256:
        raise InvalidInput(
            "Only evaluations of the same questions and rules can be compared, and those of "
            f"{before.label} ({before.suite_label}, {before.suite_sha256[:12]}) and {after.label} "
            f"({after.suite_label}, {after.suite_sha256[:12]}) differ. Evaluate both on one suite."
        )
    found = {answer.question_id: answer for answer in answers[1]}
    pairs = tuple(
        Pair(answer, found[answer.question_id]) for answer in answers[0] if answer.question_id in found
    )
    barred = _find_barred(before, after)
    changes = [
        _compare_figure(figure, other, pairs)
        for figure in before.figures
        if figure.name not in barred and (other := after.figure(figure.name))
    ]
    return Comparison(
        before,
        after,
        tuple(change for change in changes if change is not None),
        pairs,
        tuple(dict.fromkeys(barred.values())),
    )


def _find_barred(before: EvaluationView, after: EvaluationView) -> Mapping[str, str]:
    """Measures that can't be compared, each with the reason."""
    barred = {}
    for name in RULED:
        if before.methods.get(name) != after.methods.get(name) and before.figure(name) and after.figure(name):
            label = find_measure(name).label
            barred[name] = f"{label} was told by different methods and can't be compared."
    if before.base_model != after.base_model:
        barred["heldout_loss"] = (
            "Held-out loss can't be compared across base models: they cut text into different tokens."
        )
    if before.audience != after.audience:
        reason = "The targets of different audiences can't be compared."
        barred |= dict.fromkeys(_BY_AUDIENCE, reason)
    return barred


def _compare_figure(before: FigureView, after: FigureView, pairs: Sequence[Pair]) -> Change | None:
    """What became of one figure on the questions that both have it of; None without any."""
    measure = find_measure(before.name)
    old, new = _paired_measures(measure, pairs)
    if not old:
        return None
    key = _key(measure)
    values = [measures[key] for measures in old], [measures[key] for measures in new]
    weights = weights_of(measure, old), weights_of(measure, new)
    both = (weights[0], weights[1]) if weights[0] is not None and weights[1] is not None else None
    change = bootstrap_change(*values, statistic_of(measure), both)
    return Change(before, after, change, _judge(measure, change, *values))


def _key(measure: Measure) -> str:
    return "safety_passed" if measure.name.startswith(SAFETY_PREFIX) else measure.name


def _paired_measures(
    measure: Measure, pairs: Sequence[Pair]
) -> tuple[list[Mapping[str, float]], list[Mapping[str, float]]]:
    """The measures of the pairs in which both answers have this one."""
    key, category = _key(measure), measure.name.removeprefix(SAFETY_PREFIX)
    chosen = [
        (pair.before.measures, pair.after.measures)
        for pair in pairs
        if key in pair.before.measures
        and key in pair.after.measures
        and (key == measure.name or pair.before.category == category)
    ]
    return [old for old, _ in chosen], [new for _, new in chosen]


def _judge(measure: Measure, change: Interval, before: Sequence[float], after: Sequence[float]) -> Verdict:
    """What a change means; nothing is told from fewer than `LEAST_PAIRS` questions."""
    if measure.kind is Kind.SHARE:
        clear = changed_clearly(before, after)
    else:
        clear = change.low > 0 or change.high < 0
    if not clear or change.n < LEAST_PAIRS or not change.value:
        return Verdict.UNCLEAR
    if measure.better is Better.NEITHER:
        return Verdict.CHANGED
    return Verdict.BETTER if (change.value > 0) == (measure.better is Better.HIGHER) else Verdict.WORSE
