"""A run's figures in the files that other tools read: TensorBoard's, CSV and JSON lines."""

import csv
import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from adapters.errors import RunError
from db.models import Run, RunPoint, RunSample
from db.run_points import FIGURES

TAGS = {
    "train_loss": "loss/training",
    "eval_loss": "loss/held-out",
    "learning_rate": "training/learning_rate",
    "grad_norm": "training/gradient_norm",
    "tokens_per_second": "speed/useful_tokens_per_second",
    "padded_tokens_per_second": "speed/padded_tokens_per_second",
    "memory_bytes": "memory/bytes",
    "reward_accuracy": "rewards/accuracy_training",
    "reward_margin": "rewards/margin_training",
    "eval_reward_accuracy": "rewards/accuracy_held-out",
    "eval_reward_margin": "rewards/margin_held-out",
}


class RunFormat(StrEnum):
    """What a run's figures are written as."""

    TENSORBOARD = "tensorboard"  # a folder that `tensorboard --logdir` shows
    CSV = "csv"
    JSONL = "jsonl"


def export_run(
    run: Run, points: Sequence[RunPoint], samples: Sequence[RunSample], to: RunFormat, path: Path
) -> Path:
    """Write a run's figures.

    Args:
        run: the run.
        points: the dots of its charts.
        samples: its answers to the fixed questions; TensorBoard alone shows them.
        to: as what.
        path: the file; for TensorBoard a folder, in which each run gets one of its own.

    Returns:
        What was written.

    Raises:
        RunError: the run has no figures yet, or the place can't be written.
    """
    if not points:
        raise RunError(f"Run {run.id} has no figures yet. Export it once it has begun to learn.")
    try:
        match to:
            case RunFormat.TENSORBOARD:
                return _write_tensorboard(run, points, samples, path)
            case RunFormat.CSV:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("w", encoding="utf-8", newline="") as file:
                    writer = csv.DictWriter(file, ["step", *FIGURES, "time"])
                    writer.writeheader()
                    writer.writerows(_rows(points))
            case RunFormat.JSONL:
                path.parent.mkdir(parents=True, exist_ok=True)
                lines = (json.dumps({k: v for k, v in row.items() if v is not None}) for row in _rows(points))
                path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise RunError(f"The run can't be exported to {path}: {error.strerror}. Choose another place.") from (
            error
        )
    return path


def _rows(points: Sequence[RunPoint]) -> Iterable[dict[str, Any]]:
    for point in points:
        figures = {name: getattr(point, name) for name in FIGURES}
        yield {"step": point.step, **figures, "time": point.created_at.isoformat()}


def _write_tensorboard(
    run: Run, points: Sequence[RunPoint], samples: Sequence[RunSample], path: Path
) -> Path:
    from tensorboardX import SummaryWriter

    folder = path / f"{run.audience}-{run.id}"
    for old in folder.glob("events.out.tfevents.*"):  # an earlier export would be shown beside this one
        old.unlink()
    with SummaryWriter(str(folder)) as writer:
        recipe = json.dumps(run.recipe, indent=2)
        writer.add_text("recipe", f"```\n{recipe}\n```", 0)
        for point in points:
            for name, tag in TAGS.items():
                if (value := getattr(point, name)) is not None:
                    writer.add_scalar(tag, value, point.step, point.created_at.timestamp())
        for sample in samples:
            writer.add_text(f"probe/{sample.probe}", sample.text, sample.step, sample.created_at.timestamp())
    return folder
