"""Asking the model: from a question and an audience to a stored answer, piece by piece."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from typing import Any
from uuid import uuid4

from adapters.engines.base import Completion, Engine, GenerationRequest, Sampling, Token, Turn
from adapters.recipe import Recipe
from db import adapters as adapter_store
from db import conversations as conversation_store
from db.models import Response
from db.session import Database
from db.vocabulary import Role
from elara_ui.clinical.readability import measure
from elara_ui.clinical.redflags import Finding
from elara_ui.errors import AdapterError, ElaraError, EngineError, InvalidInput
from elara_ui.services.answers import Answer, ChatEvent, Finished, Piece, Started, describe_answer
from elara_ui.services.conversations import ConversationService
from elara_ui.services.identifier_guard import check_question
from elara_ui.services.review_sampling import ReviewSampling
from elara_ui.services.serving import ServingService
from elara_ui.services.simplifying import NOTHING_TO_SIMPLIFY, choose_simpler, make_instruction
from elara_ui.services.triage import TriageService, to_rows
from elara_ui.services.window import LimitedText, fit_window

TITLE_CHARACTERS = 60
BASE_ALONE = "base"

SAMPLING_LIMITS: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 2.0),
    "repetition_penalty": (1.0, 2.0),
    "top_p": (0.01, 1.0),
    "max_new_tokens": (1, 2048),
    "seed": (0, 2**31 - 1),
}

Keep = Callable[[Response], Answer]
"""Takes a finished answer, which is in no session yet, and keeps it or doesn't."""


@dataclass(frozen=True)
class Question:
    """What someone asks, checked.

    Args:
        text: the user's turn.
        recipe: the audience's prompt and limits.
        sampling: the recipe's, with the user's overrides.
        adapter: None for the audience's live one, ``base`` for none, or a versioned name.
        accept_identifiers: whoever asks has said that likely identifiers may be sent as they are.
        instruction: added to the audience's prompt for this answer alone.
        stop: texts that end the answer before the first of them.
    """

    text: str
    recipe: Recipe
    sampling: Sampling
    adapter: str | None = None
    accept_identifiers: bool = False
    instruction: str = ""
    stop: tuple[str, ...] = ()

    @property
    def system_prompt(self) -> str:
        """What opens the conversation that the model is given."""
        return " ".join(filter(None, (self.recipe.system_prompt, self.instruction)))


