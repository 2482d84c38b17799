from itertools import pairwise

import pytest

from elara_ui.clinical.identifiers import Identifier, IdentifierKind, find, redact


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Write to jo.o'neil+x@mail.example.org.", IdentifierKind.EMAIL, "neil+x@mail.example.org"),
        ("Ring me on 020 7946 0958, please", IdentifierKind.PHONE, "020 7946 0958"),
        ("My cell is (212) 555-2368", IdentifierKind.PHONE, "(212) 555-2368"),
        ("or +49 30 901820", IdentifierKind.PHONE, "+49 30 901820"),
        ("I was born on 3 March 1961 in Leeds", IdentifierKind.BIRTH_DATE, "3 March 1961"),
        ("DOB: 03/04/1961", IdentifierKind.BIRTH_DATE, "03/04/1961"),
        ("NHS no 943 476 5919", IdentifierKind.NHS_NUMBER, "943 476 5919"),
        ("SSN 536-90-4399", IdentifierKind.SSN, "536-90-4399"),
        ("Medicare 1EG4-TE5-MK73", IdentifierKind.MBI, "1EG4-TE5-MK73"),
        ("DEA AB1234563", IdentifierKind.LICENCE, "AB1234563"),
        ("GMC number 7654321", IdentifierKind.LICENCE, "7654321"),
        ("MRN: 00482913", IdentifierKind.RECORD, "00482913"),
        ("paid with 4111 1111 1111 1111", IdentifierKind.CARD, "4111 1111 1111 1111"),
        ("from 192.168.12.7", IdentifierKind.IP, "192.168.12.7"),
        ("from 2001:db8:0:0:0:0:2:1", IdentifierKind.IP, "2001:db8:0:0:0:0:2:1"),
        ("see https://example.org/me?id=4", IdentifierKind.URL, "https://example.org/me?id=4"),
    ],
)
def test_what_identifies_someone_is_found(text: str, kind: IdentifierKind, found: str) -> None:
    assert [(each.kind, text[each.start : each.end]) for each in find(text)] == [(kind, found)]


@pytest.mark.parametrize(
    "text",
    [
        "Take 500 mg every 6 hours, at most 4000 mg in 24 hours.",
        "Call 999 or 111; in the US 911 or 988.",
        "BP 120/80, pulse 72, SpO2 96%, INR 2.5, glucose 5.6 mmol/L.",
        "Since 12 March 2021 she has had asthma.",
        "123 456 7890 has no check digit that fits",
        "000-12-3456 and 666-12-3456 are no such numbers",
        "4111 1111 1111 1112",
        "version 1.2.3 of ICD-10 code E11.9, PMID 31234567",
        "HLA-B27, CYP2D6*4, NM_000059.4:c.68",
        "At 10:15:30 the pain began.",
    ],
)
def test_doses_codes_and_emergency_numbers_are_none(text: str) -> None:
    assert find(text) == []


def test_what_was_found_is_replaced_by_its_kind() -> None:
    text = "I am jo@example.org, born 3/4/1961, call 020 7946 0958."
    assert redact(text) == "I am [e-mail address], born [date of birth], call [phone number]."
    assert redact("Nothing here.") == "Nothing here."


def test_findings_do_not_overlap_and_stand_in_order() -> None:
    text = "www.example.org/jo@example.org 943 476 5919"
    found = find(text)
    assert found == sorted(found, key=lambda each: each.start)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert isinstance(found[0], Identifier)
