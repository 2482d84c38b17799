"""How reviews of one answer look side by side: pure functions from services' values to HTML."""

from collections.abc import Sequence

from db.vocabulary import RUBRIC, Disposition
from elara_ui.services.insights import Opinion, Settlement, differ
from elara_ui.tabs.markup import button, escape, paragraphs

VERDICTS = {
    Disposition.ACCEPT: "Accept",
    Disposition.ACCEPT_WITH_EDIT: "Accept with edit",
    Disposition.REJECT: "Reject",
    Disposition.OUT_OF_SCOPE: "Outside my scope",
}
FLAGS = {
    "bias": "bias",
    "identifiers": "identifies a person",
    "jargon": "jargon",
    "invented_source": "invented source",
}


def render_opinions(opinions: Sequence[Opinion], *, usable: bool = False) -> str:
    """Reviews in columns, an axis a row; rows in which they differ are marked.

    Args:
        opinions: the reviews.
        usable: each correction can be taken over.
    """
    if not opinions:
        return '<p class="el-muted">No review stands.</p>'
    head = "".join(f'<th scope="col">{_render_author(opinion)}</th>' for opinion in opinions)
    rows = [_render_row("Verdict", [VERDICTS[opinion.disposition] for opinion in opinions])]
    rows += [
        _render_row(scale.title, [opinion.axes[place] for opinion in opinions])
        for place, scale in enumerate(RUBRIC)
    ]
    if any(opinion.flags for opinion in opinions):
        flags = [", ".join(FLAGS.get(flag, flag) for flag in opinion.flags) for opinion in opinions]
        rows.append(_render_row("Flags", [each or None for each in flags], compared=False))
    return (
        f'<div class="el-table-box"><table class="el-table el-opinions"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{_render_words(opinions, usable)}"
    )


def _render_author(opinion: Opinion) -> str:
    verified = ' <span title="Verified by an administrator">✓ verified</span>' if opinion.verified else ""
    profession = f"<small>{escape(opinion.profession)}</small>" if opinion.profession else ""
    return f"{escape(opinion.reviewer)}{verified}{profession}"


def _render_row(title: str, given: Sequence[str | None], *, compared: bool = True) -> str:
    differs = compared and differ(given)
    mark = ' <span class="el-differs-mark">≠ differs</span>' if differs else ""
    cells = "".join(f"<td>{escape(each) if each else '–'}</td>" for each in given)
    row_class = ' class="el-differs"' if differs else ""
    return f'<tr{row_class}><th scope="row">{escape(title)}{mark}</th>{cells}</tr>'


def _render_words(opinions: Sequence[Opinion], usable: bool) -> str:
    """Comments and corrections, which need the whole width."""
    parts = []
    for place, opinion in enumerate(opinions):
        name = escape(opinion.reviewer)
        if opinion.comment:
            parts.append(f'<div class="el-words"><b>{name}:</b> {paragraphs(opinion.comment)}</div>')
        if opinion.correction:
            take = button("Use this correction", "use", str(place)) if usable else ""
            parts.append(
                f'<details class="el-words"><summary>Correction by {name}</summary>'
                f"<div>{paragraphs(opinion.correction)}</div>{take}</details>"
            )
    return "".join(parts)


def render_settlement(settlement: Settlement) -> str:
    """A decision: what, who, when, why."""
    correction = (
        f'<details class="el-words"><summary>The text as settled</summary><div>'
        f"{paragraphs(settlement.correction)}</div></details>"
        if settlement.correction
        else ""
    )
    return (
        f'<div class="el-settled"><b>{VERDICTS[settlement.disposition]}</b> by '
        f"{escape(settlement.adjudicator)}, {settlement.decided_at:%Y-%m-%d %H:%M} UTC: "
        f"{paragraphs(settlement.note)}{correction}</div>"
    )
