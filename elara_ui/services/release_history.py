"""What was done to what answers an audience, as it is listed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.models import Release
from db.vocabulary import ReleaseAction


@dataclass(frozen=True)
class ReleaseRecord:
    """One entry of the history.

    Args:
        before: what answered before; None is the base model alone.
        after: what answers from then on, or the candidate that a trial was about; None is the base model.
        by: who, as declared.
        reason: why; may be empty.
        share: of a trial: of new conversations, from 0 to 1.
        figures: the gate, and a trial's figures, as they were; empty where none were looked at.
        again: the command that makes `after` anew from what is kept; empty where there is none.
    """

    id: int
    action: ReleaseAction
    audience: str
    base_model: str
    before: str | None
    after: str | None
    by: str
    reason: str
    share: float | None
    figures: Mapping[str, Any]
    created_at: datetime
    again: str


def describe_release(release: Release, again: str) -> ReleaseRecord:
    """A stored entry as a value.

    Args:
        again: the command that makes its version anew.
    """
    return ReleaseRecord(
        release.id,
        ReleaseAction(release.action),
        release.audience,
        release.base_model,
        release.before,
        release.after,
        release.by,
        release.reason,
        release.share,
        release.figures or {},
        release.created_at,
        again,
    )
