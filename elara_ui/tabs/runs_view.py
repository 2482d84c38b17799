"""How runs look: pure functions from services' values to HTML and tables."""

from collections.abc import Sequence

import pandas as pd

from db.vocabulary import RunStatus
from elara_ui.services.runs import RunView
from elara_ui.tabs.markup import escape, notice, status_pill

TRAINING, HELD_OUT = "training", "held-out"


def render_runs(runs: Sequence[RunView], shown_id: str | None) -> str:
    """Every run, newest first; the one looked at is marked."""
    if not runs:
        return '<p class="el-muted">No runs yet. Start one on the left; it takes minutes on a laptop.</p>'
    rows = "".join(
        f'<button type="button" class="el-row el-run" data-act="open" data-item="{run.run_id}"'
        f"{' aria-current=true' if run.run_id == shown_id else ''}>"
        f'<span><span class="el-row-title">{escape(run.audience)} · {escape(run.adapter or run.run_id)}</span>'
        f'<span class="el-row-sub">{run.created_at:%Y-%m-%d %H:%M} UTC · {run.rows} rows from '
        f"{escape(run.source)}</span></span>{status_pill(run.status)}</button>"
        for run in runs
    )
    return f'<div class="el-runs">{rows}</div>'


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
        f'{status_pill(run.status)}</h3><p class="el-muted">{escape(run.stage)}{result} · '
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
