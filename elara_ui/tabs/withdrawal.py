"""Taking an answer or a reviewer out of what is learned: what it has shaped first, then the withdrawal."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.tabs import withdrawal_view
from elara_ui.tabs.markup import ACT_SCRIPT, notice
from elara_ui.tabs.parts import Updates, components_of, unchanged

ANSWER, REVIEWER = "answer", "reviewer"


@dataclass(frozen=True)
class Asked:
    """What is to be withdrawn, and waits for its confirmation.

    Args:
        kind: `ANSWER` or `REVIEWER`.
        name: the answer's id, or the reviewer's name.
        reason: why, of an answer.
    """

    kind: str
    name: str
    reason: str = ""


@dataclass(frozen=True)
class WithdrawalParts:
    """The section's components.

    Args:
        asked: the `Asked` to be confirmed; None for none.
    """

    kind: gr.Radio
    answer: gr.Textbox
    reviewer: gr.Dropdown
    reason: gr.Textbox
    look: gr.Button
    shaped: gr.HTML
    confirmation: gr.Row
    confirm: gr.Button
    leave: gr.Button
    asked: gr.State
    message: gr.HTML
    sets: gr.HTML


def build_withdrawal(services: Services) -> "WithdrawalHandlers":
    """Build the section and wire it."""
    parts = _build()
    handlers = WithdrawalHandlers(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    given = [parts.kind, parts.answer, parts.reviewer, parts.reason]
    parts.kind.input(handlers.choose_kind, [parts.kind], **common)
    gr.on([part.input for part in given[1:]], handlers.leave, None, **common)
    gr.on([parts.look.click, parts.answer.submit, parts.reason.submit], handlers.look, given, **common)
    parts.confirm.click(handlers.withdraw, [parts.asked], **common)
    parts.leave.click(handlers.leave, None, **common)
    parts.sets.act(handlers.rebuild, None, **(common | {"concurrency_limit": 1}))
    return handlers


def _build() -> WithdrawalParts:
    gr.HTML(withdrawal_view.INTRODUCTION)
    kind = gr.Radio(
        [("An answer", ANSWER), ("A reviewer", REVIEWER)],
        value=ANSWER,
        show_label=False,
        label="What is withdrawn",
        container=False,
        elem_id="withdraw-kind",
        elem_classes="el-segments",
    )
    with gr.Row():
        answer = gr.Textbox(
            label="Id of the answer",
            info="It stands under answers in Datasets, Insights and “Known answers”.",
            max_lines=1,
            max_length=64,
            min_width=240,
            elem_id="withdraw-answer",
        )
        reviewer = gr.Dropdown(
            [], value=None, label="Reviewer", visible=False, min_width=240, elem_id="withdraw-reviewer"
        )
        reason = gr.Textbox(
            label="Why", info="Kept with the answer.", max_lines=3, min_width=260, elem_id="withdraw-reason"
        )
    look = gr.Button("See what it has shaped", scale=0, min_width=200, elem_id="look-shaped")
    shaped = gr.HTML(elem_id="shaped")
    with gr.Row(visible=False) as confirmation:
        confirm = gr.Button(
            "Withdraw it", variant="stop", scale=0, min_width=280, elem_id="confirm-withdrawal"
        )
        leave = gr.Button("Leave it in", scale=0, min_width=150)
    message = gr.HTML(elem_id="withdrawal-message")
    sets = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="sets-without")
    return WithdrawalParts(
        *(kind, answer, reviewer, reason, look, shaped, confirmation, confirm, leave),
        *(gr.State(None), message, sets),
    )


class WithdrawalHandlers:
    """The section's behaviour."""

    def __init__(self, services: Services, parts: WithdrawalParts) -> None:
        self._services = services
        self.parts = parts

    def refresh(self) -> Updates:
        """The people who could be withdrawn, and the sets that hold what was."""
        people = [each.name for each in self._services.reviewers.everyone() if each.withdrawn_at is None]
        return {self.parts.reviewer: gr.update(choices=people), **self._list_sets()}

    def choose_kind(self, kind: str) -> Updates:
        """Ask for what it takes; a reviewer is withdrawn without a reason being kept."""
        parts = self.parts
        return self.leave() | {
            parts.answer: gr.update(visible=kind == ANSWER),
            parts.reason: gr.update(visible=kind == ANSWER),
            parts.reviewer: gr.update(visible=kind == REVIEWER),
        }

    def look(self, kind: str, answer: str, reviewer: str | None, reason: str) -> Updates:
        """List the sets, runs and adapters that it has shaped; nothing is withdrawn yet."""
        parts, lineage = self.parts, self._services.lineage
        try:
            if kind == REVIEWER:
                asked = Asked(kind, reviewer or "")
                shaped = lineage.shaped_by(reviewer=asked.name)
            else:
                asked = Asked(kind, answer.strip(), reason.strip())
                self._services.curation.check_withdrawal(asked.name, asked.reason)
                shaped = lineage.shaped_by(response=asked.name)
        except ElaraError as error:
            return self.leave() | {parts.message: notice(error.message)}
        return {
            parts.asked: asked,
            parts.message: "",
            parts.shaped: withdrawal_view.render_shaped(shaped, is_reviewer=kind == REVIEWER),
            parts.confirmation: gr.update(visible=True),
            parts.confirm: "Withdraw this reviewer" if kind == REVIEWER else "Withdraw this answer",
        }

    def leave(self) -> dict[Any, Any]:
        """Withdraw nothing."""
        parts = self.parts
        return {
            parts.asked: None,
            parts.message: "",
            parts.shaped: "",
            parts.confirmation: gr.update(visible=False),
        }

    def withdraw(self, asked: Asked | None) -> Updates:
        """Do what was confirmed, and offer every set that holds it to be built without."""
        parts = self.parts
        if asked is None:
            return unchanged(parts.asked)
        try:
            if asked.kind == REVIEWER:
                self._services.reviewers.withdraw(asked.name)
                told = (
                    f"{asked.name} is withdrawn: what they accepted, corrected or rejected no longer counts."
                )
            else:
                self._services.curation.withdraw_answer(asked.name, asked.reason)
                told = "The answer is withdrawn: it leaves the queue and comes into no new set."
        except ElaraError as error:
            return {parts.message: notice(error.message)}
        emptied: Updates = {parts.answer: "", parts.reason: "", parts.reviewer: gr.update(value=None)}
        return self.leave() | emptied | self.refresh() | {parts.message: notice(told, "good")}

    def rebuild(self, event: gr.EventData) -> Updates:
        """Freeze a set anew without what was withdrawn."""
        if str(event.act) != "rebuild":
            return unchanged(self.parts.asked)
        try:
            made = self._services.curation.rebuild_without(str(event.item))
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        told = (
            f"{made.label} holds {made.rows} rows, without what was withdrawn. Adapters that learned from "
            "the old set stay as they are until they are trained anew in Fine-tune."
        )
        return {self.parts.message: notice(told, "good"), **self._list_sets()}

    def _list_sets(self) -> Updates:
        held = [each for each in self._services.snapshots.list() if each.withdrawn]
        return {self.parts.sets: withdrawal_view.render_sets(held)}
