"""Which category a message points to: what its features say about that, added up.

Few features point anywhere, and those to few categories, so the weights of a feature are a run of one long
row: "glucose" begins here, and has so many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from elara_ui.clinical.redflags.hidden import Floats

Pointers = Sequence[tuple[str, float]]
"""Categories, and how far a feature points to each."""


@dataclass(frozen=True, eq=False)
class KindWeights:
    """What the features say about the category.

    Args:
        names: the categories, 256 at most.
        bases: what each begins with.
        begins: of each feature, where its run begins; the end of the last one too.
        kinds: of each weight, the number of its category.
        towards: the weights.
    """

    names: tuple[str, ...]
    bases: Floats
    begins: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.uint8]
    towards: Floats

    @classmethod
    def of(cls, bases: Mapping[str, float], told: Sequence[Pointers]) -> "KindWeights":
        """From what was learned.

        Args:
            bases: category → what it begins with.
            told: of each feature, what it points to.
        """
        numbers = {name: number for number, name in enumerate(bases)}
        begins = np.cumsum([0, *map(len, told)], dtype=np.int32)
        kinds = np.array([numbers[name] for pointers in told for name, _ in pointers], dtype=np.uint8)
        towards = np.array([weight for pointers in told for _, weight in pointers], dtype=np.float32)
        return cls(tuple(bases), np.array([*bases.values()], dtype=np.float32), begins, kinds, towards)

    def rank(self, rows: npt.NDArray[np.intp], shares: Floats) -> tuple[tuple[str, float], ...]:
        """The categories with their probabilities, the likeliest first.

        Args:
            rows: a message's features.
            shares: how much of the message each of them is.
        """
        lengths = self.begins[rows + 1] - self.begins[rows]
        before = np.cumsum(lengths) - lengths  # weights of the features before
        places = np.arange(lengths.sum()) + np.repeat(self.begins[rows] - before, lengths)
        told = np.repeat(shares, lengths) * self.towards[places]
        scores = self.bases + np.bincount(self.kinds[places], told, len(self.names))
        powers = np.exp(scores - scores.max())
        likeliest = np.argsort(-powers, kind="stable")
        probabilities = (powers / powers.sum()).tolist()
        return tuple((self.names[number], probabilities[number]) for number in likeliest)
