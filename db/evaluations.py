"""Evaluations: asked for, carried out, read again; and the suites that users bring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, selectinload

from db.errors import NotFound
from db.models import (
    Evaluation,
    EvaluationAnswer,
    EvaluationFigure,
    EvaluationSuite,
    EvaluationVerdict,
    utc_now,
)
from db.vocabulary import EvaluationStatus

UNDER_WAY = (EvaluationStatus.QUEUED, EvaluationStatus.RUNNING)


@dataclass(frozen=True)
class Subject:
    """What was evaluated on which questions: results of equal ones follow each other.

    Args:
        adapter: versioned name; None for the base model alone.
        weights_sha256: of the adapter's weights; empty for the base model.
        base_model: which answered.
        audience: whose prompt and targets held.
        suite: name of the questions.
        suite_sha256: of their rows and rules.
    """

    adapter: str | None
    weights_sha256: str
    base_model: str
    audience: str
    suite: str
    suite_sha256: str


@dataclass(frozen=True)
class FigureRow:
    """One figure as stored.

    Args:
        value: in the measure's own unit, shares from 0 to 1; `low` and `high` bound its 95% interval.
        n: answers that it is of.
    """

    name: str
    value: float
    low: float
    high: float
    n: int


def add(
    session: Session, subject: Subject, *, suite_version: str, total: int, pid: int, pid_started_at: float
) -> Evaluation:
    """Record an evaluation that is to be carried out by a process.

    Args:
        session: a writing session.
        total: steps it will take.
        pid: of the process.
        pid_started_at: its start, s since the epoch.
    """
    evaluation = Evaluation(
        **vars(subject), suite_version=suite_version, total=total, pid=pid, pid_started_at=pid_started_at
    )
    session.add(evaluation)
    session.flush()
    return evaluation


def get(session: Session, evaluation_id: str) -> Evaluation:
    """One evaluation with its figures.

    Raises:
        NotFound: there is none of this id.
    """
    evaluation = session.get(Evaluation, evaluation_id, options=[selectinload(Evaluation.figures)])
    if evaluation is None:
        raise NotFound(f"There is no evaluation {evaluation_id[:60]!r}. List them to see their ids.")
    return evaluation


def find(
    session: Session, *, adapter: str | None = None, suite: str | None = None, limit: int = 200
) -> list[Evaluation]:
    """Evaluations with their figures, the latest first.

    Args:
        adapter: only of this versioned name; an empty one for the base model alone, None for all.
        suite: only on these questions.
        limit: most of them.
    """
    query = select(Evaluation).options(selectinload(Evaluation.figures))
    if adapter is not None:
        query = query.where(Evaluation.adapter == adapter if adapter else Evaluation.adapter.is_(None))
    if suite is not None:
        query = query.where(Evaluation.suite == suite)
    query = query.order_by(Evaluation.created_at.desc(), Evaluation.id).limit(limit)
    return list(session.scalars(query))


def newest(session: Session, subject: Subject) -> Evaluation | None:
    """The last one of a subject that came to its end, with its figures; None when there is none."""
    query = select(Evaluation).options(selectinload(Evaluation.figures))
    query = query.where(Evaluation.status == EvaluationStatus.DONE)
    for name, value in vars(subject).items():
        query = query.where(getattr(Evaluation, name).is_(value) if value is None else _equals(name, value))
    return session.scalar(query.order_by(Evaluation.finished_at.desc(), Evaluation.id).limit(1))


def _equals(name: str, value: str) -> Any:
    return getattr(Evaluation, name) == value


def newest_on_each_suite(session: Session, weights_sha256: str) -> list[Evaluation]:
    """The last finished one of these weights on each suite, by its name, with figures."""
    query = (
        select(Evaluation)
        .options(selectinload(Evaluation.figures))
        .where(Evaluation.weights_sha256 == weights_sha256, Evaluation.status == EvaluationStatus.DONE)
        .order_by(Evaluation.finished_at)
    )
    latest = {evaluation.suite: evaluation for evaluation in session.scalars(query)}
    return [latest[name] for name in sorted(latest)]


def under_way(session: Session) -> list[Evaluation]:
    """Those that wait or run, in whatever process, the oldest first."""
    query = select(Evaluation).where(Evaluation.status.in_(UNDER_WAY)).order_by(Evaluation.created_at)
    return list(session.scalars(query))


def begin(session: Session, evaluation_id: str, **values: Any) -> bool:
    """Mark a waiting one as running; False when it no longer waits.

    Args:
        values: further columns.
    """
    changed = session.execute(
        update(Evaluation)
        .where(Evaluation.id == evaluation_id, Evaluation.status == EvaluationStatus.QUEUED)
        .values(status=EvaluationStatus.RUNNING, started_at=utc_now(), **values)
        .returning(Evaluation.id)
    ).all()
    return bool(changed)


def write(session: Session, evaluation_id: str, **values: Any) -> None:
    """Change columns of an evaluation."""
    session.execute(update(Evaluation).where(Evaluation.id == evaluation_id).values(**values))


def cancel_requested(session: Session, evaluation_id: str) -> bool:
    """Whether somebody asked to stop it, or has removed it."""
    found = session.scalar(select(Evaluation.cancel_requested).where(Evaluation.id == evaluation_id))
    return found is None or found


def finish(
    session: Session, evaluation_id: str, status: EvaluationStatus, stage: str, error: str | None = None
) -> bool:
    """End one that hasn't ended yet; False when it had."""
    changed = session.execute(
        update(Evaluation)
        .where(Evaluation.id == evaluation_id, Evaluation.status.in_(UNDER_WAY))
        .values(status=status, stage=stage, error=error, finished_at=utc_now())
        .returning(Evaluation.id)
    ).all()
    return bool(changed)


