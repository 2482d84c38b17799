"""Write likeness.tsv and framing.tsv anew: what words and framing of the examples say about an emergency.

    python tests/unit/clinical/make_redflag_likeness.py [FOLDER]

To be run when messages have been added to the sets beside this file, or words to language.yaml. The
questions of `ordinary_questions.txt` are read as ordinary ones.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from elara_ui.clinical.redflags.framing import Framing, find_signs
from elara_ui.clinical.redflags.framing import write as write_framing
from elara_ui.clinical.redflags.judgement import Learned, Reading
from elara_ui.clinical.redflags.likeness import Likeness, Weight, count_words, write
from elara_ui.clinical.redflags.rules import FRAMING_FILE, LIKENESS_FILE, load_rules

HERE = Path(__file__).resolve().parent
ORDINARY = HERE / "ordinary_questions.txt"
LEAST_MESSAGES = 2  # that a word must stand in
KINDS_KEPT = 5  # categories a word
LEAST_SIGNS = 3  # messages that a sign of framing must stand in
FRAMING_SHARE = 0.5  # of its weight, for half of what it says the words have said before
FRAMING_STRENGTH = 1.0
EMERGENCY_STRENGTH, KIND_STRENGTH = 10.0, 30.0  # inverse of the regularisation, by cross-validation over sets


def read_sets(left_out: str = "") -> list[dict[str, Any]]:
    """The messages of all sets but one."""
    files = sorted(path for path in HERE.glob("redflag_*.jsonl") if path.name != left_out)
    return [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def read_ordinary() -> list[dict[str, Any]]:
    """Questions such as the starter examples ask, each once: what people ask who want to know something."""
    questions = ORDINARY.read_text(encoding="utf-8").splitlines()
    return [{"text": question, "expected": []} for question in questions]


def learn(messages: Sequence[dict[str, Any]]) -> Learned:
    """What tells the emergencies among messages from the others, and from each other."""
    rules = load_rules()
    readings = [rules.read_own(_turns(message)) for message in messages]
    return Learned(_learn_words(messages, readings), _learn_framing(messages, readings))


def _learn_words(messages: Sequence[dict[str, Any]], readings: Sequence[Reading]) -> Likeness:
    counted = [count_words(reading.live_words) for reading in readings]
    common = Counter(name for counts in counted for name in counts)
    kept = [{name: n for name, n in counts.items() if common[name] >= LEAST_MESSAGES} for counts in counted]
    table = DictVectorizer()
    scaled = TfidfTransformer(sublinear_tf=True)
    matrix = scaled.fit_transform(table.fit_transform(kept))
    urgent = [bool(message["expected"]) for message in messages]
    emergencies = [at for at, each in enumerate(urgent) if each]
    whether = LogisticRegression(C=EMERGENCY_STRENGTH, max_iter=3000).fit(matrix, urgent)
    which = LogisticRegression(C=KIND_STRENGTH, max_iter=3000).fit(
        matrix[emergencies], [messages[at]["expected"][0] for at in emergencies]
    )
    weights = {
        str(name): Weight(
            round(float(scaled.idf_[column]), 2),
            round(float(whether.coef_[0][column]), 2),
            _strongest(zip(which.classes_, which.coef_[:, column], strict=True)),
        )
        for column, name in enumerate(table.get_feature_names_out())
    }
    bases = zip(which.classes_, which.intercept_, strict=True)
    return Likeness(
        weights,
        round(float(whether.intercept_[0]), 2),
        {str(kind): round(float(base), 2) for kind, base in bases},
    )


def _learn_framing(messages: Sequence[dict[str, Any]], readings: Sequence[Reading]) -> Framing:
    found = [find_signs(reading.passage, reading.context) for reading in readings]
    common = Counter(sign for signs in found for sign in signs)
    table = DictVectorizer()
    matrix = table.fit_transform(
        [{sign: 1 for sign in signs if common[sign] >= LEAST_SIGNS} for signs in found]
    )
    urgent = [bool(message["expected"]) for message in messages]
    whether = LogisticRegression(C=FRAMING_STRENGTH, max_iter=3000).fit(matrix, urgent)
    weights = {
        str(sign): round(FRAMING_SHARE * float(whether.coef_[0][column]), 2)
        for column, sign in enumerate(table.get_feature_names_out())
    }
    return Framing(weights, round(FRAMING_SHARE * float(whether.intercept_[0]), 2))


def _turns(message: dict[str, Any]) -> list[dict[str, str]]:
    return message.get("messages") or [{"role": "user", "content": message["text"]}]


def _strongest(kinds: Iterable[tuple[str, float]]) -> dict[str, float]:
    best = sorted(kinds, key=lambda kind: -kind[1])[:KINDS_KEPT]
    return {str(kind): round(float(weight), 2) for kind, weight in best if weight >= 0.1}


def main() -> None:
    """Write the files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else LIKENESS_FILE.parent
    learned = learn(read_sets() + read_ordinary())
    for name, lines in (
        (LIKENESS_FILE.name, list(write(learned.likeness))),
        (FRAMING_FILE.name, list(write_framing(learned.framing))),
    ):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{name}: {len(lines):,} lines, {(folder / name).stat().st_size / 1000:,.0f} kB.")


if __name__ == "__main__":
    main()
