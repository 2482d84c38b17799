"""How fast this machine trains, from a few real steps."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.recipe import Hyperparameters, override
from adapters.training import loading
from adapters.training.loading import Source
from adapters.training.progress import Silence
from adapters.training.rendering import Encoded, padded_tokens

STEPS = 3  # the first warms up and isn't counted
_SHORT = {
    "num_epochs": 1,
    "max_steps": 0,
    "gradient_accumulation_steps": 1,
    "early_stopping_patience": 0,
    "packing": False,  # the batch is packed already if the run's are
    "save_steps": 100,
}


@dataclass(frozen=True)
class Pace:
    """How fast it goes.

    Args:
        load_seconds: until the base model is in memory, s.
        seconds_per_token: of a training step, padding counted as tokens, s.
    """

    load_seconds: float
    seconds_per_token: float


class _Stopwatch(Silence):
    """Takes the time at the end of each step."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def beat(
        self, step: int | None = None, epoch: float | None = None, tokens_per_second: float | None = None
    ) -> None:
        """Called several times a step; only its end has a number."""
        if step is not None:
            self.moments.append(time.perf_counter())


def calibrate(source: Source, batch: Sequence[Encoded], hyperparameters: Hyperparameters) -> Pace:
    """Load the base model and train three steps on one batch, by the very code that a run uses.

    Args:
        source: the base model.
        batch: a batch as long as the longer ones of the set.
        hyperparameters: the checked settings.

    Raises:
        ElaraError: what would stop the run too: weights that can't be loaded, a loss that is no number.
    """
    from adapters.training import trainer

    began = time.perf_counter()
    base = loading.load(source, hyperparameters)
    loaded = time.perf_counter()
    stopwatch = _Stopwatch()
    size = max(len(batch), hyperparameters.smallest_batch)
    settings = override(hyperparameters, {**_SHORT, "batch_size": size})
    with tempfile.TemporaryDirectory(prefix="elara-calibration-") as folder:
        trainer.fit(base, list(batch) * STEPS, [], settings, folder=Path(folder), progress=stopwatch)
    seconds = (stopwatch.moments[-1] - stopwatch.moments[0]) / (len(stopwatch.moments) - 1)
    return Pace(loaded - began, seconds / padded_tokens(batch))
