"""What somebody did to what answers an audience: the history, and the candidate being tried."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Adapter, Canary, Release
from db.vocabulary import AdapterStatus, ReleaseAction

_MOVES = (ReleaseAction.PROMOTED, ReleaseAction.ROLLED_BACK)


def record(
    session: Session,
    action: ReleaseAction,
    *,
    audience: str,
    base_model: str,
    before: str | None,
    after: str | None,
    by: str,
    reason: str = "",
    share: float | None = None,
    figures: dict[str, Any] | None = None,
) -> Release:
    """Write down what is done, in the session that does it.

    Args:
        session: a writing session.
        before: versioned name of what answered before; None is the base model alone.
        after: what answers from now on, or the candidate that a canary is about.
        by: who, as declared.
        reason: why; may be empty.
        share: of a canary: of new conversations, from 0 to 1.
        figures: the gate and a canary's figures as they are now.
    """
    made = Release(
        action=action,
        audience=audience,
        base_model=base_model,
        before=before,
        after=after,
        by=by,
        reason=reason,
        share=share,
        figures=figures,
    )
    session.add(made)
    session.flush()
    return made


def history(
    session: Session, audience: str | None = None, base_model: str | None = None, limit: int = 50
) -> list[Release]:
    """What was done, the latest first.

    Args:
        session: any session.
        audience: only for this one; None for all.
        base_model: only on this one; None for all.
        limit: most entries.
    """
    query = select(Release).order_by(Release.id.desc()).limit(limit)
    if audience is not None:
        query = query.where(Release.audience == audience)
    if base_model is not None:
        query = query.where(Release.base_model == base_model)
    return list(session.scalars(query))


def previous(session: Session, live: Adapter) -> str | None:
    """What one click goes back to: what answered before the live version did; None is the base model alone.

    Going back twice goes back two steps. Beyond the history, what was made live before there was one is
    ordered by when.

    Args:
        session: any session.
        live: the version that answers now.
    """
    query = (
        select(Release)
        .where(
            Release.audience == live.audience,
            Release.base_model == live.base_model,
            Release.action.in_(_MOVES),
        )
        .order_by(Release.id)
    )
    moves = list(session.scalars(query))
    stack = _replay(moves)
    if len(stack) > 1 and stack[-1] == live.name:
        return stack[-2]
    return _made_live_before(session, live, {name for move in moves for name in (move.before, move.after)})


def _replay(moves: Sequence[Release]) -> list[str | None]:
    """The versions that one stands on, the lowest first, after these moves."""
    stack: list[str | None] = []
    for move in moves:
        if not stack or stack[-1] != move.before:
            stack = [move.before]  # what was done elsewhere isn't known
        if move.action == ReleaseAction.PROMOTED:
            stack.append(move.after)
        elif move.after in stack:
            del stack[stack.index(move.after) + 1 :]
        else:
            stack = [move.after]
    return stack


def _made_live_before(session: Session, live: Adapter, known: Collection[str | None]) -> str | None:
    """The version that was made live last before this one was, of those that the history doesn't know."""
    query = (
        select(Adapter.name)
        .where(
            Adapter.audience == live.audience,
            Adapter.base_model == live.base_model,
            Adapter.status == AdapterStatus.RETIRED,
            Adapter.promoted_at < live.promoted_at,
            Adapter.name.not_in([name for name in known if name]),
        )
        .order_by(Adapter.promoted_at.desc())
    )
    return session.scalars(query).first()


def canary(session: Session, audience: str, base_model: str) -> Canary | None:
    """The candidate that answers a share of an audience's new conversations; None when none does."""
    return session.get(Canary, (audience, base_model))


def start_canary(session: Session, adapter: Adapter, share: float) -> Canary:
    """Let a candidate answer a share of new conversations, in place of any other candidate that does.

    Args:
        session: a writing session.
        adapter: the candidate.
        share: of new conversations, from 0 to 1.
    """
    end_canary(session, adapter.audience, adapter.base_model)
    started = Canary(
        audience=adapter.audience, base_model=adapter.base_model, adapter=adapter.name, share=share
    )
    session.add(started)
    session.flush()
    return started


def end_canary(session: Session, audience: str, base_model: str) -> str | None:
    """Let the live version answer everybody again.

    Returns:
        The candidate's name; None when there was no canary.
    """
    found = canary(session, audience, base_model)
    if found is None:
        return None
    name = found.adapter
    session.delete(found)
    session.flush()
    return name
