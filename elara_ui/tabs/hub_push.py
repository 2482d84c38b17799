"""What is looked at, put on the Hugging Face hub: private unless asked, never without a second press."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.exporting import TOKEN, Target
from elara_ui.tabs.markup import escape, notice
from elara_ui.tabs.parts import Updates, components_of, settled, unchanged

HOW_TO = (
    f'<p class="el-muted">To push, start Elara with a token in <code>{TOKEN}</code>: make one with '
    "the right to write at huggingface.co/settings/tokens, and start with "
    f"<code>{TOKEN}=hf_… python app.py</code>. The token is passed on, never stored or shown.</p>"
)


class Shelf(Protocol):
    """What can be put on the hub.

    Args:
        placeholder: a repository as an example.
        asks_consent: whether likely identifiers have to be confirmed.
    """

    placeholder: str
    asks_consent: bool

    @property
    def has_token(self) -> bool:
        """Whether anything can be pushed at all."""

    def check(self, name: str, repository: str, consent: bool) -> None:
        """Refuse what can't be pushed, before anybody is asked to confirm it."""

    def describe(self, name: str) -> tuple[str, str]:
        """What people call it, and what of it would leave."""

    def push(self, name: str, repository: str, *, public: bool, consent: bool) -> str:
        """Upload it; its address."""


class AdapterShelf:
    """Adapters.

    Args:
        services: check and push them.
    """

    placeholder = "my-clinic/patient-lora"
    asks_consent = False

    def __init__(self, services: Services) -> None:
        self._exports = services.exports

    @property
    def has_token(self) -> bool:
        """Whether anything can be pushed at all."""
        return self._exports.has_token

    def check(self, name: str, repository: str, consent: bool) -> None:
        """Refuse what can't be pushed."""
        self._exports.check_push(name, repository)

    def describe(self, name: str) -> tuple[str, str]:
        """Its name, and what of it would leave."""
        return name, "its weights, its card and its figures, but no row of the training data"

    def push(self, name: str, repository: str, *, public: bool, consent: bool) -> str:
        """Upload it; its address."""
        return self._exports.export(name, Target.HUB, repository, public=public).place


@dataclass(frozen=True)
class Push:
    """What was asked for, and waits for its confirmation."""

    name: str
    repository: str
    public: bool
    consent: bool = False


@dataclass(frozen=True)
class HubParts:
    """Beneath the details of what is looked at.

    Args:
        asked: the `Push` to be confirmed; None for none.
    """

    panel: gr.Accordion
    lacking: gr.HTML
    form: gr.Column
    repository: gr.Textbox
    public: gr.Checkbox
    consent: gr.Checkbox
    ask: gr.Button
    confirmation: gr.Column
    question: gr.HTML
    confirm: gr.Button
    leave: gr.Button
    message: gr.HTML
    asked: gr.State


