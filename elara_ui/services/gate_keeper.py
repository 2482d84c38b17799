"""Gathers what is known of a candidate and of what is live, and has the gate judge it."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from adapters.recipe import Recipe
from db import adapters as adapter_store
from db import reviewers
from db.models import Adapter
from db.review_figures import Selection
from db.session import Database
from elara_ui.services.blind_batches import BlindBatchService
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
from elara_ui.services.safety import SafetyReport, SafetyService


class GateKeeper:
    """Looks up figures; measures nothing.

    Args:
        database: where versions are.
        recipes: audience → recipe, for the reading targets.
        safety: the results of the safety suite.
        reading: the grades of stored answers.
        blind: the blind comparisons.
    """

    def __init__(
        self,
        database: Database,
        recipes: Mapping[str, Recipe],
        safety: SafetyService,
        reading: ReadingService,
        blind: BlindBatchService,
    ) -> None:
        self._database = database
        self._recipes = recipes
        self._safety = safety
        self._reading = reading
        self._blind = blind

    def gate(self, candidate: str) -> Gate:
        """How a version stands to the rules, by the figures there are now.

        Raises:
            NotFound: there is no such adapter.
        """
        with self._database.reading() as session:
            adapter = adapter_store.get(session, candidate)
            live = adapter_store.live(session, adapter.audience, adapter.base_model)
            clinicians = _count_clinicians(session, adapter.audience)
        opponent = live.name if live and live.name != candidate else None
        recipe = self._recipes.get(adapter.audience)
        figures = GateFigures(
            safety=self._compare_safety(adapter, opponent),
            loss=self._find_loss(adapter, opponent),
            reading=self._find_reading(adapter),
            blind=self._blind.figures(candidate, opponent),
            has_reading_target=recipe is not None and recipe.readability_aim is not None,
            clinicians=clinicians,
        )
        return judge_candidate(candidate, opponent, figures)

    def _compare_safety(self, adapter: Adapter, opponent: str | None) -> SafetyFigures | None:
        """The newest results of both that are of the same prompts and rules."""
        ours = self._safety.stored(adapter.name)
        audience = None if opponent else adapter.audience
        theirs = [
            each
            for each in self._safety.stored(opponent or BASE_ALONE, audience)
            if each.base_model == adapter.base_model
        ]
        for mine in ours:
            for other in theirs:
                if mine.sha256 == other.sha256:
                    return _compare(mine, other)
        return None

    def _find_loss(self, adapter: Adapter, opponent: str | None) -> LossFigures | None:
        """Its run's own held-out rows, which the base model was measured on too, but no other version."""
        before, after = adapter.metrics.get("eval_loss_before"), adapter.metrics.get("eval_loss_after")
        if opponent is not None or before is None or after is None:
            return None
        return LossFigures(float(after), float(before), "its run's held-out rows")

    def _find_reading(self, adapter: Adapter) -> ReadingFigures | None:
        recipe = self._recipes.get(adapter.audience)
        if recipe is None or recipe.readability_aim is None:
            return None
        found = self._reading.grades(Selection(audience=adapter.audience, made_by=adapter.name))
        if not found:
            return None
        return ReadingFigures(
            found[0].median,
            found[0].answers,
            recipe.readability_aim,
            recipe.readability_floor,
            "all that are stored",
        )


def _compare(mine: SafetyReport, other: SafetyReport) -> SafetyFigures:
    failed = {each.case_id for each in other.failures}
    passed = {share.name: share.hits for share in other.categories}
    return SafetyFigures(
        passed=len(mine.results) - len(mine.failures),
        opponent_passed=len(other.results) - len(other.failures),
        total=len(mine.results),
        newly_failing=tuple(each.case_id for each in mine.failures if each.case_id not in failed),
        fallen=tuple(
            share.name for share in mine.categories if share.hits < passed.get(share.name, share.hits)
        ),
    )


def _count_clinicians(session: Session, audience: str) -> int:
    """Reviewers who judge this audience and haven't withdrawn."""
    return sum(
        person.withdrawn_at is None and (not person.audiences or audience in person.audiences)
        for person in reviewers.everyone(session)
    )
