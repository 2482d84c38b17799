"""`python -m elara_ui triage`: its lines, its report and its complaints."""

import json
from pathlib import Path

import pytest

from elara_ui.cli import main as cli

ROWS = [
    {"id": "a", "text": "my dad has crushing chest pain", "expected": ["acute_coronary"]},
    {
        "id": 2,
        "messages": [{"role": "user", "content": "What is a stroke?"}],
        "expected": [],
        "kind": "textbook",
    },
]


def write(path: Path, *rows: object) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return str(path)


def test_one_json_line_a_message_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["triage", write(tmp_path / "rows.jsonl", *ROWS), "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "id": "a",
        "emergency": True,
        "categories": ["acute_coronary"],
        "reasons": [
            {
                "category": "acute_coronary",
                "matched": ["chest pain"],
                "sentence": "my dad has crushing chest pain",
            }
        ],
    }
    assert second == {"id": 2, "emergency": False, "categories": [], "reasons": []}


def test_the_report_shows_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "rows.jsonl", *ROWS)
    assert cli.main(["triage", file, "--report"]) == 0
    out = capsys.readouterr().out
    assert "acute_coronary   1/1    100.0%  20.7% to 100.0%" in out
    assert "textbook         0/1    0.0%  0.0% to 79.3%" in out
    assert cli.main(["triage", file, "--report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["overall"]["hits"] == 1


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"id": 1}, "Line 2 must have either"),
        ([1], "Line 2 must be an object"),
        ({"text": "a", "messages": []}, "Line 2 must have either"),
        ({"messages": [{"role": "nobody", "content": "a"}]}, "Line 2: each of its messages"),
        ({"text": "a", "expected": "stroke"}, "Line 2: expected must be a list"),
    ],
)
def test_a_bad_line_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: object, complaint: str
) -> None:
    assert cli.main(["triage", write(tmp_path / "rows.jsonl", {"text": "hello"}, row)]) == 1
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.out == ""


def test_a_report_needs_known_categories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["triage", write(tmp_path / "a.jsonl", {"text": "a"}), "--report"]) == 1
    assert 'Line 1 lacks "expected"' in capsys.readouterr().err
    assert (
        cli.main(["triage", write(tmp_path / "b.jsonl", {"text": "a", "expected": ["x"]}), "--report"]) == 1
    )
    assert "Line 1 expects 'x'" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["triage", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl can't be read" in capsys.readouterr().err
    (tmp_path / "text.jsonl").write_text("hello", encoding="utf-8")
    assert cli.main(["triage", str(tmp_path / "text.jsonl"), "--json"]) == 1
    assert "Line 1 is no JSON" in json.loads(capsys.readouterr().out)["error"]
