"""The insights tab: what reviews say about adapters, and how far reviewers agree. Builds and wires only."""

from typing import Any

import gradio as gr

from elara_ui.services import Services
from elara_ui.tabs.insights_charts import BAR_SCRIPT, OUTCOMES, PERCENT
from elara_ui.tabs.insights_handlers import (
    ALL,
    AXES,
    FIGURES,
    PERIODS,
    VIEWS,
    FilterParts,
    InsightsHandlers,
    InsightsParts,
)
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.parts import components_of
from elara_ui.tabs.reading_view import HIGHEST, LOWEST

__all__ = ["InsightsHandlers", "InsightsParts", "build_insights_tab"]

CHART_HEIGHT = 360  # pixels

SCROLL_SCRIPT = "() => document.querySelector('#judged-answers h4')?.scrollIntoView({block: 'nearest'})"
"""Brings the answers into sight, for whoever pressed a share above them."""


def build_insights_tab(services: Services) -> InsightsHandlers:
    """Build the tab's components and wire them."""
    handlers = InsightsHandlers(services, _build())
    _wire(handlers)
    return handlers


def _build() -> InsightsParts:
    filters = _build_filters()
    overview, message = gr.HTML(), gr.HTML()
    look: dict[str, Any] = {
        "y": "share",
        "y_lim": [0, PERCENT],
        "height": CHART_HEIGHT,
        "visible": False,
        "show_label": False,
        "tooltip": "all",
        "buttons": ["export"],
    }
    shares = gr.BarPlot(
        x="maker",
        color="value",
        x_title="Answered by",
        y_title="% of answers",
        elem_id="shares-chart",
        **look,
    )
    weeks = gr.LinePlot(
        x="week",
        color="maker",
        x_title="Week of the review",
        y_title="% of answers",
        color_title="Answered by",
        x_axis_format="%d %b",
        elem_id="weeks-chart",
        **look,
    )
    pairs = gr.BarPlot(
        x="pair",
        color="outcome",
        x_title="Compared",
        y_title="% of pairs",
        color_title="Judged",
        color_map=OUTCOMES,
        elem_id="pairs-chart",
        **look,
    )
    grades = gr.LinePlot(
        x="grade",
        color="maker",
        x_title="Reading grade",
        y_title="% of answers",
        color_title="Answered by",
        x_lim=[LOWEST, HIGHEST],
        x_axis_format="d",
        elem_id="grades-chart",
        **{key: value for key, value in look.items() if key != "y_lim"},
    )
    table = gr.HTML(js_on_load=ACT_SCRIPT + BAR_SCRIPT, elem_id="insights-table")
    answers = gr.HTML(elem_id="judged-answers")
    older = gr.Button("Older ones", size="sm", visible=False, elem_id="older-answers")
    return InsightsParts(
        filters, gr.State(None), overview, message, shares, weeks, pairs, grades, table, answers, older
    )


def _build_filters() -> FilterParts:
    with gr.Row():
        audience, made_by, period, axis = (
            gr.Dropdown(choices, value=value, label=label, min_width=150, elem_id=elem_id)
            for choices, value, label, elem_id in (
                ([("All audiences", ALL)], ALL, "Audience", "insights-audience"),
                ([("All adapters", ALL)], ALL, "Adapter", "insights-adapter"),
                (list(PERIODS), next(iter(PERIODS)), "Reviewed", "insights-period"),
                (list(AXES), next(iter(AXES)), "Judged on", "insights-axis"),
            )
        )
    view = gr.Radio(
        list(VIEWS), value=FIGURES, show_label=False, container=False, elem_id="insights-view",
        elem_classes="el-segments",
    )  # fmt: skip
    return FilterParts(audience, made_by, period, axis, view)


def _wire(handlers: InsightsHandlers) -> None:
    parts = handlers.parts
    filters = components_of(parts.filters)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    gr.on([each.input for each in filters], handlers.refresh, filters, **common)
    pressed = [parts.filters.period, parts.listed]
    parts.table.act(handlers.act, pressed, **common)
    parts.older.click(handlers.show_older, pressed, **common)
    parts.answers.change(None, None, None, js=SCROLL_SCRIPT)
