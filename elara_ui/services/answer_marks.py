"""What is said beside an answer, in plain words: where to be careful. Page, exports and terminal share it."""

from collections.abc import Sequence
from enum import StrEnum

from db.vocabulary import Audience
from elara_ui.clinical.cautions import Cautions
from elara_ui.services.answers import Answer

SHOWN = 4  # of each kind; more are counted


class MarkKind(StrEnum):
    """How much a mark weighs."""

    REASSURES = "reassures"
    UNVERIFIED = "unverified"
    CAUTION = "caution"


def marks_of(answer: Answer) -> dict[MarkKind, str]:
    """The sentences to show, the weightiest first."""
    marks: dict[MarkKind, str] = {}
    if answer.reassures:
        marks[MarkKind.REASSURES] = (
            "This answer may reassure wrongly. Follow the advice above it, and don't wait because of what "
            "it says."
        )
    if answer.unverified:
        count = "Unverified reference" + ("s" if len(answer.unverified) > 1 else "")
        listed = _list([reference.text for reference in answer.unverified])
        marks[MarkKind.UNVERIFIED] = (
            f"{count}: {listed}. A model can invent sources; check before you use any."
        )
    if answer.cautions:
        marks[MarkKind.CAUTION] = _describe_cautions(answer.cautions, answer.audience)
    return marks


def describe_marks(answer: Answer) -> tuple[str, ...]:
    """The sentences alone."""
    return tuple(marks_of(answer).values())


def _describe_cautions(cautions: Cautions, audience: str) -> str:
    """What the answer names, and whom to ask."""
    named = []
    if cautions.medicines:
        named.append(f"medicines ({_list(cautions.medicines)})")
    if cautions.doses:
        named.append(f"amounts ({_list(cautions.doses)})")
    if cautions.diagnoses:
        named.append(f"what you may have ({_list(cautions.diagnoses)})")
    ask = (
        "Check with the person on the emergency line before you give anything."
        if audience == Audience.EMERGENCY
        else "Check with a doctor or pharmacist first: what is right for one person can harm another."
    )
    return f"This answer names {_join(named)}. It isn't a prescription or a diagnosis. {ask}"


def _list(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
