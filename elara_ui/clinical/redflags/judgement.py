"""What was learned from examples, joined with what the rules found.

A rule can stumble over a sense that it doesn't know ("battered by burpees"), and knows only its own words.
So the log odds are asked that a message reads like an emergency. Where they are high, it counts though no
rule fires; where they are low, a rule that fires doesn't count. The limits were chosen by messages that
nothing was learned from (docs/decisions/0040-limits-by-a-set-of-their-own.md; figures in docs/safety.md).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from elara_ui.clinical.redflags.features import Reading
from elara_ui.clinical.redflags.likeness import Likeness, Resemblance
from elara_ui.clinical.redflags.text import Passage

ALARMING: Final = 3.0  # log odds from which a message counts though no rule fires
HARMLESS: Final = -1.5  # log odds under which a rule doesn't count
HARMLESS_MIXED: Final = -5.0  # the same where what goes on stands beside a date, a lesson or a screen
HARMLESS_TO_ONESELF: Final = -3.0  # the same about suicide and self-harm
HARMLESS_GRAVE_TURNS: Final = -5.0  # the same in a conversation about violence and the like
HARMLESS_CLEAR: Final = -3.0  # the same where many rules of one category agree
HARMLESS_LONG: Final = -5.0  # the same in a long message, where a danger may be told in passing
HARMLESS_FIRM: Final = -8.0  # the same where a rule is firm; about suicide and self-harm it stays
CLEAR: Final = 6  # rules of one category that make a picture clear
TO_ONESELF: Final = frozenset({"suicidal", "self_harm"})
"""Categories whose harm is to the one who writes, or to whom they write of."""
LETHAL: Final = -1.25  # log odds from which a message counts as a question how one dies
LETHAL_OF_THINGS: Final = 2.0  # the same where the same sentence names a pet, a pest, a game or the like
_DYING = "suicidal"  # the category of such a question
_OF_THINGS = "of_things"  # the concept of what isn't human that one asks such things of
_FEWEST_LETHAL = 3  # words of such a question
_FEWEST_TELLING = 2  # words and pairs that speak for an emergency; one alone ("and") says nothing
_FEWEST = 8  # words; what is shorter is left to the rules
_SHORT = 80  # words; in a longer one a danger may be told in passing
_LIKELY_KIND = (
    0.08  # probability from which a category is told beside the likeliest, or beside those of the rules
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


def weigh(
    likeness: Likeness,
    own: Reading,
    reasons: Sequence[Reason],
    *,
    is_grave: bool,
    is_firm: bool,
    is_settled: bool,
    is_clear: bool,
) -> tuple[Reason, ...]:
    """What counts of the rules' reasons, and what the examples add to them.

    Args:
        likeness: what the examples taught.
        own: the user's own words.
        reasons: what the rules found.
        is_grave: whether one of them is hard to overrule: violence and the like.
        is_firm: whether one of them is harder still, for no harmless message was seen that meets it;
            one about suicide can't be overruled, for how one dies is asked like any question.
        is_settled: whether none may be, as where one of them counted before more was said.
        is_clear: whether many rules of one category agree.

    Returns:
        Nothing where the message reads harmless; else the rules' reasons and the likeliest categories.
    """
    if len(own.live_words) < _FEWEST_LETHAL:
        return tuple(reasons)
    read = likeness.compare(own, [reason.category for reason in reasons])
    asks_how_one_dies = bool(read.lethal) and read.lethality >= _lethal(own, read)
    if len(own.live_words) >= _FEWEST:
        limit = _harmless(own, reasons, is_grave=is_grave, is_firm=is_firm, is_clear=is_clear)
        if reasons and read.log_odds < limit and not (is_settled or asks_how_one_dies):
            return ()
        if read.log_odds >= ALARMING and len(read.telling) >= _FEWEST_TELLING:
            kinds = _likely(likeness.find_kinds(read))
            reasons = _join(reasons, (_tell(own.passage, kind, read.telling) for kind in kinds))
    if asks_how_one_dies:
        reasons = _join(reasons, [_tell(own.passage, _DYING, read.lethal)])
    return tuple(reasons)


def _join(reasons: Sequence[Reason], learned: Iterable[Reason]) -> tuple[Reason, ...]:
    """The reasons, and those of the learned ones whose category isn't among them."""
    found = {reason.category for reason in reasons}
    return (*reasons, *(reason for reason in learned if reason.category not in found))


def _lethal(own: Reading, read: Resemblance) -> float:
    """The log odds from which a message counts as a question how one dies."""
    asking = own.passage.words[read.lethal[0][0]].sentence
    things = (place.sentence for place in own.findings.get(_OF_THINGS, ()))
    return LETHAL_OF_THINGS if asking in things else LETHAL


def _harmless(
    own: Reading, reasons: Sequence[Reason], *, is_grave: bool, is_firm: bool, is_clear: bool
) -> float:
    """The log odds under which the rules' reasons don't count: the lowest limit of those that apply.

    None where help is asked for at once, or the story is said to be one's own.
    """
    to_oneself = any(reason.category in TO_ONESELF for reason in reasons)
    is_long = len(own.passage.words) > _SHORT
    if own.context.is_urgent or own.context.is_owned or (is_firm and (to_oneself or is_long)):
        return -inf
    return min(
        limit
        for limit, applies in (
            (HARMLESS, True),
            (HARMLESS_MIXED, own.context.is_mixed),
            (HARMLESS_TO_ONESELF, to_oneself),
            (HARMLESS_GRAVE_TURNS, is_grave and own.passage.words[-1].turn > 0),
            (HARMLESS_CLEAR, is_clear),
            (HARMLESS_LONG, is_long),
            (HARMLESS_FIRM, is_firm),
        )
        if applies
    )


def _likely(kinds: Sequence[tuple[str, float]]) -> Iterator[str]:
    """The likeliest category, and others that may well be it."""
    for place, (kind, probability) in enumerate(kinds[:_MOST_KINDS]):
        if place == 0 or probability >= _LIKELY_KIND:
            yield kind


def _tell(passage: Passage, kind: str, telling: Sequence[tuple[int, int]]) -> Reason:
    """A category, with the words that spoke most for it."""
    spans = sorted(telling[:_TELLING])
    words = [passage.text[passage.words[start].start : passage.words[end - 1].end] for start, end in spans]
    first = passage.words[telling[0][0]].sentence
    return Reason(kind, tuple(dict.fromkeys(words)), passage.sentence_text(first))
