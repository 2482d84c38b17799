"""How the fine-tune tab looks: pure functions from services' values to HTML and tables."""

from collections.abc import Sequence

import pandas as pd

from adapters.training.rejects import Rejects
from db.vocabulary import AdapterStatus, RunStatus
from elara_ui.services.adapters import AdapterSummary
from elara_ui.services.training import DataPreview, RunView
from elara_ui.tabs.markup import button, escape, notice

SAMPLE_CHARACTERS = 280
TRAINING, HELD_OUT = "training", "held-out"


def render_preview(preview: DataPreview) -> str:
    """What would be trained on, with the first rows."""
    samples = "".join(
        f"<div><strong>{escape(_shorten(question))}</strong><br>{escape(_shorten(answer))}</div>"
        for question, answer in preview.samples
    )
    left_out = "".join(_render_rejects(rejects) for rejects in preview.rejects)
    return f'{notice(preview.summary, "info")}{left_out}<div class="el-samples">{samples}</div>'


def _render_rejects(rejects: Rejects) -> str:
    """One reason for leaving rows out, with the first of them."""
    rows = "".join(
        f"<li>row {example.row}: {escape(_shorten(example.excerpt))}</li>" for example in rejects.examples
    )
    return (
        f'<details class="el-card"><summary>{rejects.count} left out: {escape(rejects.reason)}</summary>'
        f"<ul>{rows}</ul></details>"
    )


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SAMPLE_CHARACTERS else line[: SAMPLE_CHARACTERS - 1] + "…"


def render_runs(runs: Sequence[RunView], shown_id: str | None) -> str:
    """Every run, newest first; the one looked at is marked."""
    if not runs:
        return '<p class="el-muted">No runs yet. Start one on the left; it takes minutes on a laptop.</p>'
    rows = "".join(
        f'<button type="button" class="el-row el-run" data-act="open" data-item="{run.run_id}"'
        f"{' aria-current=true' if run.run_id == shown_id else ''}>"
        f'<span><span class="el-row-title">{escape(run.audience)} · {escape(run.adapter or run.run_id)}</span>'
        f'<span class="el-row-sub">{run.created_at:%Y-%m-%d %H:%M} UTC · {run.rows} rows from '
        f"{escape(run.source)}</span></span>{_render_status(run.status)}</button>"
        for run in runs
    )
    return f'<div class="el-runs">{rows}</div>'


def _render_status(status: str) -> str:
    return f'<span class="el-status el-{escape(status)}">{escape(status)}</span>'


def render_run(run: RunView) -> str:
    """The state of one run and its figures."""
    total = run.total_steps or 0
    share = 100 if run.status is RunStatus.SUCCEEDED else round(100 * run.step / total) if total else 0
    figures = [
        ("step", f"{run.step}{f' / {total}' if total else ''}"),
        ("epoch", f"{run.epoch:.2f}"),
        ("training loss", _number(run.train_loss)),
        ("held-out loss", _number(run.eval_loss)),
        ("tokens/s", "–" if run.tokens_per_second is None else f"{run.tokens_per_second:.0f}"),
        ("time taken", _duration(run.seconds)),
        ("time left", _duration(run.remaining_seconds)),
    ]
    cells = "".join(
        f'<div class="el-figure"><b>{value}</b><span>{name}</span></div>' for name, value in figures
    )
    result = f" · made <strong>{escape(run.adapter)}</strong>" if run.adapter else ""
    trouble = notice(run.error) if run.error else ""
    return (
        f'<div class="el-card" role="status"><h3>{escape(run.audience)} · run {run.run_id} '
        f'{_render_status(run.status)}</h3><p class="el-muted">{escape(run.stage)}{result} · '
        f"on {escape(run.base_model)} · stored set {escape(run.snapshot)}</p>"
        f'<div class="el-figures">{cells}</div><div class="el-progress"><span style="width:{share}%"></span></div>'
        f"{trouble}</div>"
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    )


def render_log(text: str) -> str:
    """The last lines of the run's own log."""
    return f'<pre class="el-log" tabindex="0">{escape(text) or "Nothing written yet."}</pre>'


def tabulate_losses(run: RunView) -> pd.DataFrame:
    """The chart's rows: step, loss in nats per token, and which rows it was measured on."""
    rows = [
        (point.step, loss, part)
        for point in run.points
        for loss, part in ((point.train_loss, TRAINING), (point.eval_loss, HELD_OUT))
        if loss is not None
    ]
    # The chart keeps the lines of its first painting: both must be in it, even before they have a dot.
    missing = {TRAINING, HELD_OUT} - {part for _, _, part in rows}
    empty = [(0, float("nan"), part) for part in sorted(missing)]
    return pd.DataFrame([*rows, *empty], columns=["step", "loss", "part"])


def render_adapters(adapters: Sequence[AdapterSummary]) -> str:
    """Every adapter with its place and figures; any that isn't live can be made so."""
    if not adapters:
        return ""
    rows = "".join(
        f"<tr><td><strong>{escape(adapter.name)}</strong></td><td>{_render_status(adapter.status)}</td>"
        f"<td>{_describe_loss(adapter)}</td><td>{escape(adapter.base_model)}</td>"
        f"<td>{adapter.created_at:%Y-%m-%d %H:%M}</td><td>{_render_promotion(adapter)}</td></tr>"
        for adapter in adapters
    )
    return (
        "<h3>Adapters</h3><div class='el-table-box'><table class='el-table'><thead><tr><th>Adapter</th>"
        "<th>Status</th><th>Held-out loss</th><th>Base model</th><th>Made (UTC)</th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _describe_loss(adapter: AdapterSummary) -> str:
    before, after = adapter.metrics.get("eval_loss_before"), adapter.metrics.get("eval_loss_after")
    if before is None or after is None:
        return "not measured"
    return f"{before:.3f} → {after:.3f}"


def _render_promotion(adapter: AdapterSummary) -> str:
    if adapter.status is AdapterStatus.LIVE:
        return "answers now"
    label = "Roll back to this" if adapter.status is AdapterStatus.RETIRED else "Make live"
    return button(label, "promote", adapter.name)
