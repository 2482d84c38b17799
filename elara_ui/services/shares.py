"""Shares of answers and how sure one can be of them."""

import math
from dataclasses import dataclass

Z = 1.959963984540054
"""Standard deviations to either side that hold 95 % of a normal distribution."""


@dataclass(frozen=True)
class Share:
    """A share and its 95 % interval, each from 0 to 1.

    Args:
        units: what it was counted over.
    """

    value: float
    low: float
    high: float
    units: int


def measure_share(value: float, units: int) -> Share:
    """A share with its Wilson score interval.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the
    American Statistical Association 22 (1927) 209-212. Unlike the plain normal interval it stays within 0
    and 1 and means something for few units and for shares of none or all.

    Args:
        value: from 0 to 1.
        units: independent observations, 1 or more.
    """
    square = Z * Z
    middle = value + square / (2 * units)
    reach = Z * math.sqrt(value * (1 - value) / units + square / (4 * units * units))
    scale = 1 + square / units
    return Share(value, max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale), units)
