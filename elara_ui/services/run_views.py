"""Training runs as they are shown: figures, charts, what went wrong, what to change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any

from adapters import catalog
from adapters.hyperparameters import Hyperparameters, override
from adapters.training.advice import Advice, advise
from adapters.training.failures import Remedy, find_remedies
from db.models import Run, RunPoint, RunSample
from db.runs import seconds_at_work
from db.vocabulary import RunFailure, RunStatus
from elara_ui.errors import ElaraError, InvalidInput

__all__ = [
    "Advice",
    "Comparison",
    "Difference",
    "Dot",
    "Remedy",
    "RunView",
    "SampleAnswer",
    "compare",
    "describe",
]

PACE_POINTS = 20
"""Dots of the chart from which the time left is told."""


@dataclass(frozen=True)
class Dot:
    """One dot of a run's charts.

    Args:
        step: optimizer steps done.
        train_loss: nats per token.
        eval_loss: held-out, nats per token.
        learning_rate: at this step.
        grad_norm: of all gradients, before clipping.
        tokens_per_second: useful ones, 1/s.
        padded_tokens_per_second: padding counted too, 1/s.
        memory_bytes: of the worker; on a graphics card, the most it has held there.
        reward_accuracy: of dpo, the share of pairs whose better answer has gained more.
        reward_margin: of dpo and kto, what better answers have gained over worse ones, nats.
        eval_reward_accuracy: held-out.
        eval_reward_margin: held-out, nats.
    """

    step: int
    train_loss: float | None = None
    eval_loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    padded_tokens_per_second: float | None = None
    memory_bytes: int | None = None
    reward_accuracy: float | None = None
    reward_margin: float | None = None
    eval_reward_accuracy: float | None = None
    eval_reward_margin: float | None = None


@dataclass(frozen=True)
class SampleAnswer:
    """What the model answered to a fixed question; step 0 is the base model."""

    step: int
    probe: str
    text: str


@dataclass(frozen=True)
class RunView:
    """A run as shown.

    Args:
        stage: what it is doing, in plain words.
        tokens_per_second: useful tokens, 1/s.
        seconds: that it has worked, breaks left out, s; None before its start.
        remaining_seconds: until the last step at the present rate, s; None when it can't be told.
        snapshot: id of the training set, for repeating the run on it.
        place: in the queue, from 1; None when it doesn't wait.
        failure: the kind of trouble, when it failed or was interrupted.
        hyperparameters: by name, as frozen.
        points: the charts; empty in lists, like what follows.
        samples: answers to the fixed questions.
        remedies: changed settings with which to start again after a failure.
        advice: what the curves say.
        checkpoint_step: optimizer steps done where it would go on; None: from the beginning, or it can't.
        log_tail: the last lines of the log, when it failed or was interrupted.
        command: what to type on a terminal for the same run; empty in lists.
    """

    run_id: str
    audience: str
    base_model: str
    status: RunStatus
    stage: str
    step: int
    total_steps: int | None
    epoch: float
    train_loss: float | None
    eval_loss: float | None
    tokens_per_second: float | None
    seconds: float | None
    remaining_seconds: float | None
    error: str | None
    adapter: str | None
    source: str
    rows: int
    created_at: datetime
    snapshot: str = ""
    place: int | None = None
    failure: RunFailure | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    points: tuple[Dot, ...] = ()
    samples: tuple[SampleAnswer, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    advice: tuple[Advice, ...] = ()
    checkpoint_step: int | None = None
    log_tail: str = ""
    command: str = ""

    @property
    def resumable(self) -> bool:
        """Whether it can go on: from its last checkpoint, or from the beginning where it has none."""
        return self.status in (RunStatus.INTERRUPTED, RunStatus.FAILED, RunStatus.CANCELLED)

    @property
    def offers(self) -> tuple[Remedy, ...]:
        """Every change of settings that is offered, in the order in which it is numbered."""
        return (*self.remedies, *(remedy for advice in self.advice for remedy in advice.remedies))

    def find_offer(self, which: str) -> Remedy:
        """One of the offered changes.

        Args:
            which: its number, from 1, or a setting that it changes.

        Raises:
            InvalidInput: there is none of that number or for that setting, or there are several.
        """
        numbered = {str(number): offer for number, offer in enumerate(self.offers, start=1)}
        found = [numbered[which]] if which in numbered else [o for o in self.offers if which in o.values]
        if len(found) == 1:
            return found[0]
        named = [f"{number} ({', '.join(offer.values)})" for number, offer in numbered.items()]
        raise InvalidInput(
            f"{which[:60]!r} {'names several remedies' if found else 'is no remedy'} of run {self.run_id}. "
            f"Choose one by its number: {', '.join(named) or 'there are none'}."
        )

    @property
    def base_loss(self) -> float | None:
        """The held-out loss before training, of the base model or what it continues; None: unknown."""
        return next((dot.eval_loss for dot in self.points if dot.step == 0 and dot.eval_loss), None)

    @property
    def best_loss(self) -> float | None:
        """The lowest held-out loss after learning began, nats per token."""
        return min((dot.eval_loss for dot in self.points if dot.step and dot.eval_loss), default=None)

    @property
    def peak_memory(self) -> int | None:
        """The most memory seen, bytes."""
        return max((dot.memory_bytes for dot in self.points if dot.memory_bytes), default=None)

    def last(self, name: str) -> float | None:
        """The latest value of one of a dot's figures."""
        values = (getattr(dot, name) for dot in reversed(self.points))
        return next((value for value in values if value is not None), None)


