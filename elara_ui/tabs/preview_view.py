"""How the preview of a run looks: pure functions from a report to HTML."""

import json
from collections.abc import Sequence

from adapters.training.memory import MemoryChange, MemoryEstimate
from adapters.training.report import Lengths, Plan, Preview, RenderedRow, TextPiece
from elara_ui.tabs.markup import button, command_box, escape, notice

GIB = 2**30
INVITATION = (
    '<p class="el-muted">The preview renders the first rows, counts steps and tokens, and measures time and memory '
    "on this machine. It takes about half a minute on a laptop, and training starts only after it.</p>"
)
MEMORY_PARTS = (
    ("weights", "base model"),
    ("adapter", "adapter"),
    ("optimizer", "optimizer"),
    ("gradients", "gradients"),
    ("activations", "activations"),
    ("overhead", "program and gaps"),
)


def render_wait() -> str:
    """While it is being worked out."""
    return (
        '<div class="el-card" role="status"><span class="el-dots"><i></i><i></i><i></i></span> Loading the model, '
        "rendering the rows and training three steps for the time. This may take a minute.</div>"
    )


def render_preview(preview: Preview, command: str) -> str:
    """Everything that a run would do."""
    notes = "".join(f"<li>{escape(note)}</li>" for note in preview.notes)
    return (
        '<div class="el-card el-preview" role="status"><h3>What this run will do</h3>'
        f"{_render_figures(preview)}"
        f'<p class="el-muted">Adapts {escape(", ".join(preview.target_modules))} of {escape(preview.base_model)}, '
        f"computed in {escape(preview.precision)}.</p>"
        f"{f'<ul class=el-hints>{notes}</ul>' if notes else ''}"
        f"<h4>Memory at the peak</h4>{_render_memory(preview.memory)}"
        f"<h4>Length of the examples</h4>{_render_lengths(preview.lengths)}"
        f"<h4>Rows as the model reads them</h4>{_render_rows(preview.samples)}"
        f"<h4>The same from a terminal</h4>{command_box(command)}</div>"
    )


def _render_figures(preview: Preview) -> str:
    plan = preview.plan
    figures = [
        ("to learn from", f"{preview.train:,}"),
        ("held out", f"{preview.held_out:,}"),
        ("steps", f"{plan.steps:,}"),
        ("examples a step", f"{plan.effective_batch}"),
        ("time", describe_time(plan)),
        ("tokens/s", "–" if plan.tokens_per_second is None else f"{plan.tokens_per_second:.0f}"),
        ("tokens learned from", f"{plan.supervised_share:.0%}"),
        ("work spent on padding", f"{plan.padding_share:.1%}"),
    ]
    cells = "".join(
        f'<div class="el-figure"><b>{value}</b><span>{name}</span></div>' for name, value in figures
    )
    return f'<div class="el-figures">{cells}</div>'


