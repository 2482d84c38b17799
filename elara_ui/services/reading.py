"""How hard the stored answers are to read: by adapter, held against each audience's target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from adapters.recipe import Recipe
from db import reading_grades
from db.reading_grades import GradeCount
from db.review_figures import EVERYTHING, Selection
from db.session import Database
from elara_ui.services.shares import Share, measure_share


@dataclass(frozen=True)
class ReadingFigures:
    """The grades of one maker's answers for one audience.

    Args:
        made_by: the adapter, or the base model where there was none.
        answers: how many have a grade.
        median: Flesch-Kincaid grade that half of the answers don't exceed.
        lower: likewise a quarter of them.
        upper: likewise three quarters.
        aim: highest grade wanted; None when this audience has no target.
        floor: lowest grade wanted; None when there is none.
        within: the share of answers within the target; None without one.
        counts: grade → answers, in order.
    """

    audience: str
    made_by: str
    answers: int
    median: float
    lower: float
    upper: float
    aim: float | None
    floor: float | None
    within: Share | None
    counts: tuple[tuple[float, int], ...]


class ReadingService:
    """Counts the grades that were stored with the answers; measures nothing anew.

    Args:
        database: where answers are.
        recipes: audience → recipe, for the targets.
    """

    def __init__(self, database: Database, recipes: Mapping[str, Recipe]) -> None:
        self._database = database
        self._recipes = recipes

    def origins(self) -> list[tuple[str, str]]:
        """Audience and maker of every answer that has a grade."""
        with self._database.reading() as session:
            return reading_grades.origins(session)

    def grades(self, selection: Selection = EVERYTHING) -> list[ReadingFigures]:
        """The figures of each maker, by audience.

        Args:
            selection: which answers; its times are those of the answer, not of a review.
        """
        with self._database.reading() as session:
            found = reading_grades.count(session, selection)
        return [
            self._measure(audience, made_by, list(counts))
            for (audience, made_by), counts in groupby(found, lambda each: (each.audience, each.made_by))
        ]

    def _measure(self, audience: str, made_by: str, found: Sequence[GradeCount]) -> ReadingFigures:
        recipe = self._recipes.get(audience)
        aim = recipe.readability_aim if recipe else None
        floor = recipe.readability_floor if recipe else None
        counts = tuple((each.grade, each.answers) for each in found)
        answers = sum(number for _, number in counts)
        within = None
        if aim is not None:
            inside = sum(
                number for grade, number in counts if grade <= aim and (floor is None or grade >= floor)
            )
            within = measure_share(inside / answers, answers)
        lower, median, upper = (find_quantile(counts, share) for share in (0.25, 0.5, 0.75))
        return ReadingFigures(audience, made_by, answers, median, lower, upper, aim, floor, within, counts)


def find_quantile(counts: Sequence[tuple[float, int]], share: float) -> float:
    """The lowest grade that at least this share of the answers doesn't exceed.

    Args:
        counts: grade and number of answers, one or more, in order of the grade.
        share: above 0, up to 1.
    """
    wanted, passed = share * sum(number for _, number in counts), 0
    for grade, number in counts:
        passed += number
        if passed >= wanted:
            return grade
    return counts[-1][0]
