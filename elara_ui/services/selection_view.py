"""What curation rules select, answer by answer, in words."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from db.curation_rules import CurationRules, LeftOut, RowKind
from db.training_rows import Candidate, Cursor

WHY_IN: Mapping[str, str] = {
    RowKind.ACCEPTED: "accepted as it is",
    RowKind.CORRECTED: "accepted as corrected",
    RowKind.DECIDED: "decided by an adjudicator",
    RowKind.MATCHED: "accepted, beside a rejected answer to the same prompt",
    RowKind.PREFERRED: "preferred to the other answer",
    RowKind.REJECTED: "rejected: shown as not wanted",
    RowKind.THUMB: "a reader's thumb",
}
WHY_OUT: Mapping[str, str] = {
    LeftOut.WITHDRAWN: "the answer, or who decided on it, was withdrawn",
    LeftOut.EXCLUDED: "excluded by hand",
    LeftOut.IDENTIFIERS: "a reviewer saw identifiers in it",
    LeftOut.CONTESTED: "waits for adjudication",
    LeftOut.SEVERE_HARM: "a reviewer saw severe harm",
    LeftOut.UNDER_TRIAGE: "a reviewer saw under-triage",
    LeftOut.REJECTED: "rejected by a reviewer",
    LeftOut.NOT_ACCEPTED: "nobody accepted it as aligned, harmless and without a great fault",
    LeftOut.FLAGGED: "has a flag that these rules keep out",
    LeftOut.OUTSIDE: "accepted, but not as these rules ask",
    LeftOut.TOO_FEW: "accepted by too few reviewers",
    LeftOut.CUT_OFF: "the answer is empty or was cut off",
    LeftOut.BOTH_UNSAFE: "a reviewer called both answers unsafe",
    LeftOut.NO_WINNER: "no answer has most of the votes",
    LeftOut.VETOED: "one of the two answers is kept out by its reviews",
    LeftOut.SAME_TEXT: "both answers say the same",
}


@dataclass(frozen=True)
class RowCount:
    """How many rows some rules give.

    Args:
        rows: before duplicates are taken out.
        kinds: why they are in → how many.
        left_out: why answers stay out → how many; in words of `WHY_OUT`.
    """

    rows: int
    kinds: Mapping[str, int]
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class RowPreview:
    """One answer as the rules see it.

    Args:
        taken: whether it is in.
        why: in words.
        picked: ``include`` or ``exclude`` when by hand, else empty.
        hidden: whether someone is still to judge it blind; nothing else of it is told then.
    """

    response_id: str
    taken: bool
    why: str
    audience: str
    adapter: str | None
    base_model: str
    question: str
    answer: str
    rejected: str
    label: bool | None
    picked: str
    hidden: bool = False


@dataclass(frozen=True)
class RowPage:
    """Some of the answers that rules look at.

    Args:
        after: for the next page; None when this is the last.
    """

    rows: tuple[RowPreview, ...]
    after: Cursor | None


def preview_row(found: Candidate, rules: CurationRules, hidden: Collection[str]) -> RowPreview:
    """One answer as the rules see it.

    Args:
        found: the answer.
        rules: that were asked.
        hidden: the answers of which nothing may be told.
    """
    if found.response_id in hidden or found.other_response_id in hidden:
        return RowPreview("", False, "", "", None, "", "", "", "", None, "", hidden=True)
    why = WHY_OUT[found.left_out] if found.left_out else WHY_IN[found.kind]
    if not found.left_out and found.accepting + found.rejecting > 1:
        why += f" ({found.accepting} for, {found.rejecting} against)"
    picked = "include" if found.response_id in rules.include else ""
    if found.response_id in rules.exclude:
        picked = "exclude"
        why = f"{why}: {rules.exclude[found.response_id]}" if found.left_out == LeftOut.EXCLUDED else why
    elif picked:
        why = f"{why}; picked by hand: {rules.include[found.response_id]}"
    return RowPreview(
        found.response_id, not found.left_out, why, found.audience, found.adapter, found.base_model,
        found.question, found.answer, found.rejected, found.label, picked,
    )  # fmt: skip