def describe_time(plan: Plan) -> str:
    """How long the run will take, roughly: an estimate shows no seconds beyond a minute."""
    if plan.seconds is None:
        return "not measured"
    if plan.seconds < 90:
        return f"{max(1, round(plan.seconds))} s"
    minutes = round(plan.seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{plan.seconds / 3600:.1f} h"


def _render_memory(memory: MemoryEstimate) -> str:
    """A bar of the parts against what is free, its legend, and what to change when it doesn't fit."""
    whole = max(memory.total, memory.available)
    parts = [(name, label, getattr(memory, name)) for name, label in MEMORY_PARTS]
    bar = "".join(
        f'<span class="el-part-{name}" style="width:{100 * size / whole:.2f}%" title="{label}: {_size(size)}"></span>'
        for name, label, size in parts
    )
    legend = "".join(
        f'<li><i class="el-part-{name}"></i>{label} <b>{_size(size)}</b></li>' for name, label, size in parts
    )
    place = "graphics card" if memory.device == "cuda" else "machine"
    verdict = (
        f'<p class="el-muted"><b>{_size(memory.total)}</b> of the {_size(memory.available)} that the {place} has free: '
        "it fits.</p>"
        if memory.fits
        else notice(
            f"{_size(memory.total)} is more than the {_size(memory.available)} that the {place} has free. "
            "Change one of these, or close other programs."
        )
    )
    advice = "".join(f"<li>{_render_advice(change)}</li>" for change in memory.advice)
    return (
        f'<div class="el-memory" role="img" aria-label="Memory by part">{bar}</div><ul class="el-legend">{legend}</ul>'
        f"{verdict}{f'<ul class=el-advice>{advice}</ul>' if advice else ''}"
    )


def _render_advice(change: MemoryChange) -> str:
    values = ", ".join(f"{name} {str(value).lower()}" for name, value in change.values.items())
    outcome = "fits" if change.fits else "still too much"
    apply = button("Take over", "apply", json.dumps(dict(change.values)))
    return f"{escape(values)}: {_size(change.total)}, {outcome} {apply}"


def _size(number: int) -> str:
    return f"{number / GIB:.1f} GiB" if number >= GIB / 10 else f"{number / 2**20:.0f} MiB"


def _render_lengths(lengths: Lengths) -> str:
    """The histogram, and what becomes of what is too long."""
    most = max(item.rows for item in lengths.bins)
    bars = "".join(
        f'<div class="el-bin{" el-over" if item.low >= lengths.limit else ""}" '
        f'title="{item.low} to {item.high - 1} tokens: {item.rows}">'
        f'<b>{item.rows or ""}</b><span style="height:{100 * item.rows / most:.1f}%"></span><i>{item.low}</i></div>'
        for item in lengths.bins
    )
    return (
        f'<div class="el-histogram" role="img" aria-label="Examples by length in tokens">{bars}</div>'
        f'<p class="el-muted">{lengths.shortest} to {lengths.longest} tokens, half of them up to {lengths.median}. '
        f"{describe_overlong(lengths)}</p>"
    )


def describe_overlong(lengths: Lengths) -> str:
    """What becomes of examples that are over the limit."""
    if not lengths.over_limit:
        return f"None is over the limit of {lengths.limit}."
    outcome = (
        f"{lengths.shortened} lose the oldest part of their prompt, no answer is cut"
        if lengths.policy == "truncate_prompt"
        else f"{lengths.left_out} are left out, none is cut"
    )
    return f"<b>{lengths.over_limit}</b> are over the limit of {lengths.limit}: {outcome}."


def _render_rows(samples: Sequence[RenderedRow]) -> str:
    """The first rows; what is learned is coloured."""
    rows = "".join(
        f"<details{' open' if number == 1 else ''}><summary>Row {number}{_say_wanted(row)}: {row.tokens} tokens, "
        f"{row.supervised_tokens} of them learned</summary>{_render_text(row)}{_render_rejected(row)}</details>"
        for number, row in enumerate(samples, start=1)
    )
    return f'<p class="el-muted">Only <mark class="el-learned">what is coloured</mark> is learned.</p>{rows}'


def _say_wanted(row: RenderedRow) -> str:
    """For kto, whether the answer is wanted."""
    return "" if row.wanted is None else ", wanted" if row.wanted else ", not wanted"


def _render_rejected(row: RenderedRow) -> str:
    """For dpo, the same prompt with the worse answer."""
    if row.rejected is None:
        return ""
    return f'<p class="el-muted">Rejected in its place:</p>{_render_text(row.rejected)}'


def _render_text(row: RenderedRow) -> str:
    return f'<pre class="el-rendered" tabindex="0">{"".join(map(_render_piece, row.pieces))}</pre>'


def _render_piece(piece: TextPiece) -> str:
    text = escape(piece.text)
    return f'<mark class="el-learned">{text}</mark>' if piece.supervised else text
