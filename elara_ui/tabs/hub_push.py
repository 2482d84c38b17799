"""The adapter looked at, put on the Hugging Face hub: private unless asked, never without a second press."""

from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr

from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.exporting import TOKEN, Target
from elara_ui.tabs.markup import escape, notice
from elara_ui.tabs.parts import Updates, components_of, unchanged

HOW_TO = (
    f'<p class="el-muted">To push adapters, start Elara with a token in <code>{TOKEN}</code>: make one with '
    "the right to write at huggingface.co/settings/tokens, and start with "
    f"<code>{TOKEN}=hf_… python app.py</code>. The token is passed on, never stored or shown.</p>"
)


@dataclass(frozen=True)
class Push:
    """What was asked for, and waits for its confirmation."""

    name: str
    repository: str
    public: bool


@dataclass(frozen=True)
class HubParts:
    """Beneath the details of an adapter.

    Args:
        asked: the `Push` to be confirmed; None for none.
    """

    panel: gr.Accordion
    lacking: gr.HTML
    form: gr.Column
    repository: gr.Textbox
    public: gr.Checkbox
    ask: gr.Button
    confirmation: gr.Column
    question: gr.HTML
    confirm: gr.Button
    leave: gr.Button
    message: gr.HTML
    asked: gr.State


def build_hub_push(services: Services, shown: gr.State) -> "HubHandlers":
    """Build the panel and let it follow the adapter that is looked at.

    Args:
        services: check and push.
        shown: that adapter's name; empty for none.
    """
    parts = _build()
    handlers = HubHandlers(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    shown.change(handlers.follow, [shown], **common)
    gr.on(
        [parts.ask.click, parts.repository.submit],
        handlers.ask,
        [shown, parts.repository, parts.public],
        **common,
    )
    gr.on([parts.repository.input, parts.public.input, parts.leave.click], handlers.leave, None, **common)
    parts.confirm.click(handlers.push, [parts.asked], **common)
    return handlers


def _build() -> HubParts:
    with gr.Accordion("On the Hugging Face hub", open=False, visible=False, elem_id="hub-push") as panel:
        lacking = gr.HTML(HOW_TO, visible=False)
        with gr.Column() as form:
            repository = gr.Textbox(
                label="Repository",
                info="owner/name; it is made when there is none.",
                placeholder="my-clinic/patient-lora",
                max_lines=1,
                max_length=200,
                elem_id="hub-repository",
            )
            public = gr.Checkbox(
                label="Everybody may see it", info="Otherwise only its owner and whom they let in."
            )
            ask = gr.Button("Push …", size="sm", elem_id="ask-push")
            with gr.Column(visible=False, elem_classes="el-card") as confirmation:
                question = gr.HTML(elem_id="push-question")
                with gr.Row():
                    confirm = gr.Button("Push it", variant="primary", size="sm", elem_id="confirm-push")
                    leave = gr.Button("Leave it here", size="sm", elem_id="leave-push")
        message = gr.HTML(elem_id="push-message")
    return HubParts(
        *(panel, lacking, form, repository, public, ask),
        *(confirmation, question, confirm, leave, message, gr.State(None)),
    )


class HubHandlers:
    """The behaviour of the panel."""

    def __init__(self, services: Services, parts: HubParts) -> None:
        self._exports = services.exports
        self.parts = parts

    def follow(self, name: str) -> Updates:
        """Offer it for the adapter looked at; without a token say how to set one."""
        able = self._exports.has_token
        return self.leave() | {
            self.parts.panel: gr.update(visible=bool(name)),
            self.parts.lacking: gr.update(visible=not able),
            self.parts.form: gr.update(visible=able),
        }

    def ask(self, name: str, repository: str, public: bool) -> Updates:
        """Say what would leave and who would see it; nothing leaves yet."""
        push = Push(name, repository.strip(), public)
        try:
            self._exports.check_push(push.name, push.repository)
        except ElaraError as error:
            return self.leave() | {self.parts.message: notice(error.message)}
        return {
            self.parts.message: "",
            self.parts.confirmation: gr.update(visible=True),
            self.parts.question: _render_question(push),
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
            self.parts.message: notice(f"Uploading {asked.name} to {asked.repository} …", "info"),
        }
        try:
            exported = self._exports.export(asked.name, Target.HUB, asked.repository, public=asked.public)
            said = _render_pushed(asked.name, exported.place)
        except ElaraError as error:
            said = notice(error.message)
        yield {self.parts.ask: gr.update(interactive=True), self.parts.message: said}


def _render_question(push: Push) -> str:
    who = (
        "Everybody can see it there."
        if push.public
        else "Only its owner and whom they let in can see it there."
    )
    return (
        f"<p><b>{escape(push.name)}</b> goes to <b>{escape(push.repository)}</b>: its weights, its "
        f"card and its figures, but no row of the training data. {who}</p>"
    )


def _render_pushed(name: str, address: str) -> str:
    place = escape(address)
    link = f'<a href="{place}" target="_blank" rel="noopener noreferrer">{place}</a>'
    shown = link if address.startswith(("https://", "http://")) else place
    return f'<div class="el-notice el-good" role="status">{escape(name)} is at {shown}</div>'
