"""Training runs: their states, and what workers tell about themselves.

The changes of state are single UPDATE statements with their condition inside, so that two processes
can't both make one.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from db.errors import Conflict, NotFound
from db.models import Adapter, Run, utc_now
from db.vocabulary import RunFailure, RunStatus

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
    last = session.scalar(select(func.max(Run.position))) or 0
    run = Run(
        audience=audience, base_model=base_model, snapshot_id=snapshot_id, recipe=recipe, position=last + 1
    )
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
    """The runs last created, and all that haven't ended, newest first."""
    newest = select(Run.id).order_by(Run.created_at.desc(), Run.id).limit(limit)
    wanted = or_(Run.id.in_(newest), Run.status.in_(UNENDED))
    return list(session.scalars(select(Run).where(wanted).order_by(Run.created_at.desc(), Run.id)))


def list_unended(session: Session) -> list[Run]:
    """The runs that wait or work."""
    return list(session.scalars(select(Run).where(Run.status.in_(UNENDED)).order_by(Run.created_at)))


def running(session: Session) -> list[Run]:
    """The runs that have a worker, or should have; oldest first."""
    query = select(Run).where(Run.status == RunStatus.RUNNING).order_by(Run.started_at)
    return list(session.scalars(query))


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
    write(session, run_id, pid=pid, pid_started_at=started_at)


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
    write(session, run_id, heartbeat_at=utc_now(), stage=stage, total_steps=total_steps)


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
    write(
        session,
        run_id,
        heartbeat_at=utc_now(),
        step=step,
        epoch=epoch,
        tokens_per_second=tokens_per_second,
    )


def finish(
    session: Session,
    run_id: str,
    status: RunStatus,
    error: str | None = None,
    adapter: str | None = None,
    failure: RunFailure | None = None,
) -> bool:
    """End a run. What has ended keeps its first ending.

    Args:
        session: a writing session.
        run_id: the run.
        status: how it ended.
        error: one clear sentence, when it failed or was interrupted.
        adapter: the adapter it made, e.g. ``patient@1``.
        failure: the kind of trouble, when it failed or was interrupted.

    Returns:
        Whether this call ended it; False when it had ended before.

    Raises:
        NotFound: there is no such run.
    """
    if not status.ended:
        raise ValueError(f"A run can't end as {status}")
    return _end(session, run_id, UNENDED, status, error=error, adapter=adapter, failure=failure)


def last_alive(run: Run) -> datetime | None:
    """When a run was last at work; None before it began. Whoever found it dead may have come much later."""
    match RunStatus(run.status):
        case RunStatus.RUNNING:
            return utc_now()
        case RunStatus.SUCCEEDED | RunStatus.FAILED:
            return run.finished_at  # written by its worker
        case _:
            return run.heartbeat_at


def seconds_at_work(run: Run) -> float | None:
    """How long a run has worked, breaks left out, s; None before it began."""
    until = last_alive(run)
    if run.started_at is None or until is None:
        return None
    return max(0.0, (until - run.started_at).total_seconds())


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


def remove(session: Session, run_id: str) -> None:
    """Delete a run that waits or has ended, with its dots and samples; its snapshot stays.

    Raises:
        NotFound: there is no such run.
        Conflict: it trains, or an adapter came of it.
    """
    run = get(session, run_id)
    if run.status == RunStatus.RUNNING:
        raise Conflict(f"Run {run_id} trains; cancel it before it is removed.")
    made = session.scalar(select(Adapter.name).where(Adapter.run_id == run_id).limit(1))
    if made is not None:
        raise Conflict(f"Run {run_id} made {made} and stays as the record of how; it can't be removed.")
    session.delete(run)
    session.flush()


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


def write(session: Session, run_id: str, **values: str | int | float | datetime | None) -> None:
    """Store some of a run's columns; values that are None leave theirs as it is.

    Raises:
        NotFound: there is no such run.
    """
    run = get(session, run_id)
    for name, value in values.items():
        if value is not None:
            setattr(run, name, value)
    session.flush()
