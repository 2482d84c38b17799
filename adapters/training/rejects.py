"""What was left out of a training set and why, with a few examples to look at."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.errors import DatasetError

EXAMPLES_KEPT = 3
EXCERPT_CHARACTERS = 120


class BadRow(DatasetError):
    """One row that can't be used. It never stops the reading: it is counted, or listed in a refusal.

    Args:
        reason: the same words for all rows with this fault, e.g. ``empty answer``.
        message: what is wrong with this one, to stand after "row 7".
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class RejectExample:
    """One row that was left out.

    Args:
        row: its number in the source, from 1.
        excerpt: the beginning of it, or what is wrong with it.
    """

    row: int
    excerpt: str


@dataclass(frozen=True)
class Rejects:
    """The rows left out for one reason.

    Args:
        reason: in a few words.
        count: how many.
        examples: the first three.
    """

    reason: str
    count: int
    examples: tuple[RejectExample, ...]


@dataclass
class RejectTally:
    """Counts rows by reason while a set is read; kept in the order in which the reasons turned up."""

    _counts: dict[str, int] = field(default_factory=dict)
    _examples: dict[str, list[RejectExample]] = field(default_factory=dict)

    def add(self, reason: str, row: int, text: str) -> None:
        """Count one row.

        Args:
            reason: why it is left out.
            row: its number in the source, from 1.
            text: what to show of it; shortened to 120 characters.
        """
        self._counts[reason] = self._counts.get(reason, 0) + 1
        shown = self._examples.setdefault(reason, [])
        if len(shown) < EXAMPLES_KEPT:
            shown.append(RejectExample(row, shorten(text)))

    def count(self, reason: str) -> int:
        """How many rows were left out for one reason so far."""
        return self._counts.get(reason, 0)

    def result(self) -> tuple[Rejects, ...]:
        """What has been counted so far."""
        return tuple(
            Rejects(reason, count, tuple(self._examples[reason])) for reason, count in self._counts.items()
        )


def shorten(text: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text[: 4 * EXCERPT_CHARACTERS].split())
    return line if len(line) <= EXCERPT_CHARACTERS else line[: EXCERPT_CHARACTERS - 1] + "…"


def count_rejects(rejects: Sequence[Rejects]) -> int:
    """How many rows were left out in all."""
    return sum(group.count for group in rejects)
