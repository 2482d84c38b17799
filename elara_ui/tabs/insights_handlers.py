"""What happens in insights when something is chosen: each handler makes one service call and paints."""

import json
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import gradio as gr

from db.pair_figures import Sides
from db.review_figures import Selection
from db.vocabulary import PairChoice
from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.insight_figures import SCALES, OriginFigures, PairFigures, Scale
from elara_ui.services.insights import Cursor, choose, find_scale
from elara_ui.tabs import insights_charts, insights_pairs_view, insights_view, reading_view
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, unchanged

FIGURES, WEEKS, PAIRS, AGREEMENT, REVIEWERS, GRADES = VIEWS = (
    "By adapter", "Over time", "Side by side", "Agreement", "Reviewers", "Reading grade",
)  # fmt: skip
PERIODS: dict[str, int | None] = {
    "All time": None, "Last 7 days": 7, "Last 30 days": 30, "Last 90 days": 90, "Last year": 365,
}  # fmt: skip
AXES = {scale.title: scale.column for scale in SCALES}
LEVEL_NAMES, TILTED = 2, -30
"""More names than these stand tilted beneath their bars, degrees, so that they don't run into each other."""

ALL = ""
"""Chosen for every audience, or every adapter."""


@dataclass(frozen=True)
class Listed:
    """The answers that are listed, and how to get at more of them.

    Args:
        origin: audience and maker.
        column: judged on it.
        value: what some judgement says there; empty for anything.
        week: the Monday of the week in which they were judged; None for any.
        older: where the next page begins.
    """

    origin: tuple[str, str]
    column: str
    value: str = ""
    week: date | None = None
    older: Cursor | None = None


@dataclass(frozen=True)
class ListedPairs:
    """The comparisons that are listed, and how to get at more of them.

    Args:
        sides: what made the two answers.
        choice: what some reviewer chose; None for anything.
        older: where the next page begins.
    """

    sides: Sides
    choice: PairChoice | None
    older: Cursor | None = None


@dataclass(frozen=True)
class FilterParts:
    """What is looked at. In the order in which handlers take them."""

    audience: gr.Dropdown
    made_by: gr.Dropdown
    period: gr.Dropdown
    axis: gr.Dropdown
    view: gr.Radio


@dataclass(frozen=True)
class InsightsParts:
    """The tab's components."""

    filters: FilterParts
    listed: gr.State
    overview: gr.HTML
    message: gr.HTML
    shares: gr.BarPlot
    weeks: gr.LinePlot
    pairs: gr.BarPlot
    grades: gr.LinePlot
    table: gr.HTML
    answers: gr.HTML
    older: gr.Button


