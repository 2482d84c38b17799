"""How an import of answers looks: pure functions from services' values to HTML."""

from collections import Counter
from collections.abc import Mapping, Sequence

from adapters.recipe import Recipe
from elara_ui.services.answer_files import ImportedAnswer
from elara_ui.services.importing import Dropped, ImportPreview, ImportReport
from elara_ui.tabs.markup import escape, notice, paragraphs

LISTED = 200
"""Rows left out that are named one by one."""
EXCERPT = 400

INTRODUCTION = (
    '<p class="el-muted">Answers that other models gave, one a row, with question, answer, model and audience. They are '
    "reviewed blind like all others. Nothing is taken before you have seen what would be.</p>"
)


def render_preview(seen: ImportPreview, recipes: Mapping[str, Recipe]) -> str:
    """What would be taken, the first answers as read, and what would be left out."""
    samples = "".join(_render_sample(answer, recipes) for answer in seen.samples)
    told = (
        f"{_count(seen.fresh)} would be sent to review, {_rows(len(seen.dropped))} left out. The first as they were read:"
        if seen.fresh
        else "No answer could be taken: look at the reasons, and choose the columns above."
    )
    return f'<p role="status">{told}</p><div class="el-rows">{samples}</div>{_render_dropped(seen.dropped)}'


def render_report(report: ImportReport) -> str:
    """What was taken, and every row that wasn't."""
    told = (
        f"{_count(report.kept)} {'waits' if report.kept == 1 else 'wait'} for review as “{report.batch}”; "
        f"{_rows(len(report.dropped))} left out."
        if report.kept
        else f"Nothing new: {_rows(len(report.dropped))} left out."
    )
    return notice(told, "good" if report.kept else "info") + _render_dropped(report.dropped)


def _render_sample(answer: ImportedAnswer, recipes: Mapping[str, Recipe]) -> str:
    recipe = recipes.get(answer.audience)
    text = answer.text if len(answer.text) <= EXCERPT else f"{answer.text[:EXCERPT]}…"
    before = len(answer.context) - 1
    turns = f" · {before} {'turn' if before == 1 else 'turns'} before" if before else ""
    return (
        f'<article class="el-row-card"><p class="el-row-question">{paragraphs(answer.question)}</p>'
        f'<div class="el-row-answer"><p>{paragraphs(text)}</p></div><p class="el-meta">line {answer.line} · '
        f"for {escape(recipe.title if recipe else answer.audience)} · by {escape(answer.model)} · "
        f"{escape(answer.language)}{turns}</p></article>"
    )


def _render_dropped(dropped: Sequence[Dropped]) -> str:
    """Why rows are left out, counted, and each of them by its line."""
    if not dropped:
        return ""
    reasons = "".join(
        f"<li>{number:,} {escape(reason)}</li>"
        for reason, number in Counter(row.reason for row in dropped).most_common(8)
    )
    lines = "".join(
        f"<tr><td>{row.line:,}</td><td>{escape(row.reason)}</td></tr>" for row in dropped[:LISTED]
    )
    more = (
        f'<p class="el-muted">And {len(dropped) - LISTED:,} more. All of them: '
        "<code>python -m elara_ui reviews import FILE --preview --json</code></p>"
        if len(dropped) > LISTED
        else ""
    )
    return (
        f'<div class="el-left-out"><b>{_rows(len(dropped)).capitalize()} left out</b><ul class="el-chips">{reasons}</ul>'
        '<details><summary>Line by line</summary><div class="el-table-box el-bounded"><table class="el-table el-wrap"><thead><tr><th>Line</th>'
        f"<th>Why</th></tr></thead><tbody>{lines}</tbody></table></div>{more}</details></div>"
    )


def _count(number: int) -> str:
    return "1 answer" if number == 1 else f"{number:,} answers"


def _rows(number: int) -> str:
    return {0: "no row", 1: "1 row"}.get(number, f"{number:,} rows")
