"""The training runs: their list, one looked at, several side by side. Builds and wires; decides nothing."""

import gradio as gr

from elara_ui.services import Services
from elara_ui.tabs import runs_view
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.parts import components_of
from elara_ui.tabs.run_charts import CHART_NAMES, CHARTS, COMPARED_NAMES, LETTER_COLOURS, LOSS
from elara_ui.tabs.runs_handlers import CompareParts, Painted, RunHandlers, RunParts, RunsState

__all__ = ["Painted", "RunHandlers", "RunParts", "RunsState", "build_runs"]

CHART_HEIGHT = 260  # pixels, of each, so that nothing jumps when another is chosen


def build_runs(services: Services) -> RunHandlers:
    """Build the list and the view of a single run, and wire them."""
    handlers = RunHandlers(services, _build())
    parts = handlers.parts
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    parts.list.act(handlers.act, [parts.state, parts.painted], **common)
    parts.detail.act(handlers.go_on, [parts.state, parts.painted], **common)
    parts.chart_name.input(handlers.choose_chart, [parts.chart_name, parts.state, parts.painted], **common)
    parts.compare.name.input(
        handlers.choose_compared, [parts.compare.name, parts.state, parts.painted], **common
    )
    parts.cancel.click(handlers.cancel, [parts.state, parts.painted], **common)
    return handlers


def _build() -> RunParts:
    state, painted = gr.State(RunsState()), gr.State(Painted())
    gr.HTML("<h3>Runs</h3>")
    listing = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="runs")
    message = gr.HTML(elem_id="runs-message")
    compare = _build_compare()
    detail = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="run-detail")
    chart_name = gr.Radio(
        list(CHART_NAMES),
        value=CHART_NAMES[0],
        show_label=False,
        container=False,
        visible=False,
        elem_id="run-chart-name",
        elem_classes="el-segments",
    )
    charts = tuple(_build_chart(chart.unit, chart.colours, color_title="Line") for chart in CHARTS)
    cancel = gr.Button("Cancel this run", variant="stop", size="sm", visible=False, elem_id="cancel-run")
    samples = gr.HTML(elem_id="run-samples")
    with gr.Accordion("Log", open=False, visible=False) as log_panel:
        log = gr.HTML()
    return RunParts(
        state, painted, listing, message, compare, detail, chart_name, charts, cancel, samples, log_panel,
        log,
    )  # fmt: skip


def _build_compare() -> CompareParts:
    with gr.Column(visible=False, elem_id="run-compare", elem_classes="el-card") as panel:
        gr.HTML("<h3>Runs side by side</h3>")
        name = gr.Radio(
            list(COMPARED_NAMES),
            value=COMPARED_NAMES[0],
            show_label=False,
            container=False,
            elem_id="compare-chart-name",
            elem_classes="el-segments",
        )
        chart = _build_chart(LOSS, LETTER_COLOURS, color_title="Run", visible=True)
        table = gr.HTML(js_on_load=runs_view.SORT_SCRIPT)
    return CompareParts(panel, name, chart, table)


def _build_chart(unit: str, colours: dict[str, str], color_title: str, visible: bool = False) -> gr.LinePlot:
    return gr.LinePlot(
        x="step",
        y="value",
        color="line",
        x_title="Step",
        y_title=unit,
        color_title=color_title,
        color_map=colours,
        height=CHART_HEIGHT,
        visible=visible,
        show_label=False,
        buttons=["export"],
    )
