"""The reading grades of insights: a line for each maker, and the same in figures."""

from collections.abc import Sequence

import pandas as pd

from elara_ui.clinical.readability import describe_target
from elara_ui.services.reading import ReadingFigures
from elara_ui.tabs.insights_charts import LINES, PERCENT, name_origin
from elara_ui.tabs.markup import escape

LOWEST, HIGHEST = 0, 18
"""Grades drawn; what lies beyond is counted at the ends, since no school year stands for it."""

SCALE = 18
"""Grades that the small bars in the table are long."""


def choose_most(rows: Sequence[ReadingFigures]) -> list[ReadingFigures]:
    """The makers with the most answers, as many as can be told apart, in the order of the rows."""
    most = sorted(rows, key=lambda row: -row.answers)[: len(LINES)]
    return [row for row in rows if row in most]


def tabulate_grades(rows: Sequence[ReadingFigures]) -> pd.DataFrame:
    """For each maker, the share of its answers in each whole grade, %."""
    dots: list[tuple[int, float, str]] = []
    for row in rows:
        years = dict.fromkeys(range(LOWEST, HIGHEST + 1), 0)
        for grade, answers in row.counts:
            years[min(HIGHEST, max(LOWEST, round(grade)))] += answers
        name = name_origin(row.audience, row.made_by)
        dots += [(year, round(PERCENT * number / row.answers, 1), name) for year, number in years.items()]
    return pd.DataFrame(dots, columns=["grade", "share", "maker"])


def render_grades(rows: Sequence[ReadingFigures]) -> str:
    """Median, quartiles and the share within the target, one maker a line."""
    if not rows:
        return (
            '<p class="el-muted el-pad">No answer fits. Choose another audience, adapter or period; grades are '
            "kept with each answer that the Chat tab gives.</p>"
        )
    body = "".join(
        f'<tr><th scope="row">{escape(name_origin(row.audience, row.made_by))}</th>'
        f"<td>{_render_within(row)}</td><td><b>{row.median:.1f}</b></td><td>{_render_box(row)}</td>"
        f"<td>{row.lower:.1f} to {row.upper:.1f}</td><td>{_render_target(row)}</td><td>{row.answers:,}</td></tr>"
        for row in rows
    )
    drawn = (
        f" The chart draws the {len(LINES)} makers with the most answers; choose an adapter to see another."
        if len(rows) > len(LINES)
        else ""
    )
    return (
        '<div class="el-table-box"><table class="el-table el-reading"><thead><tr><th scope="col">Answered by</th>'
        '<th scope="col">Within target</th><th scope="col">Median</th>'
        f'<th scope="col">Grades 0 to {SCALE}</th><th scope="col">Middle half</th>'
        '<th scope="col">Target</th><th scope="col">Answers</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        '<p class="el-muted">Flesch–Kincaid grade of every stored answer of the period, also of those that nobody '
        "has reviewed; the share within the target comes with its 95 % interval. In the small bars the thick part "
        "is the middle half, the mark in it the median, and the tick below the highest grade wanted. Formulas see "
        f"neither jargon nor truth: an easy answer may be wrong.{drawn}</p>"
    )


def _render_box(row: ReadingFigures) -> str:
    """A box on a line of grades."""
    low, middle, high = (_place(grade) for grade in (row.lower, row.median, row.upper))
    aim = "" if row.aim is None else f'<i style="left:{_place(row.aim):.1f}%"></i>'
    said = f"Middle half from {row.lower:.1f} to {row.upper:.1f}, median {row.median:.1f}"
    return (
        f'<span class="el-box" role="img" aria-label="{said}">'
        f'<span style="left:{low:.1f}%;width:{max(1.0, high - low):.1f}%"></span>'
        f'<b style="left:{middle:.1f}%"></b>{aim}</span>'
    )


def _place(grade: float) -> float:
    return PERCENT * min(1.0, max(0.0, grade / SCALE))


def _render_target(row: ReadingFigures) -> str:
    target = describe_target(row.aim, row.floor)
    return target or '<span class="el-muted">reported only</span>'


def _render_within(row: ReadingFigures) -> str:
    if row.within is None:
        return "–"
    share = row.within
    return (
        f"{PERCENT * share.value:.0f} % <small>{PERCENT * share.low:.0f}–{PERCENT * share.high:.0f}</small>"
    )
