"""Training runs: the queue, and what workers tell about themselves.

The changes of state are single UPDATE statements with their condition inside, so that two processes
can't both make one.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from db.errors import NotFound
from db.models import Run, RunPoint, utc_now
from db.vocabulary import RunStatus

UNENDED = tuple(status for status in RunStatus if not status.ended)

REFRESHING = {"populate_existing": True}
"""Execution options: a run that the session holds already takes the values just written."""


def create(session: Session, audience: str, base_model: str, snapshot_id: str, recipe: dict[str, Any]) -> Run:
    """Put a run at the end of the queue.

    Args:
        session: a writing session.
        audience: for whom the adapter will speak.
        base_model: catalogue id.
        snapshot_id: its frozen training set.
        recipe: every hyperparameter, frozen.
    """
    run = Run(audience=audience, base_model=base_model, snapshot_id=snapshot_id, recipe=recipe)
    session.add(run)
    session.flush()
    return run


def get(session: Session, run_id: str) -> Run:
    """One run.

    Raises:
        NotFound: there is none of this id.
    """
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id!r}. The list of runs shows those that exist.")
    return run


def list_recent(session: Session, limit: int = 50) -> list[Run]:
    """The runs last created, newest first."""
    return list(session.scalars(select(Run).order_by(Run.created_at.desc(), Run.id).limit(limit)))


def running(session: Session) -> list[Run]:
    """The runs that have a worker, or should have; oldest first."""
    query = select(Run).where(Run.status == RunStatus.RUNNING).order_by(Run.started_at)
    return list(session.scalars(query))


def claim_next(session: Session) -> Run | None:
    """Mark the oldest queued run as running, unless one is running already.

    Of several processes that ask at once, one gets the run.

    Returns:
        The claimed run, which the caller must start; None when there is nothing to start.
    """
    queued, other = aliased(Run), aliased(Run)
    oldest = (
        select(queued.id)
        .where(queued.status == RunStatus.QUEUED)
        .order_by(queued.created_at, queued.id)
        .limit(1)
        .scalar_subquery()
    )
    now = utc_now()
    claim = (
        update(Run)
        .where(Run.id == oldest, ~exists().where(other.status == RunStatus.RUNNING))
        .values(
            status=RunStatus.RUNNING,
            stage="starting",
            started_at=func.coalesce(Run.started_at, now),  # a resumed run began when it first began
            heartbeat_at=now,
        )
        .returning(Run)
    )
    return session.scalar(claim, execution_options=REFRESHING)


def set_process(session: Session, run_id: str, pid: int, started_at: float) -> None:
    """Keep which process works on a run.

    Args:
        session: a writing session.
        run_id: the run.
        pid: its process id.
        started_at: when that process started, s since the epoch: a pid alone can be reused.

    Raises:
        NotFound: there is no such run.
    """
    _write(session, run_id, pid=pid, pid_started_at=started_at)


def set_stage(session: Session, run_id: str, stage: str, total_steps: int | None = None) -> None:
    """Say in plain words what a run is doing now; a sign of life too.

    Args:
        session: a writing session.
        run_id: the run.
        stage: at most 64 characters.
        total_steps: optimizer steps planned, once known.

    Raises:
        NotFound: there is no such run.
    """
    _write(session, run_id, heartbeat_at=utc_now(), stage=stage, total_steps=total_steps)


def beat(
    session: Session,
    run_id: str,
    step: int | None = None,
    epoch: float | None = None,
    tokens_per_second: float | None = None,
) -> None:
    """A worker's sign of life, with the figures that have changed.

    Args:
        session: a writing session.
        run_id: the run.
        step: optimizer steps done.
        epoch: passes over the data done.
        tokens_per_second: training rate, 1/s.

    Raises:
        NotFound: there is no such run.
    """
    _write(
        session,
        run_id,
        heartbeat_at=utc_now(),
        step=step,
        epoch=epoch,
        tokens_per_second=tokens_per_second,
    )


def record_point(
    session: Session,
    run_id: str,
    step: int,
    *,
    train_loss: float | None = None,
    eval_loss: float | None = None,
    learning_rate: float | None = None,
    tokens_per_second: float | None = None,
    epoch: float | None = None,
) -> None:
    """Add a dot to a run's charts and make its figures the run's last ones; a sign of life too.

    Args:
        session: a writing session.
        run_id: the run.
        step: optimizer steps done.
        train_loss: nats per token.
        eval_loss: held-out, nats per token.
        learning_rate: at this step.
        tokens_per_second: training rate, 1/s.
        epoch: passes over the data done.

    Raises:
        NotFound: there is no such run.
    """
    _write(
        session,
        run_id,
        heartbeat_at=utc_now(),
        step=step,
        epoch=epoch,
        train_loss=train_loss,
        eval_loss=eval_loss,
        tokens_per_second=tokens_per_second,
    )
    session.add(
        RunPoint(
            run_id=run_id,
            step=step,
            train_loss=train_loss,
            eval_loss=eval_loss,
            learning_rate=learning_rate,
            tokens_per_second=tokens_per_second,
        )
    )
    session.flush()


def points(session: Session, run_id: str) -> list[RunPoint]:
    """The dots of a run's charts, in the order in which they were written."""
    return list(session.scalars(select(RunPoint).where(RunPoint.run_id == run_id).order_by(RunPoint.id)))