class InsightsHandlers:
    """The tab's behaviour."""

    def __init__(self, services: Services, parts: InsightsParts) -> None:
        self._insights = services.insights
        self._reading = services.reading
        self.parts = parts

    def refresh(self, audience: str, made_by: str, period: str, axis: str, view: str) -> Updates:
        """Paint the view that is chosen, and offer what there is to choose from."""
        parts = self.parts
        try:
            offered, audience, made_by = self._offer(audience, made_by, view)
            selection = choose(audience, made_by, PERIODS[period])
            painted = self._paint(selection, find_scale(AXES[axis]), view)
        except ElaraError as error:
            return {parts.message: notice(error.message)}
        hidden: Updates = {
            plot: gr.update(visible=False) for plot in (parts.shares, parts.weeks, parts.pairs, parts.grades)
        }
        asked: Updates = {
            parts.filters.axis: gr.update(visible=view in (FIGURES, WEEKS)),
            parts.filters.period: gr.update(label="Answered" if view == GRADES else "Reviewed"),
        }
        return hidden | offered | painted | self._close() | asked | {parts.message: ""}

    def act(self, period: str, listed: Listed | ListedPairs | None, event: gr.EventData) -> Updates:
        """A share was pressed: list its answers, or its comparisons."""
        act = str(event.act)
        if act not in ("answers", "week", "pairs"):
            return unchanged(self.parts.listed)
        one, other, third, fourth = (str(part) for part in json.loads(str(event.item)))
        if act == "answers":
            return self._list(Listed((one, other), third, fourth), period)
        if act == "week":
            return self._list(Listed((one, other), third, week=date.fromisoformat(fourth)), period)
        choice = PairChoice(fourth) if fourth in tuple(PairChoice) else None
        return self._list_pairs(ListedPairs(Sides(one, other, third), choice), period)

    def show_older(self, period: str, listed: Listed | ListedPairs | None) -> Updates:
        """The next page of what is listed."""
        match listed:
            case Listed():
                return self._list(listed, period)
            case ListedPairs():
                return self._list_pairs(listed, period)
            case _:
                return unchanged(self.parts.listed)

    def _offer(self, audience: str, made_by: str, view: str) -> tuple[Updates, str, str]:
        """The choices there are; what is chosen and no longer there falls back to all."""
        filters = self.parts.filters
        origins = self._reading.origins() if view == GRADES else self._insights.origins()
        audiences = sorted({known for known, _ in origins})
        if audience not in audiences:
            audience = ALL
        makers = sorted({maker for known, maker in origins if audience in (ALL, known)})
        if made_by not in makers:
            made_by = ALL
        offered: Updates = {
            filters.audience: gr.update(
                choices=[("All audiences", ALL), *((known, known) for known in audiences)], value=audience
            ),
            filters.made_by: gr.update(
                choices=[("All adapters", ALL), *((maker, maker) for maker in makers)], value=made_by
            ),
        }
        return offered, audience, made_by

    def _paint(self, selection: Selection, scale: Scale, view: str) -> Updates:
        parts = self.parts
        if view == WEEKS:
            return self._paint_weeks(selection, scale)
        if view == AGREEMENT:
            return {parts.overview: "", parts.table: self._render_agreement(selection)}
        if view == REVIEWERS:
            rows = self._insights.reviewers(selection)
            return {parts.overview: "", parts.table: insights_view.render_reviewers(rows)}
        if view == GRADES:
            return {parts.overview: "", **self._paint_grades(selection)}
        if view == PAIRS:
            return {parts.overview: "", **self._paint_pairs(self._insights.pairs(selection))}
        summary = self._insights.summary(selection)
        overview = insights_view.render_overview(summary.overview)
        return {parts.overview: overview, **self._paint_origins(summary.origins, scale)}

    def _render_agreement(self, selection: Selection) -> str:
        return insights_view.render_agreement(self._insights.agreement(selection))

    def _paint_origins(self, rows: tuple[OriginFigures, ...], scale: Scale) -> Updates:
        parts, updates = self.parts, {}
        if any(row.shares[scale.column] for row in rows):
            updates[parts.shares] = gr.update(
                value=insights_charts.tabulate_origins(rows, scale),
                color_map=insights_charts.colours_of(scale),
                color_title=scale.title,
                sort=[insights_charts.name_origin(row.audience, row.made_by) for row in rows],
                x_label_angle=TILTED if len(rows) > LEVEL_NAMES else 0,
                visible=True,
            )
        return updates | {parts.table: insights_view.render_origins(rows, scale)}

    def _paint_weeks(self, selection: Selection, scale: Scale) -> Updates:
        weeks = self._insights.weeks(scale.column, selection)
        makers = insights_charts.choose_makers(weeks)
        known = {insights_charts.name_origin(week.audience, week.made_by) for week in weeks}
        updates: Updates = {
            self.parts.overview: "",
            self.parts.table: insights_view.render_weeks(weeks, scale, makers, len(known)),
        }
        if weeks:
            updates[self.parts.weeks] = gr.update(
                value=insights_charts.tabulate_weeks(weeks, makers),
                color_map=dict(zip(makers, insights_charts.LINES, strict=False)),
                visible=True,
            )
        return updates

    def _paint_pairs(self, rows: list[PairFigures]) -> Updates:
        updates: Updates = {self.parts.table: insights_pairs_view.render_pairs(rows)}
        if rows:
            updates[self.parts.pairs] = gr.update(
                value=insights_charts.tabulate_pairs(rows),
                x_label_angle=TILTED if len(rows) > LEVEL_NAMES else 0,
                visible=True,
            )
        return updates

    def _paint_grades(self, selection: Selection) -> Updates:
        rows = self._reading.grades(selection)
        drawn = reading_view.choose_most(rows)
        updates: Updates = {self.parts.table: reading_view.render_grades(rows)}
        if rows:
            names = [insights_charts.name_origin(row.audience, row.made_by) for row in drawn]
            updates[self.parts.grades] = gr.update(
                value=reading_view.tabulate_grades(drawn),
                color_map=dict(zip(names, insights_charts.LINES, strict=False)),
                visible=True,
            )
        return updates

    def _list(self, listed: Listed, period: str) -> Updates:
        """Show a page of answers."""
        parts = self.parts
        audience, made_by = listed.origin
        try:
            scale = find_scale(listed.column)
            selection = choose(audience, made_by, PERIODS[period], listed.week)
            column, value = (listed.column, listed.value) if listed.value else (None, None)
            page = self._insights.answers(selection, column, value, listed.older)
        except ElaraError as error:
            return {parts.message: notice(error.message)}
        name = insights_charts.name_origin(audience, made_by)
        if listed.week:
            title = f"Judged in the week of {listed.week:%d %B %Y}, answered by {name}"
        else:
            title = f"{scale.title}: {scale.labels[scale.values.index(listed.value)]}, answered by {name}"
        return {
            parts.listed: replace(listed, older=page.next),
            parts.answers: insights_view.render_answers(page, title),
            parts.older: gr.update(visible=page.next is not None),
        }

    def _list_pairs(self, listed: ListedPairs, period: str) -> Updates:
        """Show a page of comparisons."""
        parts = self.parts
        selection = choose(days=PERIODS[period])
        page = self._insights.compared(selection, listed.sides, listed.choice, listed.older)
        said = next(
            (words for words, choice in insights_charts.OUTCOME_CHOICES.items() if choice is listed.choice),
            "all pairs",
        )
        return {
            parts.listed: ListedPairs(listed.sides, listed.choice, page.next),
            parts.answers: insights_pairs_view.render_compared(
                page, f"{insights_charts.name_pair(listed.sides)}: {said}"
            ),
            parts.older: gr.update(visible=page.next is not None),
        }

    def _close(self) -> dict[Any, Any]:
        """Put the list of answers away."""
        parts = self.parts
        return {parts.listed: None, parts.answers: "", parts.older: gr.update(visible=False)}
