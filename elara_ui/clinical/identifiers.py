"""Likely identifiers of people in a text: what can be told by its form, checked by its check digits.

It finds no names and no addresses, which need a model of the language, and misses what is written in an
unusual way: nothing found never means that nothing is there.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

PHONE_REGIONS = ("GB", "US")
"""Whose ways of writing a phone number without a country code are known."""


class IdentifierKind(StrEnum):
    """What was found."""

    EMAIL = "e-mail address"
    PHONE = "phone number"
    BIRTH_DATE = "date of birth"
    NHS_NUMBER = "NHS number"
    SSN = "social security number"
    MBI = "Medicare number"
    LICENCE = "medical licence"
    RECORD = "record number"
    CARD = "payment card"
    IP = "IP address"
    URL = "web address"


@dataclass(frozen=True)
class Identifier:
    """One finding.

    Args:
        start: of its first character.
        end: behind its last character.
    """

    kind: IdentifierKind
    start: int
    end: int


def find(text: str) -> list[Identifier]:
    """Likely identifiers, in the order in which they stand; where two overlap, the surer one.

    Args:
        text: what a person or a model wrote.
    """
    taken: list[Identifier] = []
    for candidate in _propose(text):
        if all(candidate.end <= other.start or other.end <= candidate.start for other in taken):
            taken.append(candidate)
    return sorted(taken, key=lambda found: found.start)


def redact(text: str) -> str:
    """The text with each likely identifier replaced by its kind, such as ``[phone number]``."""
    for found in reversed(find(text)):
        text = f"{text[: found.start]}[{found.kind}]{text[found.end :]}"
    return text


def _propose(text: str) -> Iterator[Identifier]:
    """Everything that looks like an identifier, the surest kinds first."""
    for pattern in _PATTERNS:
        for match in pattern.expression.finditer(text):
            if pattern.accepts(match["it"]):
                yield Identifier(pattern.kind, match.start("it"), match.end("it"))
        if pattern.kind is IdentifierKind.MBI:
            yield from _find_phones(text)


def _find_phones(text: str) -> Iterator[Identifier]:
    """Phone numbers that exist by their country's rules; the library is loaded when digits call for it."""
    if not _DIGITS.search(text):
        return
    import phonenumbers

    for region in PHONE_REGIONS:
        for match in phonenumbers.PhoneNumberMatcher(text, region):
            yield Identifier(IdentifierKind.PHONE, match.start, match.end)


def _digits(text: str) -> list[int]:
    return [int(character) for character in text if character.isdigit()]


def _passes_luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    digits = _digits(text)[::-1]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + doubled) % 10 == 0


def _is_card(text: str) -> bool:
    return 13 <= len(_digits(text)) <= 19 and len(set(_digits(text))) > 1 and _passes_luhn(text)


def _is_nhs_number(text: str) -> bool:
    """Modulus 11, as in the NHS data dictionary."""
    digits = _digits(text)
    check = 11 - sum((10 - place) * digit for place, digit in enumerate(digits[:9])) % 11
    return len(set(digits)) > 1 and check % 11 == digits[9] and check != 10


def _is_ssn(text: str) -> bool:
    """Area, group and serial as the Social Security Administration gives them out."""
    area, group, serial = text[:3], text[4:6], text[7:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _is_dea_number(text: str) -> bool:
    """The check digit of the US Drug Enforcement Administration's registration."""
    digits = _digits(text[2:])
    return (sum(digits[0:5:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


def _is_address(text: str) -> bool:
    try:
        return not ip_address(text).is_unspecified
    except ValueError:
        return False


@dataclass(frozen=True)
class _Pattern:
    """A form, and the check on what has it. The expression names the identifier ``it``."""

    kind: IdentifierKind
    expression: re.Pattern[str]
    accepts: Callable[[str], bool] = lambda found: True


_DIGITS = re.compile(r"(?:\d[\s().\-–/]{0,2}){7}")
_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = (
    r"(?:\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{4}-\d{1,2}-\d{1,2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTHS}\.?,?\s+\d{{4}}|{_MONTHS}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}})"
)
_LETTER, _EITHER = "[AC-HJKMNP-RT-Y]", "[AC-HJKMNP-RT-Y0-9]"  # as Medicare uses them

# The order decides which of two overlapping findings stays.
_PATTERNS = (
    _Pattern(
        IdentifierKind.EMAIL,
        re.compile(r"(?P<it>[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})\b"),
    ),
    _Pattern(IdentifierKind.URL, re.compile(r"(?P<it>(?:https?://|www\.)[^\s<>\"')\]]{3,})", re.I)),
    _Pattern(
        IdentifierKind.BIRTH_DATE,
        re.compile(
            rf"\b(?:born|birth(?:day|date)?|d\.?o\.?b\.?|dob)\b[^\d\n]{{0,30}}?(?P<it>{_DATE})(?!\d)", re.I
        ),
    ),
    _Pattern(IdentifierKind.SSN, re.compile(r"(?<![\d-])(?P<it>\d{3}([- ])\d{2}\2\d{4})(?![\d-])"), _is_ssn),
    _Pattern(IdentifierKind.CARD, re.compile(r"(?<![\d-])(?P<it>\d(?:[ -]?\d){12,18})(?![\d-])"), _is_card),
    _Pattern(
        IdentifierKind.NHS_NUMBER,
        re.compile(r"(?<![\d+-])(?P<it>\d{3}[ -]?\d{3}[ -]?\d{4})(?![\d-])"),
        _is_nhs_number,
    ),
    _Pattern(
        IdentifierKind.MBI,
        re.compile(
            rf"\b(?P<it>[1-9]{_LETTER}{_EITHER}\d-?{_LETTER}{_EITHER}\d-?{_LETTER}{{2}}\d{{2}})\b", re.I
        ),
    ),
    _Pattern(IdentifierKind.LICENCE, re.compile(r"\b(?P<it>[ABFGMPRX][A-Z9]\d{7})\b", re.I), _is_dea_number),
    _Pattern(
        IdentifierKind.LICENCE,
        re.compile(
            r"\b(?:gmc|nmc|npi|licen[cs]e|registration)\b[^\n\d]{0,20}?(?P<it>[A-Z]{0,3}\d{5,10})\b", re.I
        ),
    ),
    _Pattern(
        IdentifierKind.RECORD,
        re.compile(
            r"\b(?:mrn|(?:medical|hospital|patient|chi)\s+(?:record|number|no|id)\.?)\b[^\n\d]{0,15}?"
            r"(?P<it>[A-Z]{0,3}\d{5,12})\b",
            re.I,
        ),
    ),
    _Pattern(
        IdentifierKind.IP, re.compile(r"(?<![\w.])(?P<it>\d{1,3}(?:\.\d{1,3}){3})(?![\w.]*\d)"), _is_address
    ),
    _Pattern(
        IdentifierKind.IP,
        re.compile(r"(?<![\w:])(?P<it>[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){3,7})(?![\w:])", re.I),
        _is_address,
    ),
)
