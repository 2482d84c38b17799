"""What answers: choosing among the models that are here, and switching. Handlers call services and paint."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr

from adapters.engines.choice import DTYPES, Choice, EngineKind
from elara_ui.errors import ElaraError, NotEnoughMemory
from elara_ui.services import Services
from elara_ui.services.serving_options import check_open, list_options
from elara_ui.services.serving_status import ServingState, ServingStatus
from elara_ui.tabs.markup import escape, notice
from elara_ui.tabs.parts import Updates, components_of, settled

LOOK_SECONDS = 0.5
USUAL = "auto"


@dataclass(frozen=True)
class ServingParts:
    """The panel.

    Args:
        answers: what answers now, and what is on its way.
        model: the model and engine to switch to, by its title.
        dtype: what transformers keeps weights in; hidden for other engines.
        switch: begins.
        insist: begins though memory is short; hidden until that was said.
        message: how it went.
    """

    answers: gr.HTML
    model: gr.Dropdown
    dtype: gr.Dropdown
    switch: gr.Button
    insist: gr.Button
    message: gr.HTML


def build_serving_panel(services: Services) -> "ServingPanel":
    """Build the panel where it is called and wire it; whoever places it calls `refresh` when it is opened.

    Args:
        services: switch, and tell how far it is.
    """
    with gr.Group(elem_classes="el-serving"):
        answers = gr.HTML(elem_id="serving-answers")
        with gr.Row(equal_height=True):
            model = gr.Dropdown(
                label="Model and engine",
                info="What is on this machine now; download more below.",
                scale=4,
                min_width=220,
                elem_id="serving-model",
            )
            dtype = gr.Dropdown(
                list(DTYPES),
                value=USUAL,
                label="Weights kept as",
                info="8bit and 4bit need less memory.",
                visible=False,
                scale=2,
                min_width=140,
                elem_id="serving-dtype",
            )
            switch = gr.Button("Switch", scale=0, min_width=110, elem_id="serving-switch")
            insist = gr.Button(
                "Switch anyway",
                variant="stop",
                visible=False,
                scale=0,
                min_width=140,
                elem_id="serving-insist",
            )
        message = gr.HTML(elem_id="serving-message")
    parts = ServingParts(answers, model, dtype, switch, insist, message)
    panel = ServingPanel(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    model.input(panel.choose, [model], **common)
    switch.click(settled(panel.switch, parts.message), [model, dtype], **common)
    insist.click(settled(panel.insist, parts.message), [model, dtype], **common)
    return panel


class ServingPanel:
    """The behaviour of the panel."""

    def __init__(self, services: Services, parts: ServingParts) -> None:
        self._services = services
        self.parts = parts

    def refresh(self) -> Updates:
        """What there is to choose from, and what answers."""
        titles = [option.title for option in self._options()]
        serving = self._services.serving.choice
        chosen = serving.title if serving is not None and serving.title in titles else titles[0]
        return {
            self.parts.answers: render_answers(self._services.serving.status),
            self.parts.model: gr.update(choices=titles, value=chosen),
            self.parts.insist: gr.update(visible=False),
        } | self._show_dtype(chosen)

    def follow(self) -> Updates:
        """What answers, while somebody switches elsewhere on the page."""
        return {self.parts.answers: render_answers(self._services.serving.status)}

    def choose(self, title: str) -> Updates:
        """Another model was chosen."""
        return {self.parts.message: "", self.parts.insist: gr.update(visible=False)} | self._show_dtype(title)

    def switch(self, title: str, dtype: str) -> Iterator[Updates]:
        """Switch, and follow it to its end."""
        yield from self._switch(title, dtype, insist=False)

    def insist(self, title: str, dtype: str) -> Iterator[Updates]:
        """Switch though it likely doesn't fit."""
        yield from self._switch(title, dtype, insist=True)

    def _switch(self, title: str, dtype: str, *, insist: bool) -> Iterator[Updates]:
        serving = self._services.serving
        try:
            check_open(self._services.settings)
            serving.switch(self._find(title, dtype), insist=insist)
        except ElaraError as error:
            short = isinstance(error, NotEnoughMemory)
            yield {self.parts.message: notice(error.message), self.parts.insist: gr.update(visible=short)}
            return
        yield {
            self.parts.message: "",
            self.parts.switch: gr.update(interactive=False),
            self.parts.insist: gr.update(visible=False),
        }
        while (status := serving.status).is_switching:
            yield {self.parts.answers: render_answers(status)}
            time.sleep(LOOK_SECONDS)
        yield self._tell_end(status)

    def _tell_end(self, status: ServingStatus) -> Updates:
        """How a switch went."""
        failed = status.switching is not None and status.switching.failed
        said = status.switching.message if failed and status.switching else status.message
        return {
            self.parts.answers: render_answers(status),
            self.parts.message: notice(said) if failed else notice(said, "good"),
            self.parts.switch: gr.update(interactive=True),
        }

    def _find(self, title: str, dtype: str) -> Choice:
        for option in self._options():
            if option.title == title:
                usual = option.kind is not EngineKind.TRANSFORMERS or dtype == USUAL
                return option if usual else Choice(option.kind, option.base_model, option.path, dtype)
        raise ElaraError(
            f"A model that is here must be chosen; {title or 'none'} isn't here any more. Choose another."
        )

    def _show_dtype(self, title: str) -> Updates:
        shown = title.endswith(EngineKind.TRANSFORMERS.label)
        return {self.parts.dtype: gr.update(visible=shown)}

    def _options(self) -> tuple[Choice, ...]:
        services = self._services
        return list_options(services.settings, services.database, services.serving.choice)


def render_answers(status: ServingStatus) -> str:
    """What answers now, what comes up beside it, and what still ends its answers."""
    if status.state is not ServingState.READY or status.choice is None:
        return f'<p class="el-muted" role="status">{escape(status.message)}</p>'
    lines = [f"Answers now: <strong>{escape(status.choice.title)}</strong>."]
    if status.is_switching and status.switching is not None:
        share = "" if status.switching.fraction is None else f" {status.switching.fraction:.0%}"
        lines.append(f"{escape(status.switching.choice.title)}: {escape(status.switching.message)}{share}")
    if status.draining:
        lines.append("The one before still ends the answers that it has begun.")
    return f'<p class="el-muted" role="status">{" ".join(lines)}</p>'
