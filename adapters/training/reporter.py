"""What a training tells while it goes: the trainer's events as `Listener` calls, and the final figures."""

import math
import time
from collections import deque
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from adapters.errors import RunError
from adapters.training.progress import Listener

RATE_STEPS = 20  # steps over which the rate shown is averaged


class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers is not checked
    """Tells `Progress` what happens, and remembers what the metrics need."""

    def __init__(self, progress: Listener, left_out: int) -> None:
        self.before: float | None = None
        self.last_eval: float | None = None
        self._progress = progress
        self._stage = f"training; {left_out} examples too long, left out" if left_out else "training"
        self._recent: deque[tuple[int, float]] = deque(maxlen=RATE_STEPS)
        self._tokens = 0
        self._tokens_before = 0  # seen before a resumed run went on
        self._seconds = 0.0
        self._began = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Say how many steps there will be."""
        self._tokens_before = int(state.num_input_tokens_seen)
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
        self._tokens += tokens
        self._seconds += seconds
        self._recent.append((tokens, seconds))
        self._progress.beat(state.global_step, state.epoch, self._rate())

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
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        require_number(loss, state.global_step, args.learning_rate)
        self._progress.point(
            state.global_step,
            train_loss=loss,
            learning_rate=(logs or {}).get("learning_rate"),
            tokens_per_second=self._rate(),
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

    def metrics(self, result: dict[str, float], after: float | None) -> dict[str, float]:
        """The figures that go into the manifest; of a resumed run, tokens and seconds of its last attempt."""
        figures = {
            "eval_loss_before": self.before,
            "eval_loss_after": after,
            "train_loss": result["train_loss"] if self._seconds else None,
            "train_tokens": float(self._tokens),
            "train_seconds": round(self._seconds, 1),
            "tokens_per_second": round(self._tokens / self._seconds, 1) if self._seconds else None,
        }
        return {name: value for name, value in figures.items() if value is not None}

    def _rate(self) -> float | None:
        seconds = sum(spent for _, spent in self._recent)
        return sum(tokens for tokens, _ in self._recent) / seconds if seconds else None


def require_number(loss: float, step: int, learning_rate: float) -> None:
    """Stop a training whose loss is no number.

    Args:
        loss: nats per token.
        step: where it was seen; 0 is the base model before any step.
        learning_rate: named in the remedy.

    Raises:
        RunError: it isn't finite.
    """
    if math.isfinite(loss):
        return
    if step == 0:
        raise RunError(
            "The base model's own loss is not a number. Set precision to fp32, or choose another base model."
        )
    raise RunError(
        f"The loss stopped being a number at step {step}. Lower the learning rate "
        f"(it is {learning_rate:g}), or set precision to fp32."
    )
