"""Deleting conversations that nobody has written in for long, and the answers that nothing holds on to.

An answer stays, without its conversation, while something else rests on it; see `reason_to_keep`. Whoever
deletes does so page by page, so that other writers needn't wait long.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, case, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from db.models import (
    Adjudication,
    AdjudicationEvent,
    Assignment,
    Conversation,
    Message,
    Preference,
    Response,
    RetentionReport,
    Review,
    ReviewEvent,
    ReviewItem,
    SnapshotRow,
    utc_now,
)

FROM_CHAT = "chat"
JUDGED, IN_TRAINING, CALIBRATION, BEING_JUDGED = "judged", "in a training set", "calibration", "being judged"
_RECORDS = (Review, Preference, ReviewEvent, Adjudication, AdjudicationEvent)
_AT_ONCE = 500  # ids in one statement


def reason_to_keep(now: datetime) -> ColumnElement[str | None]:
    """Why an answer stays however old it is, as a column; null when nothing holds on to it.

    Args:
        now: whose places in the review queue are still reserved then.
    """
    of_answer = or_(ReviewItem.response_id == Response.id, ReviewItem.other_response_id == Response.id)

    def has_item(condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists().where(of_answer, condition).correlate(Response)

    recorded = or_(*(exists().where(record.item_id == ReviewItem.id) for record in _RECORDS))
    at_work = exists().where(
        Assignment.item_id == ReviewItem.id,
        or_(Assignment.expires_at > now, Assignment.draft.is_not(None)),
    )
    learned_from = or_(
        exists().where(SnapshotRow.response_id == Response.id),
        exists().where(SnapshotRow.other_response_id == Response.id),
    )
    return case(
        (has_item(recorded), JUDGED),
        (learned_from, IN_TRAINING),
        (has_item(ReviewItem.expected.is_not(None)), CALIBRATION),
        (has_item(at_work), BEING_JUDGED),
        else_=None,
    )


def count_old(session: Session, before: datetime) -> tuple[dict[str, int], dict[str, int]]:
    """What `delete_conversations` and `delete_answers` would delete, and what would stay, by kind and reason.

    Args:
        session: any session.
        before: the oldest that stays was written in at this moment.
    """
    old = select(Conversation.id).where(Conversation.updated_at < before)
    reason = reason_to_keep(utc_now()).label("reason")
    answers = select(Response.id.label("id"), reason).where(_is_old(before)).cte("old_answers")
    by_reason: dict[str | None, int] = dict(
        session.execute(select(answers.c.reason, func.count()).group_by(answers.c.reason)).all()
    )
    going = select(answers.c.id).where(answers.c.reason.is_(None))
    deleted = {
        "conversations": _count(session, old),
        "messages": _count(session, select(Message.id).where(Message.conversation_id.in_(old))),
        "answers": by_reason.pop(None, 0),
        "waiting for review": _count(session, _items_of(going)),
    }
    return deleted, {str(name): number for name, number in sorted(by_reason.items(), key=str)}


def delete_conversations(session: Session, before: datetime, limit: int = 100) -> Counter[str]:
    """Delete the oldest conversations with their answers; those to keep are parted from them.

    Args:
        session: a writing session.
        before: see `count_old`.
        limit: most conversations deleted.

    Returns:
        How much of what was deleted; nothing when none is that old.
    """
    ids = list(
        session.scalars(
            select(Conversation.id)
            .where(Conversation.updated_at < before)
            .order_by(Conversation.updated_at)
            .limit(limit)
        )
    )
    if not ids:
        return Counter()
    of_these = Response.conversation_id.in_(ids)
    going = list(session.scalars(select(Response.id).where(of_these, reason_to_keep(utc_now()).is_(None))))
    counted = _delete_answers(session, going)
    session.execute(update(Response).where(of_these).values(conversation_id=None))
    counted["messages"] = _count(session, select(Message.id).where(Message.conversation_id.in_(ids)))
    session.execute(delete(Message).where(Message.conversation_id.in_(ids)))
    session.execute(delete(Conversation).where(Conversation.id.in_(ids)))
    counted["conversations"] = len(ids)
    return counted


def delete_answers(session: Session, before: datetime, limit: int = 500) -> Counter[str]:
    """Delete old answers that belong to no conversation, but for those to keep.

    Args:
        session: a writing session.
        before: see `count_old`.
        limit: most answers deleted.
    """
    query = select(Response.id).where(_is_loose(before), reason_to_keep(utc_now()).is_(None)).limit(limit)
    return _delete_answers(session, list(session.scalars(query)))


def kept_answers(session: Session, before: datetime, page: int = 500) -> Iterator[Response]:
    """The old answers that stay, or would.

    Args:
        session: any session.
        before: see `count_old`.
        page: answers held in memory at a time.
    """
    staying = _is_old(before), reason_to_keep(utc_now()).is_not(None)
    last = ""
    while True:
        query = select(Response).where(*staying, Response.id > last).order_by(Response.id).limit(page)
        found = list(session.scalars(query))
        if not found:
            return
        last = found[-1].id
        yield from found
        session.expunge_all()


def rewrite(session: Session, response_id: str, values: Mapping[str, object]) -> None:
    """Put redacted words in the place of an answer's own.

    Args:
        session: a writing session.
        response_id: the answer.
        values: column → what it holds from now on.
    """
    session.execute(update(Response).where(Response.id == response_id).values(**values))


def add_report(session: Session, report: RetentionReport) -> RetentionReport:
    """Remember what was deleted."""
    session.add(report)
    session.flush()
    return report


def list_reports(session: Session, limit: int = 100) -> list[RetentionReport]:
    """What was deleted and when, the latest first."""
    query = select(RetentionReport).order_by(RetentionReport.created_at.desc(), RetentionReport.id.desc())
    return list(session.scalars(query.limit(limit)))


def _is_loose(before: datetime) -> ColumnElement[bool]:
    """An old answer that chat gave outside any conversation, or whose conversation is gone."""
    return and_(
        Response.conversation_id.is_(None), Response.origin == FROM_CHAT, Response.created_at < before
    )


def _is_old(before: datetime) -> ColumnElement[bool]:
    """Such an answer, or one within a conversation that is too old."""
    old = select(Conversation.id).where(Conversation.updated_at < before)
    return or_(Response.conversation_id.in_(old), _is_loose(before))


def _items_of(answers: Select[str]) -> Select[str]:
    return select(ReviewItem.id).where(
        or_(ReviewItem.response_id.in_(answers), ReviewItem.other_response_id.in_(answers))
    )


def _delete_answers(session: Session, ids: Sequence[str]) -> Counter[str]:
    """Delete answers that nothing holds on to, with their places in the review queue."""
    counted: Counter[str] = Counter()
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        asked = or_(ReviewItem.response_id.in_(part), ReviewItem.other_response_id.in_(part))
        counted["waiting for review"] += _count(session, select(ReviewItem.id).where(asked))
        session.execute(delete(ReviewItem).where(asked))
        session.execute(delete(Response).where(Response.id.in_(part)))
        counted["answers"] += len(part)
    return counted


def _count(session: Session, query: Select[str]) -> int:
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0
