"""One question to several audiences, side by side."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from elara_ui.clinical.identifiers import redact
from elara_ui.clinical.redflags import Finding
from elara_ui.errors import ElaraError, IdentifiersFound
from elara_ui.services import Services
from elara_ui.services.answers import Answer, Finished, Piece, Started
from elara_ui.services.chat import ChatService
from elara_ui.services.private_chat import PrivateChatService
from elara_ui.services.questions import Question
from elara_ui.tabs import chat_view
from elara_ui.tabs.chat_handlers import FRAME_SECONDS
from elara_ui.tabs.chat_parts import ChatState
from elara_ui.tabs.identifier_prompt import AS_IT_IS, BACK, REDACTED, render_question_prompt
from elara_ui.tabs.markup import ACT_SCRIPT, notice
from elara_ui.tabs.parts import Updates, settled
from elara_ui.tabs.readability_meter import KEEP_OPEN_SCRIPT

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompareState:
    """The comparison on show.

    Args:
        question: what was asked.
        answers: the finished answers, in the order asked.
        red_flags: what fired on the question.
        request_id: the answer being written, for Stop; None when none is.
    """

    question: str = ""
    answers: tuple[Answer, ...] = ()
    red_flags: Finding | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class CompareParts:
    """The components of the comparison.

    Args:
        sent: counts answers sent to review from here, so that others can follow.
    """

    state: gr.State
    audiences: gr.CheckboxGroup
    question: gr.Textbox
    ask: gr.Button
    stop: gr.Button
    result: gr.HTML
    sent: gr.Number


def build_compare(services: Services, chat_state: gr.State) -> CompareParts:
    """Build the closed panel and wire it.

    Args:
        services: the use-cases it calls.
        chat_state: of the conversation above; while that is private, a comparison is too.
    """
    recipes = services.recipes
    with gr.Accordion("Compare audiences side by side", open=False, elem_id="compare"):
        parts = CompareParts(
            state=gr.State(CompareState()),
            audiences=gr.CheckboxGroup(
                [(recipe.title, recipe.audience) for recipe in recipes.values()],
                value=list(recipes)[:2],
                label="Audiences",
            ),
            question=gr.Textbox(label="Question for all of them", max_lines=4),
            ask=gr.Button("Ask all", variant="primary", size="md"),
            stop=gr.Button("Stop", variant="stop", size="md", visible=False),
            result=gr.HTML(js_on_load=ACT_SCRIPT + KEEP_OPEN_SCRIPT),
            sent=gr.Number(0, visible=False),
        )
    handlers = CompareHandlers(services, parts)
    common: dict[str, Any] = {
        "outputs": [parts.state, parts.result, parts.ask, parts.stop, parts.sent],
        "show_progress": "hidden",
        "concurrency_limit": None,
    }
    given = [parts.audiences, parts.question, chat_state]
    gr.on([parts.ask.click, parts.question.submit], settled(handlers.ask, parts.state), given, **common)
    judging = [*given, parts.state, parts.sent]
    parts.result.act(settled(handlers.act, parts.state), judging, trigger_mode="multiple", **common)
    parts.stop.click(handlers.stop, [parts.state], **common)
    return parts


class CompareHandlers:
    """The panel's behaviour."""

    def __init__(self, services: Services, parts: CompareParts) -> None:
        self._services = services
        self._parts = parts

    def ask(
        self,
        audiences: list[str],
        text: str,
        chat_state: ChatState,
        request: gr.Request,
        *,
        accept: bool = False,
    ) -> Iterator[Updates]:
        """Answer for one audience after the other, each column growing as it is written.

        Args:
            chat_state: of the conversation above.
            request: names the page, which has one comparison written at a time.
            accept: send the question with its likely identifiers.
        """
        parts, services = self._parts, self._services
        chat = services.private_chat if chat_state.private else services.chat
        try:
            if len(audiences) < 2:
                yield {parts.result: notice("Choose two audiences or more to compare.")}
                return
            questions = {
                audience: chat.check(audience, text, accept_identifiers=accept) for audience in audiences
            }
            shown = CompareState(text, red_flags=self._services.chat.look(text))
        except IdentifiersFound as found:
            yield {
                parts.state: CompareState(question=text),
                parts.result: render_question_prompt(found, lasting=False),
            }
            return
        except ElaraError as error:
            yield {parts.result: notice(error.message)}
            return
        comparing, page = services.answering, _name_page(request)
        turn = comparing.begin(page)
        if turn is None:
            return
        columns: dict[str, Answer | str] = dict.fromkeys(audiences, "")
        trouble = ""
        try:
            yield {parts.result: self._render(shown, columns), **self._show_busy(True)}
            for audience, question in questions.items():
                if comparing.is_current(page, turn):
                    yield from self._fill(chat, audience, question, shown, columns)
        except ElaraError as error:
            trouble = error.message
        except Exception:  # whatever it was, the panel must stay usable
            log.exception("Comparing failed")
            trouble = "Elara failed to answer; the reason is in the log. Ask again."
        finally:
            comparing.end(page, turn)
        if comparing.is_busy(page):  # stopped, and asked anew before this had ended
            return
        columns = {audience: found for audience, found in columns.items() if found}
        answers = tuple(found for found in columns.values() if isinstance(found, Answer))
        yield {
            parts.state: replace(shown, answers=answers),
            parts.result: self._render(shown, columns, trouble),
            **self._show_busy(False),
        }

    def stop(self, state: CompareState, request: gr.Request) -> Updates:
        """Break the comparison off; what has been written stays on the page."""
        self._services.answering.drop(_name_page(request))
        if state.request_id:
            self._services.chat.stop(state.request_id)
        return self._show_busy(False)

    def _fill(
        self,
        chat: ChatService | PrivateChatService,
        audience: str,
        question: Question,
        shown: CompareState,
        columns: dict[str, Answer | str],
    ) -> Iterator[Updates]:
        """Write one audience's column."""
        painted = 0.0
        with closing(chat.ask_once(question)) as events:
            for event in events:
                if isinstance(event, Started):
                    answers = tuple(found for found in columns.values() if isinstance(found, Answer))
                    yield {self._parts.state: replace(shown, answers=answers, request_id=event.request_id)}
                elif isinstance(event, Finished):
                    columns[audience] = event.answer
                elif isinstance(event, Piece):
                    columns[audience] = event.text
                if time.monotonic() - painted > FRAME_SECONDS:
                    painted = time.monotonic()
                    yield {self._parts.result: self._render(shown, columns)}

    def _show_busy(self, busy: bool) -> Updates:
        return {
            self._parts.ask: gr.update(visible=not busy),
            self._parts.stop: gr.update(visible=busy),
        }

    def act(
        self,
        audiences: list[str],
        text: str,
        chat_state: ChatState,
        state: CompareState,
        sent: float,
        request: gr.Request,
        event: gr.EventData,
    ) -> Iterator[Updates]:
        """A press of a button: what to do about identifiers, or one under a compared answer."""
        if event.act == BACK:
            yield {self._parts.result: ""}
        elif event.act in (REDACTED, AS_IT_IS):
            # Only what was previewed is decided about; other words are looked at anew.
            redacts, accept = (event.act == each and text == state.question for each in (REDACTED, AS_IT_IS))
            asked = redact(text) if redacts else text
            yield from self.ask(audiences, asked, chat_state, request, accept=accept)
        else:
            yield self._judge(state, sent, event)

    def _judge(self, state: CompareState, sent: float, event: gr.EventData) -> Updates:
        """Thumbs, "send to review" and "what shaped this?" under a compared answer."""
        told = ""
        try:
            if event.act == "review":
                self._services.reviewing.send(event.item)
                sent += 1
            elif event.act in ("up", "down"):
                self._services.conversations.rate(event.item, 1 if event.act == "up" else -1)
            elif event.act == "lineage":
                told = notice(self._services.lineage.what_shaped(event.item).summary, "info")
            answers = tuple(self._services.conversations.answer(found.response_id) for found in state.answers)
        except ElaraError as error:
            return {self._parts.result: notice(error.message)}
        columns = {answer.audience: answer for answer in answers}
        return {
            self._parts.state: replace(state, answers=answers),
            self._parts.result: told + self._render(state, columns),
            self._parts.sent: sent,
        }

    def _render(
        self, shown: CompareState, columns: dict[str, Answer | str] | dict[str, Answer], error: str = ""
    ) -> str:
        return chat_view.render_comparison(
            shown.question, columns, self._services.recipes, error, shown.red_flags
        )


def _name_page(request: gr.Request) -> str:
    """The page's comparison, for `OneAtATime`; the chat above it has turns of its own."""
    return f"{request.session_hash}/compare"