@dataclass(frozen=True)
class Difference:
    """A choice in which runs differ.

    Args:
        name: of the hyperparameter, or what else was chosen.
        values: of each run, in their order.
    """

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Args:
        runs: with their charts, in the order asked for.
        differences: the choices in which they aren't all alike.
    """

    runs: tuple[RunView, ...]
    differences: tuple[Difference, ...]


def describe(
    run: Run,
    points: Sequence[RunPoint] = (),
    samples: Sequence[RunSample] = (),
    *,
    place: int | None = None,
    checkpoint_step: int | None = None,
    log_tail: str = "",
) -> RunView:
    """A run as shown.

    Args:
        run: the run.
        points: the dots of its charts; none in lists.
        samples: its answers to the fixed questions.
        place: in the queue.
        checkpoint_step: optimizer steps done at its newest checkpoint.
        log_tail: the last lines of its log.
    """
    status, settings = RunStatus(run.status), _settings(run)
    failure = RunFailure(run.failure) if run.failure else None
    dots = tuple(_draw(point) for point in points)
    return RunView(
        run_id=run.id,
        audience=run.audience,
        base_model=run.base_model,
        status=status,
        stage=run.stage,
        step=run.step,
        total_steps=run.total_steps,
        epoch=run.epoch,
        train_loss=run.train_loss,
        eval_loss=run.eval_loss,
        tokens_per_second=run.tokens_per_second,
        seconds=seconds_at_work(run),
        remaining_seconds=_estimate_remaining(run, points),
        error=run.error,
        adapter=run.adapter,
        source=run.snapshot.source,
        rows=run.snapshot.rows,
        created_at=run.created_at,
        snapshot=run.snapshot_id,
        place=place,
        failure=failure,
        hyperparameters=run.recipe,
        points=dots,
        samples=tuple(SampleAnswer(sample.step, sample.probe, sample.text) for sample in samples),
        remedies=find_remedies(failure, settings, _targets(run, settings), run.step) if settings else (),
        advice=advise(dots, settings, run.total_steps) if settings and not failure else (),
        checkpoint_step=checkpoint_step,
        log_tail=log_tail,
    )


def compare(runs: Sequence[RunView]) -> Comparison:
    """Runs side by side, with what was chosen differently."""
    chosen = [
        {
            "audience": run.audience,
            "base_model": run.base_model,
            "stored set": f"{run.snapshot} ({run.source})",
        }
        | {name: _show(value) for name, value in run.hyperparameters.items()}
        for run in runs
    ]
    names = dict.fromkeys(name for choices in chosen for name in choices)
    rows = [Difference(name, tuple(choices.get(name, "–") for choices in chosen)) for name in names]
    return Comparison(tuple(runs), tuple(row for row in rows if len(set(row.values)) > 1))


def _draw(point: RunPoint) -> Dot:
    return Dot(
        point.step,
        point.train_loss,
        point.eval_loss,
        point.learning_rate,
        point.grad_norm,
        point.tokens_per_second,
        point.padded_tokens_per_second,
        point.memory_bytes,
        point.reward_accuracy,
        point.reward_margin,
        point.eval_reward_accuracy,
        point.eval_reward_margin,
    )


def _settings(run: Run) -> Hyperparameters | None:
    """The run's settings; None for those of an older Elara that no longer hold."""
    try:
        return override(Hyperparameters(), run.recipe)
    except ElaraError:
        return None


def _targets(run: Run, settings: Hyperparameters) -> tuple[str, ...]:
    """The layers that got an adapter, as far as they are known without loading the model."""
    try:
        return settings.target_modules or catalog.find(run.base_model).target_modules
    except ElaraError:
        return ()


def _show(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "by architecture"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _estimate_remaining(run: Run, points: Sequence[RunPoint]) -> float | None:
    """Seconds left, from the median time a step took between the latest dots of the chart.

    Loading the model, measurements and the pause before a resumption say nothing about the pace, and a
    median passes over them.
    """
    if run.status != RunStatus.RUNNING or not run.total_steps:
        return None
    recent = points[-PACE_POINTS:]
    paces = [
        (after.created_at - before.created_at).total_seconds() / (after.step - before.step)
        for before, after in pairwise(recent)
        if after.step > before.step
    ]
    if not paces:
        return None
    return max(0.0, (run.total_steps - run.step) * median(paces))
