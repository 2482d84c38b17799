"""Intervals hold what they should, repeat, and chance isn't taken for a difference."""

import random

import pytest

from elara_ui.services.evaluation_statistics import (
    bootstrap_change,
    bootstrap_interval,
    changed_clearly,
    mean,
    median,
    share_interval,
)


def test_a_share_has_wilsons_interval():
    found = share_interval([1.0] * 9 + [0.0])
    assert (found.value, found.n) == (0.9, 10)
    assert (found.low, found.high) == (pytest.approx(0.596, abs=1e-3), pytest.approx(0.982, abs=1e-3))


def test_bootstrap_intervals_repeat_and_narrow_with_more_answers():
    draw = random.Random(1)
    values = [draw.gauss(6, 2) for _ in range(120)]
    few, many = bootstrap_interval(values[:12], median), bootstrap_interval(values, median)
    assert bootstrap_interval(values, median) == many
    assert few.low <= few.value <= few.high
    assert many.high - many.low < few.high - few.low


def test_a_mean_counts_each_value_by_its_weight():
    found = bootstrap_interval([1.0, 3.0], mean, [30.0, 10.0])
    assert found.value == 1.5
    assert (found.low, found.high) == (1.0, 3.0)


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says():
    draw = random.Random(2)
    samples = [[draw.gauss(0, 1) for _ in range(40)] for _ in range(300)]
    held = sum(found.low <= 0 <= found.high for found in (bootstrap_interval(each, mean) for each in samples))
    assert 0.9 < held / len(samples) < 0.98


def test_pairs_tell_a_small_change_that_two_groups_would_not():
    draw = random.Random(3)
    before = [draw.gauss(10, 5) for _ in range(30)]
    after = [value - 0.5 + draw.gauss(0, 0.2) for value in before]
    change = bootstrap_change(before, after, mean)
    assert change.low < -0.5 < change.high < 0
    assert change.high - change.low < 0.3


@pytest.mark.parametrize(
    ("gained", "lost", "clear"), [(0, 0, False), (5, 0, False), (6, 0, True), (8, 2, False), (10, 1, True)]
)
def test_outcomes_change_clearly_only_beyond_chance(gained: int, lost: int, clear: bool):
    before = [0.0] * gained + [1.0] * lost + [1.0] * 5
    after = [1.0] * gained + [0.0] * lost + [1.0] * 5
    assert changed_clearly(before, after) is clear
    assert changed_clearly(after, before) is clear
