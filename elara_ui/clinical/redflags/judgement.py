"""What was learned from examples, joined with what the rules found.

A rule can stumble over a sense that it doesn't know ("battered by burpees"), and knows only its own words.
So the log odds are asked that a message reads like an emergency. Where they are high, it counts though no
rule fires; where they are low, a rule that fires doesn't count. The limits were chosen by messages that
nothing was learned from (docs/decisions/0040-limits-by-a-set-of-their-own.md; figures in docs/safety.md).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from elara_ui.clinical.redflags.features import Reading
from elara_ui.clinical.redflags.likeness import Likeness, Resemblance
from elara_ui.clinical.redflags.text import Passage

ALARMING: Final = 2.25  # log odds from which a message counts though no rule fires
HARMLESS: Final = -0.75  # log odds under which a rule doesn't count
HARMLESS_MIXED: Final = -5.0  # the same where what goes on stands beside a date, a lesson or a screen
HARMLESS_TO_ONESELF: Final = -3.0  # the same about suicide and self-harm
HARMLESS_GRAVE_TURNS: Final = -5.0  # the same in a conversation about violence and the like
HARMLESS_CLEAR: Final = -3.0  # the same where many rules of one category agree
HARMLESS_LONG: Final = -5.0  # the same in a long message, where a danger may be told in passing
HARMLESS_SHORT: Final = -8.0  # the same of few words
HARMLESS_FIRM: Final = -8.0  # the same where a rule is firm; about suicide and self-harm it mostly stays
CLEAR: Final = 6  # rules of one category that make a picture clear
TO_ONESELF: Final = frozenset({"suicidal", "self_harm"})
"""Categories whose harm is to the one who writes, or to whom they write of."""
LETHAL: Final = -1.0  # log odds from which a message counts as a question how one dies
NOT_LETHAL: Final = -7.0  # log odds under which even a firm rule about suicide gives way, at HARMLESS_FIRM
_DYING = "suicidal"  # the category of such a question
_WAYS: Final = frozenset({"poison_asked", "way_asked", "grim_way", "felt_way", "gentle_way", "quick_way"})
"""Concepts of what one may die of."""
_DEATH: Final = frozenset({"death_asked", "lethal"})
_LEANING: Final = frozenset({"it", "this", "that", "they", "them", "these", "those"})
_FEWEST = 2  # words; what is shorter is left to the rules, and a last turn to those before it
_FEWEST_TELLING = 2  # words and pairs that speak for it; one alone ("and", "no") says nothing
_FEW = 8  # words
_SHORT = 80  # words; in a longer one a danger may be told in passing
_LIKELY_KIND = (
    0.08  # probability from which a category is told beside the likeliest, or beside those of the rules
)
_LIKELY_TO_ONESELF = (
    0.2  # the same for suicide and self-harm, whose card comes first and answers for the model
)
_MOST_KINDS = 3  # learned categories that are told


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
    if len(own.live_words) < _FEWEST:
        return tuple(reasons)
    read = _read(likeness, own, reasons)
    asks_how_one_dies = len(read.lethal) >= _FEWEST_TELLING and read.lethality >= LETHAL
    limit = _harmless(own, read, reasons, is_grave=is_grave, is_firm=is_firm, is_clear=is_clear)
    if reasons and read.log_odds < limit and not (is_settled or asks_how_one_dies):
        return ()
    if read.log_odds >= ALARMING and len(read.telling) >= _FEWEST_TELLING:
        kinds = _likely(likeness.find_kinds(read))
        reasons = _join(reasons, (_tell(own.passage, kind, read.telling) for kind in kinds))
    if asks_how_one_dies:
        reasons = _join(reasons, [_tell(own.passage, _DYING, read.lethal)])
    return tuple(reasons)


def _read(likeness: Likeness, own: Reading, reasons: Sequence[Reason]) -> Resemblance:
    """How a message reads: its last turn alone or all together, whichever is more alarming.

    A last turn that leans on what was said before says nothing by itself: "does it hurt?" and "is it fatal?"
    may be about a vaccine. So one that names neither a way to die nor, of nothing said before, death, is
    weighed with the others, and so is a single word.
    """
    whole, last = likeness.compare(own, [reason.category for reason in reasons])
    begin = own.last_turn
    live = sum(at >= begin for at, _ in own.live_words)
    worse = max(whole, last, key=lambda read: read.log_odds) if live >= _FEWEST else whole
    leans = any(word.raw in _LEANING for word in own.passage.words[begin:])
    stands = own.names(_WAYS if leans else _WAYS | _DEATH, begin)
    asking = max(whole, last, key=lambda read: read.lethality) if stands else whole
    return replace(worse, lethality=asking.lethality, lethal=asking.lethal)


def _join(reasons: Sequence[Reason], learned: Iterable[Reason]) -> tuple[Reason, ...]:
    """The reasons, and those of the learned ones whose category isn't among them."""
    found = {reason.category for reason in reasons}
    return (*reasons, *(reason for reason in learned if reason.category not in found))


def _harmless(
    own: Reading,
    read: Resemblance,
    reasons: Sequence[Reason],
    *,
    is_grave: bool,
    is_firm: bool,
    is_clear: bool,
) -> float:
    """The log odds under which the rules' reasons don't count: the lowest limit of those that apply.

    None where help is asked for at once, or the story is said to be one's own.
    """
    to_oneself = any(reason.category in TO_ONESELF for reason in reasons)
    is_long = len(own.passage.words) > _SHORT
    context = own.context
    is_asked = to_oneself and read.lethality >= NOT_LETHAL
    if context.is_urgent or context.is_owned or (is_firm and (is_asked or is_long)):
        return -inf
    return min(
        limit
        for limit, applies in (
            (HARMLESS, True),
            (HARMLESS_MIXED, context.is_mixed or context.is_excepted),
            (HARMLESS_TO_ONESELF, to_oneself),
            (HARMLESS_GRAVE_TURNS, is_grave and own.passage.words[-1].turn > 0),
            (HARMLESS_CLEAR, is_clear),
            (HARMLESS_LONG, is_long),
            (HARMLESS_SHORT, len(own.live_words) < _FEW),
            (HARMLESS_FIRM, is_firm),
        )
        if applies
    )


def _likely(kinds: Sequence[tuple[str, float]]) -> Iterator[str]:
    """The likeliest category, and others that may well be it."""
    for place, (kind, probability) in enumerate(kinds[:_MOST_KINDS]):
        least = _LIKELY_TO_ONESELF if kind in TO_ONESELF else _LIKELY_KIND
        if place == 0 or probability >= least:
            yield kind


def _tell(passage: Passage, kind: str, telling: Sequence[tuple[int, int]]) -> Reason:
    """A category, with the words that spoke most for it."""
    spans = sorted(telling)
    words = [passage.text[passage.words[start].start : passage.words[end - 1].end] for start, end in spans]
    first = passage.words[telling[0][0]].sentence
    return Reason(kind, tuple(dict.fromkeys(words)), passage.sentence_text(first))
