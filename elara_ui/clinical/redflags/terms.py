"""The small language that a rule is written in, and how a rule is tried on what was found.

chest + pain                 both in one sentence, near each other, in any order
chest + pain @15             … with up to so many words between them
diabetic & vomiting          both somewhere in the user's last turns
~breathe                     denied or not possible: "isn't breathing", "can't breathe"
^chemo                       past counts too, as background: "had chemo last week"
?lethal                      asked in general counts too: "how much is lethal?"
quick_way always             whatever the examples say against it
fever/temp>=38               either
age<90d & !better            figures (units: d, w, m, y for age), and nothing of the sort said anywhere
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product
from typing import Final, NamedTuple

from elara_ui.clinical.redflags.context import Status
from elara_ui.clinical.redflags.measures import DAYS, KINDS

_NEVER: Final = Status.TEXTBOOK | Status.HYPOTHETICAL | Status.FIGURATIVE
_NEVER_MEANT: Final = _NEVER | Status.GENERAL
_UNLESS: Final = {
    "": _NEVER_MEANT | Status.PAST | Status.NEGATED,
    "~": _NEVER_MEANT | Status.PAST | Status.ABLE,
    "^": _NEVER_MEANT | Status.NEGATED,
    "?": _NEVER | Status.PAST | Status.NEGATED,
    "*": _NEVER_MEANT | Status.PAST,
}
"""Mode of an atom → what must not be meant."""
_ONLY: Final = {"~": Status.NEGATED | Status.UNABLE}
"""Mode of an atom → what must be meant, one of it, where anything must."""
_ALWAYS: Final = " always"
WINDOW = 7  # words that may stand between two parts joined by +
_MOST_PLACES = 8  # of one part in one sentence
_FIGURE = re.compile(r"(\w+?)(<=|>=|<|>)(\d+(?:\.\d+)?)([dwmy]?)")
_NAME = re.compile(r"[~^?]?[a-z][a-z0-9_]*")
_AGE_UNITS = {"d": DAYS["day"], "w": DAYS["week"], "m": DAYS["month"], "y": DAYS["year"], "": 1.0}


class Found(NamedTuple):
    """A phrase or figure, and what is meant by it.

    Args:
        start: its first word.
        end: the word after its last.
        sentence: where it stands.
        status: what is meant.
        value: of a figure.
    """

    start: int
    end: int
    sentence: int
    status: int
    value: float = 0.0


Findings = Mapping[str, Sequence[Found]]


@dataclass(frozen=True, slots=True)
class Atom:
    """One name or figure of a rule.

    Args:
        name: of the concept or kind of figure.
        mode: "" as it stands, "~" denied or impossible, "^" past too, "?" asked in general too, "*" denied or
            not (beside a "~").
        sign: comparison of a figure, else "".
        limit: what it is compared with.
    """

    name: str
    mode: str = ""
    sign: str = ""
    limit: float = 0.0

    def places(self, findings: Findings) -> list[Found]:
        """Where it is met."""
        found = findings.get(self.name, ())
        unless, only = _UNLESS[self.mode], _ONLY.get(self.mode, 0)
        met = [each for each in found if not each.status & unless and (not only or each.status & only)]
        return [each for each in met if self._holds(each.value)] if self.sign else met

    def _holds(self, value: float) -> bool:
        if value == self.limit:
            return "=" in self.sign
        return (value < self.limit) == self.sign.startswith("<")


@dataclass(frozen=True, slots=True)
class Group:
    """Parts that stand near each other; of each, one atom.

    Args:
        parts: the alternatives of each part.
        window: most words between neighbouring parts.
        absent: it must not be there.
    """

    parts: tuple[tuple[Atom, ...], ...]
    window: int
    absent: bool = False

    def match(self, findings: Findings) -> tuple[Found, ...] | None:
        """The nearest places that meet all parts; None if there are none."""
        places: list[list[Found]] = []
        for part in self.parts:
            here = [found for atom in part if atom.name in findings for found in atom.places(findings)]
            if not here:
                return None
            places.append(here)
        if len(places) == 1:
            return (places[0][0],)
        return self._nearest(places)

    def _nearest(self, places: Sequence[Sequence[Found]]) -> tuple[Found, ...] | None:
        common = set.intersection(*({found.sentence for found in here} for here in places))
        for sentence in sorted(common):
            here = [[found for found in some if found.sentence == sentence][:_MOST_PLACES] for some in places]
            for choice in product(*here):
                if self._are_near(choice):
                    return choice
        return None

    def _are_near(self, choice: Sequence[Found]) -> bool:
        ordered = sorted(choice, key=lambda found: (found.start, found.end))
        if len({(found.start, found.end) for found in choice}) < len(choice):
            return False  # one phrase doesn't make two parts
        return all(later.start - earlier.end <= self.window for earlier, later in pairwise(ordered))


@dataclass(frozen=True)
class Rule:
    """A rule of a category.

    Args:
        text: as it stands in the file.
        groups: all must be met, those that are absent not.
        always: it counts however harmless the message reads.
    """

    text: str
    groups: tuple[Group, ...]
    always: bool = False

    def match(self, findings: Findings) -> tuple[Found, ...] | None:
        """The places that meet the rule; None if it isn't met."""
        names = findings.keys()  # asked so, since a set would go through all that was found
        for needed in self.needed:
            if names.isdisjoint(needed):
                return None
        met: list[Found] = []
        for group in self.groups:
            places = group.match(findings)
            if group.absent:
                if places is not None:
                    return None
            elif places is None:
                return None
            else:
                met.extend(places)
        return tuple(sorted(set(met), key=lambda found: found.start))

    @cached_property
    def needed(self) -> tuple[frozenset[str], ...]:
        """Of each of these sets something must be there: a quick way to say no."""
        return tuple(
            frozenset(atom.name for atom in part)
            for group in self.groups
            if not group.absent
            for part in group.parts
        )

    def names(self) -> frozenset[str]:
        """Every concept that it speaks of."""
        return frozenset(
            atom.name for group in self.groups for part in group.parts for atom in part if not atom.sign
        )


