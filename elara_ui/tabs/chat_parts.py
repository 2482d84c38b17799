"""What the chat tab is made of: what one browser tab is doing, and the components that handlers fill."""

from dataclasses import dataclass, replace

import gradio as gr


@dataclass(frozen=True)
class ChatState:
    """What one browser tab is doing.

    Args:
        conversation_id: the open conversation, None for a new one.
        request_id: the answer being written, for Stop; None when none is.
        editing: whether the next question replaces the last one.
        search: what the side list is filtered by.
        private_ids: the page's private conversations, which only its memory holds.
        accepted: conversations in which likely identifiers may be sent as they are.
        held: the question that waits for a decision about its identifiers.
    """

    conversation_id: str | None = None
    request_id: str | None = None
    editing: bool = False
    search: str = ""
    private_ids: frozenset[str] = frozenset()
    accepted: frozenset[str] = frozenset()
    held: str = ""

    @property
    def private(self) -> bool:
        """Whether the open conversation is a private one."""
        return self.conversation_id in self.private_ids

    def turn_to(self, conversation_id: str | None) -> "ChatState":
        """With another conversation open, and nothing under way."""
        return replace(self, conversation_id=conversation_id, request_id=None, editing=False, held="")


@dataclass(frozen=True)
class SideParts:
    """The column of conversations."""

    new: gr.Button
    search: gr.Textbox
    list: gr.HTML
    manage: gr.Accordion
    title: gr.Textbox
    rename: gr.Button
    form: gr.Radio
    export: gr.Button
    delete: gr.Button
    confirm: gr.Button
    download: gr.HTML


@dataclass(frozen=True)
class MainParts:
    """The thread and the composer."""

    audience: gr.Radio
    answering: gr.HTML
    private: gr.Checkbox
    private_note: gr.HTML
    thread: gr.HTML
    live: gr.HTML
    caution: gr.HTML
    message: gr.Textbox
    send: gr.Button
    stop: gr.Button
    sampling: tuple[gr.components.Component, ...]


@dataclass(frozen=True)
class ChatParts:
    """Everything in the tab that handlers fill."""

    state: gr.State
    side: SideParts
    main: MainParts