def remove(session: Session, evaluation_id: str) -> None:
    """Delete an evaluation with its answers, figures and verdicts.

    Raises:
        NotFound: there is none of this id.
    """
    session.delete(get(session, evaluation_id))


def add_answer(session: Session, evaluation_id: str, **values: Any) -> str:
    """Record one answer; returns its id.

    Args:
        values: columns of `EvaluationAnswer`.
    """
    answer = EvaluationAnswer(evaluation_id=evaluation_id, **values)
    session.add(answer)
    session.flush()
    return answer.id


def add_measures(
    session: Session, evaluation_id: str, question_id: str, measures: Mapping[str, float]
) -> None:
    """Add measures to the answer to one question; others stay."""
    query = select(EvaluationAnswer).where(
        EvaluationAnswer.evaluation_id == evaluation_id, EvaluationAnswer.question_id == question_id
    )
    for answer in session.scalars(query):
        answer.measures = {**answer.measures, **measures}


def answers(session: Session, evaluation_id: str) -> list[EvaluationAnswer]:
    """Its answers with the verdicts on them, in the suite's order."""
    query = (
        select(EvaluationAnswer)
        .where(EvaluationAnswer.evaluation_id == evaluation_id)
        .options(selectinload(EvaluationAnswer.verdicts))
        .order_by(EvaluationAnswer.position)
    )
    return list(session.scalars(query))


def answer(session: Session, answer_id: str) -> EvaluationAnswer:
    """One answer with the verdicts on it.

    Raises:
        NotFound: there is none of this id.
    """
    found = session.get(EvaluationAnswer, answer_id, options=[selectinload(EvaluationAnswer.verdicts)])
    if found is None:
        raise NotFound("That answer is gone: its evaluation was removed. Open another evaluation.")
    return found


def unscored(session: Session, suite: str, reviewer_id: str) -> list[str]:
    """Answers with points, of finished evaluations of a suite, on which a reviewer has no verdict yet: ids.

    Args:
        suite: its name.
        reviewer_id: empty for somebody who has given none at all.
    """
    scored = select(EvaluationVerdict.answer_id).where(EvaluationVerdict.reviewer_id == reviewer_id)
    query = (
        select(EvaluationAnswer.id)
        .join(Evaluation)
        .where(
            Evaluation.suite == suite,
            Evaluation.status == EvaluationStatus.DONE,
            func.json_array_length(EvaluationAnswer.points) > 0,
            EvaluationAnswer.id.not_in(scored),
        )
    )
    return list(session.scalars(query))


def put_figures(session: Session, evaluation_id: str, figures: Sequence[FigureRow]) -> None:
    """Write figures; those of the same names are replaced, others stay."""
    names = [figure.name for figure in figures]
    session.execute(
        delete(EvaluationFigure).where(
            EvaluationFigure.evaluation_id == evaluation_id, EvaluationFigure.name.in_(names)
        )
    )
    session.add_all(EvaluationFigure(evaluation_id=evaluation_id, **vars(figure)) for figure in figures)


def put_verdicts(session: Session, answer_id: str, reviewer_id: str, met: Sequence[bool]) -> None:
    """One reviewer's verdicts on all points of an answer; earlier ones are replaced."""
    session.execute(
        delete(EvaluationVerdict).where(
            EvaluationVerdict.answer_id == answer_id, EvaluationVerdict.reviewer_id == reviewer_id
        )
    )
    session.add_all(
        EvaluationVerdict(answer_id=answer_id, reviewer_id=reviewer_id, point=point, met=each)
        for point, each in enumerate(met)
    )


def suites(session: Session) -> list[EvaluationSuite]:
    """The users' suites, by name, the newest version of each first."""
    query = select(EvaluationSuite).order_by(EvaluationSuite.name, EvaluationSuite.version.desc())
    return list(session.scalars(query))


def add_suite(
    session: Session, *, name: str, sha256: str, questions: Sequence[Mapping[str, Any]], source: str
) -> EvaluationSuite:
    """The next version of a suite; the very same questions again are the version that has them.

    Args:
        session: a writing session.
        sha256: of the questions, 64 hex digits.
        source: name of the file.
    """
    known = session.scalar(
        select(EvaluationSuite).where(EvaluationSuite.name == name, EvaluationSuite.sha256 == sha256)
    )
    if known is not None:
        return known
    last = session.scalar(select(func.max(EvaluationSuite.version)).where(EvaluationSuite.name == name))
    suite = EvaluationSuite(
        name=name, version=(last or 0) + 1, sha256=sha256, questions=list(questions), source=source
    )
    session.add(suite)
    session.flush()
    return suite
