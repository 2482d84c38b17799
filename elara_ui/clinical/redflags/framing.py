"""How a message frames what it tells: as something that happens, or as a lesson, a memory, a tale, a fear.

The words of an emergency stand in both. What tells them apart is how sentences open ("my dad", "what is",
"when I was"), how the message ends, and which cues of `language.yaml` it holds. Each such sign adds its
weight, above 0 where it is commoner in emergencies: a logistic regression on the example messages with signs
that are there or not, `framing.tsv`, made by tests/unit/clinical/make_redflag_likeness.py. It knows no
medicine and never speaks alone: `judgement.Learned.weigh` adds it to what the words say.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elara_ui.clinical.redflags.context import Context, Status
from elara_ui.clinical.redflags.text import Passage

_BASE: Final = "(base)"
_MEANT: Final = {
    "denied": Status.NEGATED,
    "past": Status.PAST,
    "supposed": Status.HYPOTHETICAL,
    "textbook": Status.TEXTBOOK,
    "figurative": Status.FIGURATIVE,
}


@dataclass(frozen=True)
class Framing:
    """The weights of the signs.

    Args:
        weights: by sign, in log odds.
        base: what every message begins with, in log odds.
    """

    weights: Mapping[str, float]
    base: float

    @classmethod
    def read(cls, path: Path) -> "Framing":
        """From a file.

        Raises:
            ValueError: a line isn't what `write` writes.
        """
        lines = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
        weights = {sign: float(weight) for sign, weight in lines}
        return cls(weights, weights.pop(_BASE, 0.0))

    def weigh(self, signs: AbstractSet[str]) -> float:
        """How far signs speak for an emergency: log odds, to be added to those of the words."""
        return self.base + sum(self.weights.get(sign, 0.0) for sign in signs)


def find_signs(passage: Passage, context: Context) -> AbstractSet[str]:
    """The signs of a passage: how it, its sentences and its last sentence open, its end, its cues."""
    return frozenset(_signs(passage, context))


def write(framing: Framing) -> Iterator[str]:
    """The lines of the file."""
    yield f"{_BASE}\t{framing.base:.2f}"
    for sign in sorted(framing.weights):
        yield f"{sign}\t{framing.weights[sign]:.2f}"


def _signs(passage: Passage, context: Context) -> Iterator[str]:
    words = passage.words
    if not words:
        return
    yield from _openings("first", passage, 0)
    sentence = None
    for at, word in enumerate(words):
        if word.sentence != sentence:
            sentence, opening = word.sentence, at
            yield f"open {word.raw}"
    yield from _openings("last", passage, opening)
    end = passage.text.rstrip()[-1:]
    if end == "?":
        yield "ends ?"
    elif end in {".", "!"}:
        yield "ends ."
    meant = context.statuses
    yield from (f"is {name}" for name, status in _MEANT.items() if meant & status)
    yield from (f"cue {name}" for name in context.cue_names)


def _openings(place: str, passage: Passage, at: int) -> Iterator[str]:
    """The first word of a sentence, and the first two."""
    words = passage.words
    yield f"{place} {words[at].raw}"
    if at + 1 < len(words):
        yield f"{place} {words[at].raw} {words[at + 1].raw}"
