"""How the fine-tune tab's form answers: pure functions from services' values to HTML."""

from collections.abc import Sequence

from adapters.training.rejects import Rejects
from elara_ui.services.recipes import Difference
from elara_ui.services.training import DataPreview
from elara_ui.tabs.markup import escape, notice

SAMPLE_CHARACTERS = 280


def render_data(preview: DataPreview) -> str:
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


def render_changes(preset: str, differences: Sequence[Difference], hints: Sequence[str]) -> str:
    """What differs from the preset, and what is unusual about it."""
    if differences:
        changed = "".join(
            f"<li>{escape(item.label)} <s>{escape(item.before or 'empty')}</s> "
            f"<b>{escape(item.after or 'empty')}</b></li>"
            for item in differences
        )
        said = f'<p class="el-muted">Changed from the preset “{escape(preset)}”:</p><ul class="el-chips">{changed}</ul>'
    else:
        said = f'<p class="el-muted">As the preset “{escape(preset)}” and the audience’s recipe have it.</p>'
    warned = "".join(f"<li>{escape(hint)}</li>" for hint in hints)
    return said + (f'<ul class="el-hints" role="status">{warned}</ul>' if warned else "")
