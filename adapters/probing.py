"""Whether an adapter that somebody brought speaks at all, told by what it says to a few fixed questions.

Form is looked at, never truth: that answers differ from the base model's, that they end, and that they are
text rather than noise. What they say is for people to judge.
"""

import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

QUESTIONS = (
    "What is asthma?",
    "How do I look after a small cut at home?",
    "What do the two numbers of a blood pressure reading mean?",
)
"""Plain questions that any audience may ask; none of them has a red flag."""
ROOM_TOKENS = 256
"""Tokens that an answer may take at least: it has to end, not to be as short as its audience wants it."""
MOST_RAMBLING = 1
"""Answers of `QUESTIONS` that may run to their longest length or in circles: small models do now and then."""
LEAST_WORDS = 3
LEAST_LETTERS = 0.6
"""Share of letters and spaces in text; prose of any language has some 95%, lists of numbers less."""
LONGEST_WORD = 60
"""Characters between two spaces, in scripts that have spaces."""
MOST_STRANGE = 0.02
"""Share of characters that stand for none: broken bytes and control characters."""
LEAST_FRESH = 0.5
"""Share of word triples that are new, from `_ENOUGH_WORDS` words on; English prose has more than 90%."""
LEAST_PACKED = 0.15
"""Size after zlib by size before, from `_ENOUGH_BYTES` on; prose of this length has some 50%, loops 5%."""
CIRCLES = "says the same again and again"
_ENOUGH_WORDS = 16
_ENOUGH_BYTES = 200


@dataclass(frozen=True)
class Tried:
    """One question, and what the base model and the adapter said to it, greedily.

    Args:
        ended: whether the adapter's answer came to its own end.
        faults: what is wrong with the adapter's, in words; empty for nothing.
    """

    question: str
    base: str
    adapter: str
    ended: bool
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probe:
    """What came of trying an adapter.

    Args:
        passed: whether it may answer people.
        faults: why not, in words; empty when it passed.
        tried: each question.
        base_model: on which it was tried.
        engine: what it was tried in, in words.
        at: when, ISO 8601, UTC.
    """

    passed: bool
    faults: tuple[str, ...]
    tried: tuple[Tried, ...]
    base_model: str
    engine: str
    at: str

    def to_document(self) -> dict[str, Any]:
        """As a manifest keeps it."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Probe | None":
        """The same back; None when there is none, or it isn't readable."""
        try:
            tried = tuple(
                Tried(**(dict(each) | {"faults": tuple(each["faults"])})) for each in document["tried"]
            )
            return cls(**(dict(document) | {"faults": tuple(document["faults"]), "tried": tried}))
        except (KeyError, TypeError, ValueError):
            return None


def judge(tried: Sequence[Tried]) -> tuple[tuple[Tried, ...], tuple[str, ...]]:
    """Look at what was said.

    Args:
        tried: the questions with their answers, no faults noted yet.

    Returns:
        The same with the faults of each answer, and why the adapter doesn't pass; empty when it does.
    """
    looked_at = tuple(
        Tried(each.question, each.base, each.adapter, each.ended, _find_faults(each)) for each in tried
    )
    faults = []
    if all(_same(each.base, each.adapter) for each in looked_at):
        faults.append("it says word for word what the base model says, as if it weren't there")
    rambling = sum(not each.ended or CIRCLES in each.faults for each in looked_at)
    if rambling > MOST_RAMBLING:
        faults.append(
            f"{rambling} of its {len(looked_at)} answers don't end or go round in circles; at most "
            f"{MOST_RAMBLING} may"
        )
    for each in looked_at:
        faults += [f"asked “{each.question}”, it {fault}" for fault in each.faults if fault != CIRCLES]
    return looked_at, tuple(faults)


def _find_faults(tried: Tried) -> tuple[str, ...]:
    text = tried.adapter.strip()
    if len(text.split()) < LEAST_WORDS and len(text) < 4 * LEAST_WORDS:
        return (f"says nothing, or fewer than {LEAST_WORDS} words",)
    if not is_text(text):
        return ("writes what isn't text",)
    if repeats_itself(text):
        return (CIRCLES,)
    return ()


def is_text(text: str) -> bool:
    """Whether it is language rather than broken bytes, symbols or one endless word."""
    kinds = [unicodedata.category(letter)[0] for letter in text]
    strange = sum(
        letter == "\ufffd" or (kind == "C" and letter not in "\n\t\r\u200d\u200c")
        for letter, kind in zip(text, kinds, strict=True)
    )
    read = sum(kind in "LM" or letter.isspace() for letter, kind in zip(text, kinds, strict=True))
    longest = max((len(word) for word in text.split() if word.isascii()), default=0)
    return (
        strange <= MOST_STRANGE * len(text) and read >= LEAST_LETTERS * len(text) and longest <= LONGEST_WORD
    )


def repeats_itself(text: str) -> bool:
    """Whether most of it has been said in it before."""
    words = text.lower().split()
    triples = list(zip(words, words[1:], words[2:], strict=False))
    if len(words) >= _ENOUGH_WORDS and len(set(triples)) < LEAST_FRESH * len(triples):
        return True
    data = text.encode()
    return len(data) >= _ENOUGH_BYTES and len(zlib.compress(data, 9)) < LEAST_PACKED * len(data)


def _same(one: str, other: str) -> bool:
    return one.split() == other.split()
