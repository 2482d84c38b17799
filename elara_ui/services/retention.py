"""How long conversations are kept, and what becomes of them afterwards."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from db import retention
from db.home import Home
from db.models import Response, RetentionReport, utc_now
from db.session import Database, backed_up_at
from db.vocabulary import Role
from elara_ui.clinical.identifiers import redact
from elara_ui.errors import InvalidInput

KINDS = ("conversations", "messages", "answers", "waiting for review", "backups")
"""What is deleted, in the order in which it is told."""


@dataclass(frozen=True)
class Expiry:
    """What was deleted at one time, or would be.

    Args:
        days: how long conversations are kept.
        before: what was last written in before this moment went.
        deleted: kind → how many.
        kept: reason → how many answers stayed, without their conversation.
        redacted: of those, how many lost likely identifiers now.
        at: when.
        dry_run: whether nothing was done.
    """

    days: int
    before: datetime
    deleted: Mapping[str, int]
    kept: Mapping[str, int]
    redacted: int
    at: datetime
    dry_run: bool = False


class RetentionService:
    """Deletes what is old, and remembers how much that was.

    Args:
        database: of this home.
        home: whose backups grow old too.
        days: how long conversations are kept; 0 for ever.
    """

    def __init__(self, database: Database, home: Home, days: int) -> None:
        self._database = database
        self._home = home
        self.days = days

    def preview(self, days: int | None = None) -> Expiry:
        """What `apply` would delete now.

        Args:
            days: how long conversations would be kept; the setting if not given.

        Raises:
            InvalidInput: they are kept for ever.
        """
        days, before = self._limit(days)
        with self._database.reading() as session:
            deleted, kept = retention.count_old(session, before)
            staying = retention.kept_answers(session, before)
            redacted = sum(bool(redact_answer(answer)) for answer in staying)
        counted = Counter(deleted) + Counter(backups=len(self._old_backups(before)))
        return Expiry(days, before, _ordered(counted), kept, redacted, utc_now(), dry_run=True)

    def apply(self, stopped: Callable[[], bool] = lambda: False) -> Expiry:
        """Delete the conversations that are too old, and backups of the database that are.

        Answers that were judged or learned from stay, parted from their conversation and without likely
        identifiers. A report is kept when anything was done.

        Args:
            stopped: asked before each page of work; what is left then goes the next time.

        Raises:
            InvalidInput: they are kept for ever.
            StorageError: the disk or the database refuses; what is left goes the next time.
        """
        days, before = self._limit(None)
        deleted: Counter[str] = Counter()
        for delete in (retention.delete_conversations, retention.delete_answers):
            deleted += self._repeat(delete, before, stopped)
        redacted = self._redact_kept(before, stopped)
        for backup in self._old_backups(before):
            backup.unlink(missing_ok=True)
            deleted["backups"] += 1
        with self._database.reading() as session:
            _, kept = retention.count_old(session, before)
        expiry = Expiry(days, before, _ordered(deleted), kept, redacted, utc_now())
        if deleted or redacted:
            self._remember(expiry)
            self._database.rebuild_once()
        self._database.clear_log()
        return expiry

    def reports(self) -> tuple[Expiry, ...]:
        """What was deleted and when, the latest first."""
        with self._database.reading() as session:
            return tuple(
                Expiry(
                    each.days, each.before, _ordered(each.deleted), each.kept, each.redacted, each.created_at
                )
                for each in retention.list_reports(session)
            )

    def _limit(self, days: int | None) -> tuple[int, datetime]:
        days = self.days if days is None else days
        if days < 1:
            raise InvalidInput(
                "Conversations are kept for ever: ELARA_RETENTION_DAYS is 0. Set it to a number of days, or "
                "look with --dry-run --days N at what that would delete."
            )
        return days, utc_now() - timedelta(days=days)

    def _repeat(
        self,
        delete: Callable[[Session, datetime], Counter[str]],
        before: datetime,
        stopped: Callable[[], bool],
    ) -> Counter[str]:
        """Delete page by page, each in a transaction of its own, until nothing is left."""
        deleted: Counter[str] = Counter()
        while not stopped():
            with self._database.session() as session:
                page = delete(session, before)
            if not page:
                break
            deleted += page
        return deleted

    def _redact_kept(self, before: datetime, stopped: Callable[[], bool]) -> int:
        """Take likely identifiers out of the answers that stayed; how many had any."""
        with self._database.reading() as session:
            found = [
                (answer.id, values)
                for answer in retention.kept_answers(session, before)
                if not stopped() and (values := redact_answer(answer))
            ]
        for answer_id, values in found:
            with self._database.session() as session:
                retention.rewrite(session, answer_id, values)
        return len(found)

    def _old_backups(self, before: datetime) -> list[Path]:
        """Copies of the database made before this moment: what was deleted since would live on in them."""
        return [path for path in self._home.backups.glob("elara-*") if backed_up_at(path) < before]

    def _remember(self, expiry: Expiry) -> None:
        with self._database.session() as session:
            retention.add_report(
                session,
                RetentionReport(
                    days=expiry.days,
                    before=expiry.before,
                    deleted=dict(expiry.deleted),
                    kept=dict(expiry.kept),
                    redacted=expiry.redacted,
                ),
            )


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return {kind: counts[kind] for kind in KINDS if counts.get(kind)}


def redact_answer(answer: Response) -> dict[str, Any]:
    """What of an answer's words changes when likely identifiers are replaced; column → new words."""
    context = [
        turn if turn["role"] == Role.SYSTEM else turn | {"content": redact(turn["content"])}
        for turn in answer.context
    ]
    flags = answer.red_flags and [flag | {"sentence": redact(flag["sentence"])} for flag in answer.red_flags]
    redacted = {
        "question": redact(answer.question),
        "context": context,
        "text": redact(answer.text),
        "red_flags": flags,
    }
    return {column: words for column, words in redacted.items() if words != getattr(answer, column)}
