"""What curves say: made-up curves with the noise of real ones."""

import random
from dataclasses import dataclass

import pytest

from adapters.recipe import Hyperparameters, override
from adapters.training.advice import advise


@dataclass(frozen=True)
class Dot:
    step: int
    train_loss: float | None = None
    eval_loss: float | None = None
    grad_norm: float | None = None


def curve(loss, steps=60, norm=lambda step: 1.0, held_out=None):
    """Dots of a loss with a tenth of noise, and held-out losses by step."""
    draw = random.Random(7)
    dots = []
    for step in range(1, steps + 1):
        noise = draw.uniform(0.95, 1.05)
        dots.append(Dot(step, train_loss=loss(step) * noise, grad_norm=norm(step) * noise))
        if held_out and step in held_out:
            dots.append(Dot(step, eval_loss=held_out[step]))
    return dots


def signs(dots, total=60, **settings):
    return [each.sign for each in advise(dots, Hyperparameters(**settings), total)]


@pytest.mark.parametrize("seen", [5, 20, 40, 60])
def test_a_loss_that_falls_needs_no_advice(seen):
    dots = curve(lambda step: 1.5 + 1.5 * 0.95**step)
    assert signs(dots[:seen]) == []


def test_a_loss_that_fell_and_is_even_now_needs_none():
    assert signs(curve(lambda step: 2.0 if step < 10 else 1.2)) == []


def test_a_flat_loss_asks_for_a_higher_rate_once_a_third_has_gone_by():
    dots = curve(lambda _: 2.5)
    assert signs(dots[:15]) == []
    (advice,) = advise(dots[:40], Hyperparameters(learning_rate=2e-4), 60)
    assert advice.sign == "flat"
    assert advice.remedies[0].values == {"learning_rate": 4e-4}
    assert "formatting" in advice.message


def test_a_rate_that_is_high_already_isn_t_raised():
    (advice,) = advise(curve(lambda _: 2.5), Hyperparameters(learning_rate=8e-4), 60)
    assert advice.remedies == ()


def test_a_loss_that_rises_asks_for_a_third_of_the_rate():
    (advice,) = advise(
        curve(lambda step: 2.0 if step < 30 else 2.0 * 1.03 ** (step - 30)), Hyperparameters(), 60
    )
    assert advice.sign == "diverging"
    assert advice.remedies[0].values == {"learning_rate": 6.7e-05}


def test_gradients_that_explode_are_seen_before_the_loss():
    dots = curve(lambda step: 3 * 0.98**step, norm=lambda step: 1.0 if step < 55 else 40.0)
    assert signs(dots) == ["gradients"]


def test_learning_by_heart_is_seen_from_both_losses():
    held_out = {10: 2.2, 20: 2.0, 30: 2.1, 40: 2.3, 50: 2.5, 60: 2.7}
    (advice,) = advise(
        curve(lambda step: 3 * 0.97**step, held_out=held_out), Hyperparameters(num_epochs=6), 60
    )
    assert advice.sign == "overfitting"
    assert "best at step 20" in advice.message
    assert [remedy.values for remedy in advice.remedies] == [
        {"num_epochs": 2},
        {"early_stopping_patience": 2},
        {"lora_dropout": 0.2},
    ]


def test_one_held_out_loss_above_the_best_is_chance():
    held_out = {20: 2.0, 40: 1.8, 60: 1.9}
    assert signs(curve(lambda step: 3 * 0.97**step, held_out=held_out)) == []


def test_every_remedy_can_be_launched():
    held_out = {10: 2.2, 20: 2.0, 30: 2.1, 40: 2.3}
    curves = [
        curve(lambda _: 2.5),
        curve(lambda step: 1.0 + step),
        curve(lambda step: 3 * 0.97**step, held_out=held_out, norm=lambda step: 1.02 ** (step * 4)),
    ]
    for dots in curves:
        for advice in advise(dots, Hyperparameters(), 60):
            for remedy in advice.remedies:
                assert override(Hyperparameters(), remedy.values) != Hyperparameters()
