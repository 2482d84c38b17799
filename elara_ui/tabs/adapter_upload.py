"""An adapter brought in from the page: chosen, checked, tried; where it stands is painted as it goes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.commands import add_command
from elara_ui.tabs.adapter_upload_view import INTRODUCTION, render_accepted
from elara_ui.tabs.markup import ACT_SCRIPT, notice
from elara_ui.tabs.parts import Updates, components_of, settled
from elara_ui.tabs.probe_view import render_probing

POLL_SECONDS = 1.0
AS_ITS_FILES_SAY = ("As its files say", "")


@dataclass(frozen=True)
class UploadParts:
    """The panel.

    Args:
        files: a zip, or the adapter's files.
        folder: a folder on this machine, instead.
        taken: name of the adapter that was taken in last on this page; empty for none.
        clock: goes while that is tried.
    """

    files: gr.File
    folder: gr.Textbox
    audience: gr.Dropdown
    base: gr.Dropdown
    by: gr.Textbox
    send: gr.Button
    result: gr.HTML
    probe: gr.HTML
    again: gr.Button
    taken: gr.State
    clock: gr.Timer

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `UploadHandlers.take_in` takes."""
        return [self.files, self.folder, self.audience, self.base, self.by]


def build_adapter_upload(services: Services) -> "UploadHandlers":
    """Build the panel and wire it."""
    parts = _build(services)
    handlers = UploadHandlers(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    parts.send.click(settled(handlers.take_in, parts.taken), parts.inputs, **common)
    parts.again.click(handlers.probe, [parts.taken], **common)
    parts.clock.tick(handlers.follow, [parts.taken], **common)
    return handlers


def _build(services: Services) -> UploadParts:
    with gr.Accordion("Bring an adapter", open=False, elem_id="adapter-upload"):
        gr.HTML(INTRODUCTION)
        with gr.Row():
            files = gr.File(
                label="Zip, or the two files",
                file_count="multiple",
                height=140,
                min_width=280,
                elem_id="adapter-files",
            )
            with gr.Column(min_width=280):
                audience = gr.Dropdown(
                    [(recipe.title, recipe.audience) for recipe in services.recipes.values()],
                    label="Speaks for",
                    elem_id="adapter-audience",
                )
                base = gr.Dropdown(_bases(services), value="", label="Trained on", elem_id="adapter-base")
        with gr.Row():
            folder = gr.Textbox(
                label="Or a folder on this machine",
                info="Instead of files.",
                placeholder="/path/to/adapter",
                max_lines=1,
                max_length=500,
                min_width=280,
                elem_id="adapter-folder",
            )
            by = gr.Textbox(
                label="Brought by",
                info="Written on its card, which goes wherever it goes.",
                max_lines=1,
                max_length=100,
                min_width=280,
                elem_id="adapter-by",
            )
        send = gr.Button(
            "Check and take in", variant="primary", scale=0, min_width=200, elem_id="adapter-take-in"
        )
        result = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="adapter-result")
        probe = gr.HTML(elem_id="adapter-probe")
        again = gr.Button(
            "Try it again", visible=False, size="sm", scale=0, min_width=160, elem_id="adapter-probe-again"
        )
    return UploadParts(
        *(files, folder, audience, base, by, send, result, probe, again),
        *(gr.State(""), gr.Timer(POLL_SECONDS, active=False)),
    )


class UploadHandlers:
    """The behaviour of the panel."""

    def __init__(self, services: Services, parts: UploadParts) -> None:
        self._services = services
        self.parts = parts

    def refresh(self, taken: str) -> Updates:
        """Offer the base models that there are now, and paint the last probe."""
        return {self.parts.base: gr.update(choices=_bases(self._services))} | self.follow(taken)

    def take_in(
        self, files: Sequence[str] | None, folder: str, audience: str, base: str | None, by: str
    ) -> Iterator[Updates]:
        """Check what is brought, take it in, and have it tried."""
        parts = self.parts
        yield {
            parts.result: notice("Reading it, and holding it against its base model …", "info"),
            parts.probe: "",
            parts.again: gr.update(visible=False),
            parts.send: gr.update(interactive=False),
        }
        ready: Updates = {parts.send: gr.update(interactive=True)}
        sources = [Path(file) for file in files or ()] or [Path(folder.strip())] * bool(folder.strip())
        try:
            self._services.intake.check_open()
            accepted = self._services.intake.take_in(sources, audience, base or "", by)
        except ElaraError as error:
            yield ready | {parts.result: notice(error.message)}
            return
        command = add_command(sources, audience, base or "", by)
        yield (
            ready
            | {parts.result: render_accepted(accepted, command), parts.files: None, parts.folder: ""}
            | self.probe(accepted.name)
        )

    def probe(self, taken: str) -> Updates:
        """Have it tried, once more where it was before."""
        try:
            self._services.probes.start(taken)
        except ElaraError as error:
            return {
                self.parts.taken: taken,
                self.parts.probe: notice(f"It wasn't tried yet. {error.message}", "info"),
                self.parts.again: gr.update(visible=True),
            }
        return {self.parts.taken: taken} | self.follow(taken)

    def follow(self, taken: str) -> Updates:
        """Paint how its probe stands; the clock stops with it."""
        probing = self._services.probes.state(taken)
        under_way = probing is not None and probing.is_under_way
        return {
            self.parts.probe: render_probing(probing),
            self.parts.again: gr.update(visible=probing is not None and not under_way),
            self.parts.clock: gr.Timer(POLL_SECONDS, active=under_way),
        }


def _bases(services: Services) -> list[tuple[str, str]]:
    return [AS_ITS_FILES_SAY, *((model.title, model.id) for model in services.intake.bases())]
