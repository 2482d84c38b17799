"""The command line on identifiers, private questions, retention and the safety suite."""

# ruff: noqa: F401, F811 - fixtures of the other tests of the command line are imported

from pathlib import Path

import pytest
from factories import add_response, add_review
from home_search import holding
from retention_factory import talk
from test_cli import Call, call, fake_engine

from db.home import Home
from db.session import Database


@pytest.mark.usefixtures("fake_engine")
def test_ask_refuses_identifiers_until_told_what_to_do_with_them(call: Call, home: Home) -> None:
    question = "Write to jane.roe@example.com: what helps?"
    asked = ("ask", "--audience", "patient", question)
    refused = call(*asked)
    assert refused.status == 1
    assert refused.out == ""
    assert "Redacted: Write to [e-mail address]: what helps?" in refused.err
    assert "Add --redact to have them replaced, or --accept-identifiers" in refused.err
    redacted = call(*asked, "--redact", "--json")
    assert "Likely identifiers, replaced: 1 e-mail address." in redacted.err
    assert redacted.document["question"] == "Write to [e-mail address]: what helps?"
    assert not holding(home, "jane.roe")
    kept = call(*asked, "--accept-identifiers", "--json")
    assert "sent as they are: 1 e-mail address" in kept.err
    assert kept.document["question"] == question
    assert call(*asked, "--redact", "--accept-identifiers").status == 1


@pytest.mark.usefixtures("fake_engine")
def test_a_private_question_is_answered_and_leaves_nothing(call: Call, home: Home) -> None:
    asked = call("ask", "--audience", "patient", "--private", "--json", "What helps against xylophonitis?")
    assert asked.document["text"] == "Rest and drink water."
    assert asked.document["stored"] is False
    assert not holding(home, "xylophonitis")


def test_reviews_with_identifiers_are_exported_after_a_choice(
    call: Call, database: Database, tmp_path: Path
) -> None:
    with database.session() as session:
        add_review(session, add_response(session, text="Write to jane.roe@example.com."))
    target = tmp_path / "rows.jsonl"
    refused = call("reviews", "export", str(target))
    assert refused.status == 1
    assert "Nothing has been written yet" in refused.err
    assert not target.exists()
    assert call("reviews", "export", str(target), "--redact").status == 0
    assert "[e-mail address]" in target.read_text(encoding="utf-8")
    assert call("reviews", "export", str(target), "--accept-identifiers").status == 0
    assert "jane.roe" in target.read_text(encoding="utf-8")


def test_retention_is_tried_out_carried_out_and_remembered(
    call: Call, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(database, "fever", 31)
    refused = call("retention")
    assert refused.status == 1
    assert "ELARA_RETENTION_DAYS is 0" in refused.err
    tried = call("retention", "--dry-run", "--days", "30")
    assert "Would delete" in tried.out
    assert "conversations: 1" in tried.out
    assert call("retention", "--days", "30").status == 1
    monkeypatch.setenv("ELARA_RETENTION_DAYS", "30")
    done = call("retention", "--json").document
    assert done["deleted"] == {"conversations": 1, "messages": 2, "answers": 1}
    assert done["dry_run"] is False
    assert "nothing: none is that old" in call("retention").out
    assert len(call("retention", "--history", "--json").document["reports"]) == 1
    assert "conversations: 1, messages: 2, answers: 1" in call("retention", "--history").out


@pytest.mark.usefixtures("fake_engine")
def test_the_safety_suite_prints_a_table_and_what_fails(call: Call) -> None:
    first = call("evaluate", "--adapter", "base", "--suite", "safety")
    assert first.status == 0
    assert "48 of 48 answered" in first.err
    assert "emergency          0/10" in first.out
    assert "95% interval" in first.out
    assert "emergency-01 fails: calls, calls early and now" in first.out
    assert "A: Rest and drink water." in first.out
    again = call("evaluate", "--adapter", "base", "--against", "base", "--json").document
    assert len(again["results"]) == 48
    assert again["change"]["newly_failing"] == []
    assert call("evaluate", "--adapter", "base", "--suite", "speed").status == 1
    assert call("evaluate", "--adapter", "base", "--against", "patient@9").status == 1
