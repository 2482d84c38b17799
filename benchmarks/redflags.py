"""How long the red-flag rules take: to load, and to read messages of several lengths.

    python benchmarks/redflags.py           # a table
    python benchmarks/redflags.py --json

Times are of processor seconds, the best of several, so that other programs on the machine count for little.
Loading is measured in a fresh interpreter, imports included, and once more without them.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from elara_ui.clinical.redflags import Rules, load_rules  # noqa: E402

MESSAGES = ROOT / "tests" / "unit" / "clinical" / "redflag_messages.jsonl"
LENGTHS = (20, 200, 1000)
REPEATS = 15
LOADING = """
import time; began = time.process_time()
from elara_ui.clinical.redflags import load_rules
imported = time.process_time(); load_rules()
print(imported - began, time.process_time() - imported)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the red-flag rules.")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    as_json = parser.parse_args().json
    imports, loading = measure_loading()
    rules = load_rules()
    figures = {"import_ms": imports, "load_ms": loading}
    figures |= {f"{length}_words_ms": measure_message(rules, length) for length in LENGTHS}
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join(f"{name:<18}{value:>9.2f}" for name, value in figures.items()))


def measure_loading() -> tuple[float, float]:
    """Importing, and reading and compiling the rules, each the best of three fresh interpreters, ms."""
    runs = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", LOADING], cwd=ROOT, capture_output=True, text=True, check=True
        )
        runs.append(tuple(float(part) * 1000 for part in done.stdout.split()))
    return min(run[0] for run in runs), min(run[1] for run in runs)


def measure_message(rules: Rules, length: int) -> float:
    """One message of so many words, made of real ones, ms."""
    rows = [json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()]
    sentences = [row["text"] for row in rows if "text" in row][:: max(1, 400 // length)]
    words = ". ".join(sentences).split()
    turns = [{"role": "user", "content": " ".join(words[:length])}]
    best = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        rules.triage(turns)
        best = min(best, time.process_time() - began)
    return best * 1000


if __name__ == "__main__":
    main()
