"""The fine-tune tab: what to learn from, how, and the runs. Builds and wires; decides nothing."""

import gradio as gr

from adapters.hyperparameters import GROUP_TITLES, HYPERPARAMETERS, HyperparameterInfo
from adapters.recipe import Hyperparameters
from adapters.training.sources import KNOWN_SUFFIXES
from elara_ui.services import Services
from elara_ui.services.training import DataSource
from elara_ui.tabs.finetune_handlers import (
    DataParts,
    FinetuneHandlers,
    FinetuneParts,
    FinetuneState,
    Painted,
    RunParts,
)
from elara_ui.tabs.finetune_view import HELD_OUT, TRAINING
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.parts import components_of

OPEN_GROUPS = ("main",)


def build_finetune_tab(services: Services) -> FinetuneHandlers:
    """Build the tab's components and wire them.

    Returns:
        The tab's handlers, with which the page fills it when it opens.
    """
    first = next(iter(services.recipes.values()))
    state = gr.State(FinetuneState())
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300):
            data = _build_data(services)
            hyperparameters = _build_hyperparameters(first.hyperparameters)
            launch = gr.Button("Start training", variant="primary", elem_id="launch")
            message = gr.HTML()
        with gr.Column(scale=5, min_width=300):
            runs = _build_runs()
    adapters = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="adapters")
    promoted = gr.Number(0, visible=False)
    parts = FinetuneParts(
        state, gr.State(Painted()), data, hyperparameters, launch, message, runs, adapters, promoted
    )
    handlers = FinetuneHandlers(services, parts)
    _wire(handlers, parts)
    return handlers


def _build_data(services: Services) -> DataParts:
    recipes = services.recipes
    audience = gr.Radio(
        [(recipe.title, recipe.audience) for recipe in recipes.values()],
        value=next(iter(recipes)),
        label="Audience",
        info="Whose voice the adapter learns.",
        elem_id="train-audience",
    )
    base_model = gr.Dropdown(
        [(model.title, model.id) for model in services.training.base_models()],
        value=services.training.base_models()[0].id,
        label="Base model",
        info="One of these, a Hugging Face id, or the path of a local model folder.",
        allow_custom_value=True,
        filterable=True,
    )
    source = gr.Radio(
        [
            ("Starter examples", DataSource.STARTER.value),
            ("Accepted reviews", DataSource.REVIEWS.value),
            ("A file of mine", DataSource.FILE.value),
            ("Hugging Face dataset", DataSource.HUB.value),
            ("A stored set", DataSource.SNAPSHOT.value),
        ],
        value=DataSource.STARTER.value,
        label="Learn from",
        elem_id="train-source",
    )
    file = gr.File(
        label="JSONL, JSON, CSV, TSV, Parquet or MedQuAD XML",
        file_types=sorted(KNOWN_SUFFIXES),
        visible=False,
        height=120,
    )
    with gr.Row():
        prompt_column = gr.Dropdown([], label="Column with the question", visible=False)
        answer_column = gr.Dropdown([], label="Column with the answer", visible=False)
    reference = gr.Textbox(
        label="Which one",
        info="owner/name or owner/name:split of the Hugging Face hub, or the id of a stored set, which every "
        "run shows.",
        max_lines=1,
        visible=False,
    )
    skip = gr.Checkbox(
        label="Leave bad rows out", info="Otherwise one bad row refuses the whole set.", visible=False
    )
    check = gr.Button("Check the data", size="sm", elem_id="check-data")
    preview = gr.HTML()
    return DataParts(
        audience, base_model, source, file, prompt_column, answer_column, reference, skip, check, preview
    )


def _build_hyperparameters(defaults: Hyperparameters) -> tuple[gr.components.Component, ...]:
    """One field for each hyperparameter, in the order of `HYPERPARAMETERS`."""
    built: dict[str, gr.components.Component] = {}
    for group, title in GROUP_TITLES.items():
        with gr.Accordion(title, open=group in OPEN_GROUPS, elem_classes="el-fields"):
            for info in HYPERPARAMETERS:
                if info.group == group:
                    built[info.name] = _build_field(info, getattr(defaults, info.name))
    return tuple(built[info.name] for info in HYPERPARAMETERS)


def _build_field(info: HyperparameterInfo, value: object) -> gr.components.Component:
    match info.kind:
        case "bool":
            return gr.Checkbox(value=bool(value), label=info.label, info=info.explanation)
        case "choice":
            return gr.Dropdown(
                list(info.choices),
                value=str(value),
                label=info.label,
                info=info.explanation,
            )
        case "adapter":
            return gr.Textbox(value=str(value), label=info.label, info=info.explanation, placeholder="none")
        case "modules":
            names = ", ".join(value) if isinstance(value, tuple) else str(value)
            return gr.Textbox(
                value=names,
                label=info.label,
                info=info.explanation,
                placeholder="chosen by the model's architecture",
            )
        case _:
            return gr.Number(
                value=value, label=info.label, info=f"{info.explanation} Default {info.default:g}."
            )


def _build_runs() -> RunParts:
    gr.HTML("<h3>Runs</h3>")
    listing = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="runs")
    detail = gr.HTML(elem_id="run-detail")
    chart = gr.LinePlot(
        x="step",
        y="loss",
        color="part",
        x_title="Step",
        y_title="Loss (nats per token)",
        color_title="Rows",
        color_map={TRAINING: "#2b9488", HELD_OUT: "#c2702f"},
        height=260,
        visible=False,
        show_label=False,
        buttons=["export"],
    )
    with gr.Row():
        cancel = gr.Button("Cancel this run", variant="stop", size="sm", visible=False, elem_id="cancel-run")
        resume = gr.Button("Go on from the last checkpoint", size="sm", visible=False)
    with gr.Accordion("Log", open=False, visible=False) as log_panel:
        log = gr.HTML()
    return RunParts(listing, detail, chart, cancel, resume, log_panel, log)


def _wire(handlers: FinetuneHandlers, parts: FinetuneParts) -> None:
    data, runs = parts.data, parts.runs
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    chosen = [
        data.audience,
        data.source,
        data.file,
        data.prompt_column,
        data.answer_column,
        data.reference,
        data.skip,
    ]
    data.audience.change(handlers.choose_audience, [data.audience], **common)
    data.source.change(handlers.choose_source, [data.source], **common)
    data.file.change(handlers.choose_file, [data.file], **common)
    data.check.click(handlers.check, [*chosen, *parts.hyperparameters], **common)
    parts.launch.click(handlers.launch, [data.base_model, *chosen, *parts.hyperparameters], **common)
    runs.list.act(handlers.open_run, None, **common)
    runs.cancel.click(handlers.cancel, [parts.painted], **common)
    runs.resume.click(handlers.resume, [parts.painted], **common)
    parts.adapters.act(handlers.promote, [parts.promoted], **common)