class ChatService:
    """Answers questions for an audience and remembers them.

    Args:
        database: where questions and answers are kept.
        serving: gives the engine.
        conversations: changes what is already stored.
        recipes: audience → recipe.
        max_question_characters: longest question accepted, characters.
        triage: looks for red flags in every question, whatever the model then says.
        sampling: sends answers to review by itself; none if not given.
    """

    def __init__(
        self,
        database: Database,
        serving: ServingService,
        conversations: ConversationService,
        recipes: Mapping[str, Recipe],
        max_question_characters: int,
        triage: TriageService,
        sampling: ReviewSampling | None = None,
    ) -> None:
        self._database = database
        self._serving = serving
        self._conversations = conversations
        self._recipes = recipes
        self._max_characters = max_question_characters
        self._triage = triage
        self._sampling = sampling
        self._stopped: set[str] = set()  # stopped by their reader and not ended yet

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
        yield from self.answer(question, merge_unanswered(history), conversation_id, keep, found)

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
        again = self.answer(question, merge_unanswered(history), conversation_id, keep, found)
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
        found = self.look(question.text, history)
        yield from self.answer(question, merge_unanswered(history), None, partial(self._keep, None), found)

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

    def answer(
        self,
        question: Question,
        history: Sequence[Turn],
        conversation_id: str | None,
        keep: Keep,
        found: Finding,
    ) -> Generator[ChatEvent, None, None]:
        """Ask the model; nothing is stored but by `keep`.

        Args:
            history: the turns before it, oldest first, each question with its answer.
            conversation_id: named to whoever follows.
            keep: given the answer, or what had come of it when its reader left.
            found: what fired on the question.

        Raises:
            ElaraError: the engine can't answer.
            IdentifiersFound: the engine is another machine's, and the turns hold some that nobody accepted.
        """
        request_id = uuid4().hex
        yield Started(conversation_id, request_id, found)
        engine, _ = self._engine_for(question)
        system = Turn(Role.SYSTEM, question.system_prompt)
        asked = [*history, Turn(Role.USER, question.text)]
        if engine.is_remote:  # earlier turns may have been stored before it was
            words = "\n".join([question.instruction, *(turn.content for turn in asked)])
            check_question(words, accept=question.accept_identifiers, remote=True)
        turns, dropped = fit_window(engine, system, asked, question.sampling.max_new_tokens)
        if request_id in self._stopped:  # pressed while the model was coming up
            self._stopped.discard(request_id)
            raise InvalidInput("Stopped before the answer began. Retry the question when you like.")
        request, stream = self._begin(question, turns, request_id)
        writing = LimitedText(question.recipe.max_explanation_length, question.stop)
        completion: Completion | None = None
        try:
            for item in stream:
                if isinstance(item, Completion):
                    completion = item
                else:
                    if writing.add(item.text):
                        engine.cancel(request.request_id)
                    yield Piece(writing.text, writing.settled)
        except GeneratorExit:
            # The person left. Stop computing, then keep what had come.
            engine.cancel(request.request_id)
            completion = next((item for item in stream if isinstance(item, Completion)), None)
            keep(self._finish(question, request, engine, writing, completion, dropped, found))
            raise
        yield Finished(keep(self._finish(question, request, engine, writing, completion, dropped, found)))

    def stop(self, request_id: str) -> None:
        """Stop an answer; its iterator then ends by itself with what had come."""
        self._stopped.add(request_id)
        self._serving.cancel(request_id)

    def _begin(
        self, question: Question, turns: Sequence[Turn], request_id: str
    ) -> tuple[GenerationRequest, Iterator[Token | Completion]]:
        """Send the request; returns it with its stream, the first item of which has come.

        Between choosing an audience's live adapter and asking it, a promotion may have retired it; then the
        new one is asked.
        """
        for last_try in (False, True):
            engine, adapter = self._engine_for(question)
            request = GenerationRequest(tuple(turns), adapter, question.sampling, request_id)
            stream = engine.stream(request)
            try:
                return request, chain([next(stream)], stream)
            except AdapterError:
                if last_try or question.adapter is not None:
                    raise
        raise AssertionError("the second try returns or raises")

    def _engine_for(self, question: Question) -> tuple[Engine, str | None]:
        """The engine, and the adapter that shall answer."""
        if question.adapter == BASE_ALONE:
            return self._serving.engine(), None
        if question.adapter is not None:
            return self._serving.publish({question.adapter}), question.adapter
        engine = self._serving.engine()
        with self._database.reading() as session:
            live = adapter_store.live(session, question.recipe.audience)
        if live is None or live.base_model != engine.base_model:
            return engine, None
        if reason := self._serving.refusal(live.name):
            raise AdapterError(reason)
        return engine, live.name

    def _finish(
        self,
        question: Question,
        request: GenerationRequest,
        engine: Engine,
        writing: LimitedText,
        completion: Completion | None,
        dropped: int,
        found: Finding,
    ) -> Response:
        self._stopped.discard(request.request_id)
        if completion is None:
            raise EngineError("The engine ended without finishing the answer. Ask again.")
        writing.finish()
        return Response(
            audience=question.recipe.audience,
            base_model=engine.base_model,
            adapter=request.adapter,
            question=question.text,
            context=[{"role": str(turn.role), "content": turn.content} for turn in request.turns],
            text=writing.text.strip(),
            parameters=asdict(request.sampling) | ({"stop": list(question.stop)} if question.stop else {}),
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            seconds=completion.seconds,
            first_token_seconds=completion.first_token_seconds,
            tokens_per_second=completion.tokens_per_second,
            finish_reason=writing.ended_by or completion.finish_reason,
            dropped_turns=dropped,
            readability=measure(writing.text).to_dict(),
            red_flags=to_rows(found),
            rules_version=found.version,
            reassures=self._triage.reassures(writing.text, found),
        )

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


def override_sampling(sampling: Sampling, overrides: Mapping[str, Any]) -> Sampling:
    """The recipe's sampling with some fields changed.

    Raises:
        InvalidInput: a value outside `SAMPLING_LIMITS`.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    for name, value in given.items():
        if name not in SAMPLING_LIMITS:
            continue
        low, high = SAMPLING_LIMITS[name]
        if not low <= value <= high:
            raise InvalidInput(f"{name} is {value}; it must lie between {low:g} and {high:g}.")
    return replace(sampling, **given)


def merge_unanswered(history: Sequence[Turn]) -> list[Turn]:
    """Drop questions that never got an answer, so that turns alternate as the model was taught."""
    following = [*history[1:], Turn(Role.USER, "")] if history else []
    return [
        turn
        for turn, after in zip(history, following, strict=True)
        if turn.role is not Role.USER or after.role is Role.ASSISTANT
    ]


def make_title(text: str) -> str:
    """The first words of a question, as a conversation's title."""
    line = " ".join(text.split())
    if len(line) <= TITLE_CHARACTERS:
        return line
    words = line[: TITLE_CHARACTERS - 1].rpartition(" ")[0]
    return f"{words or line[: TITLE_CHARACTERS - 1]}…"
