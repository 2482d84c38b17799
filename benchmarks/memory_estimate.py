"""How near the preview's memory estimate comes to what a run really takes.

    python -m benchmarks.memory_estimate --models FOLDER    # holds the embedded model, or receives it
    python -m benchmarks.memory_estimate --json

For each setting one process works the estimate out, as a preview does, and another one trains three steps
with the worker's own loading, fit and environment. What that one took is the system's own high-water mark of
its resident set (VmHWM), read when it ends. The exit status is 1 when an estimate is more than 20% off.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapters import catalog
from adapters.recipe import Hyperparameters, override
from adapters.training import loading, supervisor
from adapters.training.lora import outline_lora
from adapters.training.memory import estimate_memory, look_at_machine
from adapters.training.packing import arrange
from adapters.training.progress import Silence
from adapters.training.rendering import IGNORED, Encoded
from adapters.training.report import largest_batch

ROOT = Path(__file__).resolve().parent.parent
STEPS = 3
PROMPT_SHARE = 0.3  # of each row, as in the starter sets
KIBIBYTE = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss

TOLERANCE = 0.2  # of what was measured

# (length of every row in tokens, how many of them all rows begin with, hyperparameters)
SETTINGS: tuple[tuple[int, int, dict[str, object]], ...] = (
    (256, 0, {"precision": "bf16"}),
    (256, 0, {"precision": "bf16", "batch_size": 1}),
    (256, 0, {"precision": "fp32"}),
    (256, 0, {"precision": "bf16", "lora_r": 64, "lora_dropout": 0}),
    (256, 0, {"precision": "bf16", "gradient_checkpointing": True}),
    (256, 0, {"precision": "fp32", "batch_size": 2, "gradient_checkpointing": True}),
    (1024, 0, {"precision": "bf16", "batch_size": 2, "gradient_checkpointing": True}),
    (768, 0, {"precision": "bf16", "batch_size": 1}),
    (128, 0, {"precision": "bf16", "target_modules": "q_proj,v_proj,up_proj,down_proj"}),
    (256, 0, {"precision": "bf16", "objective": "dpo", "batch_size": 2}),
    (256, 0, {"precision": "bf16", "objective": "kto", "batch_size": 2}),
    (256, 64, {"precision": "bf16"}),
    (256, 64, {"precision": "bf16", "batch_size": 8}),
    (512, 0, {"precision": "bf16", "packing": True, "max_length": 512, "batch_size": 2}),
    (256, 0, {"precision": "bf16", "quantization": "4bit"}),
    (256, 0, {"precision": "bf16", "quantization": "8bit", "batch_size": 2}),
)


@dataclass(frozen=True)
class Measurement:
    """One setting.

    Args:
        setting: in words.
        estimated: bytes.
        measured: bytes.
    """

    setting: str
    estimated: int
    measured: int

    @property
    def ratio(self) -> float:
        """Estimated ÷ measured."""
        return self.estimated / self.measured


def main() -> None:
    """Measure every setting and print the figures."""
    parser = argparse.ArgumentParser(description="Hold the memory estimate against what runs take.")
    parser.add_argument("--models", type=Path, default=ROOT / ".elara" / "models", help="base models")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--part", choices=("estimate", "train"), help=argparse.SUPPRESS)
    parser.add_argument("--setting", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part is not None:
        length, shared, values = SETTINGS[options.setting]
        settings = override(Hyperparameters(), values)
        part = estimate if options.part == "estimate" else train
        part(options.models, make_rows(length, shared, settings), settings)
        return
    options.models.mkdir(parents=True, exist_ok=True)
    measurements = [measure(number, options.models) for number in range(len(SETTINGS))]
    print(format_json(measurements) if options.json else format_table(measurements))
    if any(abs(one.ratio - 1) > TOLERANCE for one in measurements):
        raise SystemExit(1)


def measure(number: int, models: Path) -> Measurement:
    """Estimate and train one setting, each in a process of its own."""
    length, shared, values = SETTINGS[number]
    told, _ = run_part("estimate", number, models)
    _, peak = run_part("train", number, models)
    named = ", ".join(f"{name} {value}" for name, value in values.items())
    alike = f", {shared} shared" if shared else ""
    return Measurement(f"length {length}{alike}, {named}", int(told), peak)


def run_part(part: str, number: int, models: Path) -> tuple[str, int]:
    """What a part prints, and the high-water mark of its resident set, bytes.

    Raises:
        RuntimeError: it failed; its own words stand on stderr.
    """
    command = [sys.executable, __file__, "--models", str(models), "--part", part, "--setting", str(number)]
    environment = os.environ | supervisor.QUIET | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"The part {part} of setting {number} ended with status {process.returncode}.")
    return told, usage.ru_maxrss * KIBIBYTE


def estimate(models: Path, rows: Sequence[Encoded], hyperparameters: Hyperparameters) -> None:
    """Print the estimate, bytes, as a preview works it out."""
    from adapters.training import trainer  # noqa: F401  # what a run loads counts as its overhead

    source = loading.locate(models, catalog.EMBEDDED, Silence())
    machine = look_at_machine()
    base = loading.outline(source, hyperparameters)
    shown = arrange(rows, hyperparameters, base.longest(hyperparameters), base.model.config.model_type)
    shape = largest_batch(shown, hyperparameters)
    model = outline_lora(base.model, hyperparameters)
    print(estimate_memory(model, shape, hyperparameters, base.precision, machine).total)


def train(models: Path, rows: Sequence[Encoded], hyperparameters: Hyperparameters) -> None:
    """Train a few steps, as a worker does."""
    from adapters.training import trainer

    base = loading.load(loading.locate(models, catalog.EMBEDDED, Silence()), hyperparameters)
    brief = override(hyperparameters, {"max_steps": STEPS})
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(base, rows, [], brief, folder=Path(folder) / "run", progress=Silence())


def make_rows(length: int, shared: int, hyperparameters: Hyperparameters) -> list[Encoded]:
    """As many rows of random tokens as a few steps take; to be packed, examples a quarter as long."""
    draw = random.Random(hyperparameters.seed)
    size = length // 4 if hyperparameters.packing else length
    objective, prompt = hyperparameters.objective, int(PROMPT_SHARE * size)

    def draw_row(opening: Sequence[int] = ()) -> Encoded:
        tokens = [*opening, *(draw.randrange(10, 40_000) for _ in range(size - len(opening)))]
        return Encoded(tokens, [IGNORED] * prompt + tokens[prompt:])

    beginning = [draw.randrange(10, 40_000) for _ in range(shared)]
    rows = [draw_row(beginning) for _ in range(STEPS * hyperparameters.batch_size * length // size)]
    if objective == "dpo":
        return [replace(row, rejected=draw_row(row.prompt_ids)) for row in rows]
    if objective == "kto":
        return [replace(row, wanted=number % 2 == 0) for number, row in enumerate(rows)]
    return rows


def format_table(measurements: Sequence[Measurement]) -> str:
    """The figures as a small table."""
    rows = [f"{'setting':<72}{'estimated MB':>13}{'measured MB':>13}{'ratio':>7}"]
    rows += [
        f"{one.setting:<72}{one.estimated / 1e6:>13.0f}{one.measured / 1e6:>13.0f}{one.ratio:>7.2f}"
        for one in measurements
    ]
    return "\n".join(rows)


def format_json(measurements: Sequence[Measurement]) -> str:
    """The figures as one document."""
    rows: list[dict[str, Any]] = [
        {"setting": one.setting, "estimated": one.estimated, "measured": one.measured, "ratio": one.ratio}
        for one in measurements
    ]
    return json.dumps(rows, indent=2)


if __name__ == "__main__":
    main()
