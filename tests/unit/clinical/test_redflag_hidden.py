"""Hidden units: what features say together, and each one's part in it."""

import numpy as np
import pytest

from elara_ui.clinical.redflags.hidden import STEPS, Floats, HiddenLayer


def weigh(layer: HiddenLayer, *shares: float) -> tuple[float, Floats]:
    """A message that has the first features in these shares."""
    return layer.weigh(np.arange(len(shares)), np.float32(shares))


WEIGHTS = np.float32([[2.0, 0.0], [-1.0, 4.0], [0.5, -4.0]])
BASES, OUTPUTS = np.float32([0.5, 0.0]), np.float32([3.0, -1.0])


@pytest.fixture
def layer() -> HiddenLayer:
    return HiddenLayer.of(WEIGHTS, BASES, OUTPUTS)


def test_a_unit_speaks_only_above_zero(layer: HiddenLayer) -> None:
    assert weigh(layer, 1.0)[0] == pytest.approx(3 * (2.0 + 0.5), abs=0.05)
    assert weigh(layer, 1.0, 1.0)[0] == pytest.approx(3 * (2.0 - 1.0 + 0.5) - 4.0, abs=0.1)
    assert weigh(layer, 0.0, 0.0, 1.0)[0] == pytest.approx(3 * (0.5 + 0.5), abs=0.05)


def test_the_parts_and_what_the_awake_units_begin_with_make_up_the_sum(layer: HiddenLayer) -> None:
    shares = [0.5, 0.25, 0.1]
    together, parts = weigh(layer, *shares)
    awake = np.float32(shares) @ (layer.weights * layer.step) + BASES > 0
    assert together == pytest.approx(float(np.float32(shares) @ parts + BASES @ (OUTPUTS * awake)))


def test_a_message_without_known_features_has_what_the_units_begin_with(layer: HiddenLayer) -> None:
    together, parts = weigh(layer)
    assert together == pytest.approx(3 * 0.5)
    assert parts.shape == (0,)


def test_weights_take_a_byte_each(layer: HiddenLayer) -> None:
    assert layer.weights.dtype == np.int8
    assert np.abs(layer.weights * layer.step - WEIGHTS).max() <= np.abs(WEIGHTS).max() / STEPS
