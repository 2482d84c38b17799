"""How often the rules find what was expected, with Wilson intervals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

Z_95 = 1.959964  # standard deviations of a 95% interval


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message with what was expected of it.

    Args:
        expected: the categories that should fire; none for a look-alike.
        found: the categories that fired.
        kind: what sort of message, for the look-alikes: textbook, negated, ordinary …
    """

    expected: tuple[str, ...]
    found: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with the 95% interval of the share.

    Args:
        name: of what.
        hits: how many.
        total: of how many.
        low: lower bound of the share.
        high: upper bound.
    """

    name: str
    hits: int
    total: int
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    """The figures of a labelled file.

    Args:
        overall: emergencies in which anything fired.
        recall: by category, how many were found.
        false_alarms: by kind of look-alike, in how many anything fired; all of them first.
    """

    overall: Share
    recall: tuple[Share, ...]
    false_alarms: tuple[Share, ...]


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95% score interval of a share (Wilson 1927); from 0 to 1 when there is nothing to go by."""
    if total == 0:
        return 0.0, 1.0
    share = hits / total
    spread = Z_95 * sqrt(share * (1 - share) / total + Z_95**2 / (4 * total**2))
    centre = share + Z_95**2 / (2 * total)
    scale = 1 + Z_95**2 / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def make_report(messages: Sequence[Labelled], categories: Iterable[str]) -> Report:
    """Count what was found; only categories that some message expects are listed."""
    emergencies = [message for message in messages if message.expected]
    quiet = [message for message in messages if not message.expected]
    recall = [
        _share(
            category, [category in message.found for message in emergencies if category in message.expected]
        )
        for category in categories
    ]
    kinds = sorted({message.kind for message in quiet if message.kind})
    alarms = [_share("all look-alikes", [bool(message.found) for message in quiet])]
    alarms += [
        _share(kind, [bool(message.found) for message in quiet if message.kind == kind]) for kind in kinds
    ]
    return Report(
        _share("all emergencies", [bool(message.found) for message in emergencies]),
        tuple(share for share in recall if share.total),
        tuple(share for share in alarms if share.total),
    )


def _share(name: str, outcomes: Sequence[bool]) -> Share:
    low, high = wilson(sum(outcomes), len(outcomes))
    return Share(name, sum(outcomes), len(outcomes), low, high)
