"""What the parts report: figures, and the aims that they are held to."""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Figure:
    """Something measured.

    Args:
        name: of what.
        value: the figure.
        unit: its unit; empty for a ratio or a count.
    """

    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True)
class Aim:
    """A figure with the bound that it is to keep.

    Args:
        name: of what.
        value: the figure.
        rule: ``≥`` or ``≤``.
        bound: the aim, in the figure's unit.
        unit: as for a figure.
    """

    name: str
    value: float
    rule: str
    bound: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is kept."""
        return self.value >= self.bound if self.rule == "≥" else self.value <= self.bound


@dataclass
class Report:
    """What a part found."""

    figures: list[Figure] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)

    def note(self, name: str, value: float, unit: str = "") -> None:
        """Add a figure."""
        self.figures.append(Figure(name, value, unit))

    def hold(self, name: str, value: float, rule: str, bound: float, unit: str = "") -> None:
        """Add an aim."""
        self.aims.append(Aim(name, value, rule, bound, unit))

    def to_json(self) -> str:
        """One line, for the process that started this one."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Report":
        """The report in a line of `to_json`."""
        parts = json.loads(line)
        return cls([Figure(**each) for each in parts["figures"]], [Aim(**each) for each in parts["aims"]])

    def format(self, title: str) -> str:
        """Figures and aims for people."""
        lines = [title]
        lines += [f"  {one.name:<58}{_number(one.value):>10} {one.unit}".rstrip() for one in self.figures]
        lines += [
            f"  {'pass' if one.passed else 'FAIL'}  {one.name:<52}{_number(one.value):>10} {one.unit} "
            f"(aim {one.rule} {one.bound:g})"
            for one in self.aims
        ]
        return "\n".join(lines)


def percentile(values: Iterable[float], share: float) -> float:
    """The nearest-rank percentile; ``share`` in (0, 1]."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def fairness(rates: Sequence[float]) -> float:
    """Jain's index of what each person got: 1 is the same for all, 1/n all for one (Jain et al. 1984)."""
    return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))


def median(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
