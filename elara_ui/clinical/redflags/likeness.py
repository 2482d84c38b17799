"""How like the emergencies of our examples a message reads: a weight for each of its features.

The rules know concepts; people know more words than any list of concepts has, and the words of an emergency
stand in lessons, memories and fears too. This is a logistic regression on the features of the example
messages (`features.py`), so it notices what is told in words that no rule has, and what a rule takes for
more than it is. It reads no meaning. So it stands beside the rules and never in their place (`judgement.py`
joins the two), and its weights can be read: `likeness.tsv`, which make_redflag_likeness.py writes, beside the
sets in tests/unit/clinical.

Features weigh by term frequency times inverse document frequency (K. Spärck Jones, 1972), with the logarithm
of the frequency and each family scaled to its share, as scikit-learn's `TfidfTransformer` does.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp, log, sqrt
from pathlib import Path

from elara_ui.clinical.redflags.features import SHARES, Family, Features, Reading, find_features


@dataclass(frozen=True, slots=True)
class Weight:
    """What a feature says.

    Args:
        rarity: its inverse document frequency.
        emergency: above 0 where it is commoner in emergencies, below 0 in other messages.
        kinds: category → how far it points to it, the strongest alone; "category:weight", parted by spaces.
    """

    rarity: float
    emergency: float
    kinds: str = ""

    def by_kind(self) -> Iterator[tuple[str, float]]:
        """The categories that it points to, and how far."""
        for pair in self.kinds.split():
            kind, _, weight = pair.rpartition(":")
            yield kind, float(weight)


@dataclass(frozen=True)
class Resemblance:
    """How a message reads.

    Args:
        log_odds: how far it reads like an emergency: the logarithm of the odds among the examples.
        kinds: the categories it may be of with their probabilities, the likeliest first.
        telling: the words and pairs that spoke most for it, in order of their weight.
    """

    log_odds: float
    kinds: tuple[tuple[str, float], ...]
    telling: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Likeness:
    """The weights.

    Args:
        weights: by "family:feature".
        base: what every message begins with.
        kind_bases: the same by category.
    """

    weights: Mapping[str, Weight]
    base: float
    kind_bases: Mapping[str, float]

    @classmethod
    def read(cls, path: Path) -> "Likeness":
        """From a file.

        Raises:
            ValueError: a line isn't what `write` writes.
        """
        lines = path.read_text(encoding="utf-8").splitlines()
        head = json.loads(lines[0].removeprefix("# "))
        return cls(dict(map(_parse, lines[1:])), head["base"], head["kinds"])

    def compare(self, own: Reading) -> Resemblance:
        """How a message reads, its last turn alone or all together, whichever is more alarming."""
        whole = self._compare(find_features(own))
        words = own.passage.words
        if words[0].turn == words[-1].turn:
            return whole
        newest = next(at for at, word in enumerate(words) if word.turn == words[-1].turn)
        return max(whole, self._compare(find_features(own, newest)), key=lambda found: found.log_odds)

    def _compare(self, features: Features) -> Resemblance:
        shares = self._scale(features)
        speaks = {name: share * self.weights[name].emergency for name, share in shares.items()}
        told = sorted((name for name in speaks if speaks[name] > 0), key=lambda name: -speaks[name])
        places = {spell(Family.MEANT, name): at for name, at in features[Family.MEANT].items()}
        telling = tuple(places[name][0] for name in told if name in places)
        return Resemblance(self.base + sum(speaks.values()), self._kinds(shares), telling)

    def _scale(self, features: Features) -> dict[str, float]:
        """How much of a message each feature is that has a weight."""
        shares: dict[str, float] = {}
        for family, found in features.items():
            named = {spell(family, name): len(at) for name, at in found.items()}
            values = {
                name: (1 + log(often)) * self.weights[name].rarity
                for name, often in named.items()
                if name in self.weights
            }
            length = sqrt(sum(value * value for value in values.values())) or 1.0
            shares |= {name: SHARES[family] * value / length for name, value in values.items()}
        return shares

    def _kinds(self, shares: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
        scores = dict(self.kind_bases)
        for name, share in shares.items():
            for kind, weight in self.weights[name].by_kind():
                scores[kind] += share * weight
        top = max(scores.values(), default=0.0)
        powers = {kind: exp(score - top) for kind, score in scores.items()}
        total = sum(powers.values())
        return tuple(sorted(((kind, power / total) for kind, power in powers.items()), key=lambda x: -x[1]))


def spell(family: Family, feature: str) -> str:
    """A feature with its family, as it stands in the file."""
    return f"{family}:{feature}"


def write(likeness: Likeness) -> Iterator[str]:
    """The lines of the file."""
    yield "# " + json.dumps({"base": likeness.base, "kinds": dict(likeness.kind_bases)})
    for name in sorted(likeness.weights):
        weight = likeness.weights[name]
        yield f"{name}\t{weight.rarity:.2f}\t{weight.emergency:.2f}\t{weight.kinds}"


def _parse(line: str) -> tuple[str, Weight]:
    name, rarity, emergency, kinds = line.split("\t")
    return name, Weight(float(rarity), float(emergency), kinds)
