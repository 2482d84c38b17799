"""Private conversations: held in this process's memory as long as their page is open, and nowhere else."""

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Any

from adapters.engines.base import Turn
from db.models import Response, new_id, utc_now
from db.vocabulary import Role
from elara_ui.clinical.redflags import Finding
from elara_ui.errors import ElaraError, InvalidInput, NotFound
from elara_ui.services.answers import (
    Answer,
    ChatEvent,
    ConversationSummary,
    Finished,
    Thread,
    ThreadMessage,
    describe_answer,
)
from elara_ui.services.asking import AskingService
from elara_ui.services.chat import ChatService
from elara_ui.services.questions import Question, make_title, merge_unanswered
from elara_ui.services.serving import ServingService
from elara_ui.services.simplifying import NOTHING_TO_SIMPLIFY, choose_simpler
from elara_ui.services.triage import TriageService

MOST_HELD = 500
"""Private conversations held at once, so that memory stays bounded; beyond it the stalest is let go."""

UNTITLED = "Private conversation"


@dataclass(frozen=True)
class _Held:
    """A conversation as it stands.

    Args:
        owner: names the browser page that it belongs to.
    """

    owner: str
    thread: Thread
    changed_at: datetime


class PrivateChatService:
    """What `ChatService` and `ConversationService` do, without the database, a log or a file.

    Args:
        chat: checks questions.
        asking: asks the engine.
        serving: knows whether it is another machine's.
        triage: tells again what fired.
    """

    def __init__(
        self, chat: ChatService, asking: AskingService, serving: ServingService, triage: TriageService
    ) -> None:
        self._chat = chat
        self._asking = asking
        self._serving = serving
        self._triage = triage
        self._held: dict[str, _Held] = {}
        self._lock = Lock()

    def begin(self, owner: str) -> str:
        """A new conversation, empty.

        Args:
            owner: names the page, for `forget_all`.

        Returns:
            Its id.
        """
        conversation_id = f"private-{new_id()}"
        with self._lock:
            if len(self._held) >= MOST_HELD:
                del self._held[min(self._held, key=lambda each: self._held[each].changed_at)]
            thread = Thread(conversation_id, UNTITLED, "", ())
            self._held[conversation_id] = _Held(owner, thread, utc_now())
        return conversation_id

    def forget(self, conversation_id: str) -> None:
        """Let a conversation go; one that is gone already is no mistake."""
        with self._lock:
            self._held.pop(conversation_id, None)

    def forget_all(self, owner: str) -> None:
        """Let everything of a page go, as when it is closed."""
        with self._lock:
            self._held = {name: held for name, held in self._held.items() if held.owner != owner}

    def find(self, ids: Collection[str]) -> tuple[ConversationSummary, ...]:
        """Those of these conversations that are there and have begun, the last used first."""
        with self._lock:
            found = [held for name, held in self._held.items() if name in ids and held.thread.messages]
        return tuple(
            ConversationSummary(
                held.thread.conversation_id, held.thread.title, held.thread.audience, held.changed_at
            )
            for held in sorted(found, key=lambda held: held.changed_at, reverse=True)
        )

    def open(self, conversation_id: str) -> Thread:
        """One conversation with its turns.

        Raises:
            NotFound: it is gone.
        """
        with self._lock:
            held = self._held.get(conversation_id)
        if held is None:
            raise NotFound(
                "This private conversation is gone; nothing of it was stored. Copy what you have typed, then "
                "press New conversation."
            )
        return held.thread

    def last_question(self, conversation_id: str) -> ThreadMessage | None:
        """The newest question, or None.

        Raises:
            NotFound: it is gone.
        """
        return self.open(conversation_id).last_question

    def undo(self, conversation_id: str) -> str:
        """Take back the last question with its answer.

        Returns:
            The question; empty when there was nothing to undo.
        """
        thread = self.open(conversation_id)
        last = thread.last_question
        if last is None:
            return ""
        self._put(_cut(thread, last.position))
        return last.content

    def check(
        self,
        audience: str,
        text: str,
        overrides: Mapping[str, Any] | None = None,
        adapter: str | None = None,
        *,
        accept_identifiers: bool = False,
    ) -> Question:
        """`ChatService.check`; since nothing is stored, identifiers matter only to another machine's engine.

        Raises:
            InvalidInput: as there.
            IdentifiersFound: the question would leave this machine with some, and they weren't accepted.
        """
        accept = accept_identifiers or not self._serving.is_remote
        question = self._chat.check(audience, text, overrides, adapter, accept_identifiers=accept)
        return replace(question, accept_identifiers=accept_identifiers, cache_scope=None)

    def ask(self, question: Question, conversation_id: str) -> Generator[ChatEvent, None, None]:
        """Answer within a conversation.

        Raises:
            NotFound: it is gone.
            ElaraError: the engine can't answer; the question stays in the conversation.
        """
        thread = self.open(conversation_id)
        history = [Turn(message.role, message.content) for message in thread.messages if message.content]
        title = thread.title if thread.messages else make_title(question.text)
        asked = replace(thread, title=title, audience=question.recipe.audience)
        found = self._chat.look(question.text, history)
        self._put(_append(asked, Role.USER, question.text, red_flags=found))

        def keep(response: Response) -> Answer:
            answer = self._describe(response)
            try:
                latest = self.open(conversation_id)
            except NotFound:  # let go while the answer came
                return answer
            self._put(_append(latest, Role.ASSISTANT, answer.text, answer))
            return answer

        yield from self._asking.answer(question, merge_unanswered(history), conversation_id, keep, found)

    def retry(self, question: Question, conversation_id: str) -> Generator[ChatEvent, None, None]:
        """Answer the last question again, or an edited form of it, in place of its answer.

        Raises:
            ElaraError: the engine can't answer; the earlier question and answer are shown again.
        """
        before = self.open(conversation_id)
        last = before.last_question
        if last is None:
            raise InvalidInput("There is no question to answer again yet.")
        self._put(_cut(before, last.position))
        try:
            yield from self.ask(question, conversation_id)
        except ElaraError:
            self._put(before)
            raise

    def simplify(
        self,
        conversation_id: str,
        overrides: Mapping[str, Any] | None = None,
        *,
        accept_identifiers: bool = False,
    ) -> Generator[ChatEvent, None, None]:
        """Answer the last question once more in simpler words, and keep whichever answer reads easier.

        Raises:
            InvalidInput: there is no answer yet, or its audience has no target grade.
            IdentifiersFound: the question would leave this machine with some, and they weren't accepted.
            ElaraError: the engine can't answer; the first answer stays.
        """
        before = self.open(conversation_id)
        shown = before.messages[-1] if before.messages else None
        asked = before.last_question
        if asked is None or shown is None or shown.answer is None:
            raise InvalidInput(NOTHING_TO_SIMPLIFY)
        first = shown.answer
        question = self._chat.check_simpler(first, overrides, accept_identifiers=accept_identifiers)
        earlier = _cut(before, asked.position).messages
        history = [Turn(message.role, message.content) for message in earlier if message.content]
        found, turns = self._chat.look(question.text, history), merge_unanswered(history)
        for event in self._asking.answer(question, turns, conversation_id, self._describe, found):
            if not isinstance(event, Finished):
                yield event
                continue
            outcome = choose_simpler(first, event.answer)
            if outcome.simpler:
                easier = event.answer
                self._put(_append(_cut(before, shown.position), Role.ASSISTANT, easier.text, easier))
            yield Finished(event.answer if outcome.simpler else first, outcome.note)

    def ask_once(self, question: Question, history: Sequence[Turn] = ()) -> Generator[ChatEvent, None, None]:
        """Answer outside any conversation.

        Args:
            history: the turns before it, oldest first, where whoever asks keeps them.

        Raises:
            ElaraError: as for `ask`.
        """
        found = self._chat.look(question.text, history)
        yield from self._asking.answer(question, merge_unanswered(history), None, self._describe, found)

    def _describe(self, response: Response) -> Answer:
        """The answer as a value; the response itself comes into no session."""
        response.id = f"private-{new_id()}"
        return describe_answer(response, in_review=False, recall=self._triage.recall, stored=False)

    def _put(self, thread: Thread) -> None:
        """Hold a conversation as it is now, unless it was let go."""
        with self._lock:
            held = self._held.get(thread.conversation_id)
            if held is not None:
                self._held[thread.conversation_id] = _Held(held.owner, thread, utc_now())


def _append(
    thread: Thread, role: Role, content: str, answer: Answer | None = None, red_flags: Finding | None = None
) -> Thread:
    position = thread.messages[-1].position + 1 if thread.messages else 0
    message = ThreadMessage(position, role, content, answer, red_flags)
    return replace(thread, messages=(*thread.messages, message))


def _cut(thread: Thread, position: int) -> Thread:
    """Without the turns from a position on."""
    return replace(thread, messages=tuple(each for each in thread.messages if each.position < position))
