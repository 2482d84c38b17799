"""The datasets tab's handlers and views, on real services and unlaunched components."""

import json
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from curation_factory import add_accepted, reject
from factories import add_response, add_review

from db.models import ReviewItem
from elara_ui.services import Services
from elara_ui.tabs.datasets import build_datasets_tab
from elara_ui.tabs.datasets_handlers import DatasetsHandlers
from elara_ui.tabs.datasets_parts import DatasetsState, read_rules

REVIEWER = "Rater A"
"""Has judged all that is here."""


@pytest.fixture
def tab(services: Services) -> DatasetsHandlers:
    with services.database.session() as session:
        add_accepted(session, 12)
        reject(session, add_response(session, text="<b>Bad</b>", question="Why <i>me</i>?"))
    with gr.Blocks():
        return build_datasets_tab(services, gr.BrowserState(""))


def values(tab: DatasetsHandlers, **changed: Any) -> list[Any]:
    """The form as it is at first, with some rules changed."""
    by_label = {part.label: part.value for part in tab.parts.rules.inputs}
    assert changed.keys() <= by_label.keys()
    return list((by_label | changed).values())


def press(act: str, item: str = "") -> Any:
    return SimpleNamespace(act=act, item=item)


def test_the_form_at_first_asks_for_the_plain_rules(tab: DatasetsHandlers) -> None:
    rules = read_rules(DatasetsState(), values(tab))
    assert rules == type(rules)()
    narrowed = values(
        tab, **{"Audiences": ["doctor"], "Readability": ["right"], "Answers since": "2026-01-31"}
    )
    chosen = read_rules(DatasetsState(), narrowed)
    assert (chosen.audiences, chosen.axes, str(chosen.since)) == (
        ("doctor",), {"readability": ("right",)}, "2026-01-31",
    )  # fmt: skip


def test_every_change_counts_anew_and_shows_the_first_page(tab: DatasetsHandlers) -> None:
    updates = tab.change(REVIEWER, DatasetsState(), "in", *values(tab))
    assert "<b>12</b> rows" in updates[tab.parts.rows.count]
    assert "rejected by a reviewer" in updates[tab.parts.rows.count]
    assert updates[tab.parts.rows.list].count("el-row-card") == 10
    state = updates[tab.parts.state]
    more = tab.more(REVIEWER, state, "in", *values(tab))
    assert more[tab.parts.rows.list].count("el-row-card") == 2
    back = tab.back(REVIEWER, more[tab.parts.state], "in", *values(tab))
    assert back[tab.parts.rows.list] == updates[tab.parts.rows.list]
    none = tab.change(REVIEWER, DatasetsState(), "in", *values(tab, Audiences=["doctor"]))
    assert "Loosen them" in none[tab.parts.rows.list]
    wrong = tab.change(REVIEWER, DatasetsState(), "in", *values(tab, **{"Answers since": "soon"}))
    assert "since" in wrong[tab.parts.rows.count]


def test_what_people_wrote_is_shown_as_text(tab: DatasetsHandlers) -> None:
    shown = tab.change(REVIEWER, DatasetsState(), "out", *values(tab))[tab.parts.rows.list]
    assert "&lt;b&gt;Bad&lt;/b&gt;" in shown
    assert "Why &lt;i&gt;me" in shown


def test_picking_by_hand_needs_a_reason_and_can_be_undone(tab: DatasetsHandlers, services: Services) -> None:
    page = services.curation.preview(read_rules(DatasetsState(), values(tab)), show="in", reviewer=REVIEWER)
    answer = page.rows[0].response_id
    refused = tab.pick(press("exclude", answer), " ", REVIEWER, DatasetsState(), "in", *values(tab))
    assert "Say why first" in refused[tab.parts.rows.message]
    updates = tab.pick(press("exclude", answer), "too dull", REVIEWER, DatasetsState(), "in", *values(tab))
    state = updates[tab.parts.state]
    assert state.exclude == {answer: "too dull"}
    assert "<b>11</b> rows" in updates[tab.parts.rows.count]
    out = tab.change(REVIEWER, state, "out", *values(tab))[tab.parts.rows.list]
    assert "excluded by hand: too dull" in out
    undone = tab.pick(press("reset", answer), "", REVIEWER, state, "in", *values(tab))
    assert "<b>12</b> rows" in undone[tab.parts.rows.count]


