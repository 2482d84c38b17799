"""A message as words: lower case, contractions written out, spelling mended, cut into sentences and clauses.

Every word keeps where it stood in the text, so that what matched can be shown as it was written. It knows
nothing of medicine.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from elara_ui.clinical.redflags.spelling import Speller

# Numbers (82/50, 39.4, 38,5), words (don't, spo2), and the marks that end a clause or a sentence.
_TOKEN = re.compile(r"\d{2,3}/\d{2,3}|\d+(?:[.,]\d+)?|[^\W\d_]\w*(?:'\w+)*|\n|[.!?…]+|[,;:()]|\s[-–—]+\s|&")
_KEPT = 16_384  # written words remembered
_JOINING = frozenset({"and", "so", "then", "plus"})
_SENTENCE_END = frozenset(".!?…\n")
_LONG_DRAWN = re.compile(r"([a-z])\1{2,}")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


class Word(NamedTuple):
    """A word of a message.

    Args:
        raw: as written, mended and in lower case.
        base: its base form ("swollen" → "swell"), or raw again.
        start: where it begins in the text, characters.
        end: where it ends in the text, characters.
        turn: which user turn, counted from 0.
        sentence: which sentence, counted through all turns.
        clause: which clause, counted through all turns.
        number: its value if it is a number, in figures or in words.
    """

    raw: str
    base: str
    start: int
    end: int
    turn: int
    sentence: int
    clause: int
    number: float | None = None


@dataclass(frozen=True)
class Passage:
    """What a user wrote in the last turns, as one text.

    Args:
        text: the turns, each on a line of its own.
        words: all words in order.
        questions: the sentences that end in a question mark.
    """

    text: str
    words: tuple[Word, ...]
    questions: frozenset[int]

    def sentence_text(self, sentence: int) -> str:
        """A sentence as it was written."""
        inside = [word for word in self.words if word.sentence == sentence]
        return self.text[inside[0].start : inside[-1].end] if inside else ""


@dataclass(frozen=True)
class Reader:
    """How words are read.

    Args:
        expansions: word as written → what it stands for ("dont" → "do not").
        forms: inflected form → base form, for those that no rule gives.
        numbers: numbers in words → their value.
        vocabulary: all words that anything is looked up by.
        openers: words that begin a new clause when they follow "and" or "so".
        breakers: words that always begin a new clause.
        speller: mends what is written wrongly.
    """

    expansions: Mapping[str, tuple[str, ...]]
    forms: Mapping[str, str]
    numbers: Mapping[str, float]
    vocabulary: frozenset[str]
    openers: frozenset[str]
    breakers: frozenset[str]
    speller: Speller

    def read(self, turns: Iterable[str]) -> Passage:
        """Cut turns into words."""
        text = "\n".join(turn.replace("\n\n", "\n") for turn in turns)
        starts = _turn_starts(text, turns)
        words: list[Word] = []
        questions: set[int] = set()
        turn = sentence = clause = 0
        plain = _plain(text)
        joint = False  # the word before was "and" or "so"
        for match in _TOKEN.finditer(plain):
            written = match.group()
            if written[0] in _SENTENCE_END:
                if "?" in written:
                    questions.add(sentence)
                sentence, clause, joint = sentence + 1, clause + 1, False
                continue
            if written[0] in ",;:()" or written[0].isspace():
                clause, joint = clause + 1, False
                continue
            start, end = match.span()
            while turn + 1 < len(starts) and start >= starts[turn + 1]:
                turn += 1
            for raw, base, number in self._read_token(written):
                if raw in self.breakers or (joint and raw in self.openers):
                    clause += 1
                joint = raw in _JOINING
                words.append(Word(raw, base, start, end, turn, sentence, clause, number))
        return Passage(text, tuple(words), frozenset(questions))

    @cached_property
    def _read_token(self) -> Callable[[str], tuple[tuple[str, str, float | None], ...]]:
        """The words that a written one stands for, each with its base form and its value; remembered."""

        def read_token(written: str) -> tuple[tuple[str, str, float | None], ...]:
            return tuple((raw, self.base_of(raw), self._number_of(raw)) for raw in self._spell(written))

        return lru_cache(maxsize=_KEPT)(read_token)

    def base_of(self, word: str) -> str:
        """The base form of a word, as far as it is in the vocabulary."""
        if word in self.forms:
            return self.forms[word]
        if word.endswith("'s"):
            return self.base_of(word[:-2])  # "mum's face" speaks of mum
        if len(word) > 3:
            for stem in _stems(word):
                if stem in self.vocabulary:
                    return self.forms.get(stem, stem)
        return word

    def _spell(self, written: str) -> tuple[str, ...]:
        written = "and" if written == "&" else written
        if written in self.expansions:
            return self.expansions[written]
        if not written[0].isalpha():
            return (written,)
        short = written if written in self.vocabulary else _LONG_DRAWN.sub(r"\1", written)
        if short in self.expansions:
            return self.expansions[short]
        if short in self.vocabulary or self.base_of(short) in self.vocabulary:
            return (short,)
        owner = short.removesuffix("'s")
        if owner != short:
            return self._spell(owner)
        mended = self.speller.mend(short)
        return self.expansions.get(mended, (mended,))

    def _number_of(self, raw: str) -> float | None:
        if _NUMBER.fullmatch(raw):
            return float(raw.replace(",", "."))
        return self.numbers.get(raw)


def _plain(text: str) -> str:
    """Lower case, straight apostrophes, no accents; as long as the text, so that places stay true."""
    if text.isascii():
        return text.lower()
    return "".join(_plain_character(character) for character in text)


def _plain_character(character: str) -> str:
    if character.isascii():
        return character.lower()
    if character in "’‘ʼ´`":
        return "'"
    if character in "–—…":
        return character
    return unicodedata.normalize("NFKD", character)[0].lower()[0]


def _turn_starts(text: str, turns: Iterable[str]) -> list[int]:
    starts, at = [], 0
    for turn in turns:
        starts.append(at)
        at += len(turn.replace("\n\n", "\n")) + 1
    return starts


def _stems(word: str) -> Iterable[str]:
    """What a regular inflection may come from: bleeding, stabbed, choking, cries."""
    for ending, replacements in (("ies", ("y",)), ("ied", ("y",)), ("ing", ("", "e")), ("ed", ("", "e"))):
        if word.endswith(ending):
            stem = word[: -len(ending)]
            if len(stem) < 2:
                continue
            for replacement in replacements:
                yield stem + replacement
            if len(stem) > 2 and stem[-1] == stem[-2]:
                yield stem[:-1]
    if word.endswith("es"):
        yield word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