def rewind(session: Session, run_id: str, step: int) -> None:
    """Take a run back to the step from which it goes on; later dots go, as their steps come again.

    Args:
        session: a writing session.
        run_id: the run.
        step: optimizer steps done.

    Raises:
        NotFound: there is no such run.
    """
    _write(session, run_id, step=step)
    session.execute(delete(RunPoint).where(RunPoint.run_id == run_id, RunPoint.step > step))


def eval_loss_at(session: Session, run_id: str, step: int) -> float | None:
    """A run's held-out loss as measured at a step, nats per token; None when it wasn't measured there."""
    query = (
        select(RunPoint.eval_loss)
        .where(RunPoint.run_id == run_id, RunPoint.step == step, RunPoint.eval_loss.is_not(None))
        .order_by(RunPoint.id)
        .limit(1)
    )
    return session.scalar(query)


def finish(
    session: Session, run_id: str, status: RunStatus, error: str | None = None, adapter: str | None = None
) -> bool:
    """End a run. What has ended keeps its first ending.

    Args:
        session: a writing session.
        run_id: the run.
        status: how it ended.
        error: one clear sentence, when it failed or was interrupted.
        adapter: the adapter it made, e.g. ``patient@1``.

    Returns:
        Whether this call ended it; False when it had ended before.

    Raises:
        NotFound: there is no such run.
    """
    if not status.ended:
        raise ValueError(f"A run can't end as {status}")
    return _end(session, run_id, UNENDED, status, error=error, adapter=adapter)


def request_cancel(session: Session, run_id: str) -> Run:
    """Ask a run to stop: a queued one is cancelled at once, a running one by its worker, soon.

    An ended run stays as it is.

    Returns:
        The run as it is now.

    Raises:
        NotFound: there is no such run.
    """
    if not _end(session, run_id, (RunStatus.QUEUED,), RunStatus.CANCELLED):
        session.execute(
            update(Run).where(Run.id == run_id, Run.status == RunStatus.RUNNING).values(cancel_requested=True)
        )
    return get(session, run_id)


def cancel_requested(session: Session, run_id: str) -> bool:
    """Whether someone asked the run to stop.

    Raises:
        NotFound: there is no such run.
    """
    return get(session, run_id).cancel_requested


def _end(
    session: Session, run_id: str, during: tuple[RunStatus, ...], status: RunStatus, **values: Any
) -> bool:
    """End the run if it is in one of the states `during`; whether it was."""
    get(session, run_id)
    statement = (
        update(Run)
        .where(Run.id == run_id, Run.status.in_(during))
        .values(status=status, stage=status.value, finished_at=utc_now(), **values)
        .returning(Run)
    )
    return session.scalar(statement, execution_options=REFRESHING) is not None


def _write(session: Session, run_id: str, **values: str | int | float | datetime | None) -> None:
    """Store the values that are given; those that are None stay as they were."""
    run = get(session, run_id)
    for name, value in values.items():
        if value is not None:
            setattr(run, name, value)
    session.flush()
