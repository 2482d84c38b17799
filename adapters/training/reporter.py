"""What a training tells while it goes: the trainer's events as `Listener` calls, and the final figures."""

import json
import logging
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from adapters.errors import NotANumber
from adapters.training.progress import Listener

RATE_STEPS = 20  # steps over which the rate shown is averaged
SPENT = "spent.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spent:
    """What a run has cost up to a checkpoint, kept in it so that a resumed run counts on.

    Args:
        tokens: learned from or read, padding left out.
        padded_tokens: with padding.
        seconds: in training steps, s.
        loss: summed over these steps, nats per token.
        steps: optimizer steps.
    """

    tokens: int = 0
    padded_tokens: int = 0
    seconds: float = 0.0
    loss: float = 0.0
    steps: int = 0


class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers is not checked
    """Tells `Progress` what happens, and remembers what the metrics need.

    Args:
        progress: told everything.
        left_out: examples that were too long; named to whoever watches.
    """

    def __init__(self, progress: Listener, left_out: int) -> None:
        self.before: float | None = None
        self.last_eval: float | None = None
        self._progress = progress
        self._stage = f"training; {left_out} examples too long, left out" if left_out else "training"
        self._recent: deque[tuple[int, int, float]] = deque(maxlen=RATE_STEPS)
        self._earlier = Spent()  # before a resumed run went on
        self._tokens_before = 0  # as the trainer counted them then
        self._steps_before = 0
        self._tokens = 0
        self._padded = 0
        self._padded_in_step = 0
        self._seconds = 0.0
        self._began = 0.0

    def saw(self, inputs: Mapping[str, Any]) -> None:
        """Count a batch's tokens, padding included; every tensor of token ids counts once."""
        ids = (value for name, value in inputs.items() if name.endswith("input_ids"))
        self._padded_in_step += sum(value.numel() for value in ids if isinstance(value, Tensor))

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Say how many steps there will be."""
        self._tokens_before = int(state.num_input_tokens_seen)
        self._steps_before = int(state.global_step)
        if self._steps_before:
            self._earlier = _read_spent(_checkpoint(args, state))
        self._progress.stage(self._stage, total_steps=state.max_steps)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_substep_end(self, *_: Any, **__: Any) -> None:
        """Between accumulated batches too a run can be stopped."""
        self._progress.beat()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Count tokens and seconds."""
        tokens = int(state.num_input_tokens_seen) - self._tokens_before - self._tokens
        seconds = time.perf_counter() - self._began
        padded, self._padded_in_step = self._padded_in_step, 0
        self._tokens += tokens
        self._padded += padded
        self._seconds += seconds
        self._recent.append((tokens, padded, seconds))
        self._progress.beat(state.global_step, state.epoch, self._rate(0))

    def on_prediction_step(self, *_: Any, **__: Any) -> None:
        """While measuring too a run gives signs of life and can be stopped."""
        self._progress.beat()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Draw a dot of the training loss."""
        figures = logs or {}
        loss = figures.get("loss")
        if loss is None:
            return
        require_number(loss, state.global_step, args.learning_rate)
        self._progress.point(
            state.global_step,
            train_loss=loss,
            learning_rate=figures.get("learning_rate"),
            grad_norm=figures.get("grad_norm"),
            tokens_per_second=self._rate(0),
            padded_tokens_per_second=self._rate(1),
            memory_bytes=measure_memory(),
            epoch=state.epoch,
        )

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        """Draw a dot of the held-out loss."""
        self.last_eval = metrics["eval_loss"]
        require_number(self.last_eval, state.global_step, args.learning_rate)
        self._progress.point(state.global_step, eval_loss=self.last_eval, epoch=state.epoch)

    def keep_spent(self, args: TrainingArguments, state: TrainerState, loss: float) -> None:
        """Note in the checkpoint just written what the run has cost so far.

        Args:
            args: of the trainer.
            state: of the trainer.
            loss: summed over this attempt's steps, nats per token.
        """
        spent = self._spent(loss, state.global_step)
        try:
            (_checkpoint(args, state) / SPENT).write_text(json.dumps(asdict(spent)), encoding="utf-8")
        except OSError as error:
            log.warning("What the run has cost so far is not noted: %s", error.strerror)

    def metrics(self, result: Mapping[str, float], after: float | None, steps: int) -> dict[str, float]:
        """The figures that go into the manifest; a resumed run's cover all its attempts.

        Args:
            result: what the trainer says of this attempt.
            after: held-out loss, nats per token.
            steps: optimizer steps done in all.
        """
        loss = result["train_loss"] * (steps - self._steps_before)  # the trainer averages over this attempt
        spent = self._spent(loss, steps)
        seconds = spent.seconds
        figures = {
            "eval_loss_before": self.before,
            "eval_loss_after": after,
            "train_loss": spent.loss / spent.steps if spent.steps else None,
            "train_tokens": float(spent.tokens),
            "train_padded_tokens": float(spent.padded_tokens),
            "train_seconds": round(seconds, 1),
            "tokens_per_second": round(spent.tokens / seconds, 1) if seconds else None,
        }
        return {name: value for name, value in figures.items() if value is not None}

    def _spent(self, loss: float, steps: int) -> Spent:
        earlier = self._earlier
        return Spent(
            tokens=earlier.tokens + self._tokens,
            padded_tokens=earlier.padded_tokens + self._padded,
            seconds=earlier.seconds + self._seconds,
            loss=earlier.loss + loss,
            steps=earlier.steps + steps - self._steps_before,
        )

    def _rate(self, kind: int) -> float | None:
        """Tokens a second over the latest steps: useful ones (0), or padding too (1)."""
        seconds = sum(step[2] for step in self._recent)
        return sum(step[kind] for step in self._recent) / seconds if seconds else None


class ReportingTrainer:
    """What a trainer class puts before transformers' own, to tell its `Reporter` what no event does."""

    def _track_num_input_tokens(self, inputs: Mapping[str, Any]) -> None:
        super()._track_num_input_tokens(inputs)  # type: ignore[misc]
        for reporter in self._reporters():
            reporter.saw(inputs)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        trainer: Any = self
        for reporter in self._reporters():
            loss = trainer._total_loss_scalar + trainer._tr_loss.item()
            reporter.keep_spent(trainer.args, trainer.state, loss)

    def _reporters(self) -> list[Reporter]:
        trainer: Any = self
        return [callback for callback in trainer.callback_handler.callbacks if isinstance(callback, Reporter)]


def measure_memory() -> int:
    """What this process holds, bytes; on a graphics card, the most that it has held there."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return int(psutil.Process().memory_info().rss)


def require_number(loss: float, step: int, learning_rate: float) -> None:
    """Stop a training whose loss is no number.

    Args:
        loss: nats per token.
        step: where it was seen; 0 is the base model before any step.
        learning_rate: named in the remedy.

    Raises:
        NotANumber: it isn't finite.
    """
    if math.isfinite(loss):
        return
    if step == 0:
        raise NotANumber(
            "The base model's own loss is not a number. Set precision to fp32, or choose another base model."
        )
    raise NotANumber(
        f"The loss stopped being a number at step {step}. Lower the learning rate "
        f"(it is {learning_rate:g}), or set precision to fp32."
    )


def _checkpoint(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"


def _read_spent(checkpoint: Path) -> Spent:
    """What a checkpoint says; without the note, the figures cover what comes after it."""
    try:
        return Spent(**json.loads((checkpoint / SPENT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Spent()
