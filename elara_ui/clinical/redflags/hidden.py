"""A layer of hidden units between the features of a message and how far it reads like an emergency.

One weight a word can't tell "sharp pain in my chest" from "sharp in my chest freezer, what a pain": what a
word says depends on what stands beside it. Each unit adds up the features by weights of its own, says nothing
below zero (a rectifier: V. Nair and G. Hinton, 2010) and speaks for or against an emergency above it. For a
given message the units that are awake are known, so what each of its features says can be told exactly: the
sum of what it says directly and through those.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
STEPS = 127
"""Steps on either side of zero in which a weight is kept: a byte."""


@dataclass(frozen=True, eq=False)
class HiddenLayer:
    """What features say together.

    Args:
        weights: features × units, in steps.
        step: of each unit's weights.
        bases: what each unit begins with.
        outputs: what each unit says where it is awake, a unit of its input.
    """

    weights: npt.NDArray[np.int8]
    step: Floats
    bases: Floats
    outputs: Floats

    @classmethod
    def of(cls, weights: Floats, bases: Floats, outputs: Floats) -> "HiddenLayer":
        """From weights as they were learned, rounded to steps.

        Args:
            weights: features × units.
            bases: units.
            outputs: units.
        """
        step = np.maximum(np.abs(weights).max(axis=0), 1e-6).astype(np.float32) / STEPS
        return cls(np.rint(weights / step).astype(np.int8), step, bases, outputs)

    def weigh(self, rows: npt.NDArray[np.intp], shares: Floats) -> tuple[float, Floats]:
        """What the units say of a message.

        Args:
            rows: its features' rows.
            shares: how much of the message each of them is.

        Returns:
            log odds that they add, and what each feature's share is multiplied by to have its part of them;
            the parts and what the awake units begin with make up the sum.
        """
        steps = self.weights[rows].astype(np.float32)
        inputs = (shares @ steps) * self.step + self.bases
        awake: Floats = np.where(inputs > 0, self.outputs, np.float32(0))
        said: Floats = awake * self.step
        return float(inputs @ awake), steps @ said
