"""What a message is weighed by: five families of features, each with a name.

- **meant**: the words, and pairs of neighbours in a sentence, that are neither denied nor figurative nor
  supposed; a figure stands for all of its size.
- **said**: the words, whatever is meant by them; what is denied or told of a film speaks too, the other way.
- **framing**: how the message and its sentences open, how it ends, which cues of `language.yaml` it holds.
- **concepts**: the concepts of `rules.yaml` and what is meant by each: there, denied, past, of a textbook.
- **rules**: the categories whose rules are met, and whether any is.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from elara_ui.clinical.redflags.context import Context, Status
from elara_ui.clinical.redflags.framing import find_signs
from elara_ui.clinical.redflags.terms import Findings
from elara_ui.clinical.redflags.text import Passage, Word

Placed = Sequence[tuple[int, Word]]
"""Words with their places in the passage."""
Spans = Sequence[tuple[int, int]]
"""Places: the first word of each and the one behind its last; none for what has no place."""

_NOT_MEANT: Final = Status.NEGATED | Status.FIGURATIVE | Status.HYPOTHETICAL
_ANY: Final = "any"  # the feature that a rule is met, of whatever category
_STATUS_NAMES: Final = {
    Status.NEGATED: "denied",
    Status.PAST: "past",
    Status.HYPOTHETICAL: "supposed",
    Status.TEXTBOOK: "textbook",
    Status.GENERAL: "general",
    Status.FIGURATIVE: "figurative",
}


class Family(StrEnum):
    """A family of features."""

    MEANT = "meant"
    SAID = "said"
    FRAMING = "framing"
    CONCEPTS = "concepts"
    RULES = "rules"


SHARES: Final[Mapping[Family, float]] = MappingProxyType(
    {
        Family.MEANT: 1.0,
        Family.SAID: 0.7,
        Family.FRAMING: 0.3,
        Family.CONCEPTS: 0.4,
        Family.RULES: 0.7,
    }
)
"""Length to which a message's features of each family are scaled; by cross-validation over sets."""

Features = Mapping[Family, Mapping[str, Spans]]
"""Family → feature → where it stands."""


@dataclass(frozen=True)
class Reading:
    """What a user wrote, and what is meant by it.

    Args:
        passage: the words.
        context: what is meant by them.
        findings: the concepts in them.
    """

    passage: Passage
    context: Context
    findings: Findings

    @cached_property
    def live_words(self) -> Placed:
        """The words that are neither denied nor figurative nor supposed."""
        words = enumerate(self.passage.words)
        return [(at, word) for at, word in words if not self.context.status(at, at + 1) & _NOT_MEANT]

    @property
    def last_turn(self) -> int:
        """The place of the first word of the last turn."""
        words = self.passage.words
        return next((at for at, word in enumerate(words) if word.turn == words[-1].turn), 0)

    def names(self, concepts: AbstractSet[str], begin: int) -> bool:
        """Whether any of the concepts stands at a place or behind it."""
        return any(place.start >= begin for name in concepts for place in self.findings.get(name, ()))


def find_features(own: Reading, met: Collection[str], first: int = 0) -> Features:
    """What a message is weighed by.

    Args:
        own: the message.
        met: the categories whose rules are met, in whatever turn.
        first: words from here on; how the whole is framed counts always.
    """
    words = [(at, word) for at, word in own.live_words if at >= first]
    return {
        Family.MEANT: find_pairs(words),
        Family.SAID: _find_said(own.passage.words, first),
        Family.FRAMING: dict.fromkeys(find_signs(own.passage, own.context), ((0, 0),)),
        Family.CONCEPTS: dict.fromkeys(_find_concepts(own.findings, first), ((0, 0),)),
        Family.RULES: dict.fromkeys([_ANY, *met] if met else (), ((0, 0),)),
    }


def find_pairs(words: Placed) -> dict[str, Spans]:
    """Words and pairs of neighbours in a sentence, base forms, with where they stand."""
    named = [(at, _name(word), word.sentence) for at, word in words]
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for at, name, _ in named:
        found[name].append((at, at + 1))
    for (at, name, sentence), (then, following, its_sentence) in pairwise(named):
        if sentence == its_sentence:
            found[f"{name} {following}"].append((at, then + 1))
    return dict(found)


def _find_said(words: Sequence[Word], first: int) -> dict[str, Spans]:
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for at in range(first, len(words)):
        found[words[at].raw].append((at, at + 1))
    return dict(found)


def _find_concepts(findings: Findings, first: int) -> AbstractSet[str]:
    """Each concept with what is meant by it; as it stands, by its name alone."""
    found: set[str] = set()
    for concept, places in findings.items():
        for status in {place.status for place in places if place.start >= first}:
            meant = [name for sign, name in _STATUS_NAMES.items() if status & sign] if status else ()
            if meant:
                found.update([f"{concept} {name}" for name in meant])
            else:
                found.add(concept)
    return found


def _name(word: Word) -> str:
    """A figure stands for all of its size, for which of them it is, is for the rules to say."""
    return f"#{len(word.base.split('.')[0])}" if word.base[0].isdigit() else word.base
