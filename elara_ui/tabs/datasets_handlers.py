"""What happens in the datasets tab: each handler unpacks, makes one service call and paints."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError, IdentifiersFound
from elara_ui.services import Services
from elara_ui.services.snapshots import DatasetForm
from elara_ui.tabs import datasets_view
from elara_ui.tabs.datasets_parts import DatasetsParts, DatasetsState, read_rules
from elara_ui.tabs.identifier_prompt import render_previews
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates

PAGE_ROWS = 10
COMPARED = 2  # sets at a time
NOBODY = ""
"""Who looks where no name is kept. Never None, which stands for whoever runs this Elara."""


class DatasetsHandlers:
    """The tab's behaviour."""

    def __init__(self, services: Services, parts: DatasetsParts) -> None:
        self._services = services
        self._rows = parts.rows
        self._freezing = parts.freezing
        self._sets = parts.sets
        self.parts = parts

    # The selection

    def refresh(self, reviewer: str, state: DatasetsState, show: str, *values: Any) -> Updates:
        """What there is to choose from, the count, the rows and the sets, as they are now."""
        found = self._services.curation.choices()
        _, adapters, models, batches, _, _, reviewers, without = self.parts.rules.lists
        choices = {
            adapters: found.adapters,
            models: found.base_models,
            batches: found.batches,
            reviewers: found.reviewers,
            without: found.reviewers,
        }
        lists = {part: gr.update(choices=list(names)) for part, names in choices.items()}
        return {**lists, **self.change(reviewer, state, show, *values), **self._list(state)}

    def change(self, reviewer: str, state: DatasetsState, show: str, *values: Any) -> Updates:
        """Count anew and show the first page; what was checked before no longer holds."""
        shut = {
            self._freezing.freeze: gr.update(interactive=False),
            self._freezing.report: datasets_view.NOT_CHECKED,
            self._freezing.leave_out: gr.update(visible=False, value=False),
            self._freezing.accept: gr.update(visible=False, value=False),
            self._freezing.message: "",
        }
        return {**self._paint(reviewer, replace(state, pages=()), show, values, count=True), **shut}

    def more(self, reviewer: str, state: DatasetsState, show: str, *values: Any) -> Updates:
        """The next page."""
        if state.after is None:
            return {self.parts.state: state}
        return self._paint(reviewer, replace(state, pages=(*state.pages, state.after)), show, values)

    def back(self, reviewer: str, state: DatasetsState, show: str, *values: Any) -> Updates:
        """The page before."""
        return self._paint(reviewer, replace(state, pages=state.pages[:-1]), show, values)

    def pick(
        self, event: gr.EventData, reason: str, reviewer: str, state: DatasetsState, show: str, *values: Any
    ) -> Updates:
        """Include or exclude an answer by hand, or leave it to the rules again."""
        act, answer = str(event.act), str(event.item)
        why = " ".join((reason or "").split())
        include = {key: text for key, text in state.include.items() if key != answer}
        exclude = {key: text for key, text in state.exclude.items() if key != answer}
        if act in ("include", "exclude") and not why:
            said = "Say why first, in the field above the rows: the reason is kept with the set."
            return {self._rows.message: notice(said)}
        if act == "include":
            include[answer] = why
        elif act == "exclude":
            exclude[answer] = why
        picked = replace(state, include=include, exclude=exclude)
        return self.change(reviewer, picked, show, *values) | {self._rows.message: ""}

    # Checking and freezing

    def check(self, reviewer: str, state: DatasetsState, show: str, *values: Any) -> Iterator[Updates]:
        """Say what would be frozen and what speaks against it."""
        yield {
            self._freezing.report: datasets_view.CHECKING,
            self._freezing.check: gr.update(interactive=False),
            self._freezing.message: "",
        }
        again = {self._freezing.check: gr.update(interactive=True)}
        try:
            report = self._services.curation.check(read_rules(state, values), reviewer=reviewer or NOBODY)
        except ElaraError as error:
            yield {**again, self._freezing.report: notice(error.message)}
            return
        yield {
            **again,
            self._freezing.report: datasets_view.render_check(report),
            self._freezing.leave_out: gr.update(visible=report.leak_count > 0),
            self._freezing.accept: gr.update(visible=bool(report.identifiers)),
            self._freezing.freeze: gr.update(
                interactive=not report.problem, variant="secondary" if report.problem else "primary"
            ),
        }

    def freeze(
        self,
        name: str,
        accept: bool,
        leave_out: bool,
        reviewer: str,
        state: DatasetsState,
        show: str,
        *values: Any,
    ) -> Iterator[Updates]:
        """Make a set of what is selected."""
        yield {
            self._freezing.message: notice("Freezing …", "info"),
            self._freezing.freeze: gr.update(interactive=False),
        }
        try:
            made = self._services.curation.freeze(
                read_rules(state, values),
                name or "",
                accept_identifiers=accept,
                leave_out_leaks=leave_out,
                reviewer=reviewer or NOBODY,
            )
        except ElaraError as error:
            yield {
                self._freezing.message: notice(error.message),
                self._freezing.freeze: gr.update(interactive=True),
            }
            return
        said = (
            f"{made.label}: {made.train} rows to learn from, {made.evaluation} held out. It can be chosen in "
            "Fine-tune."
        )
        yield {self._freezing.message: notice(said, "good"), **self._list(state)}

    # The sets there are

    def act(self, confirmed: bool, reviewer: str, state: DatasetsState, event: gr.EventData) -> Updates:
        """Whatever a button in the list of sets, or in the details, asks for."""
        act, reference = str(event.act), str(event.item)
        try:
            match act.partition("-"):
                case "pick", _, _:
                    return self._compare(_toggle(state, reference), reviewer)
                case "details", _, _:
                    return self._open(replace(state, shown=reference, sets=()))
                case "rebuild", _, _:
                    made = self._services.curation.rebuild_without(reference)
                    said = f"{made.label} holds {made.rows} rows, without what was withdrawn."
                    return self._list(state) | {self._sets.message: notice(said, "good")}
                case "export", _, form:
                    return self._export(reference, DatasetForm(form), confirmed, reviewer)
                case _:
                    return self._open(replace(state, shown="", sets=()))
        except ElaraError as error:
            return {self._sets.message: notice(error.message)}

    def _export(self, reference: str, form: DatasetForm, confirmed: bool, reviewer: str) -> Updates:
        try:
            exported = self._services.snapshots.export(
                reference, form, accept_identifiers=confirmed, reviewer=reviewer or NOBODY
            )
        except IdentifiersFound as found:
            return {
                self._sets.confirm: gr.update(visible=True),
                self._sets.message: render_previews(found),
            }
        except ElaraError as error:
            return {self._sets.message: notice(error.message)}
        said = f"{exported.rows} rows written to {exported.place}."
        hidden = gr.update(visible=False, value=False)
        return {self._sets.message: notice(said, "good"), self._sets.confirm: hidden}

    def _open(self, state: DatasetsState) -> Updates:
        details = ""
        if state.shown:
            details = datasets_view.render_details(self._services.snapshots.show(state.shown))
        return self._list(state) | {self._sets.details: details, self._sets.message: ""}

    def _compare(self, state: DatasetsState, reviewer: str) -> Updates:
        details = ""
        if len(state.sets) == COMPARED:
            diff = self._services.snapshots.diff(*state.sets, reviewer=reviewer or NOBODY)
            details = datasets_view.render_diff(diff)
        return self._list(state) | {self._sets.details: details, self._sets.message: ""}

    def _list(self, state: DatasetsState) -> Updates:
        listed = self._services.snapshots.list()
        return {
            self.parts.state: state,
            self._sets.shown: state.shown,
            self._sets.list: datasets_view.render_sets(listed, state.sets, state.shown),
        }

    def _paint(
        self, reviewer: str, state: DatasetsState, show: str, values: Any, *, count: bool = False
    ) -> Updates:
        """The page of rows that the state leads to."""
        curation = self._services.curation
        try:
            rules = read_rules(state, values)
            after = state.pages[-1] if state.pages else None
            page = curation.preview(rules, after, limit=PAGE_ROWS, show=show, reviewer=reviewer or NOBODY)
            counted = {self._rows.count: datasets_view.render_count(curation.count(rules))} if count else {}
        except ElaraError as error:
            return {self._rows.count: notice(error.message), self.parts.state: state}
        return {
            **counted,
            self.parts.state: replace(state, after=page.after),
            self._rows.list: datasets_view.render_rows(page.rows, show),
            self._rows.back: gr.update(interactive=bool(state.pages)),
            self._rows.more: gr.update(interactive=page.after is not None),
        }


def _toggle(state: DatasetsState, reference: str) -> DatasetsState:
    """Choose a set for comparison, or let it go; of too many the first chosen goes."""
    if reference in state.sets:
        kept = tuple(each for each in state.sets if each != reference)
        return replace(state, sets=kept, shown="")
    return replace(state, sets=(*state.sets, reference)[-COMPARED:], shown="")
