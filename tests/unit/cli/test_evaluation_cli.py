"""The command line on suites and evaluations."""

# ruff: noqa: F401, F811 - fixtures of the other tests of the command line are imported

from pathlib import Path

import pytest
from evaluation_factory import write_suite
from test_cli import Call, call, fake_engine

BASE = ("evaluate", "--base", "--suite", "mine", "--no-loss")


@pytest.fixture
def suite(call: Call, tmp_path: Path) -> None:
    """A suite named mine."""
    assert call("suites", "add", str(write_suite(tmp_path / "mine.jsonl"))).status == 0


@pytest.mark.usefixtures("fake_engine", "suite")
def test_an_evaluation_is_run_listed_shown_and_compared(call: Call) -> None:
    done = call(*BASE)
    assert done.status == 0, done.err
    assert "3 of 3 done" in done.err
    assert "smollm2-135m for patient on mine@1" in done.out
    assert "95% interval" in done.out
    again = call(*BASE, "--against", "base", "--json").document
    assert again["label"] == "smollm2-135m for patient"
    assert {"words", "within_limit", "relevance"} <= {figure["name"] for figure in again["figures"]}
    assert {change["verdict"] for change in again["comparison"]["changes"]} == {"no clear difference"}
    listed = call("evaluations", "list", "--suite", "mine", "--adapter", "base", "--json").document
    newest, first = (each["evaluation_id"] for each in listed["evaluations"])
    assert newest == again["evaluation_id"]
    assert newest in call("evaluations", "list").out
    shown = call("evaluations", "show", newest, "--json").document
    assert [answer["question_id"] for answer in shown["answers"]] == ["cough", "chest", "burn"]
    compared = call("evaluations", "compare", first, newest)
    assert "Length" in compared.out
    assert "no clear difference" in compared.out
    sides = call("evaluations", "compare", first, newest, "--json").document["answers"]
    assert [side["before"] for side in sides] == ["Rest and drink water."] * 3
    assert "done, 3 of 3" in call("evaluations", "cancel", first).out


@pytest.mark.usefixtures("suite")
def test_suites_are_listed_and_shown(call: Call, tmp_path: Path) -> None:
    assert "safety@1" in call("suites", "list").out
    document = call("suites", "show", "mine", "--json").document
    assert (document["version"], document["own"], len(document["questions"])) == ("1", False, 3)
    shown = call("suites", "show", "mine").out
    assert "Reference: Honey and rest." in shown
    assert "Point, weight 3: Cools it" in shown
    (tmp_path / "bad.jsonl").write_text('{"id": "a"}', encoding="utf-8")
    refused = call("suites", "add", str(tmp_path / "bad.jsonl"), "--json")
    assert refused.status == 1
    assert "line 1 has no question" in refused.document["error"]


@pytest.mark.usefixtures("fake_engine", "suite")
def test_what_makes_no_sense_is_told(call: Call) -> None:
    for arguments, told in (
        (("evaluate", "--suite", "mine"), "either --adapter NAME or --base"),
        (("evaluate", "--base", "--adapter", "base"), "either --adapter NAME or --base"),
        ((*BASE, "--against", "base"), "base was not evaluated on mine yet"),
        (("evaluate", "--base", "--suite", "speed"), "no suite 'speed'"),
        (("evaluations", "show", "none"), "no evaluation 'none'"),
    ):
        refused = call(*arguments)
        assert refused.status == 1
        assert told in refused.err
