"""What happens in the Evaluate tab when something is pressed: each handler calls services and paints."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import pandas as pd

from db.vocabulary import EvaluationStatus
from elara_ui.clinical.safety import suite as safety
from elara_ui.errors import ElaraError, IdentifiersFound
from elara_ui.services import Services
from elara_ui.services.evaluation_comparison import Comparison
from elara_ui.services.evaluation_measures import Kind, find_measure
from elara_ui.services.evaluation_planning import Wish
from elara_ui.services.evaluation_views import EvaluationView
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.suites import HELD_OUT, Suite
from elara_ui.tabs import evaluation_view
from elara_ui.tabs.identifier_prompt import render_previews
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, unchanged

NO_COMPARISON = ""
BASE_TITLE = "The base model alone"
NOTHING = ("Nothing", NO_COMPARISON)
PERCENT = 100
HEADROOM = 1.1
"""Above the highest bar; all begin at 0, so that their lengths compare."""


@dataclass(frozen=True)
class EvaluationState:
    """What one browser tab looks at.

    Args:
        shown: id of the evaluation that is open; empty for the newest.
        before: id of the one that it is compared with; empty for none.
        page: which page of answers, from 0; those before it are shown too.
        measure: name of the figure in the chart.
    """

    shown: str = ""
    before: str = NO_COMPARISON
    page: int = 0
    measure: str = ""


@dataclass(frozen=True)
class Painted:
    """What is on the page, so that it is only painted again when something is new."""

    views: tuple[EvaluationView, ...] = ()
    versions: tuple[str, ...] = ()


@dataclass(frozen=True)
class FormParts:
    """What is evaluated on what.

    Args:
        accept: shown once likely identifiers were found in questions that another machine would be asked.
    """

    version: gr.Dropdown
    audience: gr.Dropdown
    suite: gr.Dropdown
    loss: gr.Checkbox
    accept: gr.Checkbox
    start: gr.Button
    message: gr.HTML

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `EvaluationHandlers.start` takes first."""
        return [self.version, self.audience, self.suite, self.loss, self.accept]


@dataclass(frozen=True)
class EvaluationParts:
    """The components of the tab.

    Args:
        state: written by what a person does, never by the clock.
        painted: written by whoever paints.
    """

    state: gr.State
    painted: gr.State
    form: FormParts
    list: gr.HTML
    message: gr.HTML
    detail: gr.HTML
    measure: gr.Dropdown
    chart: gr.BarPlot
    before: gr.Dropdown
    comparison: gr.HTML
    answers: gr.HTML
    more: gr.Button


