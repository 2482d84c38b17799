"""An adapter teaching in the background: the page that started it may be closed, and any page can watch.

One adapter teaches at a time. What it answers is written down as it comes, so that the same lesson, started
again after a stop or a restart, goes on where it was.
"""

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from threading import Event, Lock, Thread
from typing import Any

from adapters import catalog
from adapters.training.rejects import Rejects, shorten
from elara_ui.errors import Conflict, ElaraError, InvalidInput
from elara_ui.services.commands import distill_command
from elara_ui.services.distillation import DistillationService, Judged, Lesson
from elara_ui.services.training import DataChoice, DataSource, TrainingService

CLOSE_SECONDS = 10.0  # how long closing waits for the answer that is being given

log = logging.getLogger(__name__)


class Use(StrEnum):
    """What becomes of the answers that pass the rules."""

    TRAIN = "train"  # a stored set, and a run that learns from it
    STORE = "store"  # a stored set
    REVIEW = "review"  # the review queue


class TeachingState(StrEnum):
    """How a lesson stands."""

    ANSWERING = "answering"
    STOPPED = "stopped"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True)
class TeachingPlan:
    """What a person wants taught.

    Args:
        teacher: the adapter, such as ``patient@1``.
        prompts: whose questions it answers.
        use: what becomes of what passes.
        base_model: to be trained, for `Use.TRAIN`: catalogue id, hub id or folder.
        max_grade: highest reading grade; None takes the audience's target.
        max_tokens: longest answer, tokens; None takes the audience's own.
        accept_identifiers: likely identifiers in the prompts may be sent to another machine's engine.
    """

    teacher: str
    prompts: DataChoice
    use: Use = Use.STORE
    base_model: str = ""
    max_grade: float | None = None
    max_tokens: int | None = None
    accept_identifiers: bool = False

    @property
    def command(self) -> str:
        """What to type on a terminal for the same."""
        return distill_command(
            self.teacher,
            self.prompts,
            base_model=self.base_model if self.use is Use.TRAIN else "",
            review=self.use is Use.REVIEW,
            max_grade=self.max_grade,
            max_tokens=self.max_tokens,
            accept_identifiers=self.accept_identifiers,
        )


@dataclass(frozen=True)
class Teaching:
    """A lesson as it stands.

    Args:
        done: prompts answered, those of earlier attempts included.
        total: prompts in all.
        latest: the beginning of the latest answer.
        accepted: answers that passed; None before they were judged.
        rejects: those that didn't, by reason.
        snapshot: id of the stored set that came of it; empty for none.
        run_id: the run that learns from it; empty for none.
        error: why it failed.
    """

    plan: TeachingPlan
    state: TeachingState
    done: int
    total: int
    latest: str = ""
    accepted: int | None = None
    rejects: tuple[Rejects, ...] = ()
    snapshot: str = ""
    run_id: str = ""
    error: str = ""

    @property
    def is_under_way(self) -> bool:
        """Whether the adapter still answers."""
        return self.state is TeachingState.ANSWERING


