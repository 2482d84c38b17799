"""The command that does on a terminal what a person set up on the page."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from adapters import catalog
from adapters.hyperparameters import Difference
from adapters.training.columns import write_parts
from elara_ui.services.training_data import DataChoice, DataSource


def train_command(audience: str, data: DataChoice, changed: Sequence[Difference], base_model: str) -> str:
    """The ``train`` command for one launch.

    Args:
        audience: for whom.
        data: what is learned. Of an uploaded file the name is given: where it lies is the reader's to say.
        changed: what differs from the preset.
        base_model: catalogue id, hub id or folder.
    """
    words = ["--audience", audience, "--dataset", name_dataset(data)]
    if base_model != catalog.EMBEDDED:
        words += ["--base", base_model]
    if data.skip_bad_rows and data.source in (DataSource.FILE, DataSource.HUB):
        words.append("--skip-bad-rows")
    if data.columns is not None:
        words += ["--columns", write_parts(data.columns)]
    for difference in changed:
        words += ["--set", f"{difference.name}={difference.after}"]
    return f"python -m elara_ui train {shlex.join(words)}"


def distill_command(
    teacher: str,
    prompts: DataChoice,
    *,
    base_model: str = "",
    review: bool = False,
    max_grade: float | None = None,
    max_tokens: int | None = None,
    accept_identifiers: bool = False,
) -> str:
    """The ``adapters distill`` command for one lesson.

    Args:
        teacher: the adapter.
        prompts: whose questions it answers.
        base_model: to be trained on what passes; empty for none.
        review: whether what passes goes to review.
        max_grade: highest reading grade; None takes the audience's.
        max_tokens: longest answer, tokens; None takes the audience's.
        accept_identifiers: likely identifiers in the prompts may leave this machine.
    """
    words = ["adapters", "distill", teacher, "--prompts", name_dataset(prompts)]
    if base_model:
        words += ["--base", base_model, "--train"]
    if review:
        words.append("--review")
    if max_grade is not None:
        words += ["--max-grade", f"{max_grade:g}"]
    if max_tokens is not None:
        words += ["--max-tokens", str(max_tokens)]
    if accept_identifiers:
        words.append("--accept-identifiers")
    return f"python -m elara_ui {shlex.join(words)}"


def name_dataset(data: DataChoice) -> str:
    """What ``--dataset`` calls the rows."""
    match data.source:
        case DataSource.SNAPSHOT:
            return f"snapshot:{data.reference}"
        case DataSource.HUB:
            return data.reference
        case DataSource.FILE:
            name = data.name or str(data.path or "FILE")
            return f"{name}:{data.split}" if data.split else name
        case _:
            return str(data.source)


def add_command(sources: Sequence[Path], audience: str, base_model: str, by: str) -> str:
    """The ``adapters add`` command for one adapter.

    Args:
        sources: where it is. Of uploaded files the names are given: where they lie is the reader's to say.
        audience: for whom it speaks.
        base_model: catalogue id, hub id or path; empty to go by what its files say.
        by: who brings it; empty for nobody.
    """
    words = [str(source) if source.is_dir() else source.name for source in sources]
    words += ["--audience", audience]
    if base_model:
        words += ["--base", base_model]
    if by.strip():
        words += ["--by", by.strip()]
    return f"python -m elara_ui adapters add {shlex.join(words)}"
