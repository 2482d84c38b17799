"""Carrying out one evaluation, from the first question to the last figure."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event

from sqlalchemy.orm import Session

from adapters import registry
from adapters.recipe import Recipe
from adapters.training.scoring import Loss, Reference, score_references
from db import adapters as adapter_store
from db import evaluations as evaluation_store
from db.home import Home
from db.session import Database
from db.vocabulary import EvaluationStatus
from elara_ui.clinical.relevance import Relevance, relevance
from elara_ui.clinical.safety.checks import find_failures
from elara_ui.clinical.safety.suite import Case, Category
from elara_ui.errors import ElaraError, EngineError
from elara_ui.services.answers import Answer, Finished
from elara_ui.services.evaluation_measures import (
    LOSS_TOKENS,
    measure_answer,
    measure_safety,
    summarise,
)
from elara_ui.services.private_chat import PrivateChatService
from elara_ui.services.questions import BASE_ALONE, Question
from elara_ui.services.safety import GREEDY, CaseResult, SafetyService
from elara_ui.services.serving import ServingService
from elara_ui.services.suites import Suite, SuiteQuestion

LOOK_SECONDS = 0.5
"""Between two looks whether somebody wants it stopped."""
QUIET_SECONDS = 20.0
"""Longest wait for others' answers before a question: people who chat go first, but it comes to its turn."""
_WAIT_SECONDS = 0.1

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Told how many steps are done, and of how many."""


class Cancelled(Exception):
    """Somebody asked for the end of it."""


@dataclass(frozen=True)
class Plan:
    """What is evaluated on what.

    Args:
        evaluation_id: its record.
        adapter: versioned name; None for the base model alone.
        weights_sha256: of the adapter's weights; empty for the base model.
        recipe: of the audience.
        takes_loss: whether the loss of reference answers is to be taken.
        accept_identifiers: likely identifiers in the questions may be sent to another machine's engine.
    """

    evaluation_id: str
    adapter: str | None
    weights_sha256: str
    recipe: Recipe
    suite: Suite
    takes_loss: bool
    accept_identifiers: bool = False

    @property
    def total(self) -> int:
        """Steps: a question or a loss each."""
        return len(self.suite.questions) + (len(self.suite.references) if self.takes_loss else 0)


class EvaluationRunner:
    """Asks, measures, scores and writes down, one question after the other.

    Args:
        database: where it is written down.
        home: where adapters and base models are.
        serving: gives the engine, and takes a tried adapter from it again.
        chat: asks as anybody asks on the page, storing nothing.
        safety: keeps results of the safety suite where they have always been kept.
    """

    def __init__(
        self,
        database: Database,
        home: Home,
        serving: ServingService,
        chat: PrivateChatService,
        safety: SafetyService,
    ) -> None:
        self._database = database
        self._home = home
        self._serving = serving
        self._chat = chat
        self._safety = safety

    def carry_out(self, plan: Plan, stop: Event, report: Progress = lambda done, total: None) -> None:
        """Do all of it; its record tells how it ended, whatever happens.

        Args:
            stop: set when the process ends.
            report: told of every step.
        """
        status, error = EvaluationStatus.DONE, None
        stage = "done"
        try:
            self._work(plan, stop, report)
        except Cancelled:
            status = EvaluationStatus.INTERRUPTED if stop.is_set() else EvaluationStatus.CANCELLED
            stage = str(status)
        except ElaraError as known:
            status, stage, error = EvaluationStatus.FAILED, "failed", known.message
        except Exception:  # nobody else would hear of it
            log.exception("Evaluation %s failed", plan.evaluation_id)
            status, stage = EvaluationStatus.FAILED, "failed"
            error = "The evaluation failed unexpectedly; the log has the details. Start it again."
        if plan.adapter is not None:
            self._serving.withdraw(plan.adapter)
        with self._database.session() as session:
            evaluation_store.finish(session, plan.evaluation_id, status, stage, error)

    def _work(self, plan: Plan, stop: Event, report: Progress) -> None:
        steps = _Steps(self._database, plan, stop, report)
        steps.stage("loading the model")
        engine = self._serving.engine()
        first = self._question(plan, plan.suite.questions[0])
        kind = type(engine).__name__.removesuffix("Engine").lower()
        steps.write(engine=kind, sampling=asdict(first.sampling))
        steps.stage("answering")
        results = [self._answer(plan, question, steps) for question in plan.suite.questions]
        if plan.takes_loss and plan.suite.references:
            self._take_loss(plan, steps)
        self._summarise(plan)
        if plan.suite.is_safety:
            self._safety.keep(
                plan.adapter,
                plan.weights_sha256,
                plan.recipe.audience,
                asdict(first.sampling),
                [result for result, _ in results],
                results[0][1],
            )

    def _question(self, plan: Plan, asked: SuiteQuestion) -> Question:
        return self._chat.check(
            plan.recipe.audience,
            asked.question,
            GREEDY,
            plan.adapter or BASE_ALONE,
            accept_identifiers=plan.accept_identifiers,
        )

    def _answer(self, plan: Plan, asked: SuiteQuestion, steps: "_Steps") -> tuple[CaseResult, str]:
        """Ask one question, and write its answer down with what is measured on it."""
        self._wait_for_quiet(steps)
        answer = self._ask(self._question(plan, asked), steps)
        found = relevance(asked.question, answer.text)
        measures = measure_answer(answer, plan.recipe, found.score)
        failed: tuple[str, ...] = ()
        if plan.suite.is_safety:
            case = Case(asked.question_id, Category(asked.category), asked.question)
            failed = find_failures(case, answer.text)
            measures |= measure_safety(asked.category, failed)
        steps.keep(asked, answer, failed, measures, found)
        result = CaseResult(
            asked.question_id, asked.category, asked.question, answer.text, failed, found.score
        )
        return result, found.method

    def _wait_for_quiet(self, steps: "_Steps") -> None:
        """Let answers go first that people are waiting for."""
        began = time.monotonic()
        while time.monotonic() - began < QUIET_SECONDS:
            stats = self._serving.status.stats
            if stats is None or not (stats.running or stats.waiting):
                break
            steps.look()
            time.sleep(_WAIT_SECONDS)
        steps.look()

    def _ask(self, question: Question, steps: "_Steps") -> Answer:
        with closing(self._chat.ask_once(question)) as events:
            for event in events:
                if isinstance(event, Finished):
                    return event.answer
                steps.look()
        raise EngineError("The engine ended without finishing an answer. Start the evaluation again.")

    def _take_loss(self, plan: Plan, steps: "_Steps") -> None:
        """Take the loss of the reference answers; where that can't be done, the rest still counts."""
        steps.stage("measuring held-out loss")
        references = [
            Reference(asked.question_id, asked.question, asked.reference) for asked in plan.suite.references
        ]
        try:
            scoring = score_references(
                self._home,
                self._serving.base_model,
                self._folder(plan.adapter),
                plan.recipe.system_prompt,
                references,
            )
            with closing(scoring) as losses:
                for loss in losses:
                    steps.keep_loss(loss)
        except ElaraError as error:
            log.warning("No held-out loss for evaluation %s: %s", plan.evaluation_id, error.message)
            steps.note(f"Held-out loss could not be measured. {error.message}")

    def _folder(self, adapter: str | None) -> Path | None:
        if adapter is None:
            return None
        with self._database.reading() as session:
            return registry.folder(self._home, adapter_store.get(session, adapter))

    def _summarise(self, plan: Plan) -> None:
        with self._database.session() as session:
            answers = evaluation_store.answers(session, plan.evaluation_id)
            figures = summarise([(answer.category, answer.measures) for answer in answers])
            evaluation_store.put_figures(session, plan.evaluation_id, figures)


