"""Which texts say nearly the same: near-duplicates, and clusters of alike questions.

Texts are compared by the Jaccard index of their sets of word triples. MinHash sketches with
locality-sensitive hashing (Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", chapter 3) propose
pairs, and every proposed pair is then compared exactly: chance can miss a pair, never invent one. All hashes
are fixed, so the result is the same in every process.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Shingles = npt.NDArray[np.uint32]

NEAR_DUPLICATE = 0.8  # Jaccard index of question and answer, from which on two rows teach the same
SAME_CLUSTER = 0.7  # Jaccard index of questions, from which on they may not stand on both sides of a split
SHINGLE_WORDS = 3
SKETCH_SEED = 1
# Bands × rows of the sketches. A pair of similarity s is proposed with probability 1 - (1 - s^rows)^bands:
# at both thresholds over 0.9998.
NEAR_DUPLICATE_BANDS = (25, 5)
CLUSTER_BANDS = (32, 4)
_WORD = re.compile(r"\w+")
# Odd factors that keep the order of the three words in the hash of a triple.
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)


def find_near_duplicates(texts: Sequence[str]) -> dict[int, int]:
    """Texts that nearly repeat an earlier one that is kept.

    Args:
        texts: in the order in which the first of a kind is kept.

    Returns:
        Index of each text to leave out → index of the kept one that it repeats (Jaccard index ≥ 0.8).
    """
    index = _new_index(NEAR_DUPLICATE_BANDS)
    shingles = [_shingle(text) for text in texts]
    repeats: dict[int, int] = {}
    for number, sketch in enumerate(_sketch(shingles, NEAR_DUPLICATE_BANDS)):
        for candidate in sorted(index.query(sketch)):
            if _overlap(shingles[candidate], shingles[number]) >= NEAR_DUPLICATE:
                repeats[number] = candidate
                break
        else:
            index.insert(number, sketch)
    return repeats


def cluster(texts: Sequence[str]) -> list[int]:
    """Group texts that are alike (Jaccard index ≥ 0.7), directly or through others.

    Returns:
        For each text, the index of the first text of its cluster.
    """
    parents = list(range(len(texts)))
    index = _new_index(CLUSTER_BANDS)
    shingles = [_shingle(text) for text in texts]
    sets = [frozenset(hashes.tolist()) for hashes in shingles]  # for a few words, quicker than arrays
    first_with: dict[frozenset[int], int] = {}  # equal sets are not compared again and again
    for number, sketch in enumerate(_sketch(shingles, CLUSTER_BANDS)):
        first = first_with.setdefault(sets[number], number)
        if first != number:
            parents[number] = first
            continue
        for candidate in sorted(index.query(sketch)):
            root, other = _find_root(parents, number), _find_root(parents, candidate)
            if root != other:
                common = len(sets[number] & sets[candidate])
                if common >= SAME_CLUSTER * (len(sets[number]) + len(sets[candidate]) - common):
                    parents[max(root, other)] = min(root, other)
        index.insert(number, sketch)
    return [_find_root(parents, number) for number in range(len(texts))]


def _find_root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]  # halve the path for the next one
        number = parents[number]
    return number


def _shingle(text: str) -> Shingles:
    """The set of a text's word triples as sorted 32-bit hashes; a shorter text is one shingle by itself."""
    folded = text.casefold()
    words = _WORD.findall(folded) or [" ".join(folded.split())]
    hashes = np.array([zlib.crc32(word.encode()) for word in words], dtype=np.uint64)
    size = min(SHINGLE_WORDS, len(words))
    count = len(words) - size + 1
    mixed = np.zeros(count, dtype=np.uint64)
    for place in range(size):
        mixed += (hashes[place : place + count] + np.uint64(1)) * _FACTORS[place]
    mixed ^= mixed >> np.uint64(29)
    mixed *= _FACTORS[0]
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))


def _overlap(one: Shingles, other: Shingles) -> float:
    """The Jaccard index."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def _sketch(shingles: Sequence[Shingles], bands: tuple[int, int]) -> Iterator[Any]:
    from datasketch import MinHash

    # The shingles are hashes already, so they are taken as they are.
    return MinHash.generator(  # type: ignore[no-any-return]
        shingles, num_perm=bands[0] * bands[1], seed=SKETCH_SEED, hashfunc=int, scheme="affine32"
    )


def _new_index(bands: tuple[int, int]) -> Any:
    from datasketch import MinHashLSH

    return MinHashLSH(num_perm=bands[0] * bands[1], params=bands)
