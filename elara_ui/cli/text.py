"""What the command line writes: documents to stdout, notes to stderr, and a value in a line for people."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from adapters.recipe import Recipe
from adapters.training.memory import MemoryEstimate
from adapters.training.rejects import Rejects
from adapters.training.report import Lengths, RenderedRow, TextPiece
from elara_ui.clinical.readability import judge
from elara_ui.clinical.redflags import Finding
from elara_ui.services.adapters import AdapterSummary, ProbeStanding
from elara_ui.services.answers import Answer
from elara_ui.services.run_views import Comparison, RunView
from elara_ui.services.serving import ServingState, ServingStatus
from elara_ui.services.training import Preview

GIB = 2**30


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
        answer.made_by,
    ]
    if not answer.is_fixed:
        parts.append(f"{answer.completion_tokens} tokens at {answer.tokens_per_second:.0f}/s")
        parts.append(f"first after {answer.first_token_seconds:.1f} s")
    if answer.reading_grade is not None:
        parts.append(f"reading grade {answer.reading_grade:.1f}")
    if verdict := judge(answer.reading_grade, recipe.readability_aim, recipe.readability_warn):
        parts.append(f"{verdict} (target at most {recipe.readability_aim:g})")
    return " · ".join(parts)


def format_red_flags(finding: Finding) -> str:
    """What to do now, and why it is said, before the model answers."""
    sentences = {reason.category: reason.sentence for reason in finding.reasons}
    blocks = [
        f"RED FLAG: {card.title}\n{card.text}\nWhy: you wrote “{sentences[card.category]}”."
        for card in finding.advice
    ]
    return "\n\n".join([*blocks, f"Fixed rules, version {finding.version}; not clinically reviewed.", ""])


def format_run(run: RunView) -> list[str]:
    """A run in a row: id, audience, status, steps, losses, rate and what came of it."""
    steps = f"step {run.step}/{run.total_steps}" if run.total_steps else ""
    losses = [
        f"{name} {loss:.3f}" for name, loss in (("loss", run.train_loss), ("held-out", run.eval_loss)) if loss
    ]
    rate = f"{run.tokens_per_second:.0f} tokens/s" if run.tokens_per_second else ""
    place = f"place {run.place} in the queue" if run.place else run.stage
    outcome = run.adapter or ("" if run.status.ended else place)
    return [run.run_id, run.audience, str(run.status), steps, ", ".join(losses), rate, outcome]


def format_comparison(comparison: Comparison) -> str:
    """Runs in columns: final figures above, and beneath them the choices in which they differ."""
    runs = comparison.runs
    rows = [
        ["", *(run.run_id for run in runs)],
        ["status", *(str(run.status) for run in runs)],
        ["steps", *(f"{run.step}/{run.total_steps or '?'}" for run in runs)],
        ["training loss", *(_figure(run.train_loss) for run in runs)],
        ["held-out loss", *(_figure(run.eval_loss) for run in runs)],
        ["best held-out loss", *(_figure(run.best_loss) for run in runs)],
        ["before training", *(_figure(run.base_loss) for run in runs)],
        ["tokens/s", *(_figure(run.tokens_per_second, 0) for run in runs)],
        ["peak memory, GiB", *(_figure(run.peak_memory and run.peak_memory / GIB, 1) for run in runs)],
        ["time", *("" if run.seconds is None else format_span(run.seconds) for run in runs)],
        ["adapter", *(run.adapter or "" for run in runs)],
    ]
    differences = [[row.name, *row.values] for row in comparison.differences]
    if not differences:
        return f"{format_table(rows)}\n\nSame audience, base model, stored set and settings."
    return f"{format_table([*rows, [''] * (len(runs) + 1), *differences])}"


def _figure(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def format_adapter(adapter: AdapterSummary) -> list[str]:
    """An adapter in a row: name, status, base model, when it was made, and its probe if it needs one."""
    made = adapter.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    probe = "" if adapter.probe is ProbeStanding.NOT_NEEDED else f"brought in, probe: {adapter.probe}"
    return [adapter.name, str(adapter.status), adapter.base_model, made, probe]


def format_rejects(summary: str, rejects: Sequence[Rejects]) -> str:
    """What would be trained on, and beneath it what is left out: each reason with its first rows."""
    lines = [summary]
    for group in rejects:
        lines.append(f"  {group.reason}: {group.count}")
        lines += [f"    row {example.row}: {example.excerpt}" for example in group.examples]
    return "\n".join(lines)


def format_preview(preview: Preview) -> str:
    """What a run would do; what is learned of the sample rows stands between » and «."""
    plan, memory = preview.plan, preview.memory
    seconds = "not calibrated" if plan.seconds is None else f"about {format_span(plan.seconds)}"
    rate = "" if plan.tokens_per_second is None else f" at {plan.tokens_per_second:.0f} tokens/s"
    rows = [
        ["Rows", f"{preview.train} to learn from, {preview.held_out} held out"],
        ["Layers", f"{', '.join(preview.target_modules)} of {preview.base_model}, in {preview.precision}"],
        ["Lengths", _format_lengths(preview.lengths)],
        ["Tokens", f"{plan.supervised_share:.0%} learned, {plan.padding_share:.0%} of the work is padding"],
        ["Steps", f"{plan.steps}, {plan.effective_batch} examples each"],
        ["Time", f"{seconds}{rate}"],
        ["Memory", _format_memory(memory)],
    ]
    samples = [line for row in preview.samples for line in _format_sample(row)]
    advice = [
        f"To need less: {', '.join(f'{name}={value}' for name, value in change.values.items())}: "
        f"{change.total / GIB:.1f} GiB{'' if change.fits else ', still too much'}"
        for change in memory.advice
    ]
    bars = [f"{bar.low:>6} to {bar.high - 1:<6} {bar.rows}" for bar in preview.lengths.bins]
    return "\n".join(
        [*samples, "", format_table(rows), *advice, *preview.notes, "", "Tokens      Rows", *bars]
    )


def _format_sample(row: RenderedRow) -> list[str]:
    """A row as rendered; for kto with its label before it, for dpo with the worse answer after it."""
    text = "".join(_mark(piece) for piece in row.pieces)
    if row.wanted is not None:
        return [f"{'Wanted' if row.wanted else 'Not wanted'}:", text]
    if row.rejected is None:
        return [text]
    worse = "".join(_mark(piece) for piece in row.rejected.pieces if piece.supervised)
    return [text, f"Rejected in its place: {worse}"]


def _format_lengths(lengths: Lengths) -> str:
    text = f"{lengths.shortest} to {lengths.longest} tokens, half of them up to {lengths.median}"
    if not lengths.over_limit:
        return f"{text}; none over the limit of {lengths.limit}"
    outcome = (
        f"{lengths.shortened} prompts shortened" if lengths.shortened else f"{lengths.left_out} left out"
    )
    return f"{text}; {lengths.over_limit} over the limit of {lengths.limit}: {outcome}"


def _format_memory(memory: MemoryEstimate) -> str:
    names = ("weights", "adapter", "optimizer", "gradients", "activations", "overhead")
    parts = ", ".join(f"{name} {getattr(memory, name) / GIB:.2f}" for name in names)
    fit = "fits into" if memory.fits else "does NOT fit into"
    return f"{memory.total / GIB:.1f} GiB at the peak ({parts}); {fit} {memory.available / GIB:.1f} GiB"


def _mark(piece: TextPiece) -> str:
    return f"»{piece.text}«" if piece.supervised else piece.text


def format_span(seconds: float) -> str:
    """A length of time, s, in the unit that fits."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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
