"""How a withdrawal looks: pure functions from services' values to HTML."""

from collections.abc import Sequence

from elara_ui.services.lineage import Destinations
from elara_ui.services.snapshots import SnapshotView
from elara_ui.tabs.markup import button, escape

INTRODUCTION = (
    '<p class="el-muted">What is withdrawn shapes no new training set; it stays stored, and can’t be put back. Sets and adapters '
    "that exist stay as they are: build the set without it, and train on that.</p>"
)
ELSEWHERE = (
    '<p class="el-muted">Other machines can open this page, and whoever opens it could withdraw anybody. So it is done on the '
    "machine where Elara runs: <code>python -m elara_ui snapshots withdraw ANSWER --reason …</code> and "
    "<code>python -m elara_ui reviewers withdraw NAME</code>.</p>"
)


def render_shaped(shaped: Destinations, *, is_reviewer: bool) -> str:
    """The sets, runs and adapters that something came into, before it is withdrawn."""
    veto = (
        '<p class="el-muted">Their vetoes (severe harm, under-triage, identifiers) keep answers out as before, to be on the safe '
        "side. No more answers are handed out under this name.</p>"
        if is_reviewer
        else ""
    )
    if not shaped.snapshots:
        return f'<section class="el-card" role="status"><p>{escape(shaped.summary)}</p>{veto}</section>'
    sets = ", ".join(f"{escape(each.label)} ({_rows(each.rows)})" for each in shaped.snapshots)
    runs = ", ".join(f"<code>{escape(run)}</code>" for run in shaped.runs) or "none"
    adapters = (
        ", ".join(f"{escape(each.name)}{' (live)' if each.live else ''}" for each in shaped.adapters)
        or "none"
    )
    return (
        f'<section class="el-card" role="status"><p>{escape(shaped.subject)} has shaped:</p><dl class="el-facts"><dt>Training sets</dt>'
        f"<dd>{sets}</dd><dt>Runs</dt><dd>{runs}</dd><dt>Adapters</dt><dd>{adapters}</dd></dl>{veto}</section>"
    )


def render_sets(sets: Sequence[SnapshotView]) -> str:
    """The sets that hold something withdrawn, each with the way to one that doesn't."""
    if not sets:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(each.label)}</th><td>{each.withdrawn:,} of {each.rows:,}</td><td class="el-acts">'
        f"{button('Build it without', 'rebuild', each.snapshot_id) if each.curated else 'not made by rules'}</td></tr>"
        for each in sets
    )
    return (
        '<h3>Sets that hold what was withdrawn</h3><div class="el-table-box"><table class="el-table el-framed"><thead><tr>'
        f'<th scope="col">Set</th><th scope="col">Rows withdrawn</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"
