"""How like the emergencies of our examples a message reads: a weight for each of its features.

The rules know concepts; people know more words than any list of concepts has, and the words of an emergency
stand in lessons, memories and fears too. This is a logistic regression on the features of the example
messages (`features.py`), so it notices what is told in words that no rule has, and what a rule takes for
more than it is. A second one, on the same features, tells who asks how one dies, for that is asked like any
question. Both read no meaning, so they stand beside the rules and never in their place (`judgement.py` joins
them), and their weights can be read: `likeness.tsv`, which make_redflag_likeness.py writes, beside the sets
in tests/unit/clinical.

Features weigh by term frequency times inverse document frequency (K. Spärck Jones, 1972), with the logarithm
of the frequency and each family scaled to its share, as scikit-learn's `TfidfTransformer` does.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, log, sqrt
from pathlib import Path

from elara_ui.clinical.redflags.features import SHARES, Family, Features, Reading, Spans, find_features


@dataclass(frozen=True, slots=True)
class Weight:
    """What a feature says.

    Args:
        rarity: its inverse document frequency.
        emergency: above 0 where it is commoner in emergencies, below 0 in other messages.
        lethality: above 0 where it is commoner in questions how one dies.
        kinds: category → how far it points to it, the strongest alone; "category:weight", parted by spaces.
    """

    rarity: float
    emergency: float
    lethality: float = 0.0
    kinds: str = ""


@dataclass(frozen=True)
class Resemblance:
    """How a message reads.

    Args:
        log_odds: how far it reads like an emergency: the logarithm of the odds among the examples.
        telling: the words and pairs that spoke most for it, in order of their weight.
        lethality: how far it reads like a question how one dies, likewise.
        lethal: the words and pairs that spoke most for that.
        shares: the weights of the message's features, and how much of the message each feature is.
    """

    log_odds: float
    telling: tuple[tuple[int, int], ...]
    lethality: float
    lethal: tuple[tuple[int, int], ...]
    shares: Sequence[tuple[Weight, float]]


@dataclass(frozen=True)
class Likeness:
    """The weights.

    Args:
        weights: by family and feature.
        base: what every message begins with.
        lethality_base: the same for questions how one dies.
        kind_bases: the same by category.
    """

    weights: Mapping[Family, Mapping[str, Weight]]
    base: float
    lethality_base: float
    kind_bases: Mapping[str, float]

    @classmethod
    def read(cls, path: Path) -> "Likeness":
        """From a file.

        Raises:
            ValueError: a line isn't what `write` writes.
        """
        lines = path.read_text(encoding="utf-8").splitlines()
        head = json.loads(lines[0].removeprefix("# "))
        weights: dict[Family, dict[str, Weight]] = {family: {} for family in Family}
        by_name: dict[str, dict[str, Weight]] = {str(family): found for family, found in weights.items()}
        for line in lines[1:]:
            family, name, rarity, emergency, lethality, kinds = line.split("\t")
            by_name[family][name] = Weight(float(rarity), float(emergency), float(lethality), kinds)
        return cls(weights, head["base"], head["lethality"], head["kinds"])

    def compare(self, own: Reading) -> Resemblance:
        """How a message reads, its last turn alone or all together, whichever is more alarming."""
        whole = self._compare(find_features(own))
        words = own.passage.words
        if words[0].turn == words[-1].turn:
            return whole
        newest = next(at for at, word in enumerate(words) if word.turn == words[-1].turn)
        last = self._compare(find_features(own, newest))
        worse = max(whole, last, key=lambda found: found.log_odds)
        asking = max(whole, last, key=lambda found: found.lethality)
        return replace(worse, lethality=asking.lethality, lethal=asking.lethal)

    def find_kinds(self, read: Resemblance) -> tuple[tuple[str, float], ...]:
        """The categories that a message may be of with their probabilities, the likeliest first."""
        scores = dict(self.kind_bases)
        for weight, share in read.shares:
            for kind, towards in _parse_kinds(weight.kinds):
                scores[kind] += share * towards
        top = max(scores.values(), default=0.0)
        powers = {kind: exp(score - top) for kind, score in scores.items()}
        total = sum(powers.values())
        return tuple(sorted(((kind, power / total) for kind, power in powers.items()), key=lambda x: -x[1]))

    def _compare(self, features: Features) -> Resemblance:
        shares: list[tuple[Weight, float]] = []
        told: list[tuple[Weight, float, tuple[int, int]]] = []
        for family, found in features.items():
            for name, weight, share in self._scale(family, found):
                shares.append((weight, share))
                if family is Family.MEANT:
                    told.append((weight, share, found[name][0]))
        return Resemblance(
            self.base + sum(share * weight.emergency for weight, share in shares),
            _most_telling((share * weight.emergency, place) for weight, share, place in told),
            self.lethality_base + sum(share * weight.lethality for weight, share in shares),
            _most_telling((share * weight.lethality, place) for weight, share, place in told),
            shares,
        )

    def _scale(self, family: Family, found: Mapping[str, Spans]) -> Iterator[tuple[str, Weight, float]]:
        """Features of a family that have a weight, and how much of the message each of them is."""
        known = self.weights[family]
        values = [
            (name, known[name], (1 + log(len(places))) * known[name].rarity)
            for name, places in found.items()
            if name in known
        ]
        length = sqrt(sum(value * value for _, _, value in values)) or 1.0
        scale = SHARES[family] / length
        return ((name, weight, scale * value) for name, weight, value in values)


def _most_telling(told: Iterable[tuple[float, tuple[int, int]]]) -> tuple[tuple[int, int], ...]:
    """The places that speak for something, the loudest first."""
    ordered = sorted((each for each in told if each[0] > 0), key=lambda each: -each[0])
    return tuple(place for _, place in ordered)


def write(likeness: Likeness) -> Iterator[str]:
    """The lines of the file."""
    head = {"base": likeness.base, "lethality": likeness.lethality_base, "kinds": dict(likeness.kind_bases)}
    yield "# " + json.dumps(head)
    for family, weights in likeness.weights.items():
        for name in sorted(weights):
            weight = weights[name]
            numbers = f"{weight.rarity:.2f}\t{weight.emergency:.2f}\t{weight.lethality:.2f}"
            yield f"{family}\t{name}\t{numbers}\t{weight.kinds}"


@lru_cache(maxsize=20_000)
def _parse_kinds(written: str) -> tuple[tuple[str, float], ...]:
    """Categories and how far a feature points to them; only those are read that are asked for."""
    pairs = (pair.rpartition(":") for pair in written.split())
    return tuple((kind, float(weight)) for kind, _, weight in pairs)