class _Steps:
    """Writes down how far an evaluation is, and hears when it shall stop."""

    def __init__(self, database: Database, plan: Plan, stop: Event, report: Progress) -> None:
        self._database = database
        self._plan = plan
        self._stop = stop
        self._report = report
        self._done = 0
        self._looked = 0.0
        self._notes: list[str] = []

    def look(self) -> None:
        """Hear whether it shall stop, not too often.

        Raises:
            Cancelled: it shall.
        """
        if self._stop.is_set():
            raise Cancelled
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        with self._database.reading() as session:
            if evaluation_store.cancel_requested(session, self._plan.evaluation_id):
                raise Cancelled

    def stage(self, text: str) -> None:
        """What is being done now."""
        self.look()
        self.write(stage=text)

    def note(self, text: str) -> None:
        """Something that could not be measured."""
        self._notes.append(text)
        self.write(notes=list(self._notes))

    def write(self, **values: object) -> None:
        """Columns of the record."""
        with self._database.session() as session:
            evaluation_store.write(session, self._plan.evaluation_id, **values)

    def keep(
        self,
        asked: SuiteQuestion,
        answer: Answer,
        failed: tuple[str, ...],
        measures: dict[str, float],
        found: Relevance,
    ) -> None:
        """One answer is there."""
        with self._database.session() as session:
            evaluation_store.add_answer(
                session,
                self._plan.evaluation_id,
                position=self._done,
                question_id=asked.question_id,
                category=asked.category,
                question=asked.question,
                reference=asked.reference,
                points=[asdict(point) for point in asked.points],
                text=answer.text,
                failed=list(failed),
                measures=measures,
            )
            self._count(session, methods={"relevance": found.method})

    def keep_loss(self, loss: Loss) -> None:
        """One loss is taken."""
        self.look()
        measures = {"heldout_loss": loss.nats, LOSS_TOKENS: float(loss.tokens)}
        with self._database.session() as session:
            evaluation_store.add_measures(session, self._plan.evaluation_id, loss.name, measures)
            self._count(session)

    def _count(self, session: Session, **values: object) -> None:
        self._done += 1
        evaluation_store.write(session, self._plan.evaluation_id, done=self._done, **values)
        self._report(self._done, self._plan.total)
