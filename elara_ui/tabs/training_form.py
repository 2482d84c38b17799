"""The form of the fine-tune tab: what to learn, from what, and how. Builds and wires; decides nothing."""

import gradio as gr

from adapters.hyperparameters import GROUP_TITLES, HYPERPARAMETERS, HyperparameterInfo
from adapters.recipe import Hyperparameters
from elara_ui.services import Services
from elara_ui.tabs.data_form import build_data, wire_data
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.parts import components_of, settled
from elara_ui.tabs.preview_view import INVITATION
from elara_ui.tabs.training_form_handlers import NO_ADAPTER, PRESET, FormHandlers
from elara_ui.tabs.training_form_parts import FormParts, Gate, LaunchParts, RecipeParts
from elara_ui.tabs.training_form_view import render_changes

OPEN_GROUPS = ("main",)


def build_training_form(services: Services, reviewer: gr.BrowserState) -> FormHandlers:
    """Build the form's components and wire them.

    Args:
        services: the use-cases it calls.
        reviewer: who reviews in this browser: what they are still to judge blind isn't shown.
    """
    data = build_data(services)
    recipe = _build_recipe(services)
    parts = FormParts(data, recipe, _build_launch())
    handlers = FormHandlers(services, parts)
    _wire(handlers, parts, reviewer)
    return handlers


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


def _wire(handlers: FormHandlers, parts: FormParts, reviewer: gr.BrowserState) -> None:
    data, recipe, launching = parts.data, parts.recipe, parts.launching
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    gated = [launching.gate, *parts.inputs]
    preset = [data.audience, data.base_model]
    based = [*preset, data.source, data.stored]
    gr.on([data.audience.input, data.base_model.input], handlers.choose_base, based, **common)
    data.stored.input(handlers.choose_stored, gated, trigger_mode="always_last", **common)
    for taken in wire_data(handlers.data, data, common):
        taken.then(handlers.choose_stored, gated, **common)
    data.check.click(handlers.check, [reviewer, *gated], **common)
    recipe.saved.input(handlers.choose_recipe, [recipe.saved, *preset], **common)
    recipe.reset.click(handlers.reset, preset, **common)
    recipe.delete.click(handlers.delete_recipe, [recipe.saved], **common)
    gr.on(
        [recipe.save.click, recipe.name.submit], handlers.save_recipe, [recipe.name, *parts.inputs], **common
    )
    gr.on(
        [part.input for part in (*data.columns, data.skip, *recipe.fields)],
        handlers.change,
        gated,
        trigger_mode="always_last",
        **common,
    )
    previewing = settled(handlers.preview, launching.report)
    launching.preview.click(previewing, [reviewer, *parts.inputs], **(common | {"concurrency_limit": 1}))
    launching.report.act(handlers.apply, gated, **common)
    launching.launch.click(handlers.launch, gated, **common)
