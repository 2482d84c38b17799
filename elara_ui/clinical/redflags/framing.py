"""How a message frames what it tells: as something that happens, or as a lesson, a memory, a tale, a fear.

The words of an emergency stand in both. What tells them apart is how sentences open ("my dad", "what is",
"when I was"), how the message ends, and which cues of `language.yaml` it holds. Each is a sign, there or not.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from elara_ui.clinical.redflags.context import Context, Status
from elara_ui.clinical.redflags.text import Passage

_MEANT: Final = {
    "denied": Status.NEGATED,
    "past": Status.PAST,
    "supposed": Status.HYPOTHETICAL,
    "textbook": Status.TEXTBOOK,
    "general": Status.GENERAL,
    "figurative": Status.FIGURATIVE,
}


def find_signs(passage: Passage, context: Context) -> AbstractSet[str]:
    """The signs of a passage: how it, its sentences and its last sentence open, its end, its cues."""
    return frozenset(_signs(passage, context))


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
