"""How far reviewers agree: Krippendorff's ordinal alpha with a bootstrap interval, and raw agreement.

K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), steps B to D:
https://repository.upenn.edu/asc_papers/43. Units rated alike are handled together: drawing units anew is then
drawing how often each of their few kinds occurs, so a thousand resamples of 10,000 units take milliseconds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

LEAST_UNITS = 20
"""Of fewer doubly-rated units alpha tells nothing, so it isn't shown."""

RESAMPLES = 1000
SEED = 20_240_229
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Agreement:
    """How far the ratings of one axis agree.

    Args:
        units: what two reviewers or more have rated on this axis.
        raw: the share of pairs of ratings of one unit that are the same; None when hidden.
        alpha: 1 for full agreement, 0 for what chance gives; None when hidden or when it isn't defined.
        low: of its interval; None with alpha.
        high: likewise.
        missing: how many more units it needs; 0 when it is shown.
    """

    units: int
    raw: float | None = None
    alpha: float | None = None
    low: float | None = None
    high: float | None = None
    missing: int = 0


def measure_agreement(counts: Counts, units: Counts, least: int = LEAST_UNITS) -> Agreement:
    """Agreement on an ordinal axis.

    Args:
        counts: a row for each kind of unit, a column for each value from one end of the scale to the
            other: how many reviewers gave it. Ratings off the scale are missing values: leave them out.
        units: how many units there are of each kind.
        least: doubly-rated units below which nothing is told.
    """
    paired = counts.sum(axis=1) >= 2
    counts, units = counts[paired], units[paired]
    total = int(units.sum())
    if total < least:
        return Agreement(total, missing=least - total)
    coincidences = _coincide(counts)
    whole = np.tensordot(units.astype(np.float64), coincidences, axes=1)
    raw = float(np.trace(whole) / whole.sum())
    alpha = float(_alpha(whole[np.newaxis])[0])
    if np.isnan(alpha):
        return Agreement(total, raw)
    draws = np.random.default_rng(SEED).multinomial(total, units / total, size=RESAMPLES)
    drawn = _alpha(np.tensordot(draws.astype(np.float64), coincidences, axes=1))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, (tail, 1 - tail))
    return Agreement(total, raw, alpha, float(low), float(high))


def _coincide(counts: Counts) -> Floats:
    """The matrix of coincidences of one unit of each kind: pairs of ratings, over the raters less one."""
    pairs = (counts[:, :, np.newaxis] * counts[:, np.newaxis, :]).astype(np.float64)
    diagonal = np.arange(counts.shape[1])
    pairs[:, diagonal, diagonal] -= counts
    weighted: Floats = pairs / (counts.sum(axis=1) - 1)[:, np.newaxis, np.newaxis]
    return weighted


def _alpha(coincidences: Floats) -> Floats:
    """Alpha of each matrix of coincidences; not a number where all ratings are the same.

    The ordinal difference of two values, the ratings from one to the other with the two ends counted half, is
    the distance of their middle ranks.
    """
    totals = coincidences.sum(axis=2)
    ranks = totals.cumsum(axis=1) - totals / 2
    differences = (ranks[:, :, np.newaxis] - ranks[:, np.newaxis, :]) ** 2
    observed = (coincidences * differences).sum(axis=(1, 2))
    expected = (totals[:, :, np.newaxis] * totals[:, np.newaxis, :] * differences).sum(axis=(1, 2))
    ratings = totals.sum(axis=1)
    alphas: Floats = np.full(len(ratings), np.nan)
    np.divide((ratings - 1) * observed, expected, out=alphas, where=expected > 0)
    return 1.0 - alphas