def build_hub_push(shelf: Shelf, shown: gr.State, elem_id: str) -> "HubHandlers":
    """Build the panel and let it follow what is looked at.

    Args:
        shelf: checks and pushes.
        shown: the name of what is looked at; empty for none.
        elem_id: of the panel; its parts' begin with it.
    """
    parts = _build(shelf, elem_id)
    handlers = HubHandlers(shelf, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    shown.change(handlers.follow, [shown], **common)
    gr.on(
        [parts.ask.click, parts.repository.submit],
        handlers.ask,
        [shown, parts.repository, parts.public, parts.consent],
        **common,
    )
    undone = [parts.repository.input, parts.public.input, parts.consent.input, parts.leave.click]
    gr.on(undone, handlers.leave, None, **common)
    parts.confirm.click(settled(handlers.push, parts.asked), [parts.asked], **common)
    return handlers


def _build(shelf: Shelf, elem_id: str) -> HubParts:
    with gr.Accordion("On the Hugging Face hub", open=False, visible=False, elem_id=elem_id) as panel:
        lacking = gr.HTML(HOW_TO, visible=False)
        with gr.Column() as form:
            repository = gr.Textbox(
                label="Repository",
                info="owner/name; it is made when there is none.",
                placeholder=shelf.placeholder,
                max_lines=1,
                max_length=200,
                elem_id=f"{elem_id}-repository",
            )
            public = gr.Checkbox(
                label="Everybody may see it", info="Otherwise only its owner and whom they let in."
            )
            consent = gr.Checkbox(
                label="Likely identifiers in it were looked at and may leave this machine",
                visible=shelf.asks_consent,
            )
            ask = gr.Button("Push …", size="sm", elem_id=f"{elem_id}-ask")
            with gr.Column(visible=False, elem_classes="el-card") as confirmation:
                question = gr.HTML(elem_id=f"{elem_id}-question")
                with gr.Row():
                    confirm = gr.Button("Push it", variant="primary", size="sm", elem_id=f"{elem_id}-confirm")
                    leave = gr.Button("Leave it here", size="sm", elem_id=f"{elem_id}-leave")
        message = gr.HTML(elem_id=f"{elem_id}-message")
    return HubParts(
        *(panel, lacking, form, repository, public, consent, ask),
        *(confirmation, question, confirm, leave, message, gr.State(None)),
    )


class HubHandlers:
    """The behaviour of the panel."""

    def __init__(self, shelf: Shelf, parts: HubParts) -> None:
        self._shelf = shelf
        self.parts = parts

    def follow(self, name: str) -> Updates:
        """Offer it for what is looked at; without a token say how to set one."""
        able = self._shelf.has_token
        return self.leave() | {
            self.parts.panel: gr.update(visible=bool(name)),
            self.parts.lacking: gr.update(visible=not able),
            self.parts.form: gr.update(visible=able),
        }

    def ask(self, name: str, repository: str, public: bool, consent: bool = False) -> Updates:
        """Say what would leave and who would see it; nothing leaves yet."""
        push = Push(name, repository.strip(), public, consent)
        try:
            self._shelf.check(push.name, push.repository, consent)
            called, leaving = self._shelf.describe(name)
        except ElaraError as error:
            return self.leave() | {self.parts.message: notice(error.message)}
        return {
            self.parts.message: "",
            self.parts.confirmation: gr.update(visible=True),
            self.parts.question: _render_question(push, called, leaving),
            self.parts.asked: push,
        }

    def leave(self) -> Updates:
        """Push nothing."""
        return {
            self.parts.confirmation: gr.update(visible=False),
            self.parts.asked: None,
            self.parts.message: "",
        }

    def push(self, asked: Push | None) -> Iterator[Updates]:
        """Upload what was confirmed."""
        if asked is None:
            yield unchanged(self.parts.asked)
            return
        yield self.leave() | {
            self.parts.ask: gr.update(interactive=False),
            self.parts.message: notice(f"Uploading to {asked.repository} …", "info"),
        }
        try:
            place = self._shelf.push(asked.name, asked.repository, public=asked.public, consent=asked.consent)
            said = _render_pushed(self._shelf.describe(asked.name)[0], place)
        except ElaraError as error:
            said = notice(error.message)
        yield {self.parts.ask: gr.update(interactive=True), self.parts.message: said}


def _render_question(push: Push, called: str, leaving: str) -> str:
    who = (
        "Everybody can see it there."
        if push.public
        else "Only its owner and whom they let in can see it there."
    )
    return (
        f"<p><b>{escape(called)}</b> goes to <b>{escape(push.repository)}</b>: {escape(leaving)}. {who}</p>"
    )


def _render_pushed(name: str, address: str) -> str:
    place = escape(address)
    link = f'<a href="{place}" target="_blank" rel="noopener noreferrer">{place}</a>'
    shown = link if address.startswith(("https://", "http://")) else place
    return f'<div class="el-notice el-good" role="status">{escape(name)} is at {shown}</div>'
