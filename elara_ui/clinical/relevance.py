"""How directly an answer addresses its question, told from meaning or, without the small model, from words.

A figure for comparing many answers in an evaluation, not a verdict on one: it knows nothing of truth, an
answer that repeats the question scores high, and so does a wrong one about the right thing.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from elara_ui.clinical.readability import prepare
from elara_ui.clinical.sentence_vectors import NAME, SentenceVectors, load_sentence_vectors

BY_WORDS = "words"
PART_SENTENCES = 3
"""Sentences of an answer that are held against the question at a time."""

STEM = 6
"""Letters by which words are told apart: "diabetes" and "diabetic" are one."""

_WORD = re.compile(r"[a-z]+")
_COMMON_WORDS = """
a about after all also am an and any are as at be because been before being but by can could did do does doing
for from had has have having he her him his how i if in into is it its just like may me might more most much
my no not of on or our out over really should so some such than that the their them then there these they this
those to too up us very was we were what when where which while who why will with would you your happen
happens mean means tell give explain please know need get people person patient someone
"""
_COMMON = frozenset(_COMMON_WORDS.split())


@dataclass(frozen=True)
class Relevance:
    """How directly an answer addresses a question.

    Args:
        score: from 0, not at all, to 1. Scores of different methods can't be compared.
        method: the model's name, or ``words``.
    """

    score: float
    method: str


def relevance(question: str, answer: str) -> Relevance:
    """How directly one answer addresses its question."""
    return relevances([(question, answer)])[0]


def relevances(pairs: Sequence[tuple[str, str]]) -> list[Relevance]:
    """The same for many, which the model reads in batches.

    Args:
        pairs: question and answer, Markdown allowed.
    """
    model = load_sentence_vectors()
    if model is None:
        return [Relevance(share_words(question, answer), BY_WORDS) for question, answer in pairs]
    return [Relevance(score, NAME) for score in _compare(model, pairs)]


def share_words(question: str, answer: str) -> float:
    """The share of the question's telling words that the answer has, longer ones weighing more."""
    asked = {stem: math.log(length) for stem, length in _stems(question)}
    said = {stem for stem, _ in _stems(answer)}
    if not asked:
        return 0.0
    return sum(weight for stem, weight in asked.items() if stem in said) / sum(asked.values())


def _stems(text: str) -> Iterator[tuple[str, int]]:
    """Beginnings of the words that tell something, with the length of the word."""
    for word in _WORD.findall(text.lower()):
        if word not in _COMMON and len(word) > 1:
            yield word[:STEM].removesuffix("s"), len(word)


def _compare(model: SentenceVectors, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The best cosine that a part of each answer has with its question; 0 without either."""
    parts = [_parts(answer) for _, answer in pairs]
    questions = model.encode([question for question, _ in pairs])
    vectors = model.encode([part for of_one in parts for part in of_one])
    scores, start = [], 0
    for (asked, _), question, of_one in zip(pairs, questions, parts, strict=True):
        found = vectors[start : start + len(of_one)] @ question
        scores.append(min(1.0, float(found.max(initial=0.0))) if asked.strip() else 0.0)
        start += len(of_one)
    return scores


def _parts(answer: str) -> list[str]:
    """An answer in runs of a few sentences; nothing of an empty one."""
    sentences = [each.strip() for each in re.split(r"(?<=[.!?])\s+", prepare(answer)) if each.strip()]
    return [
        " ".join(sentences[start : start + PART_SENTENCES])
        for start in range(0, len(sentences), PART_SENTENCES)
    ]
