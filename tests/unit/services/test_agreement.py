"""Agreement against published figures and another implementation; shares against tabled intervals."""

import time

import krippendorff
import numpy as np
import pytest

from elara_ui.services.agreement import measure_agreement
from elara_ui.services.shares import measure_share

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C: 12 units, 4 observers.
PUBLISHED = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)


def published_counts() -> np.ndarray:
    observers = [line.split() for line in PUBLISHED]
    units = zip(*observers, strict=True)
    return np.array([[ratings.count(str(value)) for value in range(1, 6)] for ratings in units])


def drawn_counts(units: int, raters: int, seed: int) -> np.ndarray:
    """Ratings on four values that agree more often than not."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, units)
    counts = np.zeros((units, 4), dtype=np.int64)
    for _ in range(raters):
        given = np.clip(truth + random.integers(-1, 2, units), 0, 3)
        counts[np.arange(units), given] += 1
    return counts


def one_by_one(counts: np.ndarray, least: int = 2):
    return measure_agreement(counts, np.ones(len(counts), dtype=np.int64), least=least)


def test_the_published_example_gives_the_published_ordinal_alpha() -> None:
    measured = one_by_one(published_counts())
    assert measured.alpha == pytest.approx(0.815, abs=0.0005)
    assert measured.units == 11  # one unit has a single rating
    assert measured.low < measured.alpha < measured.high


@pytest.mark.parametrize("raters", [2, 3, 5])
def test_alpha_is_what_another_implementation_gets(raters: int) -> None:
    counts = drawn_counts(500, raters, seed=raters)
    expected = krippendorff.alpha(value_counts=counts, level_of_measurement="ordinal")
    assert one_by_one(counts).alpha == pytest.approx(expected, abs=1e-12)


def test_the_interval_is_that_of_drawing_unit_by_unit() -> None:
    """Counting how often each kind of unit is drawn is the same as drawing the units."""
    counts = drawn_counts(200, 2, seed=1)
    random = np.random.default_rng(2)
    drawn = [
        krippendorff.alpha(value_counts=counts[random.integers(0, 200, 200)], level_of_measurement="ordinal")
        for _ in range(400)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    measured = one_by_one(counts)
    assert (measured.low, measured.high) == pytest.approx((low, high), abs=0.03)


def test_units_alike_can_be_given_together() -> None:
    counts = drawn_counts(300, 2, seed=3)
    kinds, units = np.unique(counts, axis=0, return_counts=True)
    together, apart = measure_agreement(kinds, units), one_by_one(counts)
    assert together.alpha == pytest.approx(apart.alpha)
    assert together.raw == pytest.approx(apart.raw)
    assert together == measure_agreement(kinds, units)  # seeded: the same figures each time


def test_raw_agreement_is_the_share_of_pairs_alike() -> None:
    counts = np.array([[2, 0], [0, 2], [1, 1], [1, 1]])
    assert one_by_one(counts).raw == 0.5


def test_one_value_from_everybody_has_raw_agreement_but_no_alpha() -> None:
    measured = measure_agreement(np.array([[2, 0, 0]]), np.array([30]))
    assert (measured.raw, measured.alpha, measured.low, measured.missing) == (1.0, None, None, 0)


@pytest.mark.parametrize(("units", "missing"), [(0, 20), (19, 1), (20, 0)])
def test_few_units_are_hidden_and_the_missing_counted(units: int, missing: int) -> None:
    measured = measure_agreement(np.array([[1, 1], [2, 0], [1, 0]]), np.array([units, 0, 100]))
    assert (measured.units, measured.missing) == (units, missing)
    assert (measured.raw is None) == (missing > 0)


def test_ten_thousand_units_take_no_time() -> None:
    kinds, units = np.unique(drawn_counts(10_000, 2, seed=4), axis=0, return_counts=True)
    start = time.process_time()
    measure_agreement(kinds, units)
    assert time.process_time() - start < 1


def test_wilsons_interval_is_the_tabled_one() -> None:
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3.
    for events, units, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        share = measure_share(events / units, units)
        assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)
    assert measure_share(1.0, 10).high == pytest.approx(1.0)
