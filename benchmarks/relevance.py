"""How well relevance tells a right answer from an answer to another question, and how long it takes.

    python benchmarks/relevance.py PAIRS.jsonl            # rows with question, answer and, if known, focus
    python benchmarks/relevance.py PAIRS.jsonl --rows 1000 --json

Each question meets its own answer, an answer drawn from all others, and, where the rows name their subject
(``focus``, as MedQuAD's do), an answer to another question about the same subject. Told are the area under
the ROC curve (the chance that a right answer scores above a wrong one, any question's) and, closer to use,
how often it wins against the wrong answer to the same question; ties count half. Both methods read one draw.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from elara_ui.clinical.relevance import relevances, share_words  # noqa: E402
from elara_ui.clinical.sentence_vectors import NAME, load_sentence_vectors  # noqa: E402

SEED = 7
Pairs = Sequence[tuple[str, str]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure relevance.")
    parser.add_argument("pairs", type=Path, help="JSONL of question, answer and focus")
    parser.add_argument("--rows", type=int, default=500, help="questions drawn")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    given = parser.parse_args()
    questions = draw(read_rows(given.pairs), given.rows)
    methods: dict[str, Callable[[Pairs], list[float]]] = {
        "words": lambda pairs: [share_words(*pair) for pair in pairs]
    }
    if load_sentence_vectors() is not None:
        methods[NAME] = lambda pairs: [each.score for each in relevances(pairs)]
    figures = {name: measure(score, questions) for name, score in methods.items()}
    if given.json:
        print(json.dumps(figures, indent=2))
        return
    for name, found in figures.items():
        print(name)
        print("\n".join(f"  {what:<34}{value:>10.3f}" for what, value in found.items()))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows that have a question and an answer."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [row for row in rows if row.get("question") and row.get("answer")]


def draw(rows: list[dict[str, Any]], number: int) -> list[tuple[str, str, str, str | None]]:
    """Question, right answer, another question's answer, and one about the same subject if there is one."""
    drawing = random.Random(SEED)
    by_focus: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_focus.setdefault(str(row.get("focus", "")).lower(), []).append(row)
    drawn = []
    for row in drawing.sample(rows, min(number, len(rows))):
        focus = str(row.get("focus", "")).lower()
        other = drawing.choice(rows)
        while other["answer"] == row["answer"] or (focus and str(other.get("focus", "")).lower() == focus):
            other = drawing.choice(rows)
        near = [each for each in by_focus[focus] if focus and each["question"] != row["question"]]
        near = [each for each in near if each["answer"] != row["answer"]]
        drawn.append(
            (
                row["question"],
                row["answer"],
                other["answer"],
                drawing.choice(near)["answer"] if near else None,
            )
        )
    return drawn


def measure(
    score: Callable[[Pairs], list[float]], questions: list[tuple[str, str, str, str | None]]
) -> dict[str, float]:
    """Areas, wins and milliseconds a pair."""
    began = time.perf_counter()
    right = np.array(score([(question, answer) for question, answer, _, _ in questions]))
    seconds = time.perf_counter() - began
    other = np.array(score([(question, wrong) for question, _, wrong, _ in questions]))
    has_near = np.array([near is not None for *_, near in questions])
    figures = {
        "questions": float(len(questions)),
        "median of right answers": float(np.median(right)),
        "median of other answers": float(np.median(other)),
        "AUC, any other answer": area(right, other),
        "wins, any other answer": wins(right, other),
    }
    if has_near.any():
        near = np.array(score([(question, wrong) for question, *_, wrong in questions if wrong is not None]))
        figures["questions with the same subject"] = float(has_near.sum())
        figures["AUC, same subject"] = area(right[has_near], near)
        figures["wins, same subject"] = wins(right[has_near], near)
    return figures | {"ms a pair": 1000 * seconds / len(questions)}


def area(right: np.ndarray, wrong: np.ndarray) -> float:
    """The chance that a right answer scores above a wrong one (Mann-Whitney)."""
    difference = right[:, None] - wrong[None, :]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def wins(right: np.ndarray, wrong: np.ndarray) -> float:
    """How often the right answer scores above the wrong one to the same question."""
    return float((right > wrong).mean() + (right == wrong).mean() / 2)


if __name__ == "__main__":
    main()
