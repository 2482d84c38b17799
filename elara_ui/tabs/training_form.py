"""The form of the fine-tune tab: what to learn, from what, and how. Builds and wires; decides nothing."""

import gradio as gr

from adapters.hyperparameters import GROUP_TITLES, HYPERPARAMETERS, HyperparameterInfo
from adapters.recipe import Hyperparameters
from adapters.training.sources import KNOWN_SUFFIXES
from elara_ui.services import Services
from elara_ui.services.training import DataSource
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.parts import components_of
from elara_ui.tabs.preview_view import INVITATION
from elara_ui.tabs.training_form_handlers import NO_ADAPTER, PRESET, FormHandlers
from elara_ui.tabs.training_form_parts import DataParts, FormParts, Gate, LaunchParts, RecipeParts
from elara_ui.tabs.training_form_view import render_changes

OPEN_GROUPS = ("main",)


def build_training_form(services: Services) -> FormHandlers:
    """Build the form's components and wire them."""
    data = _build_data(services)
    recipe = _build_recipe(services)
    parts = FormParts(data, recipe, _build_launch())
    handlers = FormHandlers(services, parts)
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
        question, answer, context, rejected, label = (
            gr.Dropdown([], label=f"Column with the {held}", visible=False, min_width=180)
            for held in ("question", "answer", "question's context", "rejected answer", "label")
        )
    reference = gr.Dropdown(
        [],
        label="Which one",
        info="owner/name or owner/name:split of the Hugging Face hub; or a stored set: one of Datasets, or "
        "the id that a run shows.",
        allow_custom_value=True,
        filterable=True,
        visible=False,
        elem_id="train-reference",
    )
    skip = gr.Checkbox(
        label="Leave bad rows out", info="Otherwise one bad row refuses the whole set.", visible=False
    )
    check = gr.Button("Check the data", size="sm", elem_id="check-data")
    preview = gr.HTML()
    return DataParts(
        *(audience, base_model, source, file),
        *(question, answer, context, rejected, label),
        *(reference, skip, check, preview),
    )


def _build_recipe(services: Services) -> RecipeParts:
    first = services.recipe_book.preset(next(iter(services.recipes)), services.training.base_models()[0].id)
    with gr.Row(equal_height=True, elem_classes="el-recipe"):
        saved = gr.Dropdown(
            [("The preset of audience and model", PRESET)],
            value=PRESET,
            label="Recipe",
            info="Where the settings below come from.",
            scale=3,
            min_width=220,
            elem_id="recipe",
        )
        name = gr.Textbox(
            label="Keep them as",
            info="A name of your own.",
            max_lines=1,
            max_length=60,
            scale=2,
            min_width=160,
            elem_id="recipe-name",
        )
    with gr.Row():
        reset = gr.Button("Reset to the preset", size="sm", min_width=120)
        delete = gr.Button("Delete this recipe", size="sm", min_width=120)
        save = gr.Button("Save", size="sm", min_width=120, elem_id="save-recipe")
    changes = gr.HTML(
        render_changes(services.recipe_book.preset_title(services.training.base_models()[0].id), (), ()),
        elem_id="changes",
    )
    return RecipeParts(saved, name, save, delete, reset, changes, _build_fields(first))


def _build_launch() -> LaunchParts:
    with gr.Row():
        preview = gr.Button("Preview the run", variant="primary", elem_id="preview-run", min_width=140)
        launch = gr.Button("Start training", interactive=False, elem_id="launch", min_width=140)
    return LaunchParts(
        gr.State(Gate()),
        preview,
        gr.HTML(INVITATION, js_on_load=ACT_SCRIPT, elem_id="preview-report"),
        launch,
        gr.HTML(elem_id="launch-message"),
        gr.Textbox(visible=False),
    )


def _build_fields(defaults: Hyperparameters) -> tuple[gr.components.Component, ...]:
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
            return gr.Dropdown(
                [NO_ADAPTER],
                value=str(value),
                label=info.label,
                info=info.explanation,
                allow_custom_value=True,
            )
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


def _wire(handlers: FormHandlers, parts: FormParts) -> None:
    data, recipe, launching = parts.data, parts.recipe, parts.launching
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    gated = [launching.gate, *parts.inputs]
    preset = [data.audience, data.base_model]
    gr.on([data.audience.input, data.base_model.input], handlers.choose_base, preset, **common)
    data.source.change(handlers.choose_source, [data.source], **common)
    data.file.change(handlers.choose_file, [data.file], **common)
    data.check.click(handlers.check, gated, **common)
    recipe.saved.input(handlers.choose_recipe, [recipe.saved, *preset], **common)
    recipe.reset.click(handlers.reset, preset, **common)
    recipe.delete.click(handlers.delete_recipe, [recipe.saved], **common)
    gr.on(
        [recipe.save.click, recipe.name.submit], handlers.save_recipe, [recipe.name, *parts.inputs], **common
    )
    gr.on(
        [part.input for part in (data.source, *data.columns, data.reference, data.skip, *recipe.fields)],
        handlers.change,
        gated,
        trigger_mode="always_last",
        **common,
    )
    launching.preview.click(handlers.preview, parts.inputs, **(common | {"concurrency_limit": 1}))
    launching.report.act(handlers.apply, gated, **common)
    launching.launch.click(handlers.launch, gated, **common)
