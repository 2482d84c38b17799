"""What happens in the column of conversations: each handler makes one service call and paints."""

from dataclasses import replace

import gradio as gr

from elara_ui.errors import ElaraError, IdentifiersFound
from elara_ui.services import Services
from elara_ui.services.identifier_guard import Handling
from elara_ui.tabs import identifier_prompt
from elara_ui.tabs.chat_handlers import ChatHandlers
from elara_ui.tabs.chat_parts import ChatState
from elara_ui.tabs.markup import download_link, notice
from elara_ui.tabs.parts import Updates, unchanged


class SideHandlers:
    """The list of conversations, and what can be done with the open one.

    Leaving a conversation breaks off the answer being written in it; what had come is kept there.

    Args:
        services: the use-cases.
        chat: what the tab does otherwise.
    """

    def __init__(self, services: Services, chat: ChatHandlers) -> None:
        self._conversations = services.conversations
        self._chat = chat
        self._parts, self._side, self._main = chat.parts, chat.parts.side, chat.parts.main

    def start_new(self, audience: str, state: ChatState, request: gr.Request) -> Updates:
        """Leave the open conversation for an empty one."""
        self._chat.leave(state, request)
        shown = self._chat.show(state.turn_to(None), audience)
        return shown | {self._main.message: "", self._main.live: ""}

    def open(self, state: ChatState, request: gr.Request, event: gr.EventData) -> Updates:
        """Open a conversation from the list, with the audience it was last asked for."""
        self._chat.leave(state, request)
        opened = state.turn_to(str(event.item))
        try:
            audience = self._chat.open(opened).audience
            return self._chat.show(opened, audience) | {self._main.audience: audience, self._main.live: ""}
        except ElaraError as error:
            return {self._main.live: notice(error.message), self._side.list: self._chat.render_list(state)}

    def search(self, text: str, state: ChatState) -> Updates:
        """Filter the list."""
        state = replace(state, search=text)
        return {self._parts.state: state, self._side.list: self._chat.render_list(state)}

    def rename(self, title: str, audience: str, state: ChatState) -> Updates:
        """Retitle the open conversation."""
        if state.conversation_id is None:
            return unchanged(self._parts.state)
        try:
            self._conversations.rename(state.conversation_id, title)
        except ElaraError as error:
            return {self._main.live: notice(error.message)}
        return self._chat.show(state, audience) | {self._main.live: ""}

    def ask_delete(self) -> Updates:
        """Ask once more before deleting."""
        return {self._side.confirm: gr.update(visible=True)}

    def delete(self, audience: str, state: ChatState, request: gr.Request) -> Updates:
        """Delete the open conversation for good."""
        if state.conversation_id is None:
            return unchanged(self._parts.state)
        self._chat.leave(state, request)
        try:
            self._conversations.delete(state.conversation_id)
        except ElaraError as error:
            return {self._main.live: notice(error.message)}
        return self._chat.show(state.turn_to(None), audience) | {self._main.live: ""}

    def export(self, form: str, state: ChatState, handling: Handling = Handling.ASK) -> Updates:
        """Hand the open conversation to the browser as a file."""
        if state.conversation_id is None:
            return unchanged(self._parts.state)
        try:
            document = self._conversations.export(state.conversation_id, form, handling)
        except IdentifiersFound as found:
            return {self._main.caution: identifier_prompt.render_export_prompt(found, form)}
        except ElaraError as error:
            return {self._main.live: notice(error.message)}
        return {self._side.download: download_link(document.name, document.text)}