class TeachingService:
    """Lets one adapter teach in the background.

    Args:
        distillation: asks, judges and stores.
        training: starts the run that learns.
    """

    def __init__(self, distillation: DistillationService, training: TrainingService) -> None:
        self._distillation = distillation
        self._training = training
        self._current: Teaching | None = None
        self._thread: Thread | None = None
        self._stop = Event()
        self._lock = Lock()

    @property
    def current(self) -> Teaching | None:
        """The lesson under way, or else the last one; None before there was one."""
        return self._current

    def start(self, plan: TeachingPlan) -> Teaching:
        """Begin a lesson, or go on with one that was stopped.

        Returns:
            How it stands at once.

        Raises:
            Conflict: another lesson is under way.
            InvalidInput: a number or the base model to train is missing or wrong.
            IdentifiersFound: prompts would leave this machine with some, and nobody accepted them.
            ElaraError: the teacher or the prompts can't be had.
        """
        _check(plan)
        with self._lock:
            if self._current is not None and self._current.is_under_way:
                raise Conflict(
                    f"One adapter teaches at a time, and {self._current.plan.teacher} does. Wait for it, or "
                    "stop it first."
                )
            lesson = self._distillation.plan(plan.teacher, plan.prompts, plan.max_tokens)
            self._distillation.check(lesson, accept_identifiers=plan.accept_identifiers)
            begun = Teaching(plan, TeachingState.ANSWERING, lesson.done, len(lesson.examples))
            self._current = begun
            self._stop = Event()
            self._thread = Thread(
                target=self._teach, args=(plan, lesson, self._stop), name="teaching", daemon=True
            )
            self._thread.start()
        return begun

    def stop(self) -> None:
        """Stop after the answer that is being given. What was answered is kept."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and wait a moment for it."""
        self.stop()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _teach(self, plan: TeachingPlan, lesson: Lesson, stop: Event) -> None:
        try:
            if not self._answer(plan, lesson, stop):
                self._tell(state=TeachingState.STOPPED)
                return
            judged = self._distillation.judge(lesson, plan.max_grade)
            self._tell(accepted=len(judged.accepted), rejects=judged.rejects)
            self._tell(**self._use(plan, lesson, judged), state=TeachingState.DONE)
        except ElaraError as error:
            self._tell(state=TeachingState.FAILED, error=error.message)
        except Exception:  # nobody else would hear of it
            log.exception("The lesson of %s failed", plan.teacher)
            self._tell(
                state=TeachingState.FAILED,
                error="The lesson failed unexpectedly; the log has the details. Start it again: it goes on "
                "from here.",
            )

    def _answer(self, plan: TeachingPlan, lesson: Lesson, stop: Event) -> bool:
        """Ask until all is answered; False when it was stopped before."""
        answering = self._distillation.answer(lesson, accept_identifiers=plan.accept_identifiers)
        with closing(answering) as answers:
            for done, answer in enumerate(answers, start=lesson.done + 1):
                self._tell(done=done, latest=shorten(answer.text) or answer.trouble)
                if stop.is_set():
                    return done == len(lesson.examples)
        return True

    def _use(self, plan: TeachingPlan, lesson: Lesson, judged: Judged) -> dict[str, Any]:
        """Do with the accepted answers what was planned; what came of it."""
        if plan.use is Use.REVIEW:
            self._distillation.send_to_review(judged)
            return {}
        distilled = self._distillation.freeze(lesson, judged)
        self._tell(snapshot=distilled.snapshot)
        if plan.use is Use.STORE:
            return {}
        data = DataChoice(DataSource.SNAPSHOT, reference=distilled.snapshot)
        return {"run_id": self._training.launch(lesson.audience, data, {}, plan.base_model)}

    def _tell(self, **changes: Any) -> None:
        if self._current is not None:
            self._current = replace(self._current, **changes)


def _check(plan: TeachingPlan) -> None:
    """Refuse before hours are spent on answers.

    Raises:
        InvalidInput: a number or the base model is missing or wrong.
        ModelError: there is no such base model.
    """
    if not plan.teacher:
        raise InvalidInput("No teacher is chosen. Pick a finished adapter; train one if there is none yet.")
    if plan.use is Use.TRAIN:
        if not plan.base_model:
            raise InvalidInput("Training needs a base model. Choose one, or only store the answers.")
        catalog.find(plan.base_model)
    rules: tuple[tuple[str, float | None, Callable[[float], bool], str], ...] = (
        ("highest reading grade", plan.max_grade, lambda grade: grade > 0, "above 0"),
        ("longest answer", plan.max_tokens, lambda tokens: tokens >= 1, "at least 1 token"),
    )
    for name, value, holds, rule in rules:
        if value is not None and not holds(value):
            raise InvalidInput(
                f"The {name} must be {rule}, but it is {value:g}. Leave it empty for the audience's."
            )
