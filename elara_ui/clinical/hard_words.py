"""The words of an answer that stand between it and its reader, with plainer ones where the glossary has them.

Two kinds: terms of the glossary, and other words of three syllables or more that are on no list of easy words
(Dale and Chall's of 1948 and `everyday.txt`). Names, in capitals within a sentence, are left alone.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from elara_ui.clinical.glossary import load_glossary
from elara_ui.clinical.readability import prepare

EVERYDAY = Path(__file__).with_name("everyday.txt")
LONG_SYLLABLES = 3
"""Syllables from which a word that isn't on a list counts as hard (Gunning's fog index, 1952)."""

_WORD = re.compile(r"(?P<end>[.!?\n]\s*)?(?P<word>[A-Za-z]+(?:['’][a-z]+)?)(?P<tail>[\w·])?")
_ENDINGS = (
    ("'s", ("",)), ("’s", ("",)), ("ies", ("y",)), ("es", ("", "e")), ("s", ("",)), ("ing", ("", "e")),
    ("ied", ("y",)), ("ed", ("", "e")), ("ily", ("y",)), ("ly", ("", "e")), ("iness", ("y",)),
    ("ness", ("",)), ("er", ("", "e")), ("ful", ("",)), ("less", ("",)), ("en", ("", "e")), ("y", ("", "e")),
    ("able", ("", "e")),
)  # fmt: skip


@dataclass(frozen=True)
class HardWord:
    """A hard word of a text.

    Args:
        text: as first written there.
        plain: what to say instead; empty when the glossary has nothing.
        note: a line of explanation; empty likewise.
        times: how often it stands there, in any of its forms.
        term: the glossary's term; empty when it has none.
    """

    text: str
    plain: str = ""
    note: str = ""
    times: int = 1
    term: str = ""


@lru_cache(maxsize=512)
def find_hard_words(text: str) -> tuple[HardWord, ...]:
    """The hard words of an answer, each once: first those with a plainer word, then the rest, as they come.

    Args:
        text: Markdown or plain text.
    """
    plain = prepare(text)
    found = list(load_glossary().find(plain))
    times = Counter(each.entry.term for each in found)
    first = {each.entry.term: each for each in reversed(found)}
    terms = [
        HardWord(first[term].text, first[term].entry.plain, first[term].entry.note, times[term], term)
        for term in dict.fromkeys(each.entry.term for each in found)
    ]
    rest = plain
    for each in reversed(found):
        rest = rest[: each.start] + "," + rest[each.end :]
    counts: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for word in _long_words(rest):
        counts[word.lower()] += 1
        shown.setdefault(word.lower(), word)
    return (*terms, *(HardWord(shown[key], times=number) for key, number in counts.items()))


def is_everyday(word: str) -> bool:
    """Whether a word, or what it is an inflection of, is on a list of words that everybody knows."""
    word = word.lower()
    return _is_listed(word) or any(_is_listed(base) for base in _bases(word))


def _long_words(plain: str) -> Iterator[str]:
    import textstat  # lazily, see `elara_ui.clinical.readability.measure`

    for place, match in enumerate(_WORD.finditer(plain)):
        word = match["word"]
        is_name = word[0].isupper() and place > 0 and not match["end"]
        if is_name or word.isupper() or match["tail"] or is_everyday(word):
            continue
        if textstat.syllable_count(word) >= LONG_SYLLABLES and not _is_in_glossary(word):
            yield word


def _is_in_glossary(word: str) -> bool:
    """Whether the glossary has a single word, which then was left out because the text explains it."""
    return (word.lower(),) in load_glossary().forms


def _bases(word: str) -> Iterator[str]:
    """What a word may be an inflection of."""
    for ending, replacements in _ENDINGS:
        if not word.endswith(ending):
            continue
        stem = word.removesuffix(ending)
        for replacement in replacements:
            yield stem + replacement
        if len(stem) > 2 and stem[-1] == stem[-2]:
            yield stem[:-1]


def _is_listed(word: str) -> bool:
    """Whether a word, as it stands, is on Dale and Chall's list or our own."""
    import textstat  # lazily, see `elara_ui.clinical.readability.measure`

    return word in _everyday() or bool(textstat.is_easy_word(word, syllable_threshold=0))


@cache
def _everyday() -> frozenset[str]:
    """Our own list."""
    lines = EVERYDAY.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