def test_a_set_is_checked_frozen_listed_and_written_out(tab: DatasetsHandlers, services: Services) -> None:
    *_, checked = tab.check(REVIEWER, DatasetsState(), "in", *values(tab))
    assert "No prompt is in an evaluation set" in checked[tab.parts.freezing.report]
    assert checked[tab.parts.freezing.freeze]["interactive"]
    *_, refused = tab.freeze("", False, False, REVIEWER, DatasetsState(), "in", *values(tab))
    assert "name has 1 to 100" in refused[tab.parts.freezing.message]
    *_, made = tab.freeze("plain", False, False, REVIEWER, DatasetsState(), "in", *values(tab))
    assert "plain@1" in made[tab.parts.freezing.message]
    assert "plain@1" in made[tab.parts.sets.list]
    (found,) = services.snapshots.list()
    opened = tab.act(False, REVIEWER, DatasetsState(), press("details", found.snapshot_id))
    assert found.sha256 in opened[tab.parts.sets.details]
    written = tab.act(False, REVIEWER, DatasetsState(), press("export-jsonl", found.snapshot_id))
    assert "12 rows written" in written[tab.parts.sets.message]
    assert (services.settings.folders.exports / "plain-1.jsonl").is_file()


def test_identifiers_are_shown_and_asked_about(tab: DatasetsHandlers, services: Services) -> None:
    with services.database.session() as session:
        add_review(session, add_response(session, text="Write to jo@example.org."))
    *_, checked = tab.check(REVIEWER, DatasetsState(), "in", *values(tab))
    assert "jo@example.org" in checked[tab.parts.freezing.report]
    assert checked[tab.parts.freezing.accept]["visible"]
    *_, refused = tab.freeze("plain", False, False, REVIEWER, DatasetsState(), "in", *values(tab))
    assert "confirm" in refused[tab.parts.freezing.message]
    *_, _ = tab.freeze("plain", True, False, REVIEWER, DatasetsState(), "in", *values(tab))
    (found,) = services.snapshots.list()
    asked = tab.act(False, REVIEWER, DatasetsState(), press("export-jsonl", found.snapshot_id))
    assert asked[tab.parts.sets.confirm]["visible"]
    assert (
        "written"
        in tab.act(True, REVIEWER, DatasetsState(), press("export-jsonl", found.snapshot_id))[
            tab.parts.sets.message
        ]
    )


def test_two_sets_are_compared(tab: DatasetsHandlers, services: Services) -> None:
    list(tab.freeze("plain", False, False, REVIEWER, DatasetsState(), "in", *values(tab)))
    with services.database.session() as session:
        add_review(session, add_response(session, text="New.", question="A wholly new matter?"))
    list(tab.freeze("plain", False, False, REVIEWER, DatasetsState(), "in", *values(tab)))
    newer, older = services.snapshots.list()
    state = tab.act(False, REVIEWER, DatasetsState(), press("pick", older.snapshot_id))[tab.parts.state]
    compared = tab.act(False, REVIEWER, state, press("pick", newer.snapshot_id))
    assert "A wholly new matter?" in compared[tab.parts.sets.details]
    assert compared[tab.parts.state].sets == (older.snapshot_id, newer.snapshot_id)
    closed = tab.act(False, REVIEWER, compared[tab.parts.state], press("close"))
    assert closed[tab.parts.sets.details] == ""


