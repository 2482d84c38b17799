"""What happens among the runs when something is pressed: each handler makes one service call and paints."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.run_views import RunView
from elara_ui.tabs import runs_view
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, unchanged
from elara_ui.tabs.run_charts import (
    CHART_NAMES,
    CHARTS,
    COMPARED,
    LETTERS,
    name_charts,
    name_compared,
    tabulate,
    tabulate_compared,
)

MOVES = ("up", "down", "first")


@dataclass(frozen=True)
class RunsState:
    """What one browser tab looks at.

    Args:
        run_id: the run shown; None shows the newest.
        chart: the chart shown.
        picked: runs chosen for comparison, in the order in which they were.
        compared: the figure laid over each other.
        removing: the run whose removal has to be confirmed.
    """

    run_id: str | None = None
    chart: str = CHART_NAMES[0]
    picked: tuple[str, ...] = ()
    compared: str = next(iter(COMPARED))
    removing: str | None = None


@dataclass(frozen=True)
class Painted:
    """What is on the page, so that charts and samples are only drawn again when something is new."""

    run_id: str = ""
    points: int = 0
    status: str = ""
    samples: int = 0
    chart: str = ""
    compared: tuple[Any, ...] = ()


@dataclass(frozen=True)
class CompareParts:
    """Runs side by side."""

    panel: gr.Column
    name: gr.Radio
    chart: gr.LinePlot
    table: gr.HTML


@dataclass(frozen=True)
class RunParts:
    """The runs and the one that is looked at.

    Args:
        state: written by what a person does, never by the clock.
        painted: written by whoever paints.
        charts: in the order of `CHARTS`; one is visible.
    """

    state: gr.State
    painted: gr.State
    list: gr.HTML
    message: gr.HTML
    compare: CompareParts
    detail: gr.HTML
    chart_name: gr.Radio
    charts: tuple[gr.LinePlot, ...]
    cancel: gr.Button
    samples: gr.HTML
    log_panel: gr.Accordion
    log: gr.HTML


class RunHandlers:
    """The behaviour of the runs."""

    def __init__(self, services: Services, parts: RunParts) -> None:
        self._services = services
        self.parts = parts

    def act(self, state: RunsState, painted: Painted, event: gr.EventData) -> Updates:
        """Something in the list was pressed."""
        act, run_id = str(event.act), str(event.item)
        runs = self._services.runs
        if act in MOVES:
            return self._change(state, painted, lambda: runs.move(run_id, act))
        if act == "remove":
            return self._change(_forget(state, run_id), painted, lambda: runs.remove(run_id))
        changes: dict[str, dict[str, Any]] = {
            "open": {"run_id": run_id, "removing": None},
            "pick": {"picked": _toggle(state.picked, run_id)},
            "ask_remove": {"removing": run_id},
            "keep": {"removing": None},
        }
        return self._paint(replace(state, **changes.get(act, {})), painted)

    def look_at(self, run_id: str, state: RunsState) -> Updates:
        """Show a run just started; what was picked for comparison stays so."""
        return self._paint(replace(state, run_id=run_id, removing=None), Painted())

    def go_on(self, state: RunsState, painted: Painted, event: gr.EventData) -> Updates:
        """Resume a run, or start it again with a remedy.

        What was pressed names its run: the clock may have painted another one over what the person chose.
        """
        run_id, _, label = str(event.item).partition(" ")
        match str(event.act):
            case "resume":
                chosen = replace(state, run_id=run_id)
                return self._change(chosen, painted, lambda: self._services.runs.resume(run_id))
            case "retry":
                return self._retry(run_id, label, state, painted)
            case _:
                return unchanged(self.parts.state)

    def _retry(self, run_id: str, label: str, state: RunsState, painted: Painted) -> Updates:
        """Start a run again with a remedy's settings, and look at the new run."""
        runs = self._services.runs
        try:
            offers = runs.show(run_id).offers
            remedy = next((each for each in offers if each.label == label), None)
            if remedy is None:  # the run has moved on since it was painted
                return self._paint(replace(state, run_id=run_id), Painted())
            new = runs.retry(run_id, remedy.values, stop=True)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        told = notice(f"Run {new.run_id} is on its way with: {remedy.label}.", "good")
        return {**self._paint(replace(state, run_id=new.run_id), painted), self.parts.message: told}

    def cancel(self, state: RunsState, painted: Painted) -> Updates:
        """Ask the run that the person chose to stop, whatever the clock has painted since."""
        run_id = state.run_id or painted.run_id
        if not run_id:
            return unchanged(self.parts.state)
        return self._change(state, painted, lambda: self._services.runs.cancel(run_id))

    def choose_chart(self, name: str, state: RunsState, painted: Painted) -> Updates:
        """Show another chart of the run."""
        return self._paint(replace(state, chart=name), painted)

    def choose_compared(self, name: str, state: RunsState, painted: Painted) -> Updates:
        """Lay another figure of the runs over each other."""
        return self._paint(replace(state, compared=name), painted)

    def refresh(self, state: RunsState, painted: Painted) -> Updates:
        """Paint what the database says now; charts and samples only when they have something new."""
        try:
            self._services.runs.reconcile()
            listed = self._services.runs.recent()
            known = [run.run_id for run in listed]
            shown_id = state.run_id or next(iter(known), None)
            picked = tuple(run_id for run_id in state.picked if run_id in known)
            updates: Updates = {
                self.parts.list: runs_view.render_runs(listed, shown_id, picked, state.removing)
            }
            compared = self._compare(picked, state, painted, updates)
            now = Painted(compared=compared)
            if shown_id is not None:
                now = self._show(self._services.runs.show(shown_id), state, painted, updates, now)
            elif painted.run_id:
                updates |= self._show_nothing()
            return updates | {self.parts.painted: now}
        except ElaraError as error:
            return {self.parts.detail: notice(error.message)}

    def _paint(self, state: RunsState, painted: Painted) -> Updates:
        return {self.parts.state: state, self.parts.message: "", **self.refresh(state, painted)}

    def _change(self, state: RunsState, painted: Painted, change: Callable[[], object]) -> Updates:
        try:
            change()
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return self._paint(state, painted)

    def _show(
        self, run: RunView, state: RunsState, painted: Painted, updates: Updates, now: Painted
    ) -> Painted:
        """Add the run looked at to what is painted."""
        now = replace(
            now, run_id=run.run_id, points=len(run.points), status=str(run.status), chart=state.chart,
            samples=len(run.samples),
        )  # fmt: skip
        parts = self.parts
        names = name_charts(run.points)
        chosen = state.chart if state.chart in names else names[0]
        updates |= {
            parts.detail: runs_view.render_run(run),
            parts.log: runs_view.render_log(self._services.runs.log(run.run_id)),
        }
        if (now.run_id, now.samples) != (painted.run_id, painted.samples):
            updates[parts.samples] = runs_view.render_samples(run.samples)
        if replace(now, compared=()) != replace(painted, compared=()):
            for chart, plot in zip(CHARTS, parts.charts, strict=True):
                shown = chart.name == chosen and bool(run.points)
                updates[plot] = (
                    gr.update(value=tabulate(chart, run.points), visible=True)
                    if shown
                    else gr.update(visible=False)
                )
            updates |= {
                parts.chart_name: gr.update(choices=names, value=chosen, visible=bool(run.points)),
                parts.cancel: gr.update(visible=not run.status.ended),
                parts.log_panel: gr.update(visible=True),
            }
        return now

    def _show_nothing(self) -> Updates:
        """The last run has been removed."""
        parts = self.parts
        hidden = (*parts.charts, parts.chart_name, parts.cancel, parts.log_panel)
        return {parts.detail: "", parts.samples: ""} | {part: gr.update(visible=False) for part in hidden}

    def _compare(
        self, picked: tuple[str, ...], state: RunsState, painted: Painted, updates: Updates
    ) -> tuple[Any, ...]:
        """Add the comparison to what is painted; what of it is on the page then."""
        parts = self.parts.compare
        if len(picked) < 2:
            if painted.compared:
                updates[parts.panel] = gr.update(visible=False)
            return ()
        comparison = self._services.runs.compare(picked)
        now = (state.compared, *((run.run_id, len(run.points), run.status) for run in comparison.runs))
        if now != painted.compared:
            names = name_compared(comparison.runs)
            chosen = state.compared if state.compared in names else names[0]
            unit, _ = COMPARED[chosen]
            updates |= {
                parts.panel: gr.update(visible=True),
                parts.name: gr.update(choices=names, value=chosen),
                parts.chart: gr.update(
                    value=tabulate_compared(chosen, comparison.runs),
                    y_title=unit,
                    colors_in_legend=list(LETTERS[: len(comparison.runs)]),
                ),
                parts.table: runs_view.render_comparison(comparison),
            }
        return now


def _toggle(picked: tuple[str, ...], run_id: str) -> tuple[str, ...]:
    """Pick a run, or let it go; of too many the first picked goes."""
    if run_id in picked:
        return tuple(each for each in picked if each != run_id)
    return (*picked, run_id)[-len(LETTERS) :]


def _forget(state: RunsState, run_id: str) -> RunsState:
    """The state once a run is removed."""
    return replace(
        state,
        run_id=None if state.run_id == run_id else state.run_id,
        picked=tuple(each for each in state.picked if each != run_id),
        removing=None,
    )
