"""Readability and relevance of the texts of a file, from a terminal."""

import json
from pathlib import Path

import pytest

from elara_ui.cli import main as cli

HARD = "Dyspnoea and orthopnoea characterise cardiac decompensation in hospitalised patients."


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """An easy and a hard answer to the same question."""
    file = tmp_path / "answers.jsonl"
    lines = [
        {
            "id": "easy",
            "question": "What is asthma?",
            "response": "Asthma makes the tubes of the lungs tight.",
        },
        {"question": "What is asthma?", "text": HARD},
    ]
    file.write_text("\n\n".join(map(json.dumps, lines)), encoding="utf-8")
    return file


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = cli.main([str(each) for each in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_text_is_one_document(tmp_path: Path, capsys) -> None:
    file = tmp_path / "answer.md"
    file.write_text("- Take 0.5 mg each day for hypertension\n- Call us any time", encoding="utf-8")
    status, out, _ = run(capsys, "readability", file, "--audience", "patient", "--json")
    found = json.loads(out)
    assert status == 0
    assert (found["audience"], found["verdict"], found["in_target"]) == ("patient", "on target", True)
    assert found["target"] == {"floor": None, "aim": 6.0, "warn": 8.0}
    assert found["measures"]["sentences"] == 2
    assert [(word["text"], word["plain"]) for word in found["hard_words"]] == [
        ("hypertension", "high blood pressure")
    ]


def test_a_text_is_told_in_words(tmp_path: Path, capsys) -> None:
    file = tmp_path / "answer.txt"
    file.write_text(HARD, encoding="utf-8")
    status, out, _ = run(capsys, "readability", file)
    assert status == 0
    assert "too hard" in out
    assert "grade 6 or below" in out
    assert "Dyspnoea: say 'shortness of breath'" in out
    assert "too short" in out  # SMOG


def test_each_line_of_jsonl_is_a_document_of_its_own(rows: Path, capsys) -> None:
    status, out, _ = run(capsys, "readability", rows, "--json")
    easy, hard = map(json.loads, out.splitlines())
    assert status == 0
    assert (easy["id"], easy["in_target"]) == ("easy", True)
    assert (hard["id"], hard["in_target"]) == (3, False)  # its line, counted as editors do


def test_lines_are_told_in_a_table_with_the_share_within_the_target(rows: Path, capsys) -> None:
    _, out, _ = run(capsys, "readability", rows)
    assert "1 of 2 within the target for patient (grade 6 or below)." in out


def test_an_audience_without_a_target_gets_figures_only(rows: Path, capsys) -> None:
    _, out, _ = run(capsys, "readability", rows, "--audience", "doctor", "--json")
    assert {json.loads(line)["in_target"] for line in out.splitlines()} == {None}
    _, out, _ = run(capsys, "readability", rows, "--audience", "doctor")
    assert "within the target" not in out


def test_relevance_is_told_line_by_line(rows: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("elara_ui.clinical.relevance.load_sentence_vectors", lambda: None)
    status, out, _ = run(capsys, "relevance", rows, "--json")
    assert status == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"id": "easy", "score": 1.0, "method": "words"},
        {"id": 3, "score": 0.0, "method": "words"},
    ]
    _, out, _ = run(capsys, "relevance", rows)
    assert "Median 0.50 of 2, told by words." in out


@pytest.mark.parametrize(
    ("name", "content", "verb", "says"),
    [
        ("a.jsonl", "{", "readability", "Line 1 is no JSON"),
        ("a.jsonl", '{"text": "x"}\n[1]', "readability", "Line 2 must be an object"),
        ("a.jsonl", '{"words": "x"}', "readability", "Line 1 has none of text, response, answer, completion"),
        ("a.jsonl", '{"text": "x"}', "relevance", "Line 1 has none of question, prompt"),
        ("a.txt", b"\xff\xfe\xfa", "readability", "can't be read as UTF-8 text"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(tmp_path, capsys, name, content, verb, says) -> None:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    status, out, err = run(capsys, verb, file, "--json")
    assert status == 1
    assert says in json.loads(out)["error"]
    assert says in err


def test_an_unknown_audience_is_refused(rows: Path, capsys) -> None:
    status, _, err = run(capsys, "readability", rows, "--audience", "nobody")
    assert status == 1
    assert "no audience 'nobody'" in err


def test_an_empty_file_has_no_figures(tmp_path: Path, capsys) -> None:
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "a.jsonl").write_text("")
    status, out, _ = run(capsys, "readability", tmp_path / "a.txt", "--json")
    assert (status, json.loads(out)["verdict"], json.loads(out)["hard_words"]) == (0, None, [])
    assert run(capsys, "relevance", tmp_path / "a.jsonl", "--json")[:2] == (0, "")
