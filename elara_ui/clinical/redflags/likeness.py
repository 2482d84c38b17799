"""How like the emergencies of our examples a message reads, told from its features.

The rules know concepts; people know more words than any list of concepts has, and the words of an emergency
stand in lessons, memories and fears too. So a small network weighs the features of a message (`features.py`),
each by itself and all together (`hidden.py`): it notices what is told in words that no rule has, and what a
rule takes for more than it is. A logistic regression on the same features tells who asks how one dies, for
that is asked like any question. Both read no meaning, so they stand beside the rules and never in their place
(`judgement.py` joins them). What they learned stands in `likeness.txt`, the features' names, and in
`likeness.npz`, what they say; make_redflag_likeness.py, beside the sets in tests/unit/clinical, writes both.
Columns rather than a line a feature: they are read in a tenth of the time, at every start.

Features weigh by term frequency times inverse document frequency (K. Spärck Jones, 1972), with the logarithm
of the frequency and each family scaled to its share, as scikit-learn's `TfidfTransformer` does.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, log
from pathlib import Path
from typing import NamedTuple

import numpy as np

from elara_ui.clinical.redflags.features import SHARES, Family, Features, Reading, Spans, find_features
from elara_ui.clinical.redflags.hidden import Floats, HiddenLayer

NUMBERS_SUFFIX = ".npz"
"""What the file of the weights ends with; it stands beside that of the features."""


class Weights(NamedTuple):
    """What each feature says, a row each.

    Args:
        rarities: inverse document frequencies.
        direct: what each says by itself: above 0 for an emergency, below 0 against one.
        lethality: above 0 where it is commoner in questions how one dies.
        kinds: category → how far each points to it, the strongest alone; "category:weight", parted by spaces.
    """

    rarities: Floats
    direct: Floats
    lethality: Floats
    kinds: Sequence[str]


@dataclass(frozen=True)
class Resemblance:
    """How a message reads.

    Args:
        log_odds: how far it reads like an emergency: the logarithm of the odds among the examples.
        telling: the words and pairs that spoke most for it, in order of their weight.
        lethality: how far it reads like a question how one dies, likewise.
        lethal: the words and pairs that spoke most for that.
        shares: the rows of the message's features, and how much of the message each feature is.
    """

    log_odds: float
    telling: tuple[tuple[int, int], ...]
    lethality: float
    lethal: tuple[tuple[int, int], ...]
    shares: Sequence[tuple[int, float]]


@dataclass(frozen=True, eq=False)
class Likeness:
    """What was learned.

    Args:
        rows: by family and feature, the row of its weights.
        weights: what features say each.
        hidden: what they say together.
        base: what every message begins with.
        lethality_base: the same for questions how one dies.
        kind_bases: the same by category.
    """

    rows: Mapping[Family, Mapping[str, int]]
    weights: Weights
    hidden: HiddenLayer
    base: float
    lethality_base: float
    kind_bases: Mapping[str, float]

    @classmethod
    def read(cls, path: Path) -> "Likeness":
        """From a file of the features, and that of their weights beside it.

        Raises:
            ValueError: they don't belong together.
        """
        first, *lines = path.read_text(encoding="utf-8").split("\n")
        head = json.loads(first)
        rows, begin = {}, 0
        for family, count in head["features"].items():
            names = lines[begin : begin + count]
            rows[Family(family)] = dict(zip(names, range(begin, begin + count), strict=True))
            begin += count
        kinds = lines[begin : 2 * begin]
        with np.load(path.with_suffix(NUMBERS_SUFFIX), allow_pickle=False) as kept:
            weights = Weights(kept["rarities"], kept["direct"], kept["lethality"], kinds)
            hidden = HiddenLayer(kept["weights"], kept["step"], kept["bases"], kept["outputs"])
            together = str(kept["names"]) == _digest(lines[:begin])
        if not together or not len(kinds) == len(weights.direct) == len(hidden.weights) == begin:
            raise ValueError(
                f"{path.name} names {begin:,} features, and the file of weights beside it belongs to others. "
                "Write both anew with make_redflag_likeness.py."
            )
        return cls(rows, weights, hidden, head["base"], head["lethality"], head["kinds"])

    def write(self, path: Path) -> None:
        """To a file of the features, in the order of their rows, and one of their weights beside it."""
        head = {"base": self.base, "lethality": self.lethality_base, "kinds": dict(self.kind_bases)}
        head["features"] = {str(family): len(names) for family, names in self.rows.items()}
        names = [name for rows in self.rows.values() for name in rows]
        path.write_text("\n".join([json.dumps(head), *names, *self.weights.kinds, "."]), encoding="utf-8")
        np.savez(  # not compressed, for it is read at every start
            path.with_suffix(NUMBERS_SUFFIX),
            names=_digest(names),
            rarities=self.weights.rarities,
            direct=self.weights.direct,
            lethality=self.weights.lethality,
            weights=self.hidden.weights,
            step=self.hidden.step,
            bases=self.hidden.bases,
            outputs=self.hidden.outputs,
        )

    def compare(self, own: Reading, met: Collection[str]) -> Resemblance:
        """How a message reads, its last turn alone or all together, whichever is more alarming.

        Args:
            own: the message.
            met: the categories whose rules are met, in whatever turn.
        """
        whole = self._compare(find_features(own, met))
        words = own.passage.words
        if words[0].turn == words[-1].turn:
            return whole
        newest = next(at for at, word in enumerate(words) if word.turn == words[-1].turn)
        last = self._compare(find_features(own, met, newest))
        worse = max(whole, last, key=lambda found: found.log_odds)
        asking = max(whole, last, key=lambda found: found.lethality)
        return replace(worse, lethality=asking.lethality, lethal=asking.lethal)

    def find_kinds(self, read: Resemblance) -> tuple[tuple[str, float], ...]:
        """The categories that a message may be of with their probabilities, the likeliest first."""
        scores = dict(self.kind_bases)
        for row, share in read.shares:
            if told := self.weights.kinds[row]:
                for kind, towards in _parse_kinds(told):
                    scores[kind] += share * towards
        top = max(scores.values(), default=0.0)
        powers = {kind: exp(score - top) for kind, score in scores.items()}
        total = sum(powers.values())
        return tuple(sorted(((kind, power / total) for kind, power in powers.items()), key=lambda x: -x[1]))

    def _compare(self, features: Features) -> Resemblance:
        found = [scaled for family, spans in features.items() for scaled in self._scale(family, spans)]
        rows = np.array([row for row, _, _ in found], dtype=np.intp)
        shares = np.array([share for _, share, _ in found], dtype=np.float32)
        together, parts = self.hidden.weigh(rows, shares)
        alone = shares * self.weights.direct[rows]
        lethal = shares * self.weights.lethality[rows]
        places = [place for _, _, place in found]
        return Resemblance(
            self.base + float(alone.sum()) + together,
            _most_telling(zip((alone + shares * parts).tolist(), places, strict=True)),
            self.lethality_base + float(lethal.sum()),
            _most_telling(zip(lethal.tolist(), places, strict=True)),
            [(row, share) for row, share, _ in found],
        )

    def _scale(self, family: Family, found: Mapping[str, Spans]) -> Iterator[tuple[int, float, "_Place"]]:
        """Of a family's features that are known: row, how much of the message it is, and where it is told."""
        known, rarities = self.rows[family], self.weights.rarities
        here = [(known[name], places) for name, places in found.items() if name in known]
        values = [(1 + log(len(places))) * float(rarities[row]) for row, places in here]
        length = sum(value * value for value in values) ** 0.5 or 1.0
        scale = SHARES[family] / length
        for (row, places), value in zip(here, values, strict=True):
            yield row, scale * value, places[0] if family is Family.MEANT else None


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


_Place = tuple[int, int] | None
"""Where a feature is told: its first word and the one behind its last; None where it has no words."""


def _most_telling(told: Iterable[tuple[float, _Place]]) -> tuple[tuple[int, int], ...]:
    """The places that speak for something, the loudest first."""
    speaking = [(weight, place) for weight, place in told if weight > 0 and place is not None]
    return tuple(place for _, place in sorted(speaking, key=lambda each: -each[0]))


@lru_cache(maxsize=20_000)
def _parse_kinds(written: str) -> tuple[tuple[str, float], ...]:
    """Categories and how far a feature points to them; only those are read that are asked for."""
    pairs = (pair.rpartition(":") for pair in written.split())
    return tuple((kind, float(weight)) for kind, _, weight in pairs)