class EvaluationHandlers:
    """The tab's behaviour."""

    def __init__(self, services: Services, parts: EvaluationParts) -> None:
        self._services = services
        self.parts = parts

    def refresh(self, state: EvaluationState, painted: Painted) -> Updates:
        """Paint what is new: menus, list, and the one that is open."""
        now = self._look()
        if now == painted:
            return unchanged(self.parts.painted)
        updates: Updates = {self.parts.painted: now}
        if now.versions != painted.versions:
            updates |= self._offer(now, first=not painted.versions)
        if now.views == painted.views:
            return updates
        if _is_same(state, painted.views, now.views):  # what somebody reads is left alone
            return updates | {self.parts.list: evaluation_view.render_list(now.views, state.shown)}
        return updates | self._paint(state, now.views)

    def choose_version(self, version: str, audience: str) -> Updates:
        """Offer the questions that fit; only the base model is asked for whom it shall speak."""
        is_base = version == BASE_ALONE
        speaks_to = audience if is_base else self._audience_of(version)
        return {
            self.parts.form.audience: gr.update(visible=is_base),
            self.parts.form.suite: self._offer_suites(speaks_to),
            self.parts.form.message: "",
        }

    def start(
        self,
        version: str | None,
        audience: str | None,
        suite: str | None,
        loss: bool,
        accept: bool,
        state: EvaluationState,
    ) -> Updates:
        """Begin; the page may be left."""
        form = self.parts.form
        wish = Wish(
            version or BASE_ALONE,
            suite or safety.NAME,
            audience if version == BASE_ALONE else None,
            loss,
            accept,
        )
        try:
            begun = self._services.evaluations.start(wish)
        except IdentifiersFound as found:
            return {form.message: render_previews(found), form.accept: gr.update(visible=True, value=False)}
        except ElaraError as error:
            return {form.message: notice(error.message)}
        state = replace(state, shown=begun.evaluation_id, before=NO_COMPARISON, page=0)
        hidden = {form.message: "", form.accept: gr.update(value=False, visible=False)}
        return hidden | self._open(state)

    def act(self, state: EvaluationState, event: gr.EventData) -> Updates:
        """A button in the list."""
        act, item = str(event.act), str(event.item)
        evaluations = self._services.evaluations
        try:
            if act == "cancel":
                evaluations.cancel(item)
            elif act == "remove":
                evaluations.remove(item)
                item = ""
            state = replace(state, shown=item, before=NO_COMPARISON, page=0)
            return {self.parts.message: ""} | self._open(state)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)} | self._open(replace(state, shown=""))

    def compare(self, before: str | None, state: EvaluationState) -> Updates:
        """Hold the open evaluation against another."""
        return self._open(replace(state, before=before or NO_COMPARISON, page=0))

    def choose_measure(self, measure: str, state: EvaluationState) -> Updates:
        """Draw another figure."""
        return self._open(replace(state, measure=measure))

    def show_more(self, state: EvaluationState) -> Updates:
        """A further page of answers."""
        return self._open(replace(state, page=state.page + 1))

    def _look(self) -> Painted:
        served = self._services.serving.base_model
        versions = (each.name for each in self._services.adapters.versions() if each.base_model == served)
        return Painted(self._services.evaluations.find(), (*versions, BASE_ALONE))

    def _offer(self, now: Painted, *, first: bool) -> Updates:
        """Fill the menus; what somebody has chosen stays."""
        form = self.parts.form
        choices = [(BASE_TITLE if name == BASE_ALONE else name, name) for name in now.versions]
        if not first:
            return {form.version: gr.update(choices=choices)}
        chosen = choices[0][1]
        return {form.version: gr.update(choices=choices, value=chosen)} | self.choose_version(
            chosen, next(iter(self._services.recipes))
        )

    def _offer_suites(self, audience: str) -> Any:
        suites = self._services.suites.newest(audience)
        own = next((each.name for each in suites if each.name.startswith(f"{HELD_OUT}-")), safety.NAME)
        return gr.update(choices=[(_name_suite(each), each.name) for each in suites], value=own)

    def _audience_of(self, version: str) -> str:
        return next(each.audience for each in self._services.adapters.versions() if each.name == version)

    def _open(self, state: EvaluationState) -> Updates:
        now = self._look()
        return {self.parts.painted: now} | self._paint(state, now.views)

    def _paint(self, state: EvaluationState, views: Sequence[EvaluationView]) -> Updates:
        """The list, and the evaluation that is open with its chart, comparison and answers."""
        parts, known = self.parts, {view.evaluation_id: view for view in views}
        view = known.get(state.shown) or next(iter(views), None)
        rivals = [] if view is None else find_rivals(view, views)
        before = state.before if state.before in {each.evaluation_id for each in rivals} else NO_COMPARISON
        state = replace(state, shown=view.evaluation_id if view else "", before=before)
        return (
            {
                parts.state: state,
                parts.list: evaluation_view.render_list(views, state.shown),
                parts.detail: evaluation_view.render_evaluation(view),
                parts.before: gr.update(
                    choices=[
                        NOTHING,
                        *((_name(each), each.evaluation_id) for each in rivals),
                    ],
                    value=before,
                    visible=bool(rivals),
                ),
            }
            | self._paint_chart(view, rivals, state.measure)
            | self._paint_answers(view, state)
        )

    def _paint_chart(
        self, view: EvaluationView | None, rivals: Sequence[EvaluationView], measure: str
    ) -> Updates:
        """One figure of the open evaluation beside those of the newest of each other version."""
        parts = self.parts
        if view is None or not view.figures or not rivals:
            return {parts.measure: gr.update(visible=False), parts.chart: gr.update(visible=False)}
        names = [figure.name for figure in view.figures]
        chosen = measure if measure in names else names[0]
        found, bars = find_measure(chosen), tabulate(chosen, view, rivals)
        top = PERCENT if found.kind is Kind.SHARE else HEADROOM * bars["value"].max()
        return {
            parts.measure: gr.update(
                choices=[(figure.label, figure.name) for figure in view.figures], value=chosen, visible=True
            ),
            parts.chart: gr.update(
                value=bars,
                y_title=found.unit or "% of answers",
                y_lim=[0, top],
                visible=True,
            ),
        }

    def _paint_answers(self, view: EvaluationView | None, state: EvaluationState) -> Updates:
        """Answers side by side where there is a comparison, else those of the open evaluation."""
        parts = self.parts
        if view is None or view.is_under_way:
            return {parts.comparison: "", parts.answers: "", parts.more: gr.update(visible=False)}
        comparison: Comparison | None = None
        if state.before:
            comparison = self._services.evaluations.compare(state.before, view.evaluation_id)
            shown, total = evaluation_view.render_pairs(comparison, state.page), len(comparison.pairs)
        else:
            answers = self._services.evaluations.answers(view.evaluation_id)
            shown, total = evaluation_view.render_answers(answers, state.page), len(answers)
        return {
            parts.comparison: evaluation_view.render_comparison(comparison),
            parts.answers: shown,
            parts.more: gr.update(visible=total > (state.page + 1) * evaluation_view.PAGE),
        }


