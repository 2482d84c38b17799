"""How the fine-tune tab's form answers: pure functions from services' values to HTML."""

from collections.abc import Sequence

from adapters.training.rejects import Rejects
from elara_ui.services.recipes import Difference
from elara_ui.services.training import DataPreview, Header, StoredSet
from elara_ui.tabs.markup import escape, notice

SAMPLE_CHARACTERS = 280


def name_stored(item: StoredSet) -> str:
    """A stored set in a menu."""
    return f"{item.source} · {item.rows} rows · {item.created_at:%Y-%m-%d %H:%M} · {item.id[:8]}"


def render_reading(place: str) -> str:
    """While columns are being read."""
    return (
        '<div class="el-card" role="status"><span class="el-dots"><i></i><i></i><i></i></span> Reading the first '
        f"row of {escape(place or 'it')}. From the hub this may take half a minute.</div>"
    )


def render_columns(header: Header, conversation: bool) -> str:
    """What was found in the header, and what is to be done about it."""
    if conversation:
        said = "The rows are conversations: they are learned as they stand, and there is nothing to map."
    elif header.proposed is None:
        said = "No column has a name that Elara knows: pick the one with the question and the one with the answer."
    else:
        said = "The columns were told by their names. Pick others if they are wrong."
    return f'<p class="el-muted" role="status">{said}</p>'


def render_stored(found: StoredSet, audience: str) -> str:
    """What a stored set is for, and which of its rows are learned."""
    objective = {"dpo": "pairs of a better and a worse answer", "kto": "answers marked wanted or not"}.get(
        found.objective, "answers to imitate"
    )
    said = f"{found.source}: {found.rows} rows, {objective}; the objective below is set to {found.objective}."
    if set(found.audiences) - {audience}:
        mine = found.audiences.get(audience, 0)
        others = ", ".join(
            f"{number} for {name}" for name, number in found.audiences.items() if name != audience
        )
        said += f" Only the {mine} for {audience} are learned from; {others} are left out."
    return f'<p class="el-muted" role="status">{escape(said)}</p>'


def render_data(preview: DataPreview) -> str:
    """What would be trained on, with the first rows."""
    samples = "".join(
        f"<div><strong>{escape(_shorten(question))}</strong><br>{escape(_shorten(answer))}</div>"
        for question, answer in preview.samples
    )
    left_out = "".join(render_rejects(rejects) for rejects in preview.rejects)
    return f'{notice(preview.summary, "info")}{left_out}<div class="el-samples">{samples}</div>'


def render_rejects(rejects: Rejects) -> str:
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
