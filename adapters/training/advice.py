"""What a run's curves say, in words, with changes of settings that may help. Pure: curves in, advice out."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median, pstdev
from typing import Protocol

from adapters.recipe import Hyperparameters
from adapters.training.failures import Remedy, change_rate

LEAST_DOTS = 12  # fewer say nothing: a batch's loss differs from the next one's by a tenth
SMOOTHED = 5  # dots whose median stands for them
FLAT_CHANGE, FLAT_FALL = 0.01, 0.05  # relative: over the last third of the steps, and since the beginning
RISEN = 1.3  # times the lowest
LEAST_RISE = 0.1  # nats; the losses of preferences end near 0, where a ratio says nothing
EXPLODED = 10.0  # times what was usual
WORSE = 1.02  # held-out loss, times the best
HIGHEST_RATE = 1e-3


class Dot(Protocol):
    """One dot of a run's charts."""

    @property
    def step(self) -> int:
        """Optimizer steps done."""

    @property
    def train_loss(self) -> float | None:
        """Nats per token."""

    @property
    def eval_loss(self) -> float | None:
        """Held-out, nats per token."""

    @property
    def grad_norm(self) -> float | None:
        """Of all gradients, before clipping."""


@dataclass(frozen=True)
class Advice:
    """Something that the curves show.

    Args:
        sign: flat, diverging, overfitting or gradients.
        message: what is seen and what it means.
        remedies: changes of settings that may help, the likeliest first.
    """

    sign: str
    message: str
    remedies: tuple[Remedy, ...]


def advise(dots: Sequence[Dot], settings: Hyperparameters, total_steps: int | None) -> tuple[Advice, ...]:
    """What should be looked at, the most pressing first; nothing when all goes as it should.

    Args:
        dots: of the charts, in their order.
        settings: the run's.
        total_steps: optimizer steps planned.
    """
    losses = _series(dots, lambda dot: dot.train_loss)
    found = list(_look_at_gradients(_series(dots, lambda dot: dot.grad_norm), settings))
    if diverging := _look_for_divergence(losses, settings):
        return (diverging, *found)
    measured = _series(dots, lambda dot: dot.eval_loss)
    found += _look_for_overfitting(losses, measured, settings, total_steps)
    return (*found, *_look_for_flatness(losses, settings, total_steps))


Series = list[tuple[int, float]]
"""Step and value."""


def _series(dots: Sequence[Dot], value: Callable[[Dot], float | None]) -> Series:
    return [(dot.step, found) for dot in dots if (found := value(dot)) is not None]


def _middle(series: Series) -> float:
    return median(value for _, value in series)


def _look_for_divergence(losses: Series, settings: Hyperparameters) -> Advice | None:
    if len(losses) < LEAST_DOTS:
        return None
    smooth = [_middle(losses[start : start + SMOOTHED]) for start in range(len(losses) - SMOOTHED + 1)]
    lowest, now = min(smooth), smooth[-1]
    if now <= RISEN * lowest or now - lowest <= LEAST_RISE:
        return None
    return Advice(
        "diverging",
        f"The loss has risen from {lowest:.2f} to {now:.2f}: the updates are too large, and going on rarely "
        "mends that. Stop, and start again more gently.",
        (_slower(settings), *_larger_batch(settings)),
    )


def _look_at_gradients(norms: Series, settings: Hyperparameters) -> Iterator[Advice]:
    if len(norms) < LEAST_DOTS:
        return
    usual, now = _middle(norms[:-SMOOTHED]), _middle(norms[-SMOOTHED:])
    if usual > 0 and now > EXPLODED * usual:
        yield Advice(
            "gradients",
            f"The gradients have grown from about {usual:.2g} to {now:.2g}: the loss is likely to jump next. "
            "A smaller learning rate or a longer warm-up keeps them in bounds.",
            (_slower(settings), *_longer_warmup(settings)),
        )


def _look_for_overfitting(
    losses: Series, measured: Series, settings: Hyperparameters, total_steps: int | None
) -> Iterator[Advice]:
    """The held-out loss has been above its best twice in a row, while the other fell."""
    if len(measured) < 3 or len(losses) < SMOOTHED:
        return
    best_step, best = min(measured, key=lambda dot: dot[1])
    later = [value for step, value in measured if step > best_step]
    if len(later) < 2 or min(later[-2:]) <= WORSE * best:
        return
    before = [dot for dot in losses if dot[0] <= best_step] or losses[:1]
    if _middle(losses[-SMOOTHED:]) >= _middle(before[-SMOOTHED:]):
        return
    remedies = []
    epochs = max(1, round(best_step / total_steps * settings.num_epochs)) if total_steps else 0
    if 0 < epochs < settings.num_epochs:
        remedies.append(Remedy(f"Fewer epochs: {epochs}", {"num_epochs": epochs}))
    if not settings.early_stopping_patience:
        remedies.append(Remedy("Early stopping: keep the best weights", {"early_stopping_patience": 2}))
    if settings.lora_dropout < 0.2 and settings.objective == "sft":  # dpo and kto hide nothing
        remedies.append(Remedy("More dropout: 0.2", {"lora_dropout": 0.2}))
    yield Advice(
        "overfitting",
        f"The held-out loss was best at step {best_step} ({best:.2f}) and is {later[-1]:.2f} now, while the "
        "training loss goes on falling: it is learning by heart.",
        tuple(remedies),
    )


def _look_for_flatness(
    losses: Series, settings: Hyperparameters, total_steps: int | None
) -> Iterator[Advice]:
    """Hardly any change over the last third of the steps, and little since the beginning.

    A loss that has fallen and is even now is simply done; a schedule that fades out ends so too.
    """
    if not total_steps or not losses or losses[-1][0] < total_steps / 3:
        return
    recent = [dot for dot in losses if dot[0] > losses[-1][0] - total_steps / 3]
    if len(recent) < LEAST_DOTS:
        return
    half = len(recent) // 2
    earlier, now = _middle(recent[:half]), _middle(recent[half:])
    first = _middle(losses[:SMOOTHED])
    chance = 2 * pstdev(value for _, value in recent) / math.sqrt(half)  # by which medians of noise differ
    if abs(earlier - now) > max(FLAT_CHANGE * earlier, chance) or first - now > FLAT_FALL * first:
        return
    change = change_rate(settings, 2)
    faster = (
        (Remedy(f"Twice the learning rate: {change['learning_rate']:g}", change),)
        if change["learning_rate"] <= HIGHEST_RATE
        else ()
    )
    yield Advice(
        "flat",
        f"The loss has hardly moved ({first:.2f} at the start, {now:.2f} now). Raise the learning rate; if "
        "that doesn't help, check the formatting and quality of the examples in the preview.",
        faster,
    )


def _slower(settings: Hyperparameters) -> Remedy:
    change = change_rate(settings, 1 / 3)
    return Remedy(f"A third of the learning rate: {change['learning_rate']:g}", change)


def _larger_batch(settings: Hyperparameters) -> Iterator[Remedy]:
    if settings.batch_size * settings.gradient_accumulation_steps < 8:
        steps = settings.gradient_accumulation_steps * 2
        yield Remedy(f"Steadier updates: {steps} batches for each", {"gradient_accumulation_steps": steps})


def _longer_warmup(settings: Hyperparameters) -> Iterator[Remedy]:
    if settings.warmup_ratio < 0.2:
        yield Remedy("A longer warm-up: 0.2", {"warmup_ratio": 0.2})
