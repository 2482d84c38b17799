"""Medical words and what to say to a patient instead: `glossary.yaml`, found in a text in any of their forms.

It is engineers' work and not clinically reviewed. A suggestion is a help for the reader, never put into an
answer by itself.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

GLOSSARY = Path(__file__).with_suffix(".yaml")

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_BETWEEN = re.compile(r"[\s\-‐‑]+")  # what may stand between the words of one term
_LATIN = {"is": "es", "us": "i", "um": "a", "a": "ae", "ma": "mata", "itis": "itides", "x": "ces"}
_NEAR = 80
"""Characters around a term in which its plain words explain it already."""


@dataclass(frozen=True)
class Entry:
    """A term of the glossary.

    Args:
        term: as the file has it.
        plain: plain words that fit into a sentence in its place.
        note: a line of explanation; empty when there is none.
    """

    term: str
    plain: str
    note: str = ""


@dataclass(frozen=True)
class Found:
    """A term as it stands in a text, from `start` up to `end`."""

    start: int
    end: int
    text: str
    entry: Entry


@dataclass(frozen=True)
class Glossary:
    """All entries, ready to be looked up.

    Args:
        entries: in the file's order.
        forms: words of a form, in small letters → its entry.
        longest: most words in a form.
    """

    entries: tuple[Entry, ...]
    forms: Mapping[tuple[str, ...], Entry]
    longest: int

    def find(self, text: str) -> Iterator[Found]:
        """The terms in a text from its beginning on, the longest where several begin.

        A term that the text itself explains, by having its plain words close by, is left out.

        Args:
            text: plain text.
        """
        words = list(_WORD.finditer(text))
        lowered = text.lower()
        place = 0
        while place < len(words):
            size, entry = self._match(text, words, place)
            if entry is None:
                place += 1
                continue
            start, end = words[place].start(), words[place + size - 1].end()
            around = lowered[max(0, start - _NEAR) : start] + "\n" + lowered[end : end + _NEAR]
            if entry.plain.lower() not in around:
                yield Found(start, end, text[start:end], entry)
            place += size

    def _match(self, text: str, words: list[re.Match[str]], place: int) -> tuple[int, Entry | None]:
        """How many words from here on make a term, and which."""
        joined = [words[place][0].lower()]
        for one, other in zip(words[place:], words[place + 1 : place + self.longest], strict=False):
            if not _BETWEEN.fullmatch(text, one.end(), other.start()):
                break
            joined.append(other[0].lower())
        for size in range(len(joined), 0, -1):
            entry = self.forms.get(tuple(joined[:size]))
            if entry is None:
                continue
            if not is_abbreviation(entry.term) or words[place][0][:2].isupper():
                return size, entry
        return 1, None


@cache
def load_glossary() -> Glossary:
    """The glossary, read once, when it is first needed."""
    content = yaml.safe_load(GLOSSARY.read_text(encoding="utf-8"))
    entries = tuple(
        Entry(term, **given) if isinstance(given, dict) else Entry(term, given)
        for group in content.values()
        for term, given in group.items()
    )
    forms: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        for form in forms_of(entry.term):
            forms.setdefault(_split(form), entry)
    for entry in entries:  # a term itself goes before another one's inflection
        forms[_split(entry.term)] = entry
    return Glossary(entries, forms, max(map(len, forms)))


def forms_of(term: str) -> Iterator[str]:
    """A term with its plurals, endings of verbs and American spellings.

    What is formed needn't be a word: forms that nobody writes are never met.
    """
    head, space, last = term.rpartition(" ")
    endings = [last, f"{last}s"] if is_abbreviation(term) else list(_inflect(last))
    for ending in endings:
        yield from _spell(f"{head}{space}{ending}")


def is_abbreviation(term: str) -> bool:
    """Whether a term counts in capitals only."""
    return term[:2].isupper()


def _inflect(word: str) -> Iterator[str]:
    """A word as noun and as verb."""
    yield from (word, f"{word}s", f"{word}es", f"{word}'s", f"{word}’s")
    for singular, plural in _LATIN.items():
        if word.endswith(singular):
            yield word.removesuffix(singular) + plural
    if word.endswith("y"):
        yield from (f"{word[:-1]}ies", f"{word[:-1]}ied")
    stem = word.removesuffix("e")
    yield from (f"{stem}ed", f"{stem}ing")
    if re.search(r"[^aeiou][aeiou][bdgmnprt]$", word):  # plan, planned
        yield from (f"{word}{word[-1]}ed", f"{word}{word[-1]}ing")


def _spell(form: str) -> Iterator[str]:
    """A form in British and in American spelling."""
    yield form
    american = re.sub(r"ae(?=[a-z])|oe(?=[a-z])", "e", form)
    american = re.sub(r"our\b|our(?=s\b|ed\b)", "or", american)
    american = re.sub(r"is(?=(?:e|es|ed|ing|er|ers|ation|ations)\b)", "iz", american)
    american = american.replace("leuc", "leuk").replace("litre", "liter").replace("fibre", "fiber")
    if american != form:
        yield american


def _split(form: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORD.findall(form))
