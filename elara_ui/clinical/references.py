"""References in an answer that nobody has checked: a language model invents them easily.

Found by their form alone, so a true one is found as well as an invented one; what the user wrote first isn't
the model's invention. Nothing is looked up.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_URL = re.compile(r"\b(?:https?://|www\.)[^\s<>\"'\])}]+", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?<![@\w.-])(?:[a-z0-9-]+\.)+(?:com|org|net|gov|edu|int|info|io|eu|uk|us|ca|au|nz|ie|de|fr|nhs)\b"
    r"(?:/[^\s<>\"'\])}]*)?",
    re.IGNORECASE,
)
_DOI = re.compile(r"\b(?:doi:?\s*)?(10\.\d{4,9}/[^\s<>\"'\])}]+)", re.IGNORECASE)
_PMID = re.compile(r"\b(?:PMID|PubMed(?: ID)?)\s*:?\s*#?(\d{4,9})\b", re.IGNORECASE)
_PMC = re.compile(r"\bPMC\s?(\d{4,9})\b")
_TRIAL = re.compile(r"\b(?:NCT|ISRCTN)\s?\d{8}\b", re.IGNORECASE)
_ISBN = re.compile(r"\bISBN(?:-1[03])?\s*:?\s*[\dX][\dX -]{8,16}[\dX]\b", re.IGNORECASE)
_YEAR = r"(?:19|20)\d\d[a-z]?"
_NAME = r"[A-Z][\w'’-]+"
_AUTHORS = re.compile(
    # Smith et al., 2019; Smith and Jones (2019); (Smith, 2019)
    rf"\b{_NAME}(?:,? et al\.?,?|,? (?:and|&) {_NAME},?)[ ,]{{1,2}}\(?{_YEAR}\)?"
    rf"|\({_NAME}(?: [A-Z]{{1,3}})?, {_YEAR}\)|\b[A-Z]{{2,}} \({_YEAR}\)"
)
_JOURNAL = re.compile(
    rf"\b(?:[A-Z][\w.]* ){{0,5}}{_YEAR}(?: \w{{3}}(?: \d{{1,2}})?)?\s?;"
    r"\s?\d+\s?(?:\(\w+\)\s?)?:\s?[A-Z]?\d+(?:[-–]\d+)?"
)
_PUBLISHED = re.compile(
    r"\b(?:study|trial|review|article|paper|meta-analysis)\b[^.!?\n]{0,80}?"
    r"\b(?:published|reported|appeared|appearing) in (?:the )?[A-Z][^.!?,;\n]{2,60}"
)
_HEADING = re.compile(
    r"^[#*\s]*(?:references?|bibliography|citations?|works cited)[*\s]*:?[*\s]*$",
    re.IGNORECASE | re.MULTILINE,
)
_LISTED = re.compile(r"^\s*(?:\[?\d{1,3}[\].)]|[-*•])\s+(\S.{8,300})$")
_TRAILING = ".,;:!?*_'\"’”"

_KINDS = (
    ("URL", _URL),
    ("DOI", _DOI),
    ("PMID", _PMID),
    ("PMC", _PMC),
    ("trial", _TRIAL),
    ("ISBN", _ISBN),
    ("URL", _DOMAIN),
    ("citation", _AUTHORS),
    ("citation", _JOURNAL),
    ("citation", _PUBLISHED),
)  # in this order: what lies within an earlier find isn't found again


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference as an answer shows it.

    Args:
        kind: URL, DOI, PMID, PMC, trial, ISBN or citation.
        text: as written, without the punctuation behind it.
    """

    kind: str
    text: str


def find_unverified(answer: str, user_messages: Iterable[str]) -> tuple[Reference, ...]:
    """The references of an answer that the user's own messages don't hold, in the order of the text.

    Args:
        answer: what the model wrote, Markdown allowed.
        user_messages: what the user wrote in the conversation.
    """
    given = _plain(" ".join(user_messages))
    found: dict[str, Reference] = {}
    for reference in find_references(answer):
        key = _key(reference)
        if key not in given:
            found.setdefault(key, reference)
    return tuple(found.values())


def find_references(text: str) -> tuple[Reference, ...]:
    """Everything in a text that has the form of a reference, in its order."""
    spans: list[tuple[int, int, Reference]] = []
    for start, end, reference in _all_finds(text):
        if all(end <= other_start or start >= other_end for other_start, other_end, _ in spans):
            spans.append((start, end, reference))
    return tuple(reference for _, _, reference in sorted(spans, key=lambda span: span[:2]))


def _all_finds(text: str) -> Iterator[tuple[int, int, Reference]]:
    for kind, pattern in _KINDS:
        for match in pattern.finditer(text):
            yield match.start(), match.end(), Reference(kind, match[0].rstrip(_TRAILING))
    for heading in _HEADING.finditer(text):
        yield from _listed_below(text, heading.end())


def _listed_below(text: str, start: int) -> Iterator[tuple[int, int, Reference]]:
    """The items of a list of references, whatever their form."""
    place = start
    for line in text[start:].splitlines(keepends=True):
        item = _LISTED.match(line.rstrip())
        if item:
            yield place + item.start(1), place + item.end(1), Reference("citation", item[1].rstrip(_TRAILING))
        elif line.strip():
            return
        place += len(line)


def _key(reference: Reference) -> str:
    """What of a reference has to stand in a message for the user to have given it."""
    if reference.kind in ("PMID", "PMC"):
        return "".join(filter(str.isdigit, reference.text))
    doi = _DOI.search(reference.text)  # also within the address of doi.org
    return _plain(doi[1].rstrip(_TRAILING) if doi else reference.text)


def _plain(text: str) -> str:
    """Without what two ways of writing the same reference differ in."""
    text = re.sub(r"https?://|\bwww\.", "", text.casefold())
    return re.sub(r"[\s()]+", " ", text).strip().rstrip("/")
