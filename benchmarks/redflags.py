"""How long the red-flag rules take: to load, and to read messages of several lengths.

    python benchmarks/redflags.py           # a table
    python benchmarks/redflags.py --json

Times are processor seconds of the thread that works, the best of several, so that other programs on the
machine count for little, nor do numpy's threads that wait awake. Loading is measured in a fresh interpreter,
imports included, and once more without them. The messages are made of the development set, so they hold a
red flag in every other sentence: what takes longest. "New" ones are read once each, the median of many.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from elara_ui.clinical.redflags import Rules, load_rules  # noqa: E402

MESSAGES = ROOT / "tests" / "unit" / "clinical" / "redflag_messages.jsonl"
LENGTHS = (20, 200, 1000)
REPEATS = 15
NEW_MESSAGES = 100
LOADING = """
import time; began = time.thread_time()
from elara_ui.clinical.redflags import load_rules
imported = time.thread_time(); load_rules()
print(imported - began, time.thread_time() - imported)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the red-flag rules.")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    as_json = parser.parse_args().json
    imports, loading = measure_loading()
    rules = load_rules()
    figures = {"import_ms": imports, "load_ms": loading}
    figures |= {f"{length}_new_words_ms": measure_new_messages(rules, length) for length in LENGTHS}
    figures |= {f"{length}_words_ms": measure_message(rules, length) for length in LENGTHS}
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join(f"{name:<20}{value:>9.2f}" for name, value in figures.items()))


def measure_loading() -> tuple[float, float]:
    """Importing, and reading and compiling the rules, each the best of three fresh interpreters, ms."""
    runs = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", LOADING], cwd=ROOT, capture_output=True, text=True, check=True
        )
        runs.append(tuple(float(part) * 1000 for part in done.stdout.split()))
    return min(run[0] for run in runs), min(run[1] for run in runs)


def measure_new_messages(rules: Rules, length: int) -> float:
    """Messages of so many words, none of which was read before, the median, ms."""
    sentences = read_sentences()
    shuffle = random.Random(length).shuffle
    took = []
    for _ in range(NEW_MESSAGES):
        shuffle(sentences)
        took.append(time_triage(rules, sentences, length))
    return statistics.median(took) * 1000


def measure_message(rules: Rules, length: int) -> float:
    """One message of so many words, the best of several, ms."""
    sentences = read_sentences()[:: max(1, 400 // length)]
    return min(time_triage(rules, sentences, length) for _ in range(REPEATS)) * 1000


def time_triage(rules: Rules, sentences: Sequence[str], length: int) -> float:
    """Processor seconds for a message of the first words of sentences."""
    turns = [{"role": "user", "content": " ".join(". ".join(sentences).split()[:length])}]
    began = time.thread_time()
    rules.triage(turns)
    return time.thread_time() - began


def read_sentences() -> list[str]:
    """The messages of the development set."""
    rows = [json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()]
    return [row["text"] for row in rows if "text" in row]


if __name__ == "__main__":
    main()
