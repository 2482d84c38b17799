"""Two voices asked the same questions, their answers sent to be compared: adapters, the base, temperatures.

It goes on in the background: the page that started it may be closed, and any page can watch. One comparison
is made at a time. Each pair is in the queue as soon as both answers are there, and the same plan started
again, after a stop or a restart, goes on with the questions that its batch lacks.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from threading import Event, Lock, Thread
from typing import Any

from db import adapters as adapter_store
from db import pairs as pair_store
from db.home import Home
from db.session import Database
from db.vocabulary import ReviewReason
from elara_ui.errors import Conflict, ElaraError, EngineError, InvalidInput
from elara_ui.services.answers import Answer, Finished
from elara_ui.services.chat import ChatService
from elara_ui.services.pairs import PairsService, check_batch
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.review_drafts import check_wanted
from elara_ui.services.training_data import DataChoice, read_data

QUESTIONS_LIMIT = 1000
"""Most questions of one comparison."""
CLOSE_SECONDS = 10.0  # how long closing waits for the answer that is being given

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Voice:
    """What answers.

    Args:
        adapter: versioned name, or ``base`` for the base model alone.
        temperature: of the draw; None takes the audience's own.
    """

    adapter: str
    temperature: float | None = None

    @property
    def title(self) -> str:
        """What people call it."""
        name = "the base model" if self.adapter == BASE_ALONE else self.adapter
        return name if self.temperature is None else f"{name} at temperature {self.temperature:g}"


@dataclass(frozen=True)
class ComparisonPlan:
    """What a person wants compared.

    Args:
        audience: for whom both answer.
        questions: what both are asked.
        batch: name of the comparisons.
        wanted: independent judgements asked for of each; None for the usual number.
    """

    audience: str
    first: Voice
    second: Voice
    questions: tuple[str, ...]
    batch: str
    wanted: int | None = None


class ComparisonState(StrEnum):
    """How a comparison stands."""

    ANSWERING = "answering"
    STOPPED = "stopped"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True)
class Comparison:
    """A comparison as it stands.

    Args:
        done: questions that both have answered, those of earlier attempts included.
        sent: pairs sent to review by this attempt.
        equal: questions that both answered with the same words.
        error: why it failed.
    """

    plan: ComparisonPlan
    state: ComparisonState
    done: int = 0
    sent: int = 0
    equal: int = 0
    error: str = ""

    @property
    def is_under_way(self) -> bool:
        """Whether the voices still answer."""
        return self.state is ComparisonState.ANSWERING


class ComparingService:
    """Asks and sends.

    Args:
        database: where adapters and answers are.
        home: where stored questions are.
        chat: answers; it should send nothing to review by itself.
        pairs: sends comparisons.
        base_model: tells the one that is served now.
    """

    def __init__(
        self,
        database: Database,
        home: Home,
        chat: ChatService,
        pairs: PairsService,
        base_model: Callable[[], str],
    ) -> None:
        self._database = database
        self._home = home
        self._chat = chat
        self._pairs = pairs
        self._base_model = base_model
        self._current: Comparison | None = None
        self._thread: Thread | None = None
        self._stop = Event()
        self._lock = Lock()

    @property
    def current(self) -> Comparison | None:
        """The comparison under way, or else the last one; None before there was one."""
        return self._current

    def voices(self, audience: str) -> list[str]:
        """What can answer for an audience: the base model alone, and its adapters on the model served."""
        with self._database.reading() as session:
            made = adapter_store.list_all(session, audience)
        return [BASE_ALONE, *(each.name for each in made if each.base_model == self._base_model())]

    def asked(self, audience: str, number: int) -> tuple[str, ...]:
        """The questions that people asked last, the newest first.

        Raises:
            InvalidInput: the number is out of range.
        """
        with self._database.reading() as session:
            return tuple(pair_store.recent_questions(session, audience, check_number(number)))

    def stored(self, audience: str, data: DataChoice, number: int) -> tuple[str, ...]:
        """So many questions of starter rows, reviews or a stored set; the same ones every time.

        Raises:
            InvalidInput: the number is out of range.
            ElaraError: they can't be read.
        """
        number = check_number(number)
        examples = read_data(self._database, self._home, audience, data).examples
        questions = list(dict.fromkeys(example.question for example in examples))
        if len(questions) <= number:
            return tuple(questions)
        chosen = sorted(Random(0).sample(range(len(questions)), number))  # noqa: S311 (nothing secret)
        return tuple(questions[place] for place in chosen)

    def check(self, plan: ComparisonPlan) -> ComparisonPlan:
        """A plan that can be carried out, its batch and questions tidied.

        Raises:
            InvalidInput: the voices are the same or speak for others, or a rule is broken.
            NotFound: there is no such adapter.
        """
        if plan.first == plan.second:
            raise InvalidInput(
                f"Two different voices are compared; both are {plan.first.title}. Choose another adapter, or "
                "another temperature."
            )
        questions = tuple(dict.fromkeys(text for each in plan.questions if (text := each.strip())))
        if not questions:
            raise InvalidInput("There is no question to ask. Write some, or choose where they come from.")
        check_number(len(questions))
        check_wanted(plan.wanted)
        for voice in (plan.first, plan.second):
            self._check_voice(voice, plan.audience)
            for text in questions:
                self._chat.check(plan.audience, text, {"temperature": voice.temperature}, voice.adapter)
        return replace(plan, batch=check_batch(plan.batch), questions=questions)

    def start(self, plan: ComparisonPlan) -> Comparison:
        """Begin in the background, or go on with a batch that was stopped.

        Raises:
            Conflict: another comparison is under way.
            ElaraError: as for `check`.
        """
        plan = self.check(plan)
        with self._lock:
            if self._current is not None and self._current.is_under_way:
                raise Conflict(
                    f"One comparison is made at a time, and “{self._current.plan.batch}” is. Wait for it, or "
                    "stop it first."
                )
            self._current = Comparison(plan, ComparisonState.ANSWERING)
            self._stop = Event()
            self._thread = Thread(target=self._work, args=(plan, self._stop), name="comparing", daemon=True)
            self._thread.start()
        return self._current

    def run(self, plan: ComparisonPlan) -> Iterator[Comparison]:
        """Carry a checked plan out, telling how it stands after each question. Closing it stops.

        Raises:
            ElaraError: a voice can't answer now; what was sent stays.
        """
        with self._database.reading() as session:
            before = pair_store.asked_in_batch(session, plan.batch)
        waiting = [text for text in plan.questions if text not in before]
        now = Comparison(plan, ComparisonState.ANSWERING, done=len(plan.questions) - len(waiting))
        yield now
        for text in waiting:
            first, second = (self._answer(plan.audience, text, voice) for voice in (plan.first, plan.second))
            equal = first.text.strip() == second.text.strip()
            if not equal:
                self._pairs.create(
                    first.response_id,
                    second.response_id,
                    ReviewReason.CANDIDATE,
                    wanted=plan.wanted,
                    batch=plan.batch,
                )
            now = replace(now, done=now.done + 1, sent=now.sent + (not equal), equal=now.equal + equal)
            yield now
        yield replace(now, state=ComparisonState.DONE)

    def stop(self) -> None:
        """Stop after the question that is being answered. What was sent stays."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and wait a moment for it."""
        self.stop()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _work(self, plan: ComparisonPlan, stop: Event) -> None:
        try:
            for now in self.run(plan):
                self._current = now
                if stop.is_set() and now.is_under_way:
                    self._tell(state=ComparisonState.STOPPED)
                    return
        except ElaraError as error:
            self._tell(state=ComparisonState.FAILED, error=error.message)
        except Exception:  # nobody else would hear of it
            log.exception("The comparison %s failed", plan.batch)
            self._tell(
                state=ComparisonState.FAILED,
                error="The comparison failed unexpectedly; the log has the details. Start it again: it goes "
                "on from here.",
            )

    def _tell(self, **changes: Any) -> None:
        if self._current is not None:
            self._current = replace(self._current, **changes)

    def _check_voice(self, voice: Voice, audience: str) -> None:
        if voice.adapter == BASE_ALONE:
            return
        with self._database.reading() as session:
            adapter = adapter_store.get(session, voice.adapter)
        if (adapter.audience, adapter.base_model) != (audience, self._base_model()):
            raise InvalidInput(
                f"Both answer for {audience} on {self._base_model()}, but {adapter.name} speaks for "
                f"{adapter.audience} on {adapter.base_model}. Choose another adapter."
            )

    def _answer(self, audience: str, text: str, voice: Voice) -> Answer:
        question = self._chat.check(audience, text, {"temperature": voice.temperature}, voice.adapter)
        with closing(self._chat.ask_once(question)) as events:
            for event in events:
                if isinstance(event, Finished):
                    return event.answer
        raise EngineError("The engine ended without finishing an answer. Start again; it goes on from here.")


def split_questions(text: str) -> tuple[str, ...]:
    """Questions as typed, one a line."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def check_number(number: int) -> int:
    """How many questions are asked.

    Raises:
        InvalidInput: none, or more than `QUESTIONS_LIMIT`.
    """
    if not 1 <= number <= QUESTIONS_LIMIT:
        raise InvalidInput(
            f"A comparison asks 1 to {QUESTIONS_LIMIT:,} questions; got {number:,}. Choose a number in "
            "between."
        )
    return number
