"""Adapter versions: which exist, and which is live for each audience on each base model."""

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.errors import Conflict, NotFound
from db.models import Adapter, utc_now
from db.vocabulary import AdapterStatus


def next_version(session: Session, audience: str) -> int:
    """The number that the audience's next adapter takes, from 1; numbers aren't used again."""
    return (session.scalar(select(func.max(Adapter.version)).where(Adapter.audience == audience)) or 0) + 1


def add(
    session: Session,
    *,
    audience: str,
    version: int,
    base_model: str,
    run_id: str | None,
    path: str,
    sha256: str,
    metrics: dict[str, Any],
) -> Adapter:
    """Record a candidate named ``audience@version``.

    Args:
        session: a writing session; take `next_version` in the same one and no other can take it.
        audience: for whom it speaks.
        version: from `next_version`.
        base_model: catalogue id of the model it was trained on.
        run_id: the run that made it; None when it was brought in.
        path: its folder, relative to ELARA_HOME.
        sha256: of its adapter_model.safetensors, 64 hex digits.
        metrics: held-out loss before and after, and the like.

    Raises:
        Conflict: the audience has this version already.
    """
    adapter = Adapter(
        name=f"{audience}@{version}",
        audience=audience,
        version=version,
        base_model=base_model,
        run_id=run_id,
        path=path,
        sha256=sha256,
        metrics=metrics,
    )
    try:
        with session.begin_nested():
            session.add(adapter)
    except IntegrityError as error:
        if "UNIQUE" not in str(error.orig):
            raise
        raise Conflict(f"Adapter {adapter.name} exists already; the next version is free.") from error
    return adapter


def get(session: Session, name: str) -> Adapter:
    """One adapter by its versioned name.

    Raises:
        NotFound: there is none of this name; the message lists those that exist.
    """
    adapter = session.scalar(select(Adapter).where(Adapter.name == name))
    if adapter is None:
        names = ", ".join(known.name for known in list_all(session)) or "none yet"
        raise NotFound(f"There is no adapter {name!r}. Known: {names}.")
    return adapter


def find_same(session: Session, sha256: str, audience: str, base_model: str) -> Adapter | None:
    """The newest adapter of an audience on a base model with these very weights; None when there is none.

    Args:
        sha256: of its adapter_model.safetensors, 64 hex digits.
    """
    return session.scalar(
        select(Adapter)
        .where(Adapter.sha256 == sha256, Adapter.audience == audience, Adapter.base_model == base_model)
        .order_by(Adapter.version.desc())
    )


def status_of(session: Session, name: str) -> AdapterStatus | None:
    """Where an adapter stands; None when there is none of this name."""
    status = session.scalar(select(Adapter.status).where(Adapter.name == name))
    return AdapterStatus(status) if status else None


def list_all(session: Session, audience: str | None = None) -> list[Adapter]:
    """Every adapter, or one audience's; by audience, newest version first."""
    query = select(Adapter).order_by(Adapter.audience, Adapter.version.desc())
    if audience is not None:
        query = query.where(Adapter.audience == audience)
    return list(session.scalars(query))


def live(session: Session, audience: str, base_model: str) -> Adapter | None:
    """The adapter that answers for an audience on a base model; None when the base model does itself."""
    return session.scalar(
        select(Adapter).where(
            Adapter.audience == audience,
            Adapter.base_model == base_model,
            Adapter.status == AdapterStatus.LIVE,
        )
    )


def all_live(session: Session, base_model: str) -> list[Adapter]:
    """The live adapters of a base model, by audience."""
    query = (
        select(Adapter)
        .where(Adapter.base_model == base_model, Adapter.status == AdapterStatus.LIVE)
        .order_by(Adapter.audience)
    )
    return list(session.scalars(query))


def promote(session: Session, name: str) -> Adapter:
    """Make an adapter its audience's live one on its base model; the one before it there is retired with it.

    A retired adapter can be promoted again, which is how one goes back. Promoting the live one
    changes nothing.

    Raises:
        NotFound: there is none of this name.
    """
    adapter = get(session, name)
    if adapter.status == AdapterStatus.LIVE:
        return adapter
    # At once, before the flush below: the table allows one live adapter an audience and base model.
    session.execute(
        update(Adapter)
        .where(
            Adapter.audience == adapter.audience,
            Adapter.base_model == adapter.base_model,
            Adapter.status == AdapterStatus.LIVE,
        )
        .values(status=AdapterStatus.RETIRED)
    )
    adapter.status = AdapterStatus.LIVE
    adapter.promoted_at = utc_now()
    session.flush()
    return adapter


def retire(session: Session, name: str) -> Adapter:
    """Take an adapter out of use; its audience falls back to the base model if it was live.

    Raises:
        NotFound: there is none of this name.
    """
    adapter = get(session, name)
    adapter.status = AdapterStatus.RETIRED
    session.flush()
    return adapter
