"""How like the emergencies of our examples a message reads: a weight for every word and pair of words.

The rules know concepts; people know more words than any list of concepts has. This is a logistic regression
on the words of the example messages, so it notices what is told in words that no rule has. Words that are
denied, figurative or only supposed are left out before; beyond that it reads no meaning. So it stands beside
the rules and never in their place (`judgement.Learned.weigh` joins the two), and its weights can be read:
`likeness.tsv`, made by tests/unit/clinical/make_redflag_likeness.py.

Words weigh by term frequency times inverse document frequency (K. Spärck Jones, 1972), with the logarithm of
the frequency and the whole scaled to length 1, as scikit-learn's `TfidfTransformer(sublinear_tf=True)` does.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log, sqrt
from pathlib import Path

from elara_ui.clinical.redflags.text import Word

Placed = Sequence[tuple[int, Word]]
"""Words with their places in the passage."""
Spans = Mapping[str, Sequence[tuple[int, int]]]
"""Word or pair → where it stands: its first word and the one behind its last, in words of the passage."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a word or a pair of words says.

    Args:
        rarity: its inverse document frequency.
        emergency: above 0 where it is commoner in emergencies, below 0 in other messages.
        kinds: category → how far it points to it; the strongest alone.
    """

    rarity: float
    emergency: float
    kinds: Mapping[str, float]


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
        weights: by word or pair.
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

    def compare(self, words: Placed) -> Resemblance:
        """How words read, those of the last turn alone or all together, whichever is more alarming.

        Args:
            words: those that are meant, as `judgement.Reading.live_words` gives them.
        """
        whole = self._compare(words)
        newest = [(at, word) for at, word in words if word.turn == words[-1][1].turn]
        if len(newest) == len(words):
            return whole
        return max(whole, self._compare(newest), key=lambda found: found.log_odds)

    def _compare(self, words: Placed) -> Resemblance:
        spans = {name: at for name, at in find_spans(words).items() if name in self.weights}
        values = {name: (1 + log(len(at))) * self.weights[name].rarity for name, at in spans.items()}
        length = sqrt(sum(value * value for value in values.values())) or 1.0
        shares = {name: value / length for name, value in values.items()}
        speaks = {name: share * self.weights[name].emergency for name, share in shares.items()}
        log_odds = self.base + sum(speaks.values())
        telling = sorted((name for name in speaks if speaks[name] > 0), key=lambda name: -speaks[name])
        return Resemblance(log_odds, self._kinds(shares), tuple(spans[name][0] for name in telling))

    def _kinds(self, shares: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
        scores = dict(self.kind_bases)
        for name, share in shares.items():
            for kind, weight in self.weights[name].kinds.items():
                scores[kind] += share * weight
        top = max(scores.values(), default=0.0)
        powers = {kind: exp(score - top) for kind, score in scores.items()}
        total = sum(powers.values())
        return tuple(sorted(((kind, power / total) for kind, power in powers.items()), key=lambda x: -x[1]))


def find_spans(words: Placed) -> Spans:
    """The words and the pairs of neighbours in a sentence, base forms, with where they stand."""
    found: dict[str, list[tuple[int, int]]] = {}
    for at, word in words:
        found.setdefault(_name(word), []).append((at, at + 1))
    for (at, word), (then, following) in pairwise(words):
        if word.sentence == following.sentence:
            found.setdefault(f"{_name(word)} {_name(following)}", []).append((at, then + 1))
    return found


def count_words(words: Placed) -> Counter[str]:
    """How often each word and pair stands there; what the weights are learned from."""
    return Counter({name: len(at) for name, at in find_spans(words).items()})


def write(likeness: Likeness) -> Iterator[str]:
    """The lines of the file."""
    yield "# " + json.dumps({"base": likeness.base, "kinds": dict(likeness.kind_bases)})
    for name in sorted(likeness.weights):
        weight = likeness.weights[name]
        kinds = " ".join(f"{kind}:{value:.2f}" for kind, value in weight.kinds.items())
        yield f"{name}\t{weight.rarity:.2f}\t{weight.emergency:.2f}\t{kinds}"


def _parse(line: str) -> tuple[str, Weight]:
    name, rarity, emergency, kinds = line.split("\t")
    pairs = (kind.rsplit(":", 1) for kind in kinds.split())
    return name, Weight(float(rarity), float(emergency), {kind: float(value) for kind, value in pairs})


def _name(word: Word) -> str:
    """A figure stands for all of its size, for which of them it is, is for the rules to say."""
    return f"#{len(word.base.split('.')[0])}" if word.base[0].isdigit() else word.base
