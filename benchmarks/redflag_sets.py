"""What the red flags find in sets of messages that they haven't learned from.

    python benchmarks/redflag_sets.py                         # the sets that were written blind
    python benchmarks/redflag_sets.py seventh_set --json

The sets are parted in five, and each part is judged by what all other sets taught, at the limits that stand
in `judgement.py`, with one network in place of three. The rules themselves were mended by the sets up to the
twelfth, so those figures flatter. Two minutes a part; needs scikit-learn and torch.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "tests" / "unit" / "clinical"
sys.path[:0] = [str(ROOT), str(HERE)]

from make_redflag_likeness import learn, read_ordinary, read_sets  # noqa: E402

from elara_ui.clinical.redflags import Rules, load_rules  # noqa: E402
from elara_ui.clinical.redflags.report import wilson  # noqa: E402

BLIND = (
    "eleventh_set",
    "twelfth_set",
    *(f"thirteenth_set_{part}" for part in "abc"),
    "fifteenth_set",
    "fifteenth_set_ordinary",
    *(f"sixteenth_set_{part}" for part in "abcdef"),
    *(f"eighteenth_set_{part}" for part in "abcdef"),
    *(f"twentieth_set_{part}" for part in "bc"),
    *(f"twentyfourth_set_{part}" for part in "abc"),
    *(f"twentyseventh_set_{part}" for part in "abcdefghijklmnopqr"),
    *(f"twentyninth_set_{part}" for part in "abcdefghijk"),
    *(f"thirtysecond_set_{part}" for part in "abcdefghijklmnopqrstu"),
)
PARTS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Judge each set by what the others taught.")
    parser.add_argument("sets", nargs="*", default=BLIND, help="names of redflag_NAME.jsonl; the blind ones")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    arguments = parser.parse_args()
    shipped = load_rules()
    counted: dict[str, dict[str, list[int]]] = {}
    files = {name: HERE / f"redflag_{name}.jsonl" for name in arguments.sets}
    for name, file in files.items():
        if not file.is_file():
            parser.error(f"There is no set {name!r}: {file} is missing. Give names such as {BLIND[0]}.")
    for names in (list(files)[part::PARTS] for part in range(min(PARTS, len(files)))):
        others = read_sets([files[name].name for name in names]) + read_ordinary()
        blind = replace(shipped, learned=learn(others, networks=1))
        for name in names:
            lines = files[name].read_text(encoding="utf-8").splitlines()
            counted[name] = count(blind, [json.loads(line) for line in lines])
            if not arguments.json:
                print(format_line(name, counted[name]), flush=True)
    figures = counted | {"all": add(list(counted.values()))}
    print(json.dumps(figures) if arguments.json else format_line("all", figures["all"]))


def count(rules: Rules, messages: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Figure → so many of so many."""
    counts = {
        name: [0, 0] for name in ("found", "right category", "look-alikes", "ordinary", "overruled", "shown")
    }
    alone = replace(rules, learned=None)
    for message in messages:
        turns = message.get("messages") or [{"role": "user", "content": message["text"]}]
        categories = rules.triage(turns).categories
        if message["expected"]:
            _add(counts["found"], bool(categories))
            _add(counts["right category"], set(message["expected"]) <= set(categories))
            if alone.triage(turns).emergency:
                _add(counts["overruled"], not categories)
            if categories:
                _add(counts["shown"], len(categories))
        else:
            _add(counts["ordinary" if message["kind"] == "ordinary" else "look-alikes"], bool(categories))
    return counts


def add(counts: Sequence[Mapping[str, list[int]]]) -> dict[str, list[int]]:
    """The sums of several sets."""
    return {name: [sum(each[name][part] for each in counts) for part in (0, 1)] for name in counts[0]}


def format_line(name: str, counts: Mapping[str, list[int]]) -> str:
    """A set's figures in a line; an emergency's rules overruled, and categories shown an emergency, last."""
    shares = []
    for figure, (hits, total) in counts.items():
        if figure == "shown":
            shares.append(f"{hits / max(total, 1):.2f} categories shown")
        elif total:
            low, high = wilson(hits, total)
            shares.append(f"{figure} {hits}/{total} ({hits / total:.1%}; {low:.1%} to {high:.1%})")
    return f"{name}: {', '.join(shares)}"


def _add(counted: list[int], hit: int) -> None:
    counted[0] += hit
    counted[1] += 1


if __name__ == "__main__":
    main()
