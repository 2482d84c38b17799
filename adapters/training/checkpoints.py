"""Checkpoints of a run: when they are kept, and from which one a resumed run goes on."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

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


def keep_stopped(trainer: Trainer, begun_at: int) -> None:
    """Keep a checkpoint where a run was stopped on request.

    Not before the first step of this attempt, whose random state isn't restored yet; not at an epoch's end,
    as its measurement would be missing; not at the last step, as nothing would be left to do.

    Args:
        trainer: stopped while training.
        begun_at: optimizer steps done before this attempt.
    """
    state = trainer.state
    unmeasured = trainer.eval_dataset is not None and _ends_epoch(state)
    if unmeasured or state.global_step == begun_at or state.global_step >= state.max_steps:
        return
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
        due = state.global_step % self._every == 0
        control.should_save = due and not _ends_epoch(state) and state.global_step < state.max_steps

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Leave the last checkpoint out where nobody needs it."""
        if state.global_step >= state.max_steps and not args.load_best_model_at_end:
            control.should_save = False


def _ends_epoch(state: TrainerState) -> bool:
    return float(state.epoch).is_integer()


def _is_complete(checkpoint: Path) -> bool:
    """Whether the trainer's state, which is written last, is there and whole."""
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
