"""Asking the model: from a question and an audience to a stored answer, piece by piece."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any
from uuid import uuid4

from adapters.engines.base import Completion, Engine, GenerationRequest, Sampling, Token, Turn
from adapters.recipe import Recipe
from db import adapters as adapter_store
from db import conversations as conversation_store
from db.models import Response
from db.session import Database
from db.vocabulary import FinishReason, Role
from elara_ui.clinical.readability import measure
from elara_ui.clinical.redflags import Finding
from elara_ui.errors import AdapterError, ElaraError, EngineError, InvalidInput
from elara_ui.services.answers import Answer, ChatEvent, Finished, Piece, Started, describe_answer
from elara_ui.services.conversations import ConversationService
from elara_ui.services.review_sampling import ReviewSampling
from elara_ui.services.serving import ServingService
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


@dataclass(frozen=True)
class Question:
    """What someone asks, checked.

    Args:
        text: the user's turn.
        recipe: the audience's prompt and limits.
        sampling: the recipe's, with the user's overrides.
        adapter: None for the audience's live one, ``base`` for none, or a versioned name.
    """

    text: str
    recipe: Recipe
    sampling: Sampling
    adapter: str | None = None


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
    ) -> Question:
        """Check a question before anything is stored or computed.

        Args:
            overrides: sampling fields to change; None values mean the recipe's own.

        Raises:
            InvalidInput: empty or too long text, unknown audience, sampling outside its limits.
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
        return Question(text.strip(), recipe, override_sampling(recipe.sampling, overrides or {}), adapter)

    def ask(self, question: Question, conversation_id: str | None = None) -> Generator[ChatEvent, None, None]:
        """Answer within a conversation, made when none is given.

        The question is stored before the model is asked, so that it survives whatever happens next.
        Closing the iterator stops the engine and stores what had come.

        Raises:
            ElaraError: the engine can't answer; the question stays in the conversation.
        """
        history = self._said_before(conversation_id)
        found = self._triage.look([*history, Turn(Role.USER, question.text)])
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
        yield from self._answer(question, merge_unanswered(history), conversation_id, found)

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

    def look(self, text: str) -> Finding:
        """What fires on a question outside any conversation."""
        return self._triage.look([Turn(Role.USER, text)])

    def ask_once(self, question: Question) -> Generator[ChatEvent, None, None]:
        """Answer outside any conversation, as when comparing audiences."""
        yield from self._answer(question, [], None, self.look(question.text))

    def _said_before(self, conversation_id: str | None) -> list[Turn]:
        """The turns of a conversation that count, oldest first; none of a new one."""
        if conversation_id is None:
            return []
        with self._database.reading() as session:
            return [
                Turn(Role(message.role), message.content)
                for message in conversation_store.active_messages(session, conversation_id)
                if message.content
            ]

    def _answer(
        self, question: Question, history: Sequence[Turn], conversation_id: str | None, found: Finding
    ) -> Generator[ChatEvent, None, None]:
        request_id = uuid4().hex
        yield Started(conversation_id, request_id, found)
        engine, _ = self._engine_for(question)
        system = Turn(Role.SYSTEM, question.recipe.system_prompt)
        asked = [*history, Turn(Role.USER, question.text)]
        turns, dropped = fit_window(engine, system, asked, question.sampling.max_new_tokens)
        if request_id in self._stopped:  # pressed while the model was coming up
            self._stopped.discard(request_id)
            raise InvalidInput("Stopped before the answer began. Retry the question when you like.")
        request, stream = self._begin(question, turns, request_id)
        writing = LimitedText(question.recipe.max_explanation_length)
        completion: Completion | None = None
        try:
            for item in stream:
                if isinstance(item, Completion):
                    completion = item
                else:
                    if writing.add(item.text):
                        engine.cancel(request.request_id)
                    yield Piece(writing.text)
        except GeneratorExit:
            # The person left. Stop computing, then keep what had come.
            engine.cancel(request.request_id)
            completion = next((item for item in stream if isinstance(item, Completion)), None)
            self._store(question, request, engine, writing, completion, conversation_id, dropped, found)
            raise
        answer = self._store(question, request, engine, writing, completion, conversation_id, dropped, found)
        yield Finished(answer)

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

    def _store(
        self,
        question: Question,
        request: GenerationRequest,
        engine: Engine,
        writing: LimitedText,
        completion: Completion | None,
        conversation_id: str | None,
        dropped: int,
        found: Finding,
    ) -> Answer:
        self._stopped.discard(request.request_id)
        if completion is None:
            raise EngineError("The engine ended without finishing the answer. Ask again.")
        reason = FinishReason.LENGTH if writing.full else completion.finish_reason
        response = Response(
            audience=question.recipe.audience,
            base_model=engine.base_model,
            adapter=request.adapter,
            question=question.text,
            context=[{"role": str(turn.role), "content": turn.content} for turn in request.turns],
            text=writing.text.strip(),
            parameters=asdict(request.sampling),
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            seconds=completion.seconds,
            first_token_seconds=completion.first_token_seconds,
            tokens_per_second=completion.tokens_per_second,
            finish_reason=reason,
            dropped_turns=dropped,
            readability=measure(writing.text).to_dict(),
            red_flags=to_rows(found),
            rules_version=found.version,
            reassures=self._triage.reassures(writing.text, found),
        )
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
        return describe_answer(response, in_review=sent, recall=lambda *_: found)


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
