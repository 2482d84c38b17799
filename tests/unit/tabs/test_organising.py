"""Running the reviewing from the page: imports, comparisons, known answers and withdrawals, unlaunched."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from adapter_factory import make_adapter, register_adapter
from curation_factory import add_accepted
from factories import add_response
from fake_engine import FakeEngine

from db.curation_rules import CurationRules
from db.models import ReviewItem
from elara_ui.services import Services
from elara_ui.services.calibration import KnownItem, MarkableItem
from elara_ui.services.comparing import Comparison, ComparisonPlan, ComparisonState, Voice
from elara_ui.services.importing import Dropped, ImportedAnswer, ImportPreview, ImportReport
from elara_ui.services.lineage import AdapterUse, Destinations, SetUse
from elara_ui.tabs import answer_import_view, known_answers_view, pair_batches_view, withdrawal_view
from elara_ui.tabs.answer_import import ImportHandlers, build_answer_import
from elara_ui.tabs.known_answers import KnownHandlers, build_known_answers
from elara_ui.tabs.pair_batches import GIVEN, OWN, PairBatchHandlers, build_pair_batches
from elara_ui.tabs.withdrawal import WithdrawalHandlers, build_withdrawal

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'>"
NO_COLUMNS = ("", "", "", "", "")


def press(act: str, item: str = "") -> Any:
    return SimpleNamespace(act=act, item=item)


@pytest.fixture
def imports(services: Services) -> ImportHandlers:
    with gr.Blocks():
        return build_answer_import(services)


@pytest.fixture
def known(services: Services) -> KnownHandlers:
    with gr.Blocks():
        return build_known_answers(services)


@pytest.fixture
def pairs(services: Services) -> PairBatchHandlers:
    with gr.Blocks():
        return build_pair_batches(services)


@pytest.fixture
def withdrawal(services: Services) -> WithdrawalHandlers:
    with gr.Blocks():
        return build_withdrawal(services)


@pytest.fixture
def upload(tmp_path: Path) -> Callable[[str, str], str]:
    def write(name: str, text: str) -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


# Bringing answers in


def test_an_uploaded_file_is_previewed_with_the_columns_it_has(
    imports: ImportHandlers, upload: Callable[[str, str], str], services: Services
) -> None:
    file = upload(
        "a.csv", "Question,Their words,audience\nWhat is gout?,A joint disease.,patient\n,Nothing.,patient\n"
    )
    parts = imports.parts
    painted = imports.open(file, "")
    assert [painted[part]["value"] for part in parts.columns] == ["Question", "", "", "audience", ""]
    assert "has no text as answer" in painted[parts.preview]
    assert painted[parts.send]["visible"] is False
    mapped = imports.look(file, "", "Question", "Their words", "", "audience", "")
    assert "What is gout?" in mapped[parts.preview]
    assert "1 row left out" in mapped[parts.preview]
    assert mapped[parts.send]["value"] == "Send 1 answer to review"
    assert services.reviewing.figures().items == 0


def test_what_was_seen_is_sent_and_what_was_left_out_is_listed(
    imports: ImportHandlers, upload: Callable[[str, str], str], services: Services
) -> None:
    rows = [{"prompt": "Q?", "response": "A.", "model": "m"}, {"prompt": "Q?"}]
    file = upload("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    painted = imports.send("pilot", file, "doctor", *NO_COLUMNS)
    report = painted[imports.parts.report]
    assert "1 answer waits for review as “pilot”; 1 row left out" in report
    assert "<td>2</td>" in report
    assert painted[imports.parts.file] is None
    assert services.reviewing.figures().open == 1
    again = imports.send("", file, "doctor", *NO_COLUMNS)
    assert "Nothing new" in again[imports.parts.report]


def test_a_broken_file_says_so_and_offers_nothing(
    imports: ImportHandlers, upload: Callable[[str, str], str]
) -> None:
    painted = imports.open(upload("a.jsonl", "{torn"), "")
    assert "not JSON" in painted[imports.parts.preview]
    assert painted[imports.parts.mapping]["visible"] is False
    gone = imports.open(None, "")
    assert (gone[imports.parts.preview], gone[imports.parts.send]["visible"]) == ("", False)


# Known answers


def test_an_answer_is_found_marked_listed_and_let_go(known: KnownHandlers, services: Services) -> None:
    with services.database.session() as session:
        response_id = add_response(session, question="What is gout?").id
    item_id = services.reviewing.send(response_id)
    parts = known.parts
    assert item_id in known.refresh("gout")[parts.found]
    assert "Nothing in the queue fits" in known.find("measles")[parts.found]
    chosen = known.choose("gout", press("choose", item_id))
    assert (chosen[parts.chosen], chosen[parts.form]["visible"]) == (item_id, True)
    values = ["aligned", "", "", "none", "", "", "", "accept"]
    refused = known.mark(item_id, "gout", *[""] * 8)
    assert "at least one axis" in refused[parts.message]
    assert parts.form not in refused
    marked = known.mark(item_id, "gout", *values)
    assert (marked[parts.chosen], marked[parts.form]["visible"]) == (None, False)
    assert "Medical accuracy: <b>Aligned</b>" in marked[parts.known]
    (item,) = services.calibration.known()
    assert item.expected == {"accuracy": "aligned", "harm": "none", "disposition": "accept"}
    freed = known.unmark("", press("unmark", item_id))
    assert "None yet" in freed[parts.known]
    assert item_id in freed[parts.found]


# Comparisons


def test_answers_that_are_there_are_sent_and_the_batch_shows_how_far_it_is(
    pairs: PairBatchHandlers, services: Services
) -> None:
    with services.database.session() as session:
        for question in ("Q1", "Q2"):
            add_response(session, question=question)
            add_response(session, question=question, text="Other.", adapter=None)
    painted = pairs.start("patient", "patient@1", -1, "base", -1, GIVEN, "", 1, 2, "look")
    assert "1 pair sent to review as “look”" in painted[pairs.parts.message]
    assert "0 of 2" in painted[pairs.parts.batches]
    assert painted[pairs.parts.poll].active is False
    refused = pairs.start("patient", "base", -1, "base", -1, GIVEN, "", 1, 2, "look")
    assert "Two different adapters" in refused[pairs.parts.message]


def test_both_are_asked_anew_and_watched(
    pairs: PairBatchHandlers, services: Services, engine: FakeEngine, tmp_path: Path
) -> None:
    engine.reply = "I am {adapter}."
    adapter = register_adapter(
        services.database, services.settings.folders, make_adapter(tmp_path / "trained", seed=1, rank=2)
    )
    offered = pairs.choose_audience("patient")
    assert offered[pairs.parts.first.adapter]["value"] == adapter
    assert pairs.choose_source(OWN)[pairs.parts.own]["visible"] is True
    painted = pairs.start("patient", adapter, 0.5, "base", -1, OWN, "One?\nTwo?\nThree?", 2, 2, "anew")
    assert painted[pairs.parts.message] == ""
    services.comparing._thread.join(20)
    watched = pairs.watch()
    assert "2 of 2 questions answered by both" in watched[pairs.parts.progress]
    assert watched[pairs.parts.poll].active is False
    assert {request.sampling.temperature for request in engine.requests} > {0.5}
    with services.database.reading() as session:
        assert session.query(ReviewItem).count() == 2
    none = pairs.start("patient", adapter, -1, "base", -1, OWN, " ", 2, 2, "b")
    assert "no question to ask" in none[pairs.parts.message]


# Withdrawing


def test_what_an_answer_has_shaped_is_seen_before_it_is_withdrawn_and_the_set_is_built_without(
    withdrawal: WithdrawalHandlers, services: Services
) -> None:
    with services.database.session() as session:
        first, *_ = add_accepted(session, 12)
        answer = first.id
    services.curation.freeze(CurationRules(), "plain")
    parts = withdrawal.parts
    refused = withdrawal.look("answer", answer, None, " ")
    assert "needs a reason" in refused[parts.message]
    seen = withdrawal.look("answer", f" {answer} ", None, "Outdated.")
    assert "plain@1 (1 row)" in seen[parts.shaped]
    assert seen[parts.confirmation]["visible"] is True
    assert not services.snapshots.show("plain@1").withdrawn
    done = withdrawal.withdraw(seen[parts.asked])
    assert "The answer is withdrawn" in done[parts.message]
    assert done[parts.asked] is None
    assert "1 of 12" in done[parts.sets]
    rebuilt = withdrawal.rebuild(press("rebuild", services.snapshots.show("plain@1").snapshot_id))
    assert "plain@2 holds 11 rows" in rebuilt[parts.message]


def test_a_reviewer_is_withdrawn_after_a_second_press(
    withdrawal: WithdrawalHandlers, services: Services
) -> None:
    with services.database.session() as session:
        add_accepted(session, 3)
    parts = withdrawal.parts
    assert withdrawal.refresh()[parts.reviewer]["choices"] == ["Rater A"]
    seen = withdrawal.look("reviewer", "", "Rater A", "")
    assert "is in no training set" in seen[parts.shaped]
    left = withdrawal.leave()
    assert withdrawal.withdraw(left[parts.asked])
    assert services.reviewers.profile("Rater A").withdrawn_at is None
    done = withdrawal.withdraw(seen[parts.asked])
    assert services.reviewers.profile("Rater A").withdrawn_at is not None
    assert done[parts.reviewer]["choices"] == []
    assert "no reviewer" in withdrawal.look("reviewer", "", None, "")[parts.message]


def test_what_people_wrote_shows_as_text() -> None:
    answer = ImportedAnswer(1, (SimpleNamespace(content=HOSTILE),), HOSTILE, HOSTILE, HOSTILE, "en")  # type: ignore[arg-type]
    dropped = (Dropped(1, HOSTILE),)
    plan = ComparisonPlan("patient", Voice(HOSTILE), Voice("base"), ("Q",), HOSTILE)
    shaped = Destinations(HOSTILE, (SetUse("s", HOSTILE, 1),), (HOSTILE,), (AdapterUse(HOSTILE, "p", True),))
    pages = [
        answer_import_view.render_preview(ImportPreview(1, dropped, (answer,)), {}),
        answer_import_view.render_report(ImportReport(1, dropped, HOSTILE)),
        known_answers_view.render_markable(
            [MarkableItem(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1, False)], searched=True
        ),
        known_answers_view.render_known(
            [KnownItem(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, 1, 1, 1)]
        ),
        pair_batches_view.render_comparison(Comparison(plan, ComparisonState.FAILED, error=HOSTILE)),
        withdrawal_view.render_shaped(shaped, is_reviewer=True),
    ]
    for html in pages:
        assert "<script" not in html
        assert "<img" not in html
        assert "alert(1)" in html
