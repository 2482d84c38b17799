"""Intervals of figures, and whether two versions differ more than chance would have them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from elara_ui.clinical.redflags.report import wilson

RESAMPLES = 2000
"""Of the bootstrap (Efron 1979): the ends of a 95% interval then move by a few percent of its width."""
SEED = 0
"""So that the same answers give the same interval again."""
LEAST_PAIRS = 6
"""Fewest pairs that tell anything: with five, even all five one way has p = 0.06 (sign test, two-sided)."""
SIGNIFICANT = 0.05
_ENDS = (2.5, 97.5)  # percentiles of a 95% interval

Statistic = Callable[[Any, Any], Any]
"""Of values and weights, each [resamples, n]; one number a resample, [resamples]."""


@dataclass(frozen=True)
class Interval:
    """A figure with its 95% interval.

    Args:
        value: of all answers.
        low: lower bound.
        high: upper bound.
        n: answers that it is of.
    """

    value: float
    low: float
    high: float
    n: int


def median(values: Any, weights: Any) -> Any:
    """The middle value; weights don't count."""
    return np.median(values, axis=-1)


def mean(values: Any, weights: Any) -> Any:
    """The mean, each value counting as its weight says."""
    return (values * weights).sum(-1) / weights.sum(-1)


def share_interval(outcomes: Sequence[float]) -> Interval:
    """The share of ones among ones and zeros, with Wilson's score interval."""
    hits, total = round(sum(outcomes)), len(outcomes)
    return Interval(hits / total, *wilson(hits, total), total)


def bootstrap_interval(
    values: Sequence[float], statistic: Statistic, weights: Sequence[float] | None = None
) -> Interval:
    """A figure with its percentile bootstrap interval; questions are what is drawn again.

    Args:
        values: of each answer; not empty.
        statistic: of them.
        weights: of each value, such as its tokens; None gives all the same.
    """
    sample, heavy = np.asarray(values, float), _weights(values, weights)
    drawn = _draw(len(sample))
    low, high = np.percentile(statistic(sample[drawn], heavy[drawn]), _ENDS)
    return Interval(float(statistic(sample, heavy)), float(low), float(high), len(sample))


def bootstrap_change(
    before: Sequence[float],
    after: Sequence[float],
    statistic: Statistic,
    weights: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Interval:
    """How a figure has changed, both measured on the same questions, which are drawn again together.

    Args:
        before: of each question.
        after: of the same questions, in the same order.
        statistic: of one side.
        weights: of the values before and after.
    """
    old, new = np.asarray(before, float), np.asarray(after, float)
    old_weights, new_weights = (
        _weights(before, weights[0] if weights else None),
        _weights(after, weights[1] if weights else None),
    )
    drawn = _draw(len(old))
    changes = statistic(new[drawn], new_weights[drawn]) - statistic(old[drawn], old_weights[drawn])
    low, high = np.percentile(changes, _ENDS)
    change = float(statistic(new, new_weights) - statistic(old, old_weights))
    return Interval(change, float(low), float(high), len(old))


def changed_clearly(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether yes and no to the same questions have changed sides more than chance has them.

    McNemar's exact test: of the questions whose outcome changed, each way is as likely by chance.
    """
    gained = sum(new > old for old, new in zip(before, after, strict=True))
    lost = sum(new < old for old, new in zip(before, after, strict=True))
    changed, fewer = gained + lost, min(gained, lost)
    tail: float = sum(comb(changed, hits) for hits in range(fewer + 1)) / 2**changed
    return 2 * tail < SIGNIFICANT


def _weights(values: Sequence[float], weights: Sequence[float] | None) -> Any:
    return np.ones(len(values)) if weights is None else np.asarray(weights, float)


def _draw(n: int) -> Any:
    """Which answers each resample has, [resamples, n]."""
    return np.random.default_rng(SEED).integers(0, n, (RESAMPLES, n))
