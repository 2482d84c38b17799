"""How the shelf of adapters looks: a row for each version, for reading; Fine-tune is where they are made live."""

from collections.abc import Sequence

from elara_ui.services.adapter_shelf import ShelvedAdapter
from elara_ui.tabs.adapters_view import describe_size
from elara_ui.tabs.markup import escape, status_pill


def render_shelf(shelf: Sequence[ShelvedAdapter]) -> str:
    """Every version with base, lineage, size and status."""
    head = (
        '<h3>Adapters</h3><p class="el-muted">An adapter answers on its own base model only: those of other '
        "models wait until theirs is served. They are made live, exported and explained under Fine-tune.</p>"
    )
    if not shelf:
        return f'<section class="el-models">{head}<p class="el-muted">None yet: train one under Fine-tune.</p></section>'
    rows = "".join(map(_render_row, shelf))
    return (
        f'<section class="el-models">{head}<div class="el-table-box"><table class="el-table el-shelf"><thead><tr>'
        "<th>Adapter</th><th>Status</th><th>Base model</th><th>Where it came from</th><th>Size</th>"
        f"<th>Made (UTC)</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _render_row(adapter: ShelvedAdapter) -> str:
    waits = "" if adapter.served else "<br><small>not served now</small>"
    origin = escape(_describe_origin(adapter))
    if adapter.trouble:
        origin = f'<span class="el-grade-high">{escape(adapter.trouble)}</span>'
    return (
        f'<tr><th scope="row">{escape(adapter.name)}</th><td>{status_pill(adapter.status)}</td>'
        f"<td>{escape(adapter.base_title)}{waits}</td><td>{origin}</td><td>{describe_size(adapter.size)}</td>"
        f"<td>{adapter.created_at:%Y-%m-%d %H:%M}</td></tr>"
    )


def _describe_origin(adapter: ShelvedAdapter) -> str:
    """Parent, data and run, as far as they are known."""
    parts = [
        f"goes on from {adapter.parent}" if adapter.parent else "",
        f"{adapter.rows} rows of {adapter.dataset or 'a set not named'}" if adapter.rows else "",
        _describe_maker(adapter),
    ]
    return " · ".join(part for part in parts if part)


def _describe_maker(adapter: ShelvedAdapter) -> str:
    if adapter.run_id:
        return f"run {adapter.run_id}"
    return "comes with Elara" if adapter.is_starter else "brought in"
