"""Asking the model: from a checked question to a finished answer, piece by piece; nothing is stored."""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any
from uuid import uuid4

from adapters.engines.base import Completion, Engine, GenerationRequest, Token, Turn
from db import adapters as adapter_store
from db.models import Response
from db.session import Database
from db.vocabulary import NO_MODEL, FinishReason, Role
from elara_ui.clinical.readability import measure
from elara_ui.clinical.redflags import Finding
from elara_ui.errors import AdapterError, EngineError, InvalidInput
from elara_ui.services.answer_cache import AnswerCache, Written, make_key
from elara_ui.services.answers import Answer, ChatEvent, Finished, Piece, Started
from elara_ui.services.canary import choose_candidate
from elara_ui.services.identifier_guard import check_question
from elara_ui.services.questions import BASE_ALONE, Question
from elara_ui.services.serving import ServingService
from elara_ui.services.tenure import Tenure
from elara_ui.services.triage import TriageService, to_rows
from elara_ui.services.window import LimitedText, fit_window

log = logging.getLogger(__name__)

Keep = Callable[[Response], Answer]
"""Takes a finished answer, which is in no session yet, and keeps it or doesn't."""


class AskingService:
    """Asks the engine, and makes a response of what comes.

    Args:
        database: knows each audience's live adapter.
        serving: gives the engine.
        triage: looks at answers to what a red flag fired on.
        cache: answers that are given again to the same request.
        fixed_replies: whether fixed words answer people who may want to harm themselves, and no model.
    """

    def __init__(
        self,
        database: Database,
        serving: ServingService,
        triage: TriageService,
        cache: AnswerCache,
        *,
        fixed_replies: bool = True,
    ) -> None:
        self._database = database
        self._serving = serving
        self._triage = triage
        self._cache = cache
        self._fixed_replies = fixed_replies
        self._stopped: set[str] = set()  # stopped by their reader and not ended yet

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
            conversation_id: named to whoever follows; a candidate may answer it (`choose_candidate`).
            keep: given the answer, or what had come of it when its reader left.
            found: what fired on the question.

        Raises:
            ElaraError: the engine can't answer.
            IdentifiersFound: the engine is another machine's, and the turns hold some that nobody accepted.
        """
        started, began = Started(conversation_id, uuid4().hex, found), time.monotonic()
        yield started
        if reply := self._find_reply(question, history, found):
            yield Piece(reply, reply)
            yield Finished(keep(_describe_reply(reply, question, history, found, time.monotonic() - began)))
            return
        with self._serving.hold() as held:
            yield from self._answer(held, question, history, started, began, keep)

    def _answer(
        self,
        held: Tenure,
        question: Question,
        history: Sequence[Turn],
        started: Started,
        began: float,
        keep: Keep,
    ) -> Generator[ChatEvent, None, None]:
        """The answer of one engine, which stays until it has ended even if another one takes its place."""
        request_id, found = started.request_id, started.red_flags
        engine, adapter = held.engine, self._adapter_for(held, question, started.conversation_id)
        system = Turn(Role.SYSTEM, question.system_prompt)
        asked = [*history, Turn(Role.USER, question.text)]
        if engine.is_remote:  # earlier turns may have been stored before it was
            words = "\n".join([question.instruction, *(turn.content for turn in asked)])
            check_question(words, accept=question.accept_identifiers, remote=True)
        turns, dropped = fit_window(engine, system, asked, question.sampling.max_new_tokens)
        if request_id in self._stopped:  # pressed while the model was coming up
            self._stopped.discard(request_id)
            raise InvalidInput("Stopped before the answer began. Retry the question when you like.")
        if known := self._cache.find(make_key(question, held.choice, adapter, turns)):
            request = GenerationRequest(tuple(turns), adapter, question.sampling, request_id)
            yield Piece(known.text, known.text)
            again = known.recall(time.monotonic() - began)
            yield Finished(keep(self._describe(question, request, engine, again, dropped, found)))
            return
        request, stream = self._begin(held, question, turns, started)
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
            written = self._finish(request, writing, completion)
            keep(self._describe(question, request, engine, written, dropped, found))
            raise
        written = self._finish(request, writing, completion)
        self._cache.keep(make_key(question, held.choice, request.adapter, turns), written)
        yield Finished(keep(self._describe(question, request, engine, written, dropped, found)))

    def _find_reply(self, question: Question, history: Sequence[Turn], found: Finding) -> str:
        """Fixed words in place of the model's; empty where it is asked."""
        if not self._fixed_replies:
            return ""
        newest = [*history[-1:], Turn(Role.USER, question.text)]
        return self._triage.find_reply(newest, found, question.recipe.audience)

    def stop(self, request_id: str) -> None:
        """Stop an answer; its iterator then ends by itself with what had come."""
        self._stopped.add(request_id)
        self._serving.cancel(request_id)

    def _begin(
        self, held: Tenure, question: Question, turns: Sequence[Turn], started: Started
    ) -> tuple[GenerationRequest, Iterator[Token | Completion]]:
        """Send the request; returns it with its stream, the first item of which has come.

        Between choosing an audience's live adapter and asking it, a promotion may have retired it; then the
        new one is asked.
        """
        for last_try in (False, True):
            adapter = self._adapter_for(held, question, started.conversation_id)
            request = GenerationRequest(tuple(turns), adapter, question.sampling, started.request_id)
            stream = held.engine.stream(request)
            try:
                return request, chain([next(stream)], stream)
            except AdapterError:
                if last_try or question.adapter is not None:
                    raise
        raise AssertionError("the second try returns or raises")

    def _adapter_for(self, held: Tenure, question: Question, conversation_id: str | None) -> str | None:
        """The adapter that shall answer, published; None for the base model alone."""
        if question.adapter not in (None, BASE_ALONE):
            held.publish({question.adapter})
            return question.adapter
        held.publish_live()
        if question.adapter == BASE_ALONE:
            return None
        with self._database.reading() as session:
            where = question.recipe.audience, held.engine.base_model
            candidate = choose_candidate(session, *where, conversation_id)
            live = adapter_store.live(session, *where)
        if candidate is not None:
            try:
                held.publish({candidate})
                return candidate
            except AdapterError as error:  # a candidate's faults must not cost anybody an answer
                log.error("The candidate %s can't be served: %s", candidate, error.message)
        if live is None:
            return None
        if reason := held.refusal(live.name):
            raise AdapterError(reason)
        return live.name

    def _finish(
        self, request: GenerationRequest, writing: LimitedText, completion: Completion | None
    ) -> Written:
        self._stopped.discard(request.request_id)
        if completion is None:
            raise EngineError("The engine ended without finishing the answer. Ask again.")
        writing.finish()
        return Written(writing.text, writing.ended_by or completion.finish_reason, completion)

    def _describe(
        self,
        question: Question,
        request: GenerationRequest,
        engine: Engine,
        written: Written,
        dropped: int,
        found: Finding,
    ) -> Response:
        completion = written.completion
        extra: dict[str, Any] = {}
        if question.stop:
            extra["stop"] = list(question.stop)
        if written.cached:
            extra["cached"] = True
        return Response(
            audience=question.recipe.audience,
            base_model=engine.base_model,
            adapter=request.adapter,
            question=question.text,
            context=[{"role": str(turn.role), "content": turn.content} for turn in request.turns],
            text=written.text.strip(),
            parameters=asdict(request.sampling) | extra,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            seconds=completion.seconds,
            first_token_seconds=completion.first_token_seconds,
            tokens_per_second=completion.tokens_per_second,
            finish_reason=written.finish_reason,
            dropped_turns=dropped,
            readability=measure(written.text).to_dict(),
            red_flags=to_rows(found),
            rules_version=found.version,
            reassures=self._triage.reassures(written.text, found),
        )


def _describe_reply(
    reply: str, question: Question, history: Sequence[Turn], found: Finding, seconds: float
) -> Response:
    """Fixed words as a response, which no model and no adapter wrote."""
    asked = [*history, Turn(Role.USER, question.text)]
    return Response(
        audience=question.recipe.audience,
        base_model=NO_MODEL,
        adapter=None,
        question=question.text,
        context=[{"role": str(turn.role), "content": turn.content} for turn in asked],
        text=reply,
        parameters={},
        prompt_tokens=0,
        completion_tokens=0,
        seconds=seconds,
        first_token_seconds=seconds,
        tokens_per_second=0.0,
        finish_reason=FinishReason.STOP,
        dropped_turns=0,
        readability=measure(reply).to_dict(),
        red_flags=to_rows(found),
        rules_version=found.version,
        reassures=False,
    )
