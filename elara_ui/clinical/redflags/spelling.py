"""Mending misspelt words against the vocabulary of the rules, and only against it.

A word is mended when it is no word of its own and one word of the vocabulary is near: one slip in five to
seven letters, two in eight or more, swapped letters counted as one. `lookalikes.txt` holds real words that
stand as near as that ("breading", "chester"), so that they are left alone.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from rapidfuzz.distance import OSA
from rapidfuzz.process import extractOne

SHORTEST = 4  # letters; in shorter words every slip is another word
_KEPT = 4096  # words remembered


class Speller:
    """Mends words.

    Args:
        vocabulary: what words are mended to.
        leave: words that are right as they are.
    """

    def __init__(self, vocabulary: Iterable[str], leave: Iterable[str] = ()) -> None:
        self._known = frozenset(vocabulary)
        self._leave = frozenset(leave)
        buckets: dict[tuple[str, int], list[str]] = defaultdict(list)
        for word in sorted(self._known):
            if len(word) >= SHORTEST and word.isalpha():
                buckets[word[0], len(word)].append(word)
        self._buckets = dict(buckets)
        self.mend = lru_cache(maxsize=_KEPT)(self._mend)

    def _mend(self, word: str) -> str:
        if len(word) < SHORTEST or word in self._known or word in self._leave or not word.isalpha():
            return word
        return self.nearest(word) or word

    def nearest(self, word: str) -> str | None:
        """The word of the vocabulary that this one is nearest to, if it is near enough."""
        slips = allowed_slips(word)
        best: tuple[int, str] | None = None
        # The first letter is seldom wrong, but may be swapped with the second.
        for first in dict.fromkeys((word[0], word[1])):
            for length in range(len(word) - slips, len(word) + slips + 1):
                found = extractOne(
                    word, self._buckets.get((first, length), ()), scorer=OSA.distance, score_cutoff=slips
                )
                if found is None or (len(word) == SHORTEST and sorted(found[0]) != sorted(word)):
                    continue
                if best is None or found[1] < best[0]:
                    best = (int(found[1]), found[0])
        return best[1] if best else None


def allowed_slips(word: str) -> int:
    """How many letters of a word may be wrong."""
    return 1 if len(word) < 8 else 2
