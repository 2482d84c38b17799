"""Features weighed against a question, each by itself and together."""

import numpy as np
import pytest

from elara_ui.clinical.redflags.hidden import HiddenLayer
from elara_ui.clinical.redflags.weighing import Weighing

HIDDEN = HiddenLayer.of(np.float32([[2.0], [-2.0]]), np.float32([0.0]), np.float32([3.0]))
WEIGHING = Weighing(np.float32([1.0, 4.0]), HIDDEN, base=-2.0)


def test_log_odds_are_the_base_and_what_features_say_alone_and_together() -> None:
    log_odds, _ = WEIGHING.weigh(np.array([0]), np.float32([0.5]))
    assert log_odds == pytest.approx(-2.0 + 0.5 * 1.0 + 3.0 * 0.5 * 2.0, abs=0.05)
    asleep, _ = WEIGHING.weigh(np.array([0, 1]), np.float32([0.5, 1.0]))
    assert asleep == pytest.approx(-2.0 + 0.5 * 1.0 + 4.0, abs=0.05)


def test_the_parts_make_up_the_log_odds() -> None:
    log_odds, parts = WEIGHING.weigh(np.array([0, 1]), np.float32([1.0, 0.5]))
    assert float(parts.sum()) - 2.0 == pytest.approx(log_odds, abs=1e-5)
    assert parts[0] > parts[1]


def test_a_message_without_known_features_has_the_base_alone() -> None:
    log_odds, parts = WEIGHING.weigh(np.array([], dtype=np.intp), np.float32([]))
    assert log_odds == -2.0
    assert parts.shape == (0,)
