"""Gathers what is known of a candidate and of what is live for the gate, and has the rest measured."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from adapters.recipe import Recipe
from db import adapters as adapter_store
from db import reviewers
from db.models import Adapter
from db.review_figures import Selection
from db.session import Database
from elara_ui.errors import Conflict, InvalidInput, NotFound
from elara_ui.services.blind_batches import BlindBatchService
from elara_ui.services.evaluation_comparison import Comparison
from elara_ui.services.evaluation_planning import Wish
from elara_ui.services.evaluation_views import EvaluationView
from elara_ui.services.evaluations import EvaluationService
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.reading import ReadingService
from elara_ui.services.release_gate import (
    Gate,
    GateFigures,
    LossFigures,
    ReadingFigures,
    SafetyFigures,
    judge_candidate,
)

SAFETY, HELD_OUT = "safety", "held-out"
SUITES = (SAFETY, HELD_OUT)
"""What a candidate is measured on, and what is live beside it."""


@dataclass(frozen=True)
class _Sides:
    """Who is compared.

    Args:
        opponent: what is live; None for the base model alone.
    """

    adapter: Adapter
    opponent: str | None

    @property
    def versions(self) -> tuple[tuple[str, str | None], ...]:
        """Both as evaluations name them, each with the audience that it needs told."""
        return (
            (self.adapter.name, None),
            (self.opponent or BASE_ALONE, None if self.opponent else self.adapter.audience),
        )


class GateKeeper:
    """Looks figures up for the gate, and has those that are missing measured.

    Args:
        database: where versions are.
        recipes: audience → recipe, for the reading targets.
        evaluations: the figures of both on the same questions.
        reading: the grades of stored answers.
        blind: the blind comparisons.
    """

    def __init__(
        self,
        database: Database,
        recipes: Mapping[str, Recipe],
        evaluations: EvaluationService,
        reading: ReadingService,
        blind: BlindBatchService,
    ) -> None:
        self._database = database
        self._recipes = recipes
        self._evaluations = evaluations
        self._reading = reading
        self._blind = blind

    def gate(self, candidate: str) -> Gate:
        """How a version stands to the rules, by the figures there are now.

        Raises:
            NotFound: there is no such adapter.
        """
        sides = self._sides(candidate)
        adapter, opponent = sides.adapter, sides.opponent
        recipe = self._recipes.get(adapter.audience)
        held_out = self._compare(sides, HELD_OUT)
        with self._database.reading() as session:
            clinicians = _count_clinicians(session, adapter.audience)
        figures = GateFigures(
            safety=_count_safety(self._compare(sides, SAFETY)),
            loss=_find_loss(held_out) or _find_own_loss(sides),
            reading=self._find_reading(adapter),
            blind=self._blind.figures(candidate, opponent),
            has_reading_target=recipe is not None and recipe.readability_aim is not None,
            clinicians=clinicians,
        )
        return judge_candidate(candidate, opponent, figures)

    def missing(self, candidate: str) -> tuple[Wish, ...]:
        """What must be evaluated so that the gate can judge safety, loss and readability.

        Raises:
            NotFound: there is no such adapter.
        """
        sides = self._sides(candidate)
        return tuple(
            Wish(version, suite, audience)
            for suite in SUITES
            for version, audience in sides.versions
            if self._exists(suite, sides.adapter.audience) and self._newest(version, suite, audience) is None
        )

    def measure(self, candidate: str) -> int:
        """Have what is missing evaluated in the background, one after the other.

        Returns:
            How many evaluations were begun; those that are under way already aren't begun again.

        Raises:
            NotFound: there is no such adapter.
            InvalidInput: everything is measured.
            AdapterError: it was trained on another base model than the one served.
        """
        wishes = self.missing(candidate)
        if not wishes:
            raise InvalidInput(
                f"{candidate} and what it would replace are measured on every suite. What is still open in "
                "the gate takes a blind comparison, or a reason."
            )
        begun = 0
        for wish in wishes:
            try:
                self._evaluations.start(wish)
            except Conflict:  # it waits or runs already
                continue
            begun += 1
        return begun

    def measure_now(self, candidate: str) -> Iterator[EvaluationView]:
        """Evaluate what is missing here and now, each given back when it has ended; for a terminal.

        Raises:
            ElaraError: as for `EvaluationService.run`.
        """
        for wish in self.missing(candidate):
            yield self._evaluations.run(wish)

    def under_way(self, candidate: str) -> tuple[EvaluationView, ...]:
        """Evaluations of the candidate or what is live that wait or run."""
        sides = self._sides(candidate)
        return tuple(
            view
            for version, audience in sides.versions
            for view in self._evaluations.find(version)
            if view.is_under_way and view.audience == (audience or sides.adapter.audience)
        )

    def _sides(self, candidate: str) -> _Sides:
        with self._database.reading() as session:
            adapter = adapter_store.get(session, candidate)
            live = adapter_store.live(session, adapter.audience, adapter.base_model)
        return _Sides(adapter, live.name if live and live.name != candidate else None)

    def _exists(self, suite: str, audience: str) -> bool:
        try:
            self._evaluations.newest_figures(BASE_ALONE, suite, audience)
        except NotFound:
            return False
        return True

    def _newest(self, version: str, suite: str, audience: str | None) -> EvaluationView | None:
        try:
            return self._evaluations.newest_figures(version, suite, audience)
        except (NotFound, InvalidInput):  # no such suite, or an audience that is gone
            return None

    def _compare(self, sides: _Sides, suite: str) -> Comparison | None:
        """What is live before, the candidate after; None where one wasn't evaluated on the present suite."""
        ours, theirs = (self._newest(version, suite, audience) for version, audience in sides.versions)
        if ours is None or theirs is None or ours.base_model != theirs.base_model:
            return None
        return self._evaluations.compare(theirs.evaluation_id, ours.evaluation_id)

    def _find_reading(self, adapter: Adapter) -> ReadingFigures | None:
        """The grade of its answers to the held-out questions; else of those that are stored."""
        recipe = self._recipes.get(adapter.audience)
        if recipe is None or recipe.readability_aim is None:
            return None
        target = recipe.readability_aim, recipe.readability_floor
        newest = self._newest(adapter.name, HELD_OUT, None)
        if newest is not None and (grade := newest.figure("reading_grade")):
            return ReadingFigures(grade.value, grade.n, *target, f"on {newest.suite_label}")
        found = self._reading.grades(Selection(audience=adapter.audience, made_by=adapter.name))
        return ReadingFigures(found[0].median, found[0].answers, *target, "all stored") if found else None


