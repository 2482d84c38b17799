"""What happens in the chat tab: each handler unpacks, makes one service call and paints."""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from elara_ui.errors import ElaraError, NotFound
from elara_ui.services import Services
from elara_ui.services.answers import ChatEvent, Finished, Piece, Started
from elara_ui.tabs import chat_view
from elara_ui.tabs.markup import download_link, notice
from elara_ui.tabs.parts import Updates, unchanged

log = logging.getLogger(__name__)

FRAME_SECONDS = 0.08
"""Shortest time between two repaints of a growing answer: smooth to the eye, light on the wire."""

SAMPLING_NAMES = ("temperature", "repetition_penalty", "top_p", "max_new_tokens", "seed")


@dataclass(frozen=True)
class ChatState:
    """What one browser tab is doing.

    Args:
        conversation_id: the open conversation, None for a new one.
        request_id: the answer being written, for Stop; None when none is.
        editing: whether the next question replaces the last one.
        search: what the side list is filtered by.
    """

    conversation_id: str | None = None
    request_id: str | None = None
    editing: bool = False
    search: str = ""


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
    thread: gr.HTML
    live: gr.HTML
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
    ) -> Iterator[Updates]:
        """Answer what is in the composer; a refused question stays there."""
        if state.request_id:
            gr.Info("An answer is being written. Wait for it, or press Stop first.")
            return
        try:
            question = self._services.chat.check(
                audience,
                message,
                sampling_overrides(temperature, repetition_penalty, top_p, max_new_tokens, seed),
            )
        except ElaraError as error:
            yield {self._main.live: notice(error.message)}
            return
        chat = self._services.chat
        if state.editing and state.conversation_id:
            events = chat.retry(question, state.conversation_id)
            yield from self._follow(events, state, clears=True, keeps=message)
        else:
            events = chat.ask(question, state.conversation_id)
            yield from self._follow(events, state, clears=True)

    def act(
        self,
        audience: str,
        state: ChatState,
        temperature: float,
        repetition_penalty: float,
        top_p: float,
        max_new_tokens: float,
        seed: float | None,
        event: gr.EventData,
    ) -> Iterator[Updates]:
        """A press of one of the buttons within the thread."""
        if state.request_id:
            gr.Info("An answer is being written. Wait for it, or press Stop first.")
            return
        try:
            match event.act:
                case "example":
                    yield from self.ask(
                        event.item,
                        audience,
                        state,
                        temperature,
                        repetition_penalty,
                        top_p,
                        max_new_tokens,
                        seed,
                    )
                case "retry":
                    sampling = sampling_overrides(
                        temperature, repetition_penalty, top_p, max_new_tokens, seed
                    )
                    yield from self._retry(audience, state, sampling)
                case "simplify" if state.conversation_id:
                    sampling = sampling_overrides(
                        temperature, repetition_penalty, top_p, max_new_tokens, seed
                    )
                    simpler = self._services.chat.simplify(state.conversation_id, sampling)
                    yield from self._follow(simpler, state)
                case "edit" | "undo":
                    yield self._take_back(audience, state, keep=event.act == "edit")
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
        updates[self._main.answering] = self._describe_answering(audience)
        if state.conversation_id is None:
            updates[self._main.thread] = chat_view.render_welcome(recipe)
        return updates

    def start_new(self, audience: str, state: ChatState) -> Updates:
        """Leave the open conversation for an empty one."""
        self.stop(state)
        return self.show(ChatState(search=state.search), audience) | {
            self._main.message: "",
            self._main.live: "",
        }

    def open(self, state: ChatState, event: gr.EventData) -> Updates:
        """Open a conversation from the side list, with the audience it was last asked for."""
        self.stop(state)
        opened = ChatState(conversation_id=str(event.item), search=state.search)
        try:
            audience = self._services.conversations.open(str(event.item)).audience
            return self.show(opened, audience) | {self._main.audience: audience, self._main.live: ""}
        except ElaraError as error:
            return {self._main.live: notice(error.message), self._side.list: self._render_list(state)}

    def search(self, text: str, state: ChatState) -> Updates:
        """Filter the side list."""
        state = replace(state, search=text)
        return {self.parts.state: state, self._side.list: self._render_list(state)}

    def rename(self, title: str, audience: str, state: ChatState) -> Updates:
        """Retitle the open conversation."""
        if state.conversation_id is None:
            return unchanged(self.parts.state)
        try:
            self._services.conversations.rename(state.conversation_id, title)
        except ElaraError as error:
            return {self._main.live: notice(error.message)}
        return self.show(state, audience) | {self._main.live: ""}

    def ask_delete(self) -> Updates:
        """Ask once more before deleting."""
        return {self._side.confirm: gr.update(visible=True)}

    def delete(self, audience: str, state: ChatState) -> Updates:
        """Delete the open conversation for good."""
        if state.conversation_id is None:
            return unchanged(self.parts.state)
        self.stop(state)
        try:
            self._services.conversations.delete(state.conversation_id)
        except ElaraError as error:
            return {self._main.live: notice(error.message)}
        return self.show(ChatState(search=state.search), audience) | {self._main.live: ""}

    def export(self, form: str, state: ChatState) -> Updates:
        """Hand the open conversation to the browser as a file."""
        if state.conversation_id is None:
            return unchanged(self.parts.state)
        try:
            document = self._services.conversations.export(state.conversation_id, form)
        except ElaraError as error:
            return {self._main.live: notice(error.message)}
        return {self._side.download: download_link(document.name, document.text)}

    def refresh(self, audience: str, state: ChatState) -> Updates:
        """Paint again after something changed elsewhere (a promotion, a comparison)."""
        if state.request_id:
            return unchanged(self.parts.state)
        try:
            return self.show(state, audience)
        except NotFound as error:  # deleted in another window
            return self.show(ChatState(), audience) | {self._main.live: notice(error.message)}

    def show(self, state: ChatState, audience: str) -> Updates:
        """Everything that follows from the state and the audience chosen now."""
        updates = self._paint(state) | {self._main.answering: self._describe_answering(audience)}
        if not updates[self._main.thread]:
            updates[self._main.thread] = chat_view.render_welcome(self._services.recipes[audience])
        return updates

    def _paint(self, state: ChatState) -> Updates:
        """Thread (empty when there is nothing in it), side list and buttons."""
        title = thread = ""
        if state.conversation_id is not None:
            conversation = self._services.conversations.open(state.conversation_id)
            title = conversation.title
            if conversation.messages:
                thread = chat_view.render_thread(conversation, self._services.recipes)
        return {
            self.parts.state: state,
            self._main.thread: thread,
            self._main.send: gr.update(visible=True),
            self._main.stop: gr.update(visible=False),
            self._side.list: self._render_list(state),
            self._side.manage: gr.update(visible=state.conversation_id is not None),
            self._side.title: title,
            self._side.confirm: gr.update(visible=False),
        }

    def _follow(
        self,
        events: Generator[ChatEvent, None, None],
        state: ChatState,
        *,
        clears: bool = False,
        keeps: str = "",
    ) -> Iterator[Updates]:
        """Paint an answer as it grows; leaving the page closes `events`, which stops the model.

        Args:
            clears: empty the composer once the question is stored.
            keeps: put this back into the composer when the answer fails.
        """
        painted, trouble, note, composer = 0.0, "", "", {}
        try:
            with closing(events):
                for event in events:
                    if isinstance(event, Started):
                        state = ChatState(event.conversation_id, event.request_id, search=state.search)
                        cleared = {self._main.message: ""} if clears else {}
                        yield self._paint(state) | self._show_answering_now() | cleared
                    elif isinstance(event, Finished) and event.note:
                        note = notice(event.note, "info")
                    elif isinstance(event, Piece) and time.monotonic() - painted > FRAME_SECONDS:
                        painted = time.monotonic()
                        yield {self._main.live: chat_view.render_live_answer(event.text)}
        except ElaraError as error:
            trouble = notice(error.message)
        except Exception:  # whatever it was, the page must stay usable and the question kept
            log.exception("Answering failed")
            trouble = notice("Elara failed to answer; the reason is in the log. Your question is kept.")
        if trouble and keeps:
            composer = {self._main.message: keeps}
        ended = replace(state, request_id=None, editing=False)
        yield self._paint(ended) | {self._main.live: trouble or note} | composer

    def _show_answering_now(self) -> Updates:
        return {
            self._main.live: chat_view.render_live_answer(""),
            self._main.send: gr.update(visible=False),
            self._main.stop: gr.update(visible=True, interactive=True),
        }

    def _retry(self, audience: str, state: ChatState, sampling: dict[str, Any]) -> Iterator[Updates]:
        if state.conversation_id is None:
            return
        last = self._services.conversations.last_question(state.conversation_id)
        if last is None:
            return
        question = self._services.chat.check(audience, last.content, sampling)
        yield from self._follow(self._services.chat.retry(question, state.conversation_id), state)

    def _take_back(self, audience: str, state: ChatState, *, keep: bool) -> Updates:
        """Put the last question into the composer; unless kept, it leaves the thread at once."""
        if state.conversation_id is None:
            return unchanged(self.parts.state)
        conversations, open_id = self._services.conversations, state.conversation_id
        if keep:
            last = conversations.last_question(open_id)
            text = last.content if last else ""
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

    def _render_list(self, state: ChatState) -> str:
        return chat_view.render_list(self._services.conversations.find(state.search), state.conversation_id)

    def _describe_answering(self, audience: str) -> str:
        return chat_view.render_answering(
            self._services.recipes[audience], self._services.adapters.live().get(audience)
        )


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
