"""In which batches the rows of a set are shown."""

import math
from collections.abc import Iterator, Sequence

from torch import Generator
from transformers.trainer_pt_utils import LengthGroupedSampler

from adapters.recipe import Hyperparameters


class OrderedSampler(LengthGroupedSampler):  # type: ignore[misc]  # transformers is not checked
    """Batches of like lengths, which hold hardly any padding, in an order made by seed and epoch alone.

    transformers' own draws from the global generator, whose state at the epoch's start no checkpoint holds: a
    run resumed within an epoch would see some rows twice and others never.

    Args:
        batch_size: rows.
        lengths: of each row, tokens.
        seed: of the run.
    """

    def __init__(self, batch_size: int, lengths: list[int], seed: int) -> None:
        super().__init__(batch_size, lengths=lengths)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader as each epoch begins."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Row numbers, in this epoch's order."""
        self.generator = Generator().manual_seed(self._seed + self._epoch)
        indices: Iterator[int] = super().__iter__()
        return indices


def planned_steps(rows: int, hyperparameters: Hyperparameters, batch_size: int | None = None) -> int:
    """Updates in a whole run: those of the epochs, cut short by ``max_steps``.

    Args:
        rows: to learn from.
        hyperparameters: the checked settings.
        batch_size: rows in a batch over all devices; None takes that of the settings.
    """
    batches = math.ceil(rows / (batch_size or hyperparameters.batch_size))
    planned = hyperparameters.num_epochs * math.ceil(batches / hyperparameters.gradient_accumulation_steps)
    return min(planned, hyperparameters.max_steps or planned)


def first_epoch(lengths: Sequence[int], hyperparameters: Hyperparameters) -> list[list[int]]:
    """The batches of the first epoch, as rows' numbers, in their order.

    Args:
        lengths: of each row, tokens.
        hyperparameters: give batch size, accumulation and seed.
    """
    size = hyperparameters.batch_size
    group = size * hyperparameters.gradient_accumulation_steps
    order = list(OrderedSampler(group, lengths=list(lengths), seed=hyperparameters.seed))
    return [order[start : start + size] for start in range(0, len(order), size)]
