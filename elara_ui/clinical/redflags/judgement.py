"""What was learned from examples, joined with what the rules found.

A rule can stumble over a sense that it doesn't know ("battered by burpees"), and knows only its own words.
So two things are added in log odds: what the words say, and how the message frames it. Where the sum is
high, a message counts though no rule fires; where it is very low, a rule that fires doesn't count. The limits
were chosen by cross-validation, each set of examples judged by what was learned from the others
(benchmarks/redflag_sets.py; figures in docs/safety.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from elara_ui.clinical.redflags.context import Context, Status
from elara_ui.clinical.redflags.framing import Framing, find_signs
from elara_ui.clinical.redflags.likeness import Likeness, Placed, Resemblance
from elara_ui.clinical.redflags.text import Passage

ALARMING: Final = -0.75  # log odds from which a message counts though no rule fires
HARMLESS: Final = -2.2  # log odds under which a rule doesn't count
HARMLESS_AT_HAND: Final = -4.5  # the same where somebody is at hand or something goes on, by the cues
_FEWEST_TELLING = 2  # words and pairs that speak for an emergency; one alone ("and") says nothing
_FEWEST = 8  # words; what is shorter is left to the rules
_SHORT = 80  # words; in a longer one a danger may be told in passing
_NOT_MEANT = Status.NEGATED | Status.FIGURATIVE | Status.HYPOTHETICAL
_LIKELY_KIND = (
    0.1  # probability from which a category is told beside the likeliest, or beside those of the rules
)
_MOST_KINDS = 3  # learned categories that are told
_TELLING = 3  # words and pairs that are told as the reason


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a category fired.

    Args:
        category: its id.
        matched: the words that met a rule, as written.
        sentence: the sentence of the first of them, as written.
    """

    category: str
    matched: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A passage, and what is meant by its words."""

    passage: Passage
    context: Context

    @property
    def live_words(self) -> Placed:
        """The words that are neither denied nor figurative nor supposed."""
        words = enumerate(self.passage.words)
        return [(at, word) for at, word in words if not self.context.status(at, at + 1) & _NOT_MEANT]


@dataclass(frozen=True)
class Learned:
    """What the example messages taught.

    Args:
        likeness: what the words say.
        framing: how it is framed.
    """

    likeness: Likeness
    framing: Framing

    def weigh(self, own: Reading, reasons: Sequence[Reason], *, is_grave: bool) -> tuple[Reason, ...]:
        """What counts of the rules' reasons, and what the words add to them.

        Args:
            own: the user's own words.
            reasons: what the rules found.
            is_grave: whether one of them may never be overruled: self-harm, violence and the like.

        Returns:
            Nothing where the message reads harmless; else the rules' reasons and the likeliest categories.
        """
        words = own.live_words
        if len(words) < _FEWEST:
            return tuple(reasons)
        read = self.likeness.compare(words)
        score = read.log_odds + self.framing.weigh(find_signs(own.passage, own.context))
        if reasons and not is_grave and score < _harmless(own) and _may_be_overruled(own):
            return ()
        if score < ALARMING:
            return tuple(reasons)
        if len(read.telling) < _FEWEST_TELLING:
            return tuple(reasons)
        found = {reason.category for reason in reasons}
        return (*reasons, *(_tell(own.passage, read, kind) for kind in _kinds(read) if kind not in found))


def _harmless(own: Reading) -> float:
    return HARMLESS_AT_HAND if own.context.is_at_hand else HARMLESS


def _may_be_overruled(own: Reading) -> bool:
    """Whether a rule may be: not where help is asked for at once, in a long story or in later turns."""
    words = own.passage.words
    return not own.context.is_urgent and len(words) <= _SHORT and words[-1].turn == 0


def _kinds(read: Resemblance) -> Iterator[str]:
    """The likeliest category, and others that may well be it."""
    for place, (kind, probability) in enumerate(read.kinds[:_MOST_KINDS]):
        if place == 0 or probability >= _LIKELY_KIND:
            yield kind


def _tell(passage: Passage, read: Resemblance, kind: str) -> Reason:
    """A category, with the words that spoke most for an emergency."""
    spans = sorted(read.telling[:_TELLING])
    words = [passage.text[passage.words[start].start : passage.words[end - 1].end] for start, end in spans]
    first = passage.words[read.telling[0][0]].sentence
    return Reason(kind, tuple(dict.fromkeys(words)), passage.sentence_text(first))
