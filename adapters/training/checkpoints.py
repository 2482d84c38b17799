"""Checkpoints of a run: when they are kept, and from which one a resumed run goes on."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

UNMEASURED = "unmeasured"  # in the trainer's history: an epoch has ended whose measurement is still due

log = logging.getLogger(__name__)


def find_last(folder: Path) -> Path | None:
    """The newest complete checkpoint; half-written ones, left by a process that was killed, are removed.

    Args:
        folder: where a run keeps its checkpoints; may not exist yet.
    """
    last = None
    for path in sorted(folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"), key=step_of):
        if _is_complete(path):
            last = path
        else:
            shutil.rmtree(path, ignore_errors=True)
    return last


def step_of(checkpoint: Path | None) -> int:
    """Optimizer steps done at a checkpoint; 0 without one."""
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


def is_unmeasured(checkpoint: Path | None) -> bool:
    """Whether a run was stopped there before its epoch was measured; False without a checkpoint."""
    state = _read_state(checkpoint) if checkpoint else None
    return any(UNMEASURED in entry for entry in (state or {}).get("log_history", ()))


def keep_stopped(trainer: Trainer, begun_at: int) -> None:
    """Keep a checkpoint where a run was stopped on request, unless there is one already.

    Not before the first step of this attempt, whose random state isn't restored yet. At an epoch's end the
    measurement may be missing; then the checkpoint says so, and a resumed run begins with it.

    Args:
        trainer: stopped while training.
        begun_at: optimizer steps done before this attempt.
    """
    state = trainer.state
    if state.global_step == begun_at or _is_complete(_folder(trainer)):
        return
    if _ends_epoch(state):
        _forget_measurement(state)
    try:
        trainer._save_checkpoint(trainer.model, trial=None)
    except Exception:  # the run is cancelled whatever happens here; an older checkpoint will do
        log.exception("No checkpoint could be kept where the run was stopped")


class CheckpointRhythm(TrainerCallback):  # type: ignore[misc]  # transformers is not checked
    """Checkpoints every so many steps, beside those at the end of each epoch.

    At an epoch's end the checkpoint waits for the measurement, and the last one is left out unless it may
    hold the best weights: the adapter itself is saved right after it.

    Args:
        every: optimizer steps.
    """

    def __init__(self, every: int) -> None:
        self._every = every

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ask for a checkpoint when it is due."""
        control.should_save = state.global_step % self._every == 0 and not _ends_epoch(state)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Leave the last checkpoint out where nobody needs it."""
        if state.global_step >= state.max_steps and not args.load_best_model_at_end:
            control.should_save = False


class ResumableTrainer:
    """What a trainer class puts before transformers' own, so that a run can be stopped while it measures."""

    _stopped_at: str | None = None  # the checkpoint whose measurement is made up for

    def evaluate(self, *given: Any, **named: Any) -> dict[str, float]:
        """Measure, and leave the random state as it was: a stop in between must not show in what follows."""
        trainer: Any = self
        devices = [trainer.args.device] if trainer.args.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            figures: dict[str, float] = super().evaluate(*given, **named)  # type: ignore[misc]
        return figures

    def _init_training_state(
        self, max_steps: int, steps_per_epoch: int, epochs: int, checkpoint: str | None, trial: Any
    ) -> tuple[int, int]:
        """From where to go on: an epoch to be measured is entered once more, with no batch of it left."""
        trainer: Any = self
        begin: tuple[int, int] = super()._init_training_state(  # type: ignore[misc]
            max_steps, steps_per_epoch, epochs, checkpoint, trial
        )
        if checkpoint is None or not is_unmeasured(Path(checkpoint)):
            return begin
        self._stopped_at = checkpoint
        trainer.state.log_history.pop()
        ended = (trainer.state.global_step - 1) // steps_per_epoch
        return ended, steps_per_epoch * trainer.args.gradient_accumulation_steps

    def _maybe_log_save_evaluate(self, *given: Any, **named: Any) -> None:
        if self._stopped_at is not None:  # transformers restores it at the first step, and here there is none
            trainer: Any = self
            trainer._load_rng_state(self._stopped_at)
            self._stopped_at = None
        super()._maybe_log_save_evaluate(*given, **named)  # type: ignore[misc]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # One that is written anew isn't whole meanwhile.
        (_folder(self) / TRAINER_STATE_NAME).unlink(missing_ok=True)
        super()._save_checkpoint(model, trial)  # type: ignore[misc]


def _folder(trainer: Any) -> Path:
    """Where the trainer's next checkpoint goes."""
    return Path(trainer.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{trainer.state.global_step}"


def _forget_measurement(state: TrainerState) -> None:
    """Note that an epoch's measurement is due; what is there of it will come again."""
    state.log_history = [
        entry
        for entry in state.log_history
        if entry["step"] != state.global_step or not any(name.startswith("eval_") for name in entry)
    ]
    state.log_history.append({"step": state.global_step, UNMEASURED: True})


def _ends_epoch(state: TrainerState) -> bool:
    """Whether the epoch has no more steps; the last one may be cut short."""
    return float(state.epoch).is_integer() or state.global_step >= state.max_steps


def _is_complete(checkpoint: Path) -> bool:
    """Whether the trainer's state, which is written last, is there and whole."""
    return _read_state(checkpoint) is not None


def _read_state(checkpoint: Path) -> dict[str, Any] | None:
    """What the trainer noted in a checkpoint; None where that isn't there or isn't whole."""
    try:
        state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None
