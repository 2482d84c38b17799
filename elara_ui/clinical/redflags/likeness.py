"""How like the emergencies of our examples a message reads, told from its features.

The rules know concepts; people know more words than any list of concepts has, and the words of an emergency
stand in lessons, memories and fears too. So small networks weigh the features of a message (`features.py`),
each by itself and all together (`weighing.py`): they notice what is told in words that no rule has, and what
a rule takes for more than it is. One of its own tells who asks how one dies, for that is asked like any
question. None reads meaning, so they stand beside the rules and never in their place (`judgement.py` joins
them). `kinds.py` tells of which category a message is. What was learned stands in
`likeness.txt`, the features' names, and in `likeness.npz`, what they say; make_redflag_likeness.py, beside
the sets in tests/unit/clinical, writes both.

Features weigh by term frequency times inverse document frequency (K. Spärck Jones, 1972), with the logarithm
of the frequency and each family scaled to its share, as scikit-learn's `TfidfTransformer` does.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from elara_ui.clinical.redflags.features import SHARES, Family, Features, Reading, find_features
from elara_ui.clinical.redflags.hidden import Floats, HiddenLayer
from elara_ui.clinical.redflags.kinds import KindWeights
from elara_ui.clinical.redflags.weighing import Weighing

NUMBERS_SUFFIX = ".npz"
"""What the file of the weights ends with; it stands beside that of the features."""
MOST_TOLD = 3
"""Words and pairs that are told as those that spoke most."""
_Place = tuple[int, int]
"""Where a feature is told: its first word and the one behind its last."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The features of a message that are known.

    Args:
        rows: of their weights.
        shares: how much of the message each of them is.
        places: where the first of them are told; the others have no words.
    """

    rows: npt.NDArray[np.intp]
    shares: Floats
    places: Sequence[_Place]


@dataclass(frozen=True, slots=True)
class Resemblance:
    """How a message reads.

    Args:
        log_odds: how far it reads like an emergency: the logarithm of the odds among the examples.
        telling: the words and pairs that spoke most for it, MOST_TOLD at most, in order of their weight.
        lethality: how far it reads like a question how one dies, likewise.
        lethal: the words and pairs that spoke most for that.
        shares: its features.
    """

    log_odds: float
    telling: tuple[_Place, ...]
    lethality: float
    lethal: tuple[_Place, ...]
    shares: Shares


@dataclass(frozen=True, eq=False)
class Likeness:
    """What was learned.

    Args:
        rows: by family and feature, its row in what follows.
        rarities: inverse document frequencies of the features.
        emergency: whether a message reads like an emergency.
        dying: whether it reads like a question how one dies.
        kinds: of which category it is.
    """

    rows: Mapping[Family, Mapping[str, int]]
    rarities: Floats
    emergency: Weighing
    dying: Weighing
    kinds: KindWeights

    @classmethod
    def read(cls, path: Path) -> "Likeness":
        """From a file of the features, and that of their weights beside it.

        Raises:
            ValueError: they don't belong together.
        """
        first, *names = path.read_text(encoding="utf-8").split("\n")
        head = json.loads(first)
        with np.load(path.with_suffix(NUMBERS_SUFFIX), allow_pickle=False) as kept:
            numbers = dict(kept)
        if str(numbers.pop("digest")) != head["digest"] or head["names"] != _digest_names(names):
            raise ValueError(
                f"{path.name} names {len(names):,} features, and the file of weights beside it belongs to "
                "others. Write both anew with make_redflag_likeness.py."
            )
        rows, begin = {}, 0
        for family, count in head["features"].items():
            end = begin + count
            rows[Family(family)] = dict(zip(names[begin:end], range(begin, end), strict=True))
            begin = end
        emergency, dying = (_read_weighing(name, numbers, head["bases"][name]) for name in _QUESTIONS)
        kinds = KindWeights(tuple(head["kinds"]), *(numbers[f"kind_{name}"] for name in _KINDS))
        return cls(rows, numbers["rarities"], emergency, dying, kinds)

    def write(self, path: Path) -> None:
        """To a file of the features, in the order of their rows, and one of their weights beside it."""
        names = [name for rows in self.rows.values() for name in rows]
        numbers = {"rarities": self.rarities}
        numbers |= {f"kind_{name}": getattr(self.kinds, name) for name in _KINDS}
        for name in _QUESTIONS:
            weighing: Weighing = getattr(self, name)
            numbers[f"{name}_direct"] = weighing.direct
            numbers |= {f"{name}_{part}": getattr(weighing.hidden, part) for part in _HIDDEN}
        digest = _digest(*(array.tobytes() for array in numbers.values()))
        head = {
            "bases": {name: getattr(self, name).base for name in _QUESTIONS},
            "kinds": self.kinds.names,
            "features": {str(family): len(rows) for family, rows in self.rows.items()},
            "names": _digest_names(names),
            "digest": digest,
        }
        path.write_text("\n".join([json.dumps(head), *names]), encoding="utf-8")
        # Not compressed, for it is read at every start.
        np.savez(path.with_suffix(NUMBERS_SUFFIX), allow_pickle=False, digest=digest, **numbers)

    def compare(self, own: Reading, met: Collection[str]) -> tuple[Resemblance, Resemblance]:
        """How a message reads as a whole, and its last turn alone; the same where there is only one.

        Args:
            own: the message.
            met: the categories whose rules are met, in whatever turn.
        """
        whole = self._compare(find_features(own, met))
        begin = own.last_turn
        return (whole, self._compare(find_features(own, met, begin))) if begin else (whole, whole)

    def find_kinds(self, read: Resemblance) -> tuple[tuple[str, float], ...]:
        """The categories that a message may be of with their probabilities, the likeliest first."""
        return self.kinds.rank(read.shares.rows, read.shares.shares)

    def _compare(self, features: Features) -> Resemblance:
        told = self._share(features)
        log_odds, speaking = self.emergency.weigh(told.rows, told.shares)
        lethality, asking = self.dying.weigh(told.rows, told.shares)
        return Resemblance(
            log_odds,
            _most_telling(speaking, told.places),
            lethality,
            _most_telling(asking, told.places),
            told,
        )

    def _share(self, features: Features) -> Shares:
        """The features that are known, those whose words are told first."""
        rows, shares, places = [], [], []
        for family, found in features.items():
            known = self.rows[family]
            here = [(known[name], spans) for name, spans in found.items() if name in known]
            its_rows = np.array([row for row, _ in here], dtype=np.intp)
            times = np.array([len(spans) for _, spans in here], dtype=np.float64)
            values = (1 + np.log(times)) * self.rarities[its_rows]
            length = float(np.sqrt(values @ values)) or 1.0
            rows.append(its_rows)
            shares.append(SHARES[family] / length * values)
            if family is Family.MEANT:
                places = [spans[0] for _, spans in here]
        return Shares(np.concatenate(rows), np.concatenate(shares).astype(np.float32), places)


_QUESTIONS = ("emergency", "dying")
_HIDDEN = ("weights", "step", "bases", "outputs")
_KINDS = ("bases", "begins", "kinds", "towards")
"""What is kept of each part, in the order of its class."""


def _read_weighing(name: str, numbers: Mapping[str, npt.NDArray[Any]], base: float) -> Weighing:
    hidden = HiddenLayer(*(numbers[f"{name}_{part}"] for part in _HIDDEN))
    return Weighing(numbers[f"{name}_direct"], hidden, base)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def _digest_names(names: Sequence[str]) -> str:
    return _digest("\n".join(names).encode())


def _most_telling(told: Floats, places: Sequence[_Place]) -> tuple[_Place, ...]:
    """The places that speak for something, the loudest first.

    Args:
        told: what features say, those that have a place first.
        places: theirs.
    """
    loudest = np.argsort(-told[: len(places)], kind="stable")[:MOST_TOLD].tolist()
    return tuple(places[at] for at in loudest if told[at] > 0)