def _count_safety(found: Comparison | None) -> SafetyFigures | None:
    """The safety prompts that each passes."""
    if found is None:
        return None
    ours = Counter(pair.after.category for pair in found.pairs if not pair.after.failed)
    theirs = Counter(pair.before.category for pair in found.pairs if not pair.before.failed)
    return SafetyFigures(
        passed=ours.total(),
        opponent_passed=theirs.total(),
        total=len(found.pairs),
        newly_failing=tuple(
            pair.after.question_id for pair in found.pairs if pair.after.failed and not pair.before.failed
        ),
        fallen=tuple(sorted(category for category, passed in theirs.items() if ours[category] < passed)),
    )


def _find_loss(found: Comparison | None) -> LossFigures | None:
    change = found.change("heldout_loss") if found else None
    if found is None or change is None:
        return None
    return LossFigures(
        change.after.value,
        change.before.value,
        f"the {change.after.n} rows of {found.after.suite_label}",
        change.change.low,
        change.change.high,
    )


def _find_own_loss(sides: _Sides) -> LossFigures | None:
    """On its run's own held-out rows, on which the base model was measured too, but no other version."""
    metrics = sides.adapter.metrics
    before, after = metrics.get("eval_loss_before"), metrics.get("eval_loss_after")
    if sides.opponent is not None or before is None or after is None:
        return None
    return LossFigures(float(after), float(before), "its run's held-out rows")


def _count_clinicians(session: Session, audience: str) -> int:
    """Reviewers who judge this audience and haven't withdrawn."""
    return sum(
        person.withdrawn_at is None and (not person.audiences or audience in person.audiences)
        for person in reviewers.everyone(session)
    )
