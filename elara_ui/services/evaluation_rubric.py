"""Reviewers score rubric points: met or not met, without being told which version answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from db import evaluations as evaluation_store
from db import reviewers as reviewer_store
from db.models import EvaluationAnswer
from db.session import Database
from elara_ui.errors import InvalidInput
from elara_ui.services.evaluation_measures import summarise
from elara_ui.services.review_drafts import check_reviewer
from elara_ui.services.suites import Point


@dataclass(frozen=True)
class RubricTask:
    """One answer to score; nothing in it tells which version wrote it.

    Args:
        answer_id: names it to `RubricService.score`.
        points: what to look for.
        left: how many answers this reviewer has still to score, this one included.
    """

    answer_id: str
    question: str
    text: str
    points: tuple[Point, ...]
    left: int


class RubricService:
    """Hands out answers whose questions have points, and takes what reviewers find.

    Args:
        database: where answers and verdicts are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def next(self, reviewer: str, suite: str) -> RubricTask | None:
        """An answer on a suite that this reviewer has not scored; None when nothing is left.

        Answers of all finished evaluations of the suite are mixed, in an order of the reviewer's own, so that
        neither place nor neighbours tell which version wrote one.

        Args:
            reviewer: name or pseudonym.
            suite: its name.

        Raises:
            InvalidInput: the reviewer's name is empty or too long.
        """
        name = check_reviewer(reviewer)
        with self._database.reading() as session:
            known = reviewer_store.find(session, name)
            waiting = evaluation_store.unscored(session, suite, known.id if known else "")
            if not waiting:
                return None
            chosen = min(waiting, key=lambda answer_id: sha256(f"{name}/{answer_id}".encode()).digest())
            answer = evaluation_store.answer(session, chosen)
            return RubricTask(answer.id, answer.question, answer.text, _points(answer), len(waiting))

    def score(self, reviewer: str, answer_id: str, met: Sequence[bool]) -> None:
        """Keep what a reviewer finds of every point of an answer; an earlier finding is replaced.

        Args:
            met: of each point, in their order.

        Raises:
            InvalidInput: the name breaks its rule, or a point was left out.
            NotFound: the answer is gone.
        """
        name = check_reviewer(reviewer)
        with self._database.session() as session:
            answer = evaluation_store.answer(session, answer_id)
            if len(met) != len(answer.points):
                raise InvalidInput(
                    f"Each point is found met or not met: this answer has {len(answer.points)}, but "
                    f"{len(met)} were judged. Judge them all."
                )
            person = reviewer_store.ensure(session, name)
            evaluation_store.put_verdicts(session, answer_id, person.id, met)
            session.flush()
            session.refresh(answer, ["verdicts"])
            answer.measures = {**answer.measures, "rubric": share_met(answer)}
            session.flush()
            answers = evaluation_store.answers(session, answer.evaluation_id)
            figures = summarise([(each.category, each.measures) for each in answers])
            rubric = [figure for figure in figures if figure.name == "rubric"]
            evaluation_store.put_figures(session, answer.evaluation_id, rubric)


def share_met(answer: EvaluationAnswer) -> float:
    """How much of an answer's points is met, by weight, over all reviewers who scored it; 0 to 1."""
    weights = [point.weight for point in _points(answer)]
    found = sum(weights[verdict.point] for verdict in answer.verdicts if verdict.met)
    return found / sum(weights[verdict.point] for verdict in answer.verdicts)


def _points(answer: EvaluationAnswer) -> tuple[Point, ...]:
    return tuple(Point(point["text"], point["weight"]) for point in answer.points)
