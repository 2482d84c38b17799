"""What happens in the chat tab about identifiers and private conversations."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import gradio as gr

from elara_ui.clinical.identifiers import redact
from elara_ui.services import Services
from elara_ui.services.identifier_guard import Handling
from elara_ui.tabs.chat_handlers import ChatHandlers
from elara_ui.tabs.chat_parts import ChatState
from elara_ui.tabs.identifier_prompt import AS_IT_IS, BACK, REDACTED
from elara_ui.tabs.parts import Updates
from elara_ui.tabs.side_handlers import SideHandlers

Leave = Callable[[gr.Request], None]
EXPORTS = {REDACTED: Handling.REDACT, AS_IT_IS: Handling.KEEP}


class PrivacyHandlers:
    """The behaviour of the card about identifiers and of the switch above a new conversation.

    Args:
        services: the use-cases.
        chat: what the tab does otherwise.
        side: what its column of conversations does.
    """

    def __init__(self, services: Services, chat: ChatHandlers, side: SideHandlers) -> None:
        self._private = services.private_chat
        self._chat, self._side = chat, side
        self._main = chat.parts.main

    def decide(
        self,
        message: str,
        audience: str,
        state: ChatState,
        temperature: float,
        repetition_penalty: float,
        top_p: float,
        max_new_tokens: float,
        seed: float | None,
        request: gr.Request,
        event: gr.EventData,
    ) -> Iterator[Updates]:
        """What to do about likely identifiers in a question, or in a file that was asked for."""
        yield {self._main.caution: ""}
        if event.act == BACK:
            return
        if event.item:
            yield self._side.export(event.item, state, EXPORTS[event.act])
            return
        # What was typed since the card was shown has not been previewed: it is looked at like a new question.
        shown = message.strip() == state.held.strip()
        yield from self._chat.ask(
            redact(message) if shown and event.act == REDACTED else message,
            audience,
            state,
            temperature,
            repetition_penalty,
            top_p,
            max_new_tokens,
            seed,
            request,
            accept=shown and event.act == AS_IT_IS,
        )

    def choose_private(self, private: bool, audience: str, state: ChatState, request: gr.Request) -> Updates:
        """Make the conversation that is about to begin a private one, or an ordinary one again."""
        if not private:
            return self._chat.show(self._let_go(state), audience)
        begun = self._private.begin(str(request.session_hash))
        state = replace(state.turn_to(begun), private_ids=state.private_ids | {begun})
        return self._chat.show(state, audience)

    def forget(self, audience: str, state: ChatState, request: gr.Request) -> Updates:
        """Let the open private conversation go at once."""
        self._chat.leave(state, request)
        return self._chat.show(self._let_go(state), audience) | {self._main.live: ""}

    def _let_go(self, state: ChatState) -> ChatState:
        """Forget the open private conversation; the state with an empty one."""
        gone = str(state.conversation_id)
        self._private.forget(gone)
        return replace(state.turn_to(None), private_ids=state.private_ids - {gone})


def make_leave(services: Services) -> Leave:
    """What happens when a page is closed or reloaded: its private conversations go with it."""

    def leave(request: gr.Request) -> None:
        services.answering.drop(str(request.session_hash))
        services.private_chat.forget_all(str(request.session_hash))

    return leave
