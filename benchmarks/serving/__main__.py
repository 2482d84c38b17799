"""Measure serving: one person, a crowd, switching, memory, overhead, and that no voice is mistaken.

    python -m benchmarks.serving --models FOLDER            # everything; FOLDER holds the embedded model
    python -m benchmarks.serving --parts ad --quick         # two parts, few rounds
    python -m benchmarks.serving --json

(a) one stream: Elara's engines, xllamacpp alone, `generate` with PEFT as tutorials write it; (b) 1, 4 and 16
people over five audiences; (c) switching adapters; (d) memory with 0, 1, 5 and 20; (e) what API and page add
to the engine; (f) 2,000 mixed requests, each held to its adapter's answer alone. Ways are measured in turn,
round by round, and the best or the median round counts: on a shared machine times only get longer. Each part
runs in a process of its own. The adapters are random LoRAs made for it, strong enough to change every answer.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.serving.ground import Ground, make_adapters
from benchmarks.serving.memory import COUNTS, ENGINES
from benchmarks.serving.memory import combine as combine_memory
from benchmarks.serving.report import Report

ROOT = Path(__file__).resolve().parents[2]
TITLES: Mapping[str, str] = {
    "a": "(a) One person",
    "b": "(b) A crowd over five audiences",
    "c": "(c) Switching adapters",
    "d": "(d) Memory",
    "e": "(e) What is added to the engine",
    "f": "(f) Mixed requests",
}
MOST_ADAPTERS = COUNTS[-1]
FEW_ADAPTERS = 6
"""The audiences', and one that comes and goes."""


def main() -> int:
    """Run the parts asked for and print what they found.

    Returns:
        The exit status: 1 when an aim is missed.
    """
    options = _parse()
    if options.process:
        print(_measure(options.process, options).to_json())
        return 0
    options.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        options.adapters = Path(scratch)
        ground = _ground(options)
        wanted = MOST_ADAPTERS if "d" in options.parts else FEW_ADAPTERS
        make_adapters(ground.weights, ground.adapters, wanted, options.rank)
        reports = {}
        for part in options.parts:
            print(f"{TITLES[part]} …", file=sys.stderr, flush=True)
            reports[part] = _run_memory(options) if part == "d" else _run(part, options)
            if not options.json:
                print(reports[part].format(TITLES[part]), flush=True)
    if options.json:
        print(json.dumps({part: asdict(report) for part, report in reports.items()}, indent=2))
    return int(not all(aim.passed for report in reports.values() for aim in report.aims))


def _run_memory(options: argparse.Namespace) -> Report:
    """A process for each engine and number of adapters."""
    parts = {(engine, count): _run(f"d:{engine}:{count}", options) for engine in ENGINES for count in COUNTS}
    return combine_memory(parts, options.adapters)


def _run(part: str, options: argparse.Namespace) -> Report:
    """A part in a process of its own.

    Raises:
        RuntimeError: it failed; its own words stand on stderr.
    """
    command = [sys.executable, "-m", "benchmarks.serving", "--process", part]
    command += ["--models", str(options.models), "--adapters", str(options.adapters)]
    command += ["--dtype", options.dtype, *(["--quick"] if options.quick else [])]
    command += ["--threads", str(options.threads)] if options.threads else []
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Part {part} ended with status {done.returncode}.")
    return Report.from_json(done.stdout.splitlines()[-1])


def _measure(part: str, options: argparse.Namespace) -> Report:
    """A part, in this process; each loads what it needs and no more."""
    ground = _ground(options)
    if part.startswith("d"):
        from benchmarks.serving import memory

        _, engine, count = part.split(":")
        return memory.measure(ground, engine, int(count))
    from benchmarks.serving import crowd, mixing, overhead, single, switching

    parts: dict[str, Callable[[Ground], Report]] = {
        "a": single.measure,
        "b": crowd.measure,
        "c": switching.measure,
        "e": overhead.measure,
        "f": mixing.measure,
    }
    return parts[part](ground)


def _ground(options: argparse.Namespace) -> Ground:
    return Ground.at(options.models, options.adapters, options.threads, options.dtype, quick=options.quick)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", type=Path, default=ROOT / ".elara" / "models", help="base models")
    parser.add_argument("--parts", default="abcdef", help="letters of the parts; all if not given")
    parser.add_argument("--quick", action="store_true", help="few rounds and short answers, to try it")
    parser.add_argument("--rank", type=int, default=8, help="of the LoRAs; 8 as in the smallest recipes")
    parser.add_argument("--threads", type=int, default=None, help="of every way; as it chooses if not given")
    parser.add_argument("--dtype", default="auto", help="of the transformers engine in (a) to (d)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--process", help=argparse.SUPPRESS)
    parser.add_argument("--adapters", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.models = options.models.expanduser().resolve()
    if unknown := set(options.parts) - TITLES.keys():
        parser.error(f"--parts takes letters from {''.join(TITLES)}, not {''.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
