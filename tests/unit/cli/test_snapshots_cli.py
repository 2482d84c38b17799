"""Curating and tracing from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from curation_factory import add_accepted
from factories import add_response, add_review

from db.home import Home
from db.models import Response
from db.session import Database
from elara_ui.cli import main as cli

Call = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def call(home: Home, database: Database, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs one verb with --json on a home with twelve accepted answers: status, document, stderr."""
    with database.session() as session:
        add_accepted(session, 12)

    def run(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        status = cli.main([*arguments, "--json", "--home", str(home.root)])
        captured = capsys.readouterr()
        return status, json.loads(captured.out), captured.err

    return run


def write_rules(tmp_path: Path, text: str) -> str:
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_rules_in_a_file_are_counted_then_frozen(call: Call, tmp_path: Path) -> None:
    rules = write_rules(tmp_path, "objective: sft\naudiences: [patient]\nmin_accepting: 1\n")
    status, looked, _ = call("snapshots", "create", "--rules", rules)
    assert (status, looked["count"]["rows"], looked["check"]["train"]) == (0, 12, 11)
    _, made, _ = call("snapshots", "create", "--rules", rules, "--name", "plain")
    assert (made["label"], made["rows"]) == ("plain@1", 12)
    _, listed, _ = call("snapshots")
    assert [each["label"] for each in listed["snapshots"]] == ["plain@1"]
    _, shown, _ = call("snapshots", "show", "plain")
    assert shown["sha256"] == made["sha256"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("objectiv: sft", "There is no rule 'objectiv'"),
        ("objective: rlhf", "doesn't take 'rlhf'"),
        ("axes: {harm: [terrible]}", "axes.harm takes none, mild"),
        ("axes: {charm: [none]}", "axes takes accuracy"),
        ("min_accepting: 0", "min_accepting is 1 to 100"),
        ("include: {a1: ''}", "says why"),
        ("include: {a1: x}\nexclude: {a1: y}", "both included and excluded"),
        ("since: 2026-02-01\nuntil: 2026-01-01", "comes after"),
        ("- sft", "names with values"),
        ("a: [", "can't be read"),
    ],
)
def test_wrong_rules_are_refused_with_the_rule(call: Call, tmp_path: Path, text: str, why: str) -> None:
    status, document, _ = call("snapshots", "create", "--rules", write_rules(tmp_path, text))
    assert status == 1
    assert why in document["error"]


def test_sets_are_compared_and_written_out(call: Call, database: Database, home: Home) -> None:
    call("snapshots", "create", "--name", "plain")
    with database.session() as session:
        add_review(session, add_response(session, text="New.", question="A wholly new matter?"))
    call("snapshots", "create", "--name", "plain")
    _, diff, _ = call("snapshots", "diff", "plain@1", "plain@2")
    assert diff["added"] == 1
    assert diff["rows_added"][0]["question"] == "A wholly new matter?"
    _, exported, _ = call("snapshots", "export", "plain@1", "--to", "parquet")
    assert pq.read_table(exported["place"]).num_rows == 12
    manifest = json.loads(Path(exported["place"] + ".manifest.json").read_text(encoding="utf-8"))
    assert len(manifest["rows"]) == 12
    status, again, _ = call("snapshots", "export", "plain@1", "--to", "parquet")
    assert (status, "exists already" in again["error"]) == (1, True)
    _, folder, _ = call("snapshots", "export", "plain@1", "--to", "folder")
    names = sorted(path.name for path in Path(folder["place"]).rglob("*.*"))
    assert names == ["README.md", "evaluation.parquet", "manifest.json", "train.parquet"]


def test_identifiers_must_be_confirmed_on_the_way_out(call: Call, database: Database, tmp_path: Path) -> None:
    with database.session() as session:
        add_review(session, add_response(session, text="Write to jo@example.org."))
    status, refused, _ = call("snapshots", "create", "--name", "plain")
    assert (status, "e-mail address" in refused["error"]) == (1, True)
    call("snapshots", "create", "--name", "plain", "--accept-identifiers")
    target = str(tmp_path / "out.jsonl")
    status, refused, _ = call("snapshots", "export", "plain", target)
    assert (status, "confirm" in refused["error"]) == (1, True)
    status, _, _ = call("snapshots", "export", "plain", target, "--accept-identifiers")
    assert (status, len(Path(target).read_text(encoding="utf-8").splitlines())) == (0, 13)


def test_the_hub_needs_a_token(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    call("snapshots", "create", "--name", "plain")
    status, refused, _ = call("snapshots", "export", "plain", "me/plain", "--to", "hub")
    assert (status, "HF_TOKEN" in refused["error"]) == (1, True)


def test_lineage_is_asked_by_id_or_person(call: Call) -> None:
    call("snapshots", "create", "--name", "plain")
    _, went, _ = call("lineage", "--reviewer", "Rater A")
    assert went["snapshots"][0]["rows"] == 12
    assert "No adapter has come of that yet" in went["summary"]
    status, refused, _ = call("lineage")
    assert (status, "one thing" in refused["error"]) == (1, True)


def test_an_answer_is_withdrawn_with_a_reason_and_what_it_shaped_is_told(
    call: Call, database: Database, tmp_path: Path
) -> None:
    call("snapshots", "create", "--rules", write_rules(tmp_path, "objective: sft\n"), "--name", "plain")
    with database.reading() as session:
        chosen = session.query(Response).first().id
    status, shaped, _ = call("snapshots", "withdraw", chosen, "--reason", "Wrong patient.")
    assert (status, shaped["summary"]) == (
        0,
        f"Answer {chosen} is in plain@1. No adapter has come of that yet.",
    )
    _, made, _ = call("snapshots", "rebuild", "plain")
    assert (made["label"], made["rows"]) == ("plain@2", 11)