def parse_rule(text: str) -> Rule:
    """Read a rule.

    Raises:
        ValueError: it doesn't follow the language above.
    """
    body = text.removesuffix(_ALWAYS)
    return Rule(text, tuple(_parse_group(group.strip(), text) for group in body.split("&")), body != text)


def _parse_group(text: str, rule: str) -> Group:
    body, _, window = text.partition("@")
    absent = body.startswith("!")
    parts = tuple(
        tuple(_parse_atom(atom.strip(), rule) for atom in part.split("/"))
        for part in body.removeprefix("!").split("+")
    )
    denied = [any(atom.mode == "~" for atom in part) for part in parts]
    if any(denied):  # "can't feel his legs": the legs are no less there
        parts = tuple(
            part if own else tuple(replace(atom, mode="*") for atom in part)
            for part, own in zip(parts, denied, strict=True)
        )
    if window and not window.strip().isdigit():
        raise ValueError(f"Rule {rule!r}: @ takes a number of words, but it is {window!r}.")
    return Group(parts, int(window) if window else WINDOW, absent)


def _parse_atom(text: str, rule: str) -> Atom:
    if figure := _FIGURE.fullmatch(text):
        name, sign, limit, unit = figure.groups()
        if name not in KINDS:
            raise ValueError(f"Rule {rule!r}: {name!r} is no kind of figure; they are {sorted(KINDS)}.")
        return Atom(name, "", sign, float(limit) * _AGE_UNITS[unit])
    if not _NAME.fullmatch(text):
        raise ValueError(f"Rule {rule!r}: {text!r} is neither a concept nor a figure.")
    mode = text[0] if text[0] in "~^?" else ""
    return Atom(text[len(mode) :], mode)