def _is_same(state: EvaluationState, before: Sequence[EvaluationView], now: Sequence[EvaluationView]) -> bool:
    """Whether the evaluation that is open, and what it can be compared with, are as they were."""
    shown = [
        next((each for each in views if each.evaluation_id == state.shown), None) for views in (before, now)
    ]
    if shown[0] is None or shown[0] != shown[1]:
        return False
    return find_rivals(shown[0], before) == find_rivals(shown[0], now)


def find_rivals(view: EvaluationView, views: Sequence[EvaluationView]) -> list[EvaluationView]:
    """Other finished evaluations of the same questions and rules, the latest first."""
    if view.status is not EvaluationStatus.DONE:
        return []
    return [
        each
        for each in views
        if each.evaluation_id != view.evaluation_id
        and each.status is EvaluationStatus.DONE
        and each.suite_sha256 == view.suite_sha256
    ]


def tabulate(name: str, view: EvaluationView, rivals: Sequence[EvaluationView]) -> pd.DataFrame:
    """A bar for each version: the open evaluation's, and the newest of the others'.

    Args:
        name: of the figure.
        view: the open one.
        rivals: others of the same questions, the latest first.
    """
    bars: dict[str, float] = {}
    for each in (view, *rivals):
        figure = each.figure(name)
        if figure is not None:
            bars.setdefault(each.label, (PERCENT if figure.is_share else 1) * figure.value)
    rows = [(label, round(value, 3)) for label, value in sorted(bars.items())]
    return pd.DataFrame(rows, columns=["version", "value"])


def _name(view: EvaluationView) -> str:
    return f"{view.label}, {view.created_at:%Y-%m-%d %H:%M}"


def _name_suite(suite: Suite) -> str:
    count = f"{len(suite.questions)} questions"
    if suite.is_safety:
        return f"Safety checks ({count})"
    if suite.own:
        return f"Held-out questions, {suite.audience} ({count})"
    return f"{suite.label} ({count})"