def test_the_lists_follow_what_there_is(tab: DatasetsHandlers) -> None:
    updates = tab.refresh(REVIEWER, DatasetsState(), "in", *values(tab))
    only_by = next(part for part in tab.parts.rules.lists if part.label == "Only by")
    assert updates[only_by]["choices"] == ["Rater A"]
    assert "None yet" in updates[tab.parts.sets.list]


def test_of_an_answer_that_waits_for_another_reviewer_nothing_is_told(
    tab: DatasetsHandlers, services: Services
) -> None:
    rows = tab.parts.rows
    for looking in ("", "Rater B"):
        shown = tab.change(looking, DatasetsState(), "in", *values(tab))
        assert "<b>12</b> rows" in shown[rows.count]
        assert shown[rows.list].count("still to judge this answer") == 10
        assert not any(word in shown[rows.list] for word in ("patient@1", "accepted", "asthma", "data-item"))
    with services.database.session() as session:
        for item in session.query(ReviewItem):
            item.wanted = 1
    assert "patient@1" in tab.change("", DatasetsState(), "in", *values(tab))[rows.list]
    with services.database.session() as session:
        for item in session.query(ReviewItem):
            item.expected = {"accuracy": "aligned"}
    assert "patient@1" not in tab.change("", DatasetsState(), "in", *values(tab))[rows.list]


@pytest.mark.parametrize("looking", ["", "Rater B", None])
def test_check_refusals_comparison_and_export_tell_nothing_of_it_either(
    tab: DatasetsHandlers, services: Services, looking: str | None
) -> None:
    known = {"question": "What should I know about asthma inhalers?"}
    exam = services.settings.folders.evaluation / "exam.jsonl"
    exam.write_text(json.dumps(known), encoding="utf-8")
    with services.database.session() as session:
        add_review(session, add_response(session, text="Write to jo@example.org.", question="Whom to ask?"))
    secret = ("inhalers", "Whom to ask", "Write to", "jo@example", "patient@1")

    *_, checked = tab.check(looking, DatasetsState(), "in", *values(tab))
    *_, refused = tab.freeze("plain", False, False, looking, DatasetsState(), "in", *values(tab))
    *_, _ = tab.freeze("plain", True, True, looking, DatasetsState(), "in", *values(tab))
    (older,) = services.snapshots.list()
    with services.database.session() as session:
        add_review(
            session, add_response(session, text="Write to al@example.org.", question="Whom to ask now?")
        )
    *_, _ = tab.freeze("plain", True, True, looking, DatasetsState(), "in", *values(tab))
    newer, _ = services.snapshots.list()
    both = DatasetsState(sets=(older.snapshot_id,))
    compared = tab.act(False, looking, both, press("pick", newer.snapshot_id))
    asked = tab.act(False, looking, DatasetsState(), press("export-jsonl", newer.snapshot_id))

    report, details = checked[tab.parts.freezing.report], compared[tab.parts.sets.details]
    assert "1 row shares a prompt" in report
    assert "1 × e-mail address" in report
    assert report.count("1 of these rows is not shown") == 2
    assert "share one (1 rows). Leave" in refused[tab.parts.freezing.message]
    assert "<b>1</b><span>added" in details
    assert "1 of these rows is not shown" in details
    assert "2 × e-mail address" in asked[tab.parts.sets.message]
    told = (report, refused[tab.parts.freezing.message], details, asked[tab.parts.sets.message])
    assert not [(word, text) for word in secret for text in told if word in text]

    *_, checked = tab.check(REVIEWER, DatasetsState(), "in", *values(tab))
    compared = tab.act(False, REVIEWER, both, press("pick", newer.snapshot_id))
    asked = tab.act(False, REVIEWER, DatasetsState(), press("export-jsonl", newer.snapshot_id))
    assert "inhalers" in checked[tab.parts.freezing.report]
    assert "jo@example.org" in checked[tab.parts.freezing.report]
    assert "Whom to ask now?" in compared[tab.parts.sets.details]
    assert "Write to" in asked[tab.parts.sets.message]
