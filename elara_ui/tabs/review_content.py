"""The same judgement in two shapes: the fields of the desk and the services' drafts. Pure functions."""

from collections.abc import Mapping
from typing import Any

from db.vocabulary import RUBRIC
from elara_ui.services.pairs import PairDraft
from elara_ui.services.review_drafts import ReviewDraft
from elara_ui.tabs.review_form import FLAGS, LIKELIHOOD

AXES = tuple(scale.axis.value for scale in RUBRIC)


def to_draft(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the desk's fields hold of a rating, as a service keeps it."""
    return {
        "answers": {axis: fields.get(axis) for axis in AXES if fields.get(axis)},
        "harm_likelihood": fields.get(LIKELIHOOD),
        "correction": str(fields.get("correction") or ""),
        "flags": list(fields.get(FLAGS) or ()),
        "comment": str(fields.get("comment") or ""),
    }


def to_pair_draft(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the desk's fields hold of a comparison, as a service keeps it."""
    return {"choice": fields.get("choice"), "reason": str(fields.get("reason") or "")}


def to_fields(draft: Mapping[str, Any] | None, *, pair: bool) -> dict[str, Any]:
    """A kept draft as the desk's fields; what is missing stays empty, an empty correction the original."""
    if not draft:
        return {}
    if pair:
        return {name: draft[name] for name in ("choice", "reason") if draft.get(name)}
    fields = dict(draft.get("answers") or {})
    fields |= {name: draft.get(name) for name in (LIKELIHOOD, FLAGS, "correction", "comment")}
    return {name: value for name, value in fields.items() if value}


def judge(
    item_id: str, reviewer: str, disposition: str, fields: Mapping[str, Any], seconds: float | None
) -> ReviewDraft:
    """The rating to submit."""
    kept = to_draft(fields)
    return ReviewDraft(item_id=item_id, reviewer=reviewer, disposition=disposition, seconds=seconds, **kept)


def compare(item_id: str, reviewer: str, fields: Mapping[str, Any], seconds: float | None) -> PairDraft:
    """The comparison to submit; a missing choice is refused by the service."""
    kept = to_pair_draft(fields)
    return PairDraft(
        item_id=item_id, reviewer=reviewer, choice=kept["choice"] or "", reason=kept["reason"],
        seconds=seconds,
    )  # fmt: skip
