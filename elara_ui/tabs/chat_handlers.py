"""What happens in the chat tab: each handler unpacks, makes one service call and paints."""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError, IdentifiersFound, NotFound
from elara_ui.services import Services
from elara_ui.services.answers import ChatEvent, Finished, Piece, Started, Thread
from elara_ui.services.chat import ChatService
from elara_ui.services.conversations import ConversationService
from elara_ui.services.private_chat import PrivateChatService
from elara_ui.services.questions import Question
from elara_ui.tabs import chat_view, identifier_prompt, private_view
from elara_ui.tabs.chat_parts import ChatParts, ChatState
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, unchanged

log = logging.getLogger(__name__)

FRAME_SECONDS = 0.08
"""Shortest time between two repaints of a growing answer: smooth to the eye, light on the wire."""

SAMPLING_NAMES = ("temperature", "repetition_penalty", "top_p", "max_new_tokens", "seed")


class ChatHandlers:
    """The tab's behaviour.

    Args:
        services: the use-cases.
        parts: the components to paint.
    """

    def __init__(self, services: Services, parts: ChatParts) -> None:
        self._services = services
        self._side = parts.side
        self._main = parts.main
        self.parts = parts

    def ask(
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
        *,
        accept: bool = False,
    ) -> Iterator[Updates]:
        """Answer what is in the composer; a refused question stays there.

        Args:
            accept: send it with its likely identifiers, and don't ask about them again in this conversation.
        """
        if self._must_wait(request):
            return
        chat = self._chat(state)
        try:
            if state.private:
                self.open(state)  # gone with a page that slept, say; it must not go on as a stored one
            question = chat.check(
                audience,
                message,
                sampling_overrides(temperature, repetition_penalty, top_p, max_new_tokens, seed),
                accept_identifiers=accept or state.conversation_id in state.accepted,
            )
        except IdentifiersFound as found:
            yield {
                self.parts.state: replace(state, held=message),
                self._main.caution: identifier_prompt.render_question_prompt(found),
                self._main.live: "",
            }
            return
        except ElaraError as error:
            yield {self._main.live: notice(error.message)}
            return
        if state.editing and state.conversation_id:
            events = chat.retry(question, state.conversation_id)
            yield from self._follow(events, state, request, clears=True, keeps=message, accepted=accept)
        else:
            events = self._begin(state, question)
            yield from self._follow(events, state, request, clears=True, accepted=accept)

    def act(
        self,
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
        """A press of one of the buttons within the thread."""
        if self._must_wait(request):
            return
        sampled = (temperature, repetition_penalty, top_p, max_new_tokens, seed)
        try:
            match event.act:
                case "example":
                    yield from self.ask(event.item, audience, state, *sampled, request)
                case "retry":
                    yield from self._retry(audience, state, sampling_overrides(*sampled), request)
                case "simplify" if state.conversation_id:
                    accept = state.conversation_id in state.accepted
                    simpler = self._chat(state).simplify(
                        state.conversation_id, sampling_overrides(*sampled), accept_identifiers=accept
                    )
                    yield from self._follow(simpler, state, request)
                case "edit" | "undo":
                    yield self._take_back(audience, state, str(event.item), keep=event.act == "edit")
                case "lineage":
                    shaped = self._services.lineage.what_shaped(str(event.item))
                    yield {self._main.live: notice(shaped.summary, "info")}
                case "up" | "down" | "review":
                    self._judge(event.act, event.item)
                    yield self.show(state, audience)
        except ElaraError as error:
            yield {self._main.live: notice(error.message)}

    def stop(self, state: ChatState) -> Updates:
        """End the answer being written; its own handler then shows what had come."""
        if state.request_id:
            self._services.chat.stop(state.request_id)
        return {self._main.stop: gr.update(interactive=False)}

    def choose_audience(self, audience: str, state: ChatState) -> Updates:
        """Show who answers now, and that audience's own sampling defaults."""
        recipe = self._services.recipes[audience]
        defaults = (getattr(recipe.sampling, name) for name in SAMPLING_NAMES)
        updates: Updates = dict(zip(self._main.sampling, defaults, strict=True))
        updates[self._main.answering] = self._describe_answering(audience, state)
        if state.conversation_id is None or not self._has_begun(state):
            updates[self._main.thread] = chat_view.render_welcome(recipe)
        return updates

    def leave(self, state: ChatState, request: gr.Request) -> None:
        """End the answer being written, as its reader turns to something else: it is kept, not painted."""
        self._services.answering.drop(str(request.session_hash))
        if state.request_id:  # known once it is on the page; before that its handler sees that it was dropped
            self._services.chat.stop(state.request_id)

    def refresh(self, audience: str, state: ChatState, request: gr.Request) -> Updates:
        """Paint again after something changed elsewhere (a promotion, a comparison)."""
        if self._services.answering.is_busy(str(request.session_hash)):
            return unchanged(self.parts.state)
        try:
            return self.show(state, audience)
        except NotFound as error:  # deleted in another window
            return self.show(state.turn_to(None), audience) | {self._main.live: notice(error.message)}

    def show(self, state: ChatState, audience: str) -> Updates:
        """Everything that follows from the state and the audience chosen now."""
        updates = self._paint(state) | self._paint_form(state)
        updates[self._main.answering] = self._describe_answering(audience, state)
        if not updates[self._main.thread]:
            updates[self._main.thread] = chat_view.render_welcome(self._services.recipes[audience])
        return updates

    def _paint(self, state: ChatState) -> Updates:
        """Thread (empty when there is nothing in it), side list and buttons."""
        thread = ""
        if state.conversation_id is not None:
            conversation = self.open(state)
            if conversation.messages:
                thread = chat_view.render_thread(conversation, self._services.recipes)
        stored = state.conversation_id is not None and not state.private
        note = private_view.render_private_note(begun=bool(thread)) if state.private else ""
        return {
            self.parts.state: state,
            self._main.private: gr.update(value=state.private, visible=not stored and not thread),
            self._main.private_note: note,
            self._main.thread: thread,
            self._main.caution: "",
            **self._show_whether_answering(state.request_id is not None),
            self._side.list: self.render_list(state),
            self._side.manage: gr.update(visible=stored),
        }

    def _paint_form(self, state: ChatState) -> Updates:
        """The form for the open conversation; an answer that ends leaves it alone, as it may be in use."""
        title = "" if state.conversation_id is None else self.open(state).title
        return {self._side.title: title, self._side.confirm: gr.update(visible=False)}

    def _follow(
        self,
        events: Generator[ChatEvent, None, None],
        state: ChatState,
        request: gr.Request,
        *,
        clears: bool = False,
        keeps: str = "",
        accepted: bool = False,
    ) -> Iterator[Updates]:
        """Paint an answer as it grows; leaving it or the page closes `events`, which stops the model.

        Args:
            request: names the page, which has one answer written at a time.
            clears: empty the composer once the question is stored.
            keeps: put this back into the composer when the answer fails.
            accepted: identifiers in this conversation may be sent as they are from now on.
        """
        answering, page = self._services.answering, str(request.session_hash)
        turn = answering.begin(page)
        if turn is None:
            self._must_wait(request)
            return
        painted, trouble, note, composer = 0.0, "", "", {}
        try:
            with closing(events):
                for event in events:
                    if not answering.is_current(page, turn):
                        break
                    if isinstance(event, Started):
                        begun = event.conversation_id != state.conversation_id
                        state = replace(
                            state.turn_to(event.conversation_id),
                            request_id=event.request_id,
                            accepted=state.accepted | ({str(event.conversation_id)} if accepted else set()),
                        )
                        cleared = {self._main.message: ""} if clears else {}
                        writing = {self._main.live: chat_view.render_live_answer("")}
                        form = self._paint_form(state) if begun else {}
                        yield self._paint(state) | form | writing | cleared
                    elif isinstance(event, Finished) and event.note:
                        note = notice(event.note, "info")
                    elif isinstance(event, Piece) and time.monotonic() - painted > FRAME_SECONDS:
                        painted = time.monotonic()
                        yield {self._main.live: chat_view.render_live_answer(event.text)}
        except ElaraError as error:
            trouble = notice(error.message)
        except Exception as error:  # whatever it was, the page must stay usable and the question kept
            # A traceback may quote what was asked, and nothing private may come into the log.
            log.error("Answering failed: %s", type(error).__name__, exc_info=not state.private)
            trouble = notice("Elara failed to answer; the reason is in the log. Your question is kept.")
        finally:
            dropped = not answering.is_current(page, turn)
            answering.end(page, turn)
        if not dropped:
            if trouble and keeps:
                composer = {self._main.message: keeps}
            ended = replace(state, request_id=None, editing=False)
            yield self._paint(ended) | {self._main.live: trouble or note} | composer
        elif not answering.is_busy(page):  # its last words may have come after what is shown now
            yield {self._main.live: ""} | self._show_whether_answering(False)

    def _must_wait(self, request: gr.Request) -> bool:
        """Whether the page has an answer under way, which it is told then."""
        busy = self._services.answering.is_busy(str(request.session_hash))
        if busy:
            gr.Info("An answer is being written. Wait for it, or press Stop first.")
        return busy

    def _show_whether_answering(self, answering: bool) -> Updates:
        return {
            self._main.send: gr.update(visible=not answering),
            self._main.stop: gr.update(visible=answering, interactive=True),
        }

    def _retry(
        self, audience: str, state: ChatState, sampling: dict[str, Any], request: gr.Request
    ) -> Iterator[Updates]:
        if state.conversation_id is None:
            return
        chat = self._chat(state)
        last = self._conversations(state).last_question(state.conversation_id)
        if last is None:
            return
        # It was asked about when it was first sent, unless the engine was a nearer one then.
        accept = state.conversation_id in state.accepted or not self._services.serving.is_remote
        question = chat.check(audience, last.content, sampling, accept_identifiers=accept)
        yield from self._follow(chat.retry(question, state.conversation_id), state, request)

    def _take_back(self, audience: str, state: ChatState, position: str, *, keep: bool) -> Updates:
        """Put the last question into the composer; unless kept, it leaves the thread at once.

        Args:
            position: of the question it was pressed at; pressed twice, it doesn't take back the one before.
        """
        if state.conversation_id is None:
            return unchanged(self.parts.state)
        conversations, open_id = self._conversations(state), state.conversation_id
        last = conversations.last_question(open_id)
        if last is None or str(last.position) != position:
            return self.show(state, audience)
        if keep:
            text = last.content
            state = replace(state, editing=True)
            hint = notice("Change the question below and send it: it replaces the last one.", "info")
        else:
            text, hint = conversations.undo(open_id), ""
        return self.show(state, audience) | {self._main.message: text, self._main.live: hint}

    def _judge(self, act: str, response_id: str) -> None:
        if act == "review":
            self._services.reviewing.send(response_id)
        else:
            self._services.conversations.rate(response_id, 1 if act == "up" else -1)

    def _chat(self, state: ChatState) -> ChatService | PrivateChatService:
        return self._services.private_chat if state.private else self._services.chat

    def _conversations(self, state: ChatState) -> ConversationService | PrivateChatService:
        return self._services.private_chat if state.private else self._services.conversations

    def open(self, state: ChatState) -> Thread:
        """The open conversation.

        Raises:
            NotFound: it is gone.
        """
        return self._conversations(state).open(str(state.conversation_id))

    def _has_begun(self, state: ChatState) -> bool:
        """Whether there is something in the open conversation; a stored one begins with its question."""
        return not state.private or bool(self._services.private_chat.find({str(state.conversation_id)}))

    def _begin(self, state: ChatState, question: Question) -> Generator[ChatEvent, None, None]:
        if state.private:
            return self._services.private_chat.ask(question, str(state.conversation_id))
        return self._services.chat.ask(question, state.conversation_id)

    def render_list(self, state: ChatState) -> str:
        """The conversations: the page's private ones, then the stored ones."""
        private = private_view.render_private_rows(
            self._services.private_chat.find(state.private_ids), state.conversation_id
        )
        stored = self._services.conversations.find(state.search)
        kept_days = self._services.retention.days
        return private + chat_view.render_list(stored, state.conversation_id, kept_days)

    def _describe_answering(self, audience: str, state: ChatState) -> str:
        answering = self._services.adapters.answering(audience, state.conversation_id)
        return chat_view.render_answering(self._services.recipes[audience], answering)


def sampling_overrides(
    temperature: float,
    repetition_penalty: float,
    top_p: float,
    max_new_tokens: float,
    seed: float | None,
) -> dict[str, Any]:
    """The sampling panel's values by the names of `adapters.engines.base.Sampling`.

    A number field of Gradio shows 0 where it holds nothing, so −1 stands for no seed.
    """
    return {
        "temperature": temperature,
        "repetition_penalty": repetition_penalty,
        "top_p": top_p,
        "max_new_tokens": None if max_new_tokens is None else int(max_new_tokens),
        "seed": None if seed is None or seed < 0 else int(seed),
    }
