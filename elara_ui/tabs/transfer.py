"""A finished run on another base model: what would change, and the start. Handlers make one service call."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr

from db.vocabulary import RunStatus
from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.transfer import Transfer
from elara_ui.tabs import preview_view
from elara_ui.tabs.data_form import list_base_models
from elara_ui.tabs.markup import ACT_SCRIPT, notice
from elara_ui.tabs.parts import Updates, components_of, settled, unchanged
from elara_ui.tabs.runs_handlers import Painted


@dataclass(frozen=True)
class TransferParts:
    """Beneath the run that is looked at.

    Args:
        of: the run that the report is about.
        prepared: what would be started.
        launched: the run started last, for the list of runs to follow.
    """

    panel: gr.Accordion
    base_model: gr.Dropdown
    prepare: gr.Button
    report: gr.HTML
    launch: gr.Button
    of: gr.State
    prepared: gr.State
    launched: gr.Textbox


def build_transfer(services: Services, painted: gr.State) -> "TransferHandlers":
    """Build the panel and let it follow the run that is looked at.

    Args:
        services: prepare and start.
        painted: which run that is.
    """
    parts = _build(services)
    handlers = TransferHandlers(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden"}
    painted.change(handlers.follow, [painted, parts.of], concurrency_limit=None, **common)
    parts.base_model.input(handlers.clear, None, concurrency_limit=None, **common)
    preparing = settled(handlers.prepare, parts.prepared)
    parts.prepare.click(preparing, [painted, parts.base_model], concurrency_limit=1, **common)
    parts.launch.click(handlers.launch, [parts.prepared], concurrency_limit=None, **common)
    return handlers


def _build(services: Services) -> TransferParts:
    models = services.training.base_models()
    with gr.Accordion("On another base model", open=False, visible=False, elem_id="transfer") as panel:
        base_model = gr.Dropdown(
            list_base_models(services),
            value=models[1].id,
            label="Base model",
            info="The run's recipe and stored set, with modules, template and batch worked out anew.",
            allow_custom_value=True,
        )
        with gr.Row():
            prepare = gr.Button("Show what changes", size="sm", elem_id="prepare-transfer")
            launch = gr.Button("Start training", size="sm", interactive=False, elem_id="launch-transfer")
        report = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="transfer-report")
    return TransferParts(
        panel, base_model, prepare, report, launch, gr.State(""), gr.State(None), gr.Textbox(visible=False)
    )


class TransferHandlers:
    """The behaviour of the panel."""

    def __init__(self, services: Services, parts: TransferParts) -> None:
        self._services = services
        self.parts = parts

    def follow(self, painted: Painted, of: str) -> Updates:
        """Offer it for runs that succeeded; a report goes when another run is looked at."""
        shown: Updates = {self.parts.panel: gr.update(visible=painted.status == RunStatus.SUCCEEDED)}
        return shown if painted.run_id == of else shown | self.clear() | {self.parts.of: painted.run_id}

    def clear(self) -> Updates:
        """Forget what was prepared."""
        return {
            self.parts.report: "",
            self.parts.prepared: None,
            self.parts.launch: gr.update(interactive=False),
        }

    def prepare(self, painted: Painted, base_model: str) -> Iterator[Updates]:
        """Work out what the run would be there; the start opens when nothing speaks against it."""
        yield self.clear() | {
            self.parts.report: preview_view.render_wait(),
            self.parts.prepare: gr.update(interactive=False),
        }
        again = {self.parts.prepare: gr.update(interactive=True)}
        try:
            transfer = self._services.transfer.prepare(painted.run_id, base_model or "", calibrate=True)
        except ElaraError as error:
            yield again | {self.parts.report: notice(error.message)}
            return
        words = shlex.join(["runs", "rerun", transfer.run_id, "--base", transfer.base_model])
        report = preview_view.render_preview(transfer.preview, f"python -m elara_ui {words}")
        yield again | {
            self.parts.report: notice("\n".join(transfer.changes), "info") + report,
            self.parts.prepared: transfer,
            self.parts.launch: gr.update(interactive=True),
        }

    def launch(self, prepared: Transfer | None) -> Updates:
        """Start what was prepared."""
        if prepared is None:
            return unchanged(self.parts.prepared)
        try:
            run_id = self._services.transfer.launch(prepared)
        except ElaraError as error:
            return {self.parts.report: notice(error.message)}
        said = notice(f"Run {run_id} is on its way on {prepared.base_model}.", "good")
        return self.clear() | {self.parts.report: said, self.parts.launched: run_id}
