"""The models tab: which base models fit this machine and are on it, what answers, and the adapters."""

import gradio as gr

from elara_ui.services import Services
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.models_handlers import ModelHandlers, ModelsState
from elara_ui.tabs.models_parts import POLL_SECONDS, ModelParts
from elara_ui.tabs.models_view import ALL
from elara_ui.tabs.parts import components_of


def build_models_tab(services: Services) -> ModelHandlers:
    """Build the tab and wire it.

    Args:
        services: the use-cases it calls.
    """
    parts = _build()
    handlers = ModelHandlers(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    looked_at = [parts.state, parts.family]
    for source in (parts.recommended, parts.list):
        source.act(handlers.act, looked_at, **common)
    parts.family.input(handlers.narrow, looked_at, **common)
    parts.clock.tick(handlers.tick, looked_at, **common)
    gr.on(
        [parts.add.click, parts.reference.submit],
        handlers.add,
        [*looked_at, parts.reference],
        **common,
    )
    return handlers


def _build() -> ModelParts:
    machine = gr.HTML(elem_id="models-machine")
    recommended = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="models-recommended")
    message = gr.HTML(elem_id="models-message")
    family = gr.Radio(
        [ALL], value=ALL, label="Base models", elem_id="models-family", elem_classes="el-segments"
    )
    listed = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="models-list")
    with gr.Row(equal_height=True, elem_classes="el-model-add"):
        reference = gr.Textbox(
            label="Add a base model",
            info="A Hugging Face id such as owner/name, or the path of a GGUF file or model folder here.",
            placeholder="owner/name or /path/to/model.gguf",
            max_lines=1,
            max_length=500,
            scale=4,
            min_width=220,
            elem_id="models-reference",
        )
        add = gr.Button("Add", scale=0, min_width=100, elem_id="models-add")
    added = gr.HTML(elem_id="models-added")
    shelf = gr.HTML(elem_id="models-shelf")
    return ModelParts(
        *(machine, recommended, message, family, listed, reference, add, added, shelf),
        *(gr.State(ModelsState()), gr.Timer(POLL_SECONDS, active=False)),
    )
