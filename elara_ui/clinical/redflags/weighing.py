"""Features weighed against a question: each by itself, and all together by a layer of hidden units."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from elara_ui.clinical.redflags.hidden import Floats, HiddenLayer


@dataclass(frozen=True, eq=False)
class Weighing:
    """What was learned about a question that is answered yes or no.

    Args:
        direct: of each feature, what it says by itself: above 0 for a yes, below 0 for a no.
        hidden: what they say together.
        base: what every message begins with.
    """

    direct: Floats
    hidden: HiddenLayer
    base: float

    def weigh(self, rows: npt.NDArray[np.intp], shares: Floats) -> tuple[float, Floats]:
        """The log odds of a yes, and each feature's part in them.

        Args:
            rows: a message's features.
            shares: how much of the message each of them is.
        """
        together, parts = self.hidden.weigh(rows, shares)
        alone = shares * self.direct[rows]
        return self.base + float(alone.sum()) + together, alone + shares * parts
