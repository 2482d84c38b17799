"""Which category features point to."""

import numpy as np
import pytest

from elara_ui.clinical.redflags.kinds import KindWeights


@pytest.fixture
def weights() -> KindWeights:
    told = [[("stroke", 4.0)], [], [("dka", 2.0), ("stroke", 1.0)], [("dka", 1.0)]]
    return KindWeights.of({"dka": 0.5, "limb": 0.0, "stroke": 0.0}, told)


def rank(weights: KindWeights, **shares: float) -> dict[str, float]:
    """By row, written as "r0" and so on."""
    rows = np.array([int(row[1:]) for row in shares], dtype=np.intp)
    return dict(weights.rank(rows, np.float32(list(shares.values()))))


def test_what_features_say_is_added_up_in_their_shares(weights: KindWeights) -> None:
    found = rank(weights, r0=0.5, r2=1.0, r3=0.5)
    scores = np.exp([0.5 + 2.0 + 0.5, 0.0, 0.5 * 4.0 + 1.0])
    assert list(found.values()) == pytest.approx(sorted(scores / scores.sum(), reverse=True))
    assert list(found) == ["dka", "stroke", "limb"]


def test_a_feature_that_points_nowhere_says_nothing(weights: KindWeights) -> None:
    assert rank(weights, r1=1.0) == rank(weights)
    assert rank(weights)["dka"] == pytest.approx(np.exp(0.5) / (np.exp(0.5) + 2))


def test_the_likeliest_comes_first(weights: KindWeights) -> None:
    assert list(rank(weights, r0=1.0)) == ["stroke", "dka", "limb"]
    assert sum(rank(weights, r0=1.0).values()) == pytest.approx(1.0)
