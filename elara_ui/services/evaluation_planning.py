"""From what somebody wants evaluated to a checked plan with a record."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import psutil

from adapters.recipe import Recipe
from db import adapters as adapter_store
from db import evaluations as evaluation_store
from db.evaluations import Subject
from db.models import Evaluation
from db.session import Database
from elara_ui.errors import AdapterError, Conflict, InvalidInput
from elara_ui.services.evaluation_runner import Plan
from elara_ui.services.private_chat import PrivateChatService
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.safety import GREEDY
from elara_ui.services.serving import ServingService
from elara_ui.services.suites import Suite, SuiteService

CLOCK_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True)
class Wish:
    """What somebody wants evaluated.

    Args:
        adapter: versioned name, or ``base`` for the base model alone.
        suite: a suite's name, ``name@version``, or ``held-out`` for the audience's own.
        audience: with ``base``: whose prompt and targets; the suite's, else the first, if not given.
        takes_loss: take the loss of reference answers too, which loads the weights in another process.
        accept_identifiers: likely identifiers in the questions may be sent to another machine's engine.
    """

    adapter: str
    suite: str
    audience: str | None = None
    takes_loss: bool = True
    accept_identifiers: bool = False


class EvaluationPlanner:
    """Checks what is wanted before minutes are spent on it, and records it.

    Args:
        database: where evaluations are.
        serving: the base model served.
        chat: knows what can be asked.
        recipes: audience → recipe.
        suites: finds the questions.
    """

    def __init__(
        self,
        database: Database,
        serving: ServingService,
        chat: PrivateChatService,
        recipes: Mapping[str, Recipe],
        suites: SuiteService,
    ) -> None:
        self._database = database
        self._serving = serving
        self._chat = chat
        self._recipes = recipes
        self._suites = suites

    def plan(self, wish: Wish) -> Plan:
        """Check a wish and record it.

        Raises:
            ElaraError: as `EvaluationService.start` says.
        """
        subject, suite = self.identify(wish)
        recipe = self._recipes[subject.audience]
        self._check_served(subject)
        for asked in suite.questions:
            self._chat.check(
                subject.audience,
                asked.question,
                GREEDY,
                subject.adapter or BASE_ALONE,
                accept_identifiers=wish.accept_identifiers,
            )
        takes_loss = wish.takes_loss and bool(suite.references) and not self._serving.is_remote
        steps = len(suite.questions) + (len(suite.references) if takes_loss else 0)
        with self._database.session() as session:
            self._refuse_twice(evaluation_store.under_way(session), subject)
            stored = evaluation_store.add(
                session,
                subject,
                suite_version=suite.version,
                total=steps,
                pid=os.getpid(),
                pid_started_at=_started_at(),
            )
            if wish.takes_loss and suite.references and not takes_loss:
                stored.notes = [
                    "Held-out loss needs the weights, and another machine's server answers here. Evaluate it "
                    "where the weights are."
                ]
            return Plan(
                stored.id,
                subject.adapter,
                subject.weights_sha256,
                recipe,
                suite,
                takes_loss,
                wish.accept_identifiers,
            )

    def identify(self, wish: Wish) -> tuple[Subject, Suite]:
        """What would be evaluated on what.

        Raises:
            NotFound: no such adapter or suite.
            InvalidInput: an audience that doesn't fit.
        """
        if wish.adapter == BASE_ALONE:
            return self._identify_base(wish)
        with self._database.reading() as session:
            adapter = adapter_store.get(session, wish.adapter)
        if wish.audience not in (None, adapter.audience):
            raise InvalidInput(
                f"{adapter.name} speaks to the audience {adapter.audience}, but {wish.audience} was asked "
                "for. Leave it out."
            )
        if adapter.audience not in self._recipes:
            raise InvalidInput(
                f"{adapter.name} speaks for {adapter.audience!r}, and there is no such audience any more. "
                "Add its recipe again."
            )
        suite = self._suites.find(wish.suite, adapter.audience)
        _check_audience(suite, adapter.audience)
        return (
            Subject(
                adapter.name, adapter.sha256, adapter.base_model, adapter.audience, suite.name, suite.sha256
            ),
            suite,
        )

    def _identify_base(self, wish: Wish) -> tuple[Subject, Suite]:
        usual = next(iter(self._recipes))
        suite = self._suites.find(wish.suite, wish.audience or usual)
        audience = wish.audience or suite.audience or usual
        if audience not in self._recipes:
            raise InvalidInput(
                f"There is no audience {audience[:60]!r}. Choose one of: {', '.join(self._recipes)}."
            )
        _check_audience(suite, audience)
        return Subject(None, "", self._serving.base_model, audience, suite.name, suite.sha256), suite

    def _check_served(self, subject: Subject) -> None:
        if subject.base_model != self._serving.base_model:
            raise AdapterError(
                f"{subject.adapter} was trained on {subject.base_model}, but {self._serving.base_model} "
                f"answers here, and an adapter only fits its own base model. Serve "
                f"{subject.base_model} first."
            )

    def _refuse_twice(self, under_way: Sequence[Evaluation], subject: Subject) -> None:
        for other in under_way:
            if is_alive(other) and vars(subject).items() <= vars(other).items():
                raise Conflict(
                    f"{subject.adapter or 'The base model'} is being evaluated on {subject.suite} already. "
                    "Wait for it, or cancel it first."
                )


def _check_audience(suite: Suite, audience: str) -> None:
    if suite.audience not in ("", audience):
        raise InvalidInput(
            f"The suite {suite.label} is for the audience {suite.audience}, but {audience} was to be "
            "evaluated. Choose held-out, which is the audience's own."
        )


def is_alive(stored: Evaluation) -> bool:
    """Whether the very process that was to carry it out is there; never judged by the pid alone."""
    try:
        started: float = psutil.Process(stored.pid).create_time()
    except psutil.Error:
        return False
    return abs(started - stored.pid_started_at) < CLOCK_TOLERANCE_SECONDS


@cache
def _started_at() -> float:
    """When this process started, s since the epoch."""
    started: float = psutil.Process().create_time()
    return started
