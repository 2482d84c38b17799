"""The training runs: their list, and the one looked at. Each handler makes one service call and paints."""

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from db.vocabulary import RunStatus
from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.runs import RunView
from elara_ui.tabs import runs_view
from elara_ui.tabs.markup import ACT_SCRIPT, notice
from elara_ui.tabs.parts import Updates, components_of, unchanged


@dataclass(frozen=True)
class RunsState:
    """What one browser tab looks at.

    Args:
        run_id: the run shown; None shows the newest.
    """

    run_id: str | None = None


@dataclass(frozen=True)
class Painted:
    """What of a run is on the page, so that the chart is only drawn again when something is new."""

    run_id: str = ""
    points: int = 0
    status: str = ""


@dataclass(frozen=True)
class RunParts:
    """The runs and the one that is looked at.

    Args:
        state: written by what a person does, never by the clock.
        painted: written by whoever paints.
    """

    state: gr.State
    painted: gr.State
    list: gr.HTML
    detail: gr.HTML
    chart: gr.LinePlot
    cancel: gr.Button
    resume: gr.Button
    message: gr.HTML
    log_panel: gr.Accordion
    log: gr.HTML


def build_runs(services: Services) -> "RunHandlers":
    """Build the list and the view of a single run, and wire them."""
    handlers = RunHandlers(services, _build())
    parts = handlers.parts
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    parts.list.act(handlers.open_run, None, **common)
    parts.cancel.click(handlers.cancel, [parts.painted], **common)
    parts.resume.click(handlers.resume, [parts.painted], **common)
    return handlers


def _build() -> RunParts:
    state, painted = gr.State(RunsState()), gr.State(Painted())
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
        color_map={runs_view.TRAINING: "#2b9488", runs_view.HELD_OUT: "#c2702f"},
        height=260,
        visible=False,
        show_label=False,
        buttons=["export"],
    )
    with gr.Row():
        cancel = gr.Button("Cancel this run", variant="stop", size="sm", visible=False, elem_id="cancel-run")
        resume = gr.Button("Go on from the last checkpoint", size="sm", visible=False)
    message = gr.HTML()
    with gr.Accordion("Log", open=False, visible=False) as log_panel:
        log = gr.HTML()
    return RunParts(state, painted, listing, detail, chart, cancel, resume, message, log_panel, log)


class RunHandlers:
    """The behaviour of the runs."""

    def __init__(self, services: Services, parts: RunParts) -> None:
        self._services = services
        self.parts = parts

    def open_run(self, event: gr.EventData) -> Updates:
        """Look at another run."""
        return self.look_at(str(event.item))

    def look_at(self, run_id: str) -> Updates:
        """Show a run, from its beginning."""
        state = RunsState(run_id)
        return {self.parts.state: state, self.parts.message: "", **self.refresh(state, Painted())}

    def cancel(self, painted: Painted) -> Updates:
        """Ask the run shown to stop."""
        return self._change(painted, self._services.runs.cancel)

    def resume(self, painted: Painted) -> Updates:
        """Let the run shown go on."""
        return self._change(painted, self._services.runs.resume)

    def refresh(self, state: RunsState, painted: Painted) -> Updates:
        """Paint what the database says now; the chart only when it has something new."""
        try:
            self._services.runs.reconcile()
            listed = self._services.runs.recent()
            shown_id = state.run_id or (listed[0].run_id if listed else None)
            updates: Updates = {self.parts.list: runs_view.render_runs(listed, shown_id)}
            if shown_id is None:
                return updates
            return updates | self._show(self._services.runs.show(shown_id), painted)
        except ElaraError as error:
            return {self.parts.detail: notice(error.message)}

    def _show(self, run: RunView, painted: Painted) -> Updates:
        now = Painted(run.run_id, len(run.points), str(run.status))
        updates: Updates = {
            self.parts.painted: now,
            self.parts.detail: runs_view.render_run(run),
            self.parts.log: runs_view.render_log(self._services.runs.log(run.run_id)),
        }
        if now != painted:
            resumable = run.status in (RunStatus.INTERRUPTED, RunStatus.FAILED, RunStatus.CANCELLED)
            updates |= {
                self.parts.chart: gr.update(value=runs_view.tabulate_losses(run), visible=bool(run.points)),
                self.parts.cancel: gr.update(visible=not run.status.ended),
                self.parts.resume: gr.update(visible=resumable),
                self.parts.log_panel: gr.update(visible=True),
            }
        return updates

    def _change(self, painted: Painted, change: Callable[[str], RunView]) -> Updates:
        if not painted.run_id:
            return unchanged(self.parts.state)
        try:
            change(painted.run_id)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return self.look_at(painted.run_id)
