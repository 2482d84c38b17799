"""The Evaluate tab: versions on fixed questions, and two against each other. Builds and wires only."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from elara_ui.services import Services
from elara_ui.tabs.evaluation_handlers import (
    NO_COMPARISON,
    EvaluationHandlers,
    EvaluationParts,
    EvaluationState,
    FormParts,
    Painted,
)
from elara_ui.tabs.evaluation_rubric import RubricHandlers, build_rubric
from elara_ui.tabs.evaluation_suites import SuiteHandlers, build_suites
from elara_ui.tabs.evaluation_view import INTRODUCTION, NOTHING_YET
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.parts import components_of
from elara_ui.tabs.run_charts import TEAL

CHART_HEIGHT = 240  # pixels


@dataclass(frozen=True)
class EvaluationTab:
    """What the page needs of the tab."""

    main: EvaluationHandlers
    suites: SuiteHandlers
    rubric: RubricHandlers


def build_evaluation_tab(services: Services, reviewer: gr.BrowserState) -> EvaluationTab:
    """Build the tab's components and wire them.

    Args:
        services: the use-cases it calls.
        reviewer: who reviews in this browser.
    """
    gr.HTML(INTRODUCTION)
    handlers = EvaluationHandlers(services, _build(services))
    suites = build_suites(services)
    rubric = build_rubric(services, reviewer)
    _wire(handlers)
    suites.parts.added.change(
        handlers.choose_version,
        [handlers.parts.form.version, handlers.parts.form.audience],
        components_of(handlers.parts),
        show_progress="hidden",
    )
    return EvaluationTab(handlers, suites, rubric)


def _build(services: Services) -> EvaluationParts:
    form = _build_form(services)
    listing = gr.HTML(NOTHING_YET, js_on_load=ACT_SCRIPT, elem_id="evaluations")
    message = gr.HTML(elem_id="evaluations-message")
    detail = gr.HTML(elem_id="evaluation")
    before = gr.Dropdown(
        [("Nothing", NO_COMPARISON)],
        value=NO_COMPARISON,
        label="Compare with",
        visible=False,
        elem_id="evaluation-before",
    )
    comparison = gr.HTML(elem_id="evaluation-comparison")
    measure = gr.Dropdown([], label="Figure by version", visible=False, elem_id="evaluation-measure")
    chart = gr.BarPlot(
        x="version",
        y="value",
        x_title="Version",
        y_title="",
        color_map={"": TEAL},
        height=CHART_HEIGHT,
        visible=False,
        show_label=False,
        tooltip="all",
        buttons=["export"],
        elem_id="evaluation-chart",
    )
    answers = gr.HTML(elem_id="evaluation-answers")
    more = gr.Button("Further questions", size="sm", visible=False, elem_id="evaluation-more")
    return EvaluationParts(
        *(gr.State(EvaluationState()), gr.State(Painted()), form, listing, message, detail),
        *(measure, chart, before, comparison, answers, more),
    )


def _build_form(services: Services) -> FormParts:
    recipes = services.recipes
    with gr.Row(elem_classes="el-freeze-row"):
        version = gr.Dropdown([], label="Version", min_width=170, elem_id="evaluation-version")
        audience = gr.Dropdown(
            [(recipe.title, recipe.audience) for recipe in recipes.values()],
            value=next(iter(recipes)),
            label="Speaking to",
            min_width=150,
            visible=False,
            elem_id="evaluation-audience",
        )
        suite = gr.Dropdown([], label="Questions", min_width=230, elem_id="evaluation-suite")
        start = gr.Button("Evaluate", variant="primary", scale=0, min_width=160, elem_id="evaluation-start")
    loss = gr.Checkbox(
        value=True,
        label="Take held-out loss too, where questions have reference answers (loads the weights once more)",
        elem_id="evaluation-loss",
    )
    accept = gr.Checkbox(
        label="Likely identifiers in the questions were looked at and may go to the other machine",
        visible=False,
        elem_id="evaluation-accept",
    )
    return FormParts(version, audience, suite, loss, accept, start, gr.HTML(elem_id="evaluation-message"))


def _wire(handlers: EvaluationHandlers) -> None:
    parts, form = handlers.parts, handlers.parts.form
    common: dict[str, Any] = {
        "outputs": components_of(parts),
        "show_progress": "hidden",
        "concurrency_limit": None,
    }
    gr.on(
        [form.version.input, form.audience.input],
        handlers.choose_version,
        [form.version, form.audience],
        **common,
    )
    form.start.click(handlers.start, [*form.inputs, parts.state], **common)
    parts.list.act(handlers.act, [parts.state], **common)
    parts.before.input(handlers.compare, [parts.before, parts.state], **common)
    parts.measure.input(handlers.choose_measure, [parts.measure, parts.state], **common)
    parts.more.click(handlers.show_more, [parts.state], **common)
