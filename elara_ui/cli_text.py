"""What the command line writes: documents to stdout, notes to stderr, and a value in a line for people."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from adapters.recipe import Recipe
from elara_ui.clinical.readability import judge
from elara_ui.services.adapters import AdapterSummary
from elara_ui.services.answers import Answer
from elara_ui.services.serving import ServingState, ServingStatus
from elara_ui.services.training import DataPreview, RunView


def write_document(document: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout."""
    print(json.dumps(document, ensure_ascii=False, indent=2, default=_as_json))


def write_note(text: str) -> None:
    """Write a line to stderr."""
    print(text, file=sys.stderr, flush=True)


def format_answer(answer: Answer, recipe: Recipe) -> str:
    """The figures of an answer, as the page shows them beneath it."""
    parts = [
        answer.audience,
        answer.adapter or f"{answer.base_model}, no adapter",
        f"{answer.completion_tokens} tokens at {answer.tokens_per_second:.0f}/s",
        f"first after {answer.first_token_seconds:.1f} s",
    ]
    if answer.reading_grade is not None:
        parts.append(f"reading grade {answer.reading_grade:.1f}")
    if verdict := judge(answer.reading_grade, recipe.readability_aim, recipe.readability_warn):
        parts.append(f"{verdict} (target at most {recipe.readability_aim:g})")
    return " · ".join(parts)


def format_run(run: RunView) -> list[str]:
    """A run in a row: id, audience, status, steps, losses, rate and what came of it."""
    steps = f"step {run.step}/{run.total_steps}" if run.total_steps else ""
    losses = [
        f"{name} {loss:.3f}" for name, loss in (("loss", run.train_loss), ("held-out", run.eval_loss)) if loss
    ]
    rate = f"{run.tokens_per_second:.0f} tokens/s" if run.tokens_per_second else ""
    outcome = run.adapter or ("" if run.status.ended else run.stage)
    return [run.run_id, run.audience, str(run.status), steps, ", ".join(losses), rate, outcome]


def format_adapter(adapter: AdapterSummary) -> list[str]:
    """An adapter in a row: name, status, base model and when it was made."""
    made = adapter.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    return [adapter.name, str(adapter.status), adapter.base_model, made]


def format_rejects(preview: DataPreview) -> str:
    """What would be trained on, and beneath it what is left out: each reason with its first rows."""
    lines = [preview.summary]
    for group in preview.rejects:
        lines.append(f"  {group.reason}: {group.count}")
        lines += [f"    row {example.row}: {example.excerpt}" for example in group.examples]
    return "\n".join(lines)


def format_serving(status: ServingStatus) -> str:
    """How the model is coming up; a download in steps of ten per cent."""
    if status.state is ServingState.FETCHING and status.fraction is not None:
        return f"{status.message} {int(status.fraction * 10) * 10} %"
    return status.message


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows under each other, columns aligned; empty for no rows."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _as_json(value: object) -> str:
    """Values that JSON has no form for."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path | StrEnum):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
