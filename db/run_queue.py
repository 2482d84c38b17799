"""The order in which runs get their turn.

Claiming is one UPDATE statement with its condition inside, so that two processes can't take the same run, nor
start one too many.
"""

from enum import StrEnum
from itertools import pairwise

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, aliased

from db import runs
from db.errors import Conflict
from db.models import Run, utc_now
from db.vocabulary import RunStatus


class Move(StrEnum):
    """Where to in the queue."""

    UP = "up"
    DOWN = "down"
    FIRST = "first"


def waiting(session: Session) -> list[Run]:
    """The queued runs, the next one first."""
    query = select(Run).where(Run.status == RunStatus.QUEUED).order_by(Run.position, Run.created_at, Run.id)
    return list(session.scalars(query))


def claim_next(session: Session, at_once: int = 1) -> Run | None:
    """Mark the next queued run as running, unless as many run as may.

    Of several processes that ask at once, one gets the run.

    Args:
        session: a writing session.
        at_once: how many runs may be running.

    Returns:
        The claimed run, which the caller must start; None when there is nothing to start.
    """
    queued, other = aliased(Run), aliased(Run)
    following = (
        select(queued.id)
        .where(queued.status == RunStatus.QUEUED)
        .order_by(queued.position, queued.created_at, queued.id)
        .limit(1)
        .scalar_subquery()
    )
    busy = select(func.count()).where(other.status == RunStatus.RUNNING).scalar_subquery()
    claim = (
        update(Run)
        .where(Run.id == following, busy < at_once)
        .values(status=RunStatus.RUNNING, stage="starting")
        .returning(Run)
    )
    run = session.scalar(claim, execution_options=runs.REFRESHING)
    if run is not None:
        _start_clock(run)
        session.flush()
    return run


def _start_clock(run: Run) -> None:
    """Begin to count a run's time; that of a resumed one goes on from where it stopped."""
    now = utc_now()
    if run.started_at is None or run.heartbeat_at is None:
        run.started_at = now
    else:
        run.started_at += now - run.heartbeat_at
    run.heartbeat_at = now


def move(session: Session, run_id: str, where: Move) -> None:
    """Give a queued run another place in the queue; at its end already, nothing changes.

    Args:
        session: a writing session.
        run_id: the run.
        where: a place up or down, or before all others.

    Raises:
        NotFound: there is no such run.
        Conflict: it isn't waiting.
    """
    run = runs.get(session, run_id)
    if run.status != RunStatus.QUEUED:
        raise Conflict(f"Only a run that waits has a place in the queue; {run_id} is {run.status}.")
    order = waiting(session)
    place = order.index(run)
    order.remove(run)
    match where:
        case Move.UP:
            place = max(0, place - 1)
        case Move.DOWN:
            place += 1
        case Move.FIRST:
            place = 0
    order.insert(place, run)
    for position, each in zip(sorted(each.position for each in order), order, strict=True):
        each.position = position
    _keep_apart(order)
    session.flush()


def _keep_apart(order: list[Run]) -> None:
    """Places are all different, so that the order doesn't fall back to the runs' age."""
    for before, after in pairwise(order):
        after.position = max(after.position, before.position + 1)
