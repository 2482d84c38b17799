"""The glossary: its file is sound, its plain words are plainer, and its terms are found in any form."""

import re
import subprocess
import sys
import time
from collections import Counter

import pytest
import textstat

from elara_ui.clinical.glossary import GLOSSARY, load_glossary
from elara_ui.clinical.hard_words import is_everyday

WORD = re.compile(r"[A-Za-z'’]+")
ENTRIES = load_glossary().entries


def found(text: str) -> list[tuple[str, str]]:
    return [(each.text, each.entry.plain) for each in load_glossary().find(text)]


def test_there_are_many_terms_and_no_term_stands_twice() -> None:
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    written = [match[1].lower() for line in lines if (match := re.match(r"  ([^:]+): ", line))]
    assert [term for term, times in Counter(written).items() if times > 1] == []
    assert len(written) == len(ENTRIES) >= 450


def test_the_file_says_that_no_clinician_has_reviewed_it() -> None:
    assert "NOT CLINICALLY REVIEWED" in GLOSSARY.read_text(encoding="utf-8")


def test_plain_words_are_words_that_everybody_knows() -> None:
    hard = {
        entry.term: [word for word in WORD.findall(entry.plain) if not is_everyday(word)] for entry in ENTRIES
    }
    assert {term: words for term, words in hard.items() if words} == {}


def test_plain_words_use_no_other_term() -> None:
    assert {entry.term: found(entry.plain) for entry in ENTRIES if found(entry.plain)} == {}


def test_terms_are_harder_than_what_replaces_them() -> None:
    """Every term has a word that is on no list; "clubbing" and "taper" only look like club and tape."""
    easy = {entry.term for entry in ENTRIES if all(is_everyday(word) for word in WORD.findall(entry.term))}
    assert easy <= {"clubbing", "taper"}


def test_plain_words_read_easier_in_a_sentence() -> None:
    """By the Dale-Chall score, which counts unfamiliar words; it falls for few by themselves."""
    before = textstat.dale_chall_readability_score(
        ". ".join(f"It is {entry.term}" for entry in ENTRIES) + "."
    )
    after = textstat.dale_chall_readability_score(
        ". ".join(f"It is {entry.plain}" for entry in ENTRIES) + "."
    )
    assert after < before - 2


def test_entries_are_short_and_fit_into_a_sentence() -> None:
    assert [
        entry.term for entry in ENTRIES if len(entry.plain.split()) > 7 or entry.plain.endswith(".")
    ] == []
    assert [
        entry.term for entry in ENTRIES if entry.note and (entry.note[-1] != "." or len(entry.note) > 110)
    ] == []


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("Hypertension is common.", "hypertension"),
        ("two haemorrhages", "haemorrhage"),
        ("a hemorrhage", "haemorrhage"),
        ("with edema", "oedema"),
        ("three prognoses", "prognosis"),
        ("stimulated vertebrae", "vertebra"),
        ("She was immunized.", "immunise"),
        ("Administering it", "administer"),
        ("It was administered.", "administered"),
        ("comorbidities", "comorbidity"),
        ("malignant tumors", "malignant"),
        ("NSAIDs help", "NSAID"),
        ("non-steroidal anti-inflammatory drugs", "non-steroidal anti-inflammatory drug"),
        ("anti inflammatory", "anti-inflammatory"),
        ("the patient’s anesthesia", "anaesthesia"),
    ],
)
def test_a_term_is_found_in_its_forms_and_spellings(text: str, term: str) -> None:
    assert [each.entry.term for each in load_glossary().find(text)] == [term]


def test_the_longest_term_is_found() -> None:
    assert found("Acute myocardial infarction") == [
        ("Acute", "sudden"),
        ("myocardial infarction", "heart attack"),
    ]


@pytest.mark.parametrize("text", ["sti", "bp or mri", "Icu", "a pacemakers' union", "", "...", "cardi ac"])
def test_what_only_looks_like_a_term_is_none(text: str) -> None:
    assert [each for each in found(text) if each[0] != "pacemakers"] == []


def test_a_term_that_the_text_explains_is_left_alone() -> None:
    assert found("You have hypertension (high blood pressure).") == []
    assert found("Syncope, or fainting, is common.") == []
    assert found("You have hypertension.") != []


def test_words_of_a_term_must_stand_together() -> None:
    assert found("heart, failure") == found("heart. Failure") == []
    assert found("heart failure") == [("heart failure", "a weak heart")]


def test_a_long_text_is_read_quickly() -> None:
    text = "The physician suspected hypertension and gave diuretics to everybody in the ward. " * 500
    began = time.process_time()
    assert len(found(text)) == 1500
    assert time.process_time() - began < 1


def test_importing_reads_no_file() -> None:
    code = "import elara_ui.clinical.glossary as g; raise SystemExit(g.load_glossary.cache_info().currsize)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
