"""Write likeness.txt and likeness.npz anew: what the features of the example messages say about an emergency.

    python tests/unit/clinical/make_redflag_likeness.py [FOLDER]

To be run when messages have been added to the sets beside this file, or anything to rules.yaml or
language.yaml. The questions of `ordinary_questions.txt` are read as ordinary ones. Takes some minutes.
"""

import json
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import numpy as np
from redflag_network import NETWORKS, train
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from elara_ui.clinical.redflags.features import SHARES, Family, Features, find_features
from elara_ui.clinical.redflags.kinds import KindWeights, Pointers
from elara_ui.clinical.redflags.likeness import Likeness
from elara_ui.clinical.redflags.rules import LIKENESS_FILE, Rules, load_rules

HERE = Path(__file__).resolve().parent
ORDINARY = HERE / "ordinary_questions.txt"
LEAST_MESSAGES = {Family.MEANT: 2, Family.SAID: 2, Family.FRAMING: 3, Family.CONCEPTS: 2, Family.RULES: 2}
"""Messages that a feature must stand in."""
OF_KINDS = (Family.MEANT, Family.CONCEPTS)
"""Families that tell the category; the others tell none and would take as long."""
ASKING = "method"  # kind of the messages that ask how one dies
DYING = "suicidal"  # and the category of them and of others, which are not told from them
KINDS_KEPT, LEAST_POINTER = 12, 0.1  # categories a feature speaks of, and the least weight that is kept
DYING_UNITS = 16  # of the network that tells who asks how one dies
KIND_STRENGTH = 30.0  # inverse of the regularisation, by cross-validation over sets


def read_sets(left_out: Collection[str] = ()) -> list[dict[str, Any]]:
    """The messages of all sets but some, and harmless conversations' last turns, which are weighed alone too.

    Args:
        left_out: names of their files.
    """
    files = sorted(path for path in HERE.glob("redflag_*.jsonl") if path.name not in left_out)
    read = [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    harmless = [message for message in read if "messages" in message and not message["expected"]]
    return read + [{"text": message["messages"][-1]["content"], "expected": []} for message in harmless]


def read_ordinary() -> list[dict[str, Any]]:
    """Questions such as the starter examples ask, each once: what people ask who want to know something."""
    questions = ORDINARY.read_text(encoding="utf-8").splitlines()
    return [{"text": question, "expected": []} for question in questions]


def learn(messages: Sequence[dict[str, Any]], networks: int = NETWORKS) -> Likeness:
    """What tells the emergencies among messages from the others, and from each other.

    Who asks how one dies asks it like any question, so such messages would teach that questions are
    emergencies: they are told from all others by weights of their own.
    """
    names, rarities, matrix = tabulate(load_rules(likeness_file=HERE / "none.txt"), messages)
    return fit(messages, names, rarities, matrix, networks)


def fit(
    messages: Sequence[dict[str, Any]],
    names: Sequence[tuple[Family, str]],
    rarities: Sequence[float],
    matrix: csr_matrix,
    networks: int = NETWORKS,
) -> Likeness:
    """The same from the table of their features.

    Args:
        messages: a row each.
        names: of the features, a column each.
        rarities: of the features.
        matrix: messages × features, their shares.
        networks: how many learn from it.
    """
    asking = [message.get("kind") == ASKING for message in messages]
    others = [at for at, asks in enumerate(asking) if not asks]
    alarming = np.array([bool(messages[at]["expected"]) for at in others])
    emergency = train(matrix[others], alarming, networks)
    unlike = [at for at, message in enumerate(messages) if asking[at] or DYING not in message["expected"]]
    dying = train(matrix[unlike], np.array([asking[at] for at in unlike]), 1, DYING_UNITS)
    rows: dict[Family, dict[str, int]] = {family: {} for family in Family}
    for row, (family, name) in enumerate(names):
        rows[family][name] = row
    emergencies = [at for at, alarms in zip(others, alarming, strict=True) if alarms]
    kinds = [messages[at]["expected"][0] for at in emergencies]
    pointers = _fit_kinds(names, matrix[emergencies], kinds)
    return Likeness(rows, np.float32(rarities), emergency, dying, pointers)


def _fit_kinds(names: Sequence[tuple[Family, str]], matrix: csr_matrix, kinds: Sequence[str]) -> KindWeights:
    """Which features point to which kind, however many messages of it there are."""
    of_kinds = [at for at, (family, _) in enumerate(names) if family in OF_KINDS]
    which = LogisticRegression(C=KIND_STRENGTH, max_iter=300, class_weight="balanced")
    which.fit(matrix[:, of_kinds], kinds)
    told: list[Pointers] = [()] * len(names)
    for place, at in enumerate(of_kinds):
        told[at] = _strongest(zip(which.classes_, which.coef_[:, place], strict=True))
    bases = zip(which.classes_, which.intercept_, strict=True)
    return KindWeights.of({str(kind): float(base) for kind, base in bases}, told)


def tabulate(
    rules: Rules, messages: Sequence[dict[str, Any]]
) -> tuple[list[tuple[Family, str]], list[float], csr_matrix]:
    """The features' names and rarities, and a row of their shares a message; families side by side."""
    found = [_find(rules, _turns(message)) for message in messages]
    names: list[tuple[Family, str]] = []
    rarities: list[float] = []
    blocks = []
    for family in Family:
        counted = [{name: len(at) for name, at in features[family].items()} for features in found]
        common = Counter(name for counts in counted for name in counts)
        least = LEAST_MESSAGES[family]
        table, scaled = DictVectorizer(), TfidfTransformer(sublinear_tf=True)
        kept = [{name: n for name, n in counts.items() if common[name] >= least} for counts in counted]
        blocks.append(SHARES[family] * scaled.fit_transform(table.fit_transform(kept)))
        names += [(family, str(name)) for name in table.get_feature_names_out()]
        rarities += [float(rarity) for rarity in scaled.idf_]
    return names, rarities, hstack(blocks).tocsr()


def _find(rules: Rules, turns: Sequence[dict[str, str]]) -> Features:
    return find_features(rules.read_own(turns), rules.triage(turns).categories)


def _turns(message: dict[str, Any]) -> list[dict[str, str]]:
    return message.get("messages") or [{"role": "user", "content": message["text"]}]


def _strongest(kinds: Iterable[tuple[str, float]]) -> Pointers:
    """What a feature says most loudly, for a kind or against it."""
    loudest = sorted(((str(kind), float(weight)) for kind, weight in kinds), key=lambda kind: -abs(kind[1]))
    return tuple((kind, weight) for kind, weight in loudest[:KINDS_KEPT] if abs(weight) >= LEAST_POINTER)


def main() -> None:
    """Write the files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else LIKENESS_FILE.parent
    path = folder / LIKENESS_FILE.name
    learned = learn(read_sets() + read_ordinary())
    learned.write(path)
    features = len(learned.rarities)
    print(f"{path.name}: {features:,} features, {path.stat().st_size / 1000:,.0f} kB.")


if __name__ == "__main__":
    main()
