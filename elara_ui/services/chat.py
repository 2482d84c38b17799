"""Conversations with the model: from a question and an audience to a stored answer, piece by piece."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from adapters.engines.base import Turn
from adapters.recipe import Recipe
from db import conversations as conversation_store
from db.models import Response
from db.session import Database
from db.vocabulary import Role
from elara_ui.clinical.redflags import Finding
from elara_ui.errors import ElaraError, InvalidInput
from elara_ui.services.answers import Answer, ChatEvent, Finished, describe_answer
from elara_ui.services.asking import AskingService
from elara_ui.services.conversations import ConversationService
from elara_ui.services.identifier_guard import check_question
from elara_ui.services.questions import Question, make_title, merge_unanswered, override_sampling
from elara_ui.services.review_sampling import ReviewSampling
from elara_ui.services.serving import ServingService
from elara_ui.services.simplifying import NOTHING_TO_SIMPLIFY, choose_simpler, make_instruction
from elara_ui.services.triage import TriageService, to_rows


class ChatService:
    """Answers questions for an audience and remembers them.

    Args:
        database: where questions and answers are kept.
        asking: asks the engine.
        serving: knows whether it is another machine's.
        conversations: changes what is already stored.
        recipes: audience → recipe.
        max_question_characters: longest question accepted, characters.
        triage: looks for red flags in every question, whatever the model then says.
        sampling: sends answers to review by itself; none if not given.
    """

    def __init__(
        self,
        database: Database,
        asking: AskingService,
        serving: ServingService,
        conversations: ConversationService,
        recipes: Mapping[str, Recipe],
        max_question_characters: int,
        triage: TriageService,
        sampling: ReviewSampling | None = None,
    ) -> None:
        self._database = database
        self._asking = asking
        self._serving = serving
        self._conversations = conversations
        self._recipes = recipes
        self._max_characters = max_question_characters
        self._triage = triage
        self._sampling = sampling

    def check(
        self,
        audience: str,
        text: str,
        overrides: Mapping[str, Any] | None = None,
        adapter: str | None = None,
        *,
        accept_identifiers: bool = False,
    ) -> Question:
        """Check a question before anything is stored or computed.

        Args:
            overrides: sampling fields to change; None values mean the recipe's own.
            accept_identifiers: likely identifiers may be stored, and sent to a remote engine, as they are.

        Raises:
            InvalidInput: empty or too long text, unknown audience, sampling outside its limits.
            IdentifiersFound: there are some, and they weren't accepted.
        """
        recipe = self._recipes.get(audience)
        if recipe is None:
            raise InvalidInput(
                f"There is no audience {audience!r}. Choose one of: {', '.join(self._recipes)}."
            )
        text = text.encode("utf-8", "replace").decode()  # lone surrogates can't be stored or shown
        if not text.strip():
            raise InvalidInput("The question is empty. Type what you would like to know.")
        if len(text) > self._max_characters:
            raise InvalidInput(
                f"The question has {len(text):,} characters; at most {self._max_characters:,} are accepted. "
                "Shorten it or ask in parts."
            )
        sampling = override_sampling(recipe.sampling, overrides or {})
        check_question(text, accept=accept_identifiers, remote=self._serving.is_remote)
        return Question(text.strip(), recipe, sampling, adapter, accept_identifiers)

    def ask(self, question: Question, conversation_id: str | None = None) -> Generator[ChatEvent, None, None]:
        """Answer within a conversation, made when none is given.

        The question is stored before the model is asked, so that it survives whatever happens next.
        Closing the iterator stops the engine and stores what had come.

        Raises:
            ElaraError: the engine can't answer; the question stays in the conversation.
        """
        history = self._said_before(conversation_id)
        found = self.look(question.text, history)
        with self._database.session() as session:
            if conversation_id is None:
                title = make_title(question.text)
                conversation_id = conversation_store.create(session, title, question.recipe.audience).id
            conversation = conversation_store.get(session, conversation_id)
            conversation.audience = question.recipe.audience
            conversation_store.append_message(
                session, conversation_id, Role.USER, question.text,
                red_flags=to_rows(found), rules_version=found.version,
            )  # fmt: skip
        keep = partial(self._keep, conversation_id)
        yield from self._asking.answer(question, merge_unanswered(history), conversation_id, keep, found)

    def retry(self, question: Question, conversation_id: str) -> Generator[ChatEvent, None, None]:
        """Answer the last question again (or an edited form of it) in place of its answer.

        Raises:
            ElaraError: the engine can't answer; the earlier question and answer are shown again.
        """
        last = self._conversations.last_question(conversation_id)
        if last is None:
            raise InvalidInput("There is no question to answer again yet.")
        replaced = self._conversations.cut_from(conversation_id, last.position)
        try:
            yield from self.ask(question, conversation_id)
        except ElaraError:
            self._conversations.put_back(conversation_id, last.position, replaced)
            raise

    def simplify(
        self,
        conversation_id: str,
        overrides: Mapping[str, Any] | None = None,
        *,
        accept_identifiers: bool = False,
    ) -> Generator[ChatEvent, None, None]:
        """Answer the last question once more in simpler words, and show whichever answer reads easier.

        Both are stored as responses. The last event's answer is the one on show, its note says which and why.

        Args:
            overrides: as for `check`.
            accept_identifiers: as for `check`; the question is stored already, so only another machine's
                engine asks for it.

        Raises:
            InvalidInput: there is no answer yet, or its audience has no target grade.
            IdentifiersFound: the question would leave this machine with some, and they weren't accepted.
            ElaraError: the engine can't answer; the first answer stays.
        """
        shown = self._conversations.last_answer(conversation_id)
        if shown is None or shown.answer is None:
            raise InvalidInput(NOTHING_TO_SIMPLIFY)
        first = shown.answer
        question = self.check_simpler(first, overrides, accept_identifiers=accept_identifiers)
        asked = self._conversations.last_question(conversation_id)
        history = self._said_before(conversation_id, asked.position if asked else 0)
        found, keep = self.look(question.text, history), partial(self._keep, conversation_id)
        again = self._asking.answer(question, merge_unanswered(history), conversation_id, keep, found)
        second: Answer | None = None
        try:
            with closing(again) as events:
                for event in events:
                    if isinstance(event, Finished):
                        second = event.answer
                    else:
                        yield event
        finally:  # also when the reader has left: half an answer takes nothing's place
            outcome = choose_simpler(first, second) if second else None
            if outcome is not None and outcome.simpler:
                self._conversations.replace_answer(conversation_id, shown.position)
            else:
                self._conversations.cut_from(conversation_id, shown.position + 1)
        if second is not None and outcome is not None:
            yield Finished(second if outcome.simpler else first, outcome.note)

    def check_simpler(
        self, first: Answer, overrides: Mapping[str, Any] | None, *, accept_identifiers: bool
    ) -> Question:
        """The question of an answer, to be answered in simpler words.

        Args:
            first: that answer.

        Raises:
            InvalidInput, IdentifiersFound: as for `simplify`.
        """
        if not first.text:
            raise InvalidInput(NOTHING_TO_SIMPLIFY)
        accept = accept_identifiers or not self._serving.is_remote
        question = self.check(first.audience, first.question, overrides, accept_identifiers=accept)
        if question.recipe.readability_aim is None:
            raise InvalidInput(
                f"Answers for {first.audience} have no reading grade to aim for. Ask for another audience, "
                "such as patient."
            )
        instruction = make_instruction(first.text)
        return replace(question, instruction=instruction, accept_identifiers=accept_identifiers)

    def look(self, text: str, history: Sequence[Turn] = ()) -> Finding:
        """What fires on a question.

        Args:
            history: the turns before it, oldest first, unanswered ones included; none outside conversations.
        """
        return self._triage.look([*history, Turn(Role.USER, text)])

    def ask_once(self, question: Question, history: Sequence[Turn] = ()) -> Generator[ChatEvent, None, None]:
        """Answer outside any conversation, as when comparing audiences.

        Args:
            history: the turns before it, oldest first, where whoever asks keeps them.

        Raises:
            IdentifiersFound: the history or the instruction, which are stored too, hold some that nobody
                accepted.
            ElaraError: the engine can't answer.
        """
        words = "\n".join([question.instruction, *(turn.content for turn in history)])
        check_question(words, accept=question.accept_identifiers, remote=self._serving.is_remote)
        keep, found = partial(self._keep, None), self.look(question.text, history)
        yield from self._asking.answer(question, merge_unanswered(history), None, keep, found)

    def _said_before(self, conversation_id: str | None, before: int | None = None) -> list[Turn]:
        """The turns of a conversation that count, oldest first; none of a new one.

        Args:
            before: only those before this position.
        """
        if conversation_id is None:
            return []
        with self._database.reading() as session:
            return [
                Turn(Role(message.role), message.content)
                for message in conversation_store.active_messages(session, conversation_id)
                if message.content and (before is None or message.position < before)
            ]

    def stop(self, request_id: str) -> None:
        """Stop an answer; its iterator then ends by itself with what had come."""
        self._asking.stop(request_id)

    def _keep(self, conversation_id: str | None, response: Response) -> Answer:
        """Store an answer, in its conversation if that is still there."""
        with self._database.session() as session:
            kept = conversation_id is not None and conversation_store.is_stored(session, conversation_id)
            response.conversation_id = conversation_id if kept else None
            session.add(response)
            session.flush()
            if conversation_id is not None and kept:  # it may have been deleted while the answer came
                conversation_store.append_message(
                    session, conversation_id, Role.ASSISTANT, response.text, response.id
                )
            sent = self._sampling is not None and self._sampling.consider(session, response)
        return describe_answer(response, in_review=sent, recall=self._triage.recall)
