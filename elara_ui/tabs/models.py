"""The models tab: which base models fit this machine and are on it, what answers, and the adapters."""

from dataclasses import dataclass

import gradio as gr

from elara_ui.services import Services
from elara_ui.tabs.adapter_upload import UploadHandlers, build_adapter_upload
from elara_ui.tabs.markup import ACT_SCRIPT
from elara_ui.tabs.models_handlers import ModelHandlers, ModelsState
from elara_ui.tabs.models_parts import POLL_SECONDS, ModelParts
from elara_ui.tabs.models_serving import ServingPanel, build_serving_panel
from elara_ui.tabs.models_view import ALL
from elara_ui.tabs.parts import Updates, components_of


@dataclass(frozen=True)
class ModelsTab:
    """What the page needs of the tab.

    Args:
        handlers: the behaviour of lists and shelf.
        serving: that of the panel of what answers.
        upload: that of the panel in which adapters are brought in.
    """

    handlers: ModelHandlers
    serving: ServingPanel
    upload: UploadHandlers

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `refresh` takes."""
        return [self.handlers.parts.state, self.handlers.parts.family, self.upload.parts.taken]

    @property
    def outputs(self) -> list[gr.blocks.Block]:
        """What `refresh` fills."""
        parts = (self.handlers.parts, self.serving.parts, self.upload.parts)
        return [component for each in parts for component in components_of(each)]

    def refresh(self, state: ModelsState, family: str, taken: str = "") -> Updates:
        """Paint everything as it is now."""
        painted = self.handlers.refresh(state, family) | self.serving.refresh()
        return painted | self.upload.refresh(taken)

    def tick(self, state: ModelsState, family: str) -> Updates:
        """Follow downloads and a switch; at its end what can be switched to is listed anew."""
        painted = self.handlers.refresh(state, family)
        if self.handlers.is_busy:
            return painted | self.serving.follow()
        return painted | self.handlers.tell_end() | self.serving.refresh()


def build_models_tab(services: Services) -> ModelsTab:
    """Build the tab and wire it.

    Args:
        services: the use-cases it calls.
    """
    machine = gr.HTML(elem_id="models-machine")
    serving = build_serving_panel(services)
    parts = _build(machine)
    handlers = ModelHandlers(services, parts)
    upload = build_adapter_upload(services)
    tab = ModelsTab(handlers, serving, upload)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    looked_at = [parts.state, parts.family]
    for source in (parts.recommended, parts.list):
        source.act(handlers.act, looked_at, **common)
    parts.family.input(handlers.narrow, looked_at, **common)
    parts.clock.tick(tab.tick, looked_at, **(common | {"outputs": tab.outputs}))
    gr.on(
        [parts.add.click, parts.reference.submit],
        handlers.add,
        [*looked_at, parts.reference],
        **common,
    )
    upload.parts.taken.change(handlers.refresh, looked_at, **common)  # the shelf has one more
    return tab


def _build(machine: gr.HTML) -> ModelParts:
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
