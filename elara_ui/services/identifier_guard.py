"""Asking before likely identifiers of people are stored, sent or written out.

Found by their form alone, without names and addresses: a text that passes here may still name somebody.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from elara_ui.clinical import identifiers
from elara_ui.errors import IdentifiersFound

PREVIEWS = 5
"""Texts shown with their identifiers replaced; all are counted."""
AROUND = 60
"""Characters shown on either side of what was replaced."""
NOT_FOUND = "Names and addresses are not looked for, so read it through yourself."
"""Stands wherever something was found or nothing was: no claim to have found all."""


class Handling(StrEnum):
    """What becomes of likely identifiers in a file that leaves."""

    ASK = "ask"
    REDACT = "redact"
    KEEP = "keep"


@dataclass(frozen=True)
class Findings:
    """What was found in some texts.

    Args:
        kinds: kind of identifier → how often.
        previews: the surroundings of the first ones, redacted.
    """

    kinds: Mapping[str, int]
    previews: tuple[str, ...]

    @property
    def summary(self) -> str:
        """Such as ``1 phone number and 2 × e-mail address``."""
        return list_kinds(self.kinds)


def list_kinds(kinds: Mapping[str, int]) -> str:
    """Kinds with their counts, in a sentence's words."""
    parts = [f"1 {kind}" if number == 1 else f"{number} × {kind}" for kind, number in kinds.items()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def search(texts: Iterable[str]) -> Findings:
    """Count the likely identifiers in texts, and show the first of them redacted."""
    kinds: Counter[str] = Counter()
    previews: list[str] = []
    for text in texts:
        found = identifiers.find(text)
        kinds.update(str(each.kind) for each in found)
        if found and len(previews) < PREVIEWS:
            previews.append(_excerpt(text, found[0].start, found[-1].end))
    return Findings(dict(kinds), tuple(previews))


def check_question(text: str, *, accept: bool, remote: bool = False) -> None:
    """Refuse a question with likely identifiers, unless whoever asks has said that it may be sent so.

    Args:
        text: what was typed.
        accept: whether they have.
        remote: whether the engine is another machine's.

    Raises:
        IdentifiersFound: with the whole text, redacted.
    """
    if accept or not (found := identifiers.find(text)):
        return
    kinds = Counter(str(each.kind) for each in found)
    fate = "sent to another machine" if remote else "stored or answered"
    raise IdentifiersFound(
        f"This likely holds identifiers of a person: {list_kinds(kinds)}. It has not been {fate} yet. "
        f"Send it with these replaced, send it as it is, or change it. {NOT_FOUND}",
        dict(kinds),
        (identifiers.redact(text),),
    )


def check_departure(texts: Iterable[str], *, accept: bool, what: str) -> None:
    """Refuse to send texts to another machine with likely identifiers, unless somebody said that they may go.

    Args:
        texts: everything that would be sent.
        accept: whether somebody has.
        what: they are, to begin a sentence with.

    Raises:
        IdentifiersFound: with the surroundings of the first ones, redacted.
    """
    if accept:
        return
    findings = search(texts)
    if findings.kinds:
        raise IdentifiersFound(
            f"{what} likely hold identifiers of people: {findings.summary}. Nothing has been sent to another "
            f"machine yet. Confirm that they may leave, or choose others. {NOT_FOUND}",
            findings.kinds,
            findings.previews,
        )


def check_export(texts: Iterable[str], handling: Handling, what: str) -> None:
    """Refuse to write out texts with likely identifiers that nobody has decided about.

    Args:
        texts: everything that a person or a model wrote in it.
        handling: what was decided.
        what: that is written out, to begin a sentence with.

    Raises:
        IdentifiersFound: with the surroundings of the first ones, redacted.
    """
    if handling is not Handling.ASK:
        return
    findings = search(texts)
    if findings.kinds:
        raise IdentifiersFound(
            f"{what} likely holds identifiers of people: {findings.summary}. Nothing has been written yet. "
            f"Have them replaced, or confirm that they may leave. {NOT_FOUND}",
            findings.kinds,
            findings.previews,
        )


def _excerpt(text: str, start: int, end: int) -> str:
    """The part of a text that holds its identifiers, and some words around, redacted; long ones shortened."""
    # Cut first at white space, so that no identifier is cut in two and thereby missed.
    before = text.rfind(" ", 0, max(start - AROUND, 0)) + 1 if start > AROUND else 0
    after = text.find(" ", end + AROUND)
    part = " ".join(identifiers.redact(text[before : after if after >= 0 else None]).split())
    shown = part if len(part) <= 6 * AROUND else f"{part[: 6 * AROUND].rsplit(' ', 1)[0]} …"
    return f"{'… ' if before else ''}{shown}{' …' if after >= 0 and shown == part else ''}"
