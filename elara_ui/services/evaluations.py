"""Evaluations: started in the background, one at a time, read again and compared."""

from collections import deque
from collections.abc import Mapping
from threading import Event, Lock, Thread

from adapters.recipe import Recipe
from db import adapters as adapter_store
from db import evaluations as evaluation_store
from db.home import Home
from db.session import Database
from db.vocabulary import EvaluationStatus
from elara_ui.errors import Conflict, InvalidInput, NotFound
from elara_ui.services.evaluation_comparison import Comparison, compare_evaluations
from elara_ui.services.evaluation_planning import EvaluationPlanner, Wish, is_alive
from elara_ui.services.evaluation_runner import EvaluationRunner, Plan, Progress
from elara_ui.services.evaluation_views import (
    AnswerView,
    EvaluationView,
    describe,
    describe_answer,
)
from elara_ui.services.private_chat import PrivateChatService
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.safety import SafetyService
from elara_ui.services.serving import ServingService
from elara_ui.services.suites import SuiteService

CLOSE_SECONDS = 10.0
"""How long closing waits for the answer that is being given."""


class EvaluationService:
    """Evaluates versions on suites, and finds, shows and compares what came of it.

    Args:
        database: where evaluations are.
        home: where adapters and base models are.
        serving: the base model served.
        chat: asks without storing.
        recipes: audience → recipe.
        suites: finds the questions.
        safety: keeps results of the safety suite as files too.
    """

    def __init__(
        self,
        database: Database,
        home: Home,
        serving: ServingService,
        chat: PrivateChatService,
        recipes: Mapping[str, Recipe],
        suites: SuiteService,
        safety: SafetyService,
    ) -> None:
        self._database = database
        self._planner = EvaluationPlanner(database, serving, chat, recipes, suites)
        self._runner = EvaluationRunner(database, home, serving, chat, safety)
        self._waiting: deque[Plan] = deque()
        self._thread: Thread | None = None
        self._closing = Event()
        self._lock = Lock()

    def start(self, wish: Wish) -> EvaluationView:
        """Begin in the background, or wait behind others that this process carries out.

        Returns:
            How it stands at once.

        Raises:
            NotFound: no such adapter or suite.
            InvalidInput: an audience that doesn't fit, or a question that can't be asked.
            AdapterError: the adapter is for another base model than the one served.
            IdentifiersFound: questions would leave this machine with some, and nobody accepted them.
            Conflict: the same waits or runs already.
        """
        plan = self._planner.plan(wish)
        with self._lock:
            self._waiting.append(plan)
            if self._thread is None:
                self._thread = Thread(target=self._work, name="evaluations", daemon=True)
                self._thread.start()
        return self.show(plan.evaluation_id)

    def run(self, wish: Wish, report: Progress = lambda done, total: None) -> EvaluationView:
        """Carry one out here and now.

        Args:
            report: told of every step.

        Raises:
            ElaraError: as for `start`. One that fails on the way is returned, with its error.
        """
        plan = self._planner.plan(wish)
        self._carry_out(plan, report)
        return self.show(plan.evaluation_id)

    def cancel(self, evaluation_id: str) -> EvaluationView:
        """Stop one that waits or runs, in whatever process; what was answered stays to be read.

        Raises:
            NotFound: there is none of this id.
        """
        with self._database.session() as session:
            stored = evaluation_store.get(session, evaluation_id)
            stored.cancel_requested = True
            if stored.status == EvaluationStatus.QUEUED:
                stage = str(EvaluationStatus.CANCELLED)
                evaluation_store.finish(session, stored.id, EvaluationStatus.CANCELLED, stage)
        return self.show(evaluation_id)

    def remove(self, evaluation_id: str) -> None:
        """Delete one that has ended, with its answers, figures and verdicts.

        Raises:
            NotFound: there is none of this id.
            Conflict: it waits or runs.
        """
        with self._database.session() as session:
            if not EvaluationStatus(evaluation_store.get(session, evaluation_id).status).ended:
                raise Conflict("An evaluation that waits or runs can't be removed. Cancel it first.")
            evaluation_store.remove(session, evaluation_id)

    def show(self, evaluation_id: str) -> EvaluationView:
        """One as it stands.

        Raises:
            NotFound: there is none of this id.
        """
        with self._database.reading() as session:
            return describe(evaluation_store.get(session, evaluation_id))

    def find(self, adapter: str | None = None, suite: str | None = None) -> tuple[EvaluationView, ...]:
        """Evaluations, the latest first.

        Args:
            adapter: only of this versioned name, or ``base`` for the base model alone; None for all.
            suite: only on the suite of this name.
        """
        wanted = "" if adapter == BASE_ALONE else adapter
        with self._database.reading() as session:
            return tuple(map(describe, evaluation_store.find(session, adapter=wanted, suite=suite)))

    def answers(self, evaluation_id: str) -> tuple[AnswerView, ...]:
        """The answers of one, in the suite's order."""
        with self._database.reading() as session:
            return tuple(map(describe_answer, evaluation_store.answers(session, evaluation_id)))

    def newest_figures(self, version: str, suite: str, audience: str | None = None) -> EvaluationView | None:
        """The last finished evaluation of a version's present weights on a suite's present questions.

        Args:
            version: versioned name, or ``base`` for the base model alone.
            suite: a suite's name, ``name@version``, or ``held-out`` for the audience's own.
            audience: with ``base``: whose prompt.

        Returns:
            It, with its figures; None when there is none.

        Raises:
            NotFound: no such adapter or suite.
            InvalidInput: an audience that doesn't fit.
        """
        subject, _ = self._planner.identify(Wish(version, suite, audience))
        with self._database.reading() as session:
            found = evaluation_store.newest(session, subject)
            return describe(found) if found else None

    def compare(self, before: str, after: str) -> Comparison:
        """Two evaluations, by their ids.

        Raises:
            NotFound: there is none of an id.
            InvalidInput: they are of different questions or rules, or one hasn't come to its end.
        """
        views = tuple(map(self.show, (before, after)))
        for view in views:
            if view.status is not EvaluationStatus.DONE:
                raise InvalidInput(
                    f"Only finished evaluations can be compared; that of {view.label} on {view.suite_label} "
                    f"is {view.status}. Choose another, or start it again."
                )
        return compare_evaluations(views[0], views[1], (self.answers(before), self.answers(after)))

    def compare_newest(self, before: str, after: str, suite: str, audience: str | None = None) -> Comparison:
        """The newest evaluations of two versions on one suite.

        Args:
            before: versioned name, or ``base``.
            after: likewise.
            suite: as for `newest_figures`.
            audience: with ``base``: whose prompt; that of the other version if not given.

        Raises:
            NotFound: one of them was never evaluated on it, or there is no such version or suite.
            InvalidInput: as for `compare`.
        """
        audience = audience or self.shared_audience(before, after)
        found = [self.require_newest(version, suite, audience) for version in (before, after)]
        return self.compare(found[0].evaluation_id, found[1].evaluation_id)

    def require_newest(self, version: str, suite: str, audience: str | None = None) -> EvaluationView:
        """As `newest_figures`, where there must be one.

        Args:
            audience: of the base model; an adapter has its own.

        Raises:
            NotFound: it was never evaluated on it, or there is no such version or suite.
        """
        newest = self.newest_figures(version, suite, audience if version == BASE_ALONE else None)
        if newest is None:
            raise NotFound(
                f"{version} was not evaluated on {suite} yet. Run it with python -m elara_ui evaluate "
                f"--adapter {version} --suite {suite}."
            )
        return newest

    def shared_audience(self, *versions: str) -> str | None:
        """The audience of the first that is an adapter; None when none is.

        Raises:
            NotFound: no such adapter.
        """
        named = [version for version in versions if version != BASE_ALONE]
        if not named:
            return None
        with self._database.reading() as session:
            return adapter_store.get(session, named[0]).audience

    def reconcile(self) -> int:
        """Mark those as interrupted whose process is gone.

        Returns:
            How many.
        """
        with self._database.reading() as session:
            gone = [found.id for found in evaluation_store.under_way(session) if not is_alive(found)]
        if not gone:
            return 0
        status = EvaluationStatus.INTERRUPTED
        with self._database.session() as session:
            return sum(evaluation_store.finish(session, each, status, str(status)) for each in gone)

    def close(self) -> None:
        """Stop what runs, and wait a moment for it; what waits is interrupted with it."""
        self._closing.set()
        thread = self._thread
        if thread is not None:
            thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        """Carry out what waits, then end."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                plan = self._waiting.popleft()
            self._carry_out(plan)

    def _carry_out(self, plan: Plan, report: Progress = lambda done, total: None) -> None:
        with self._database.session() as session:
            if not evaluation_store.begin(session, plan.evaluation_id):
                return  # cancelled while it waited
        self._runner.carry_out(plan, self._closing, report)
