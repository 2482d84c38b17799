"""The adjudication tab unlaunched: opening, settling, reopening, and that texts show as text."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from factories import add_response, add_review

from db.adjudications import triggers
from db.vocabulary import Disposition
from elara_ui.services import Services
from elara_ui.services.adjudication import (
    AdjudicationList,
    AdjudicationTask,
    ContestedItem,
    Settled,
    SettledPage,
)
from elara_ui.services.insights import Opinion, Settlement
from elara_ui.tabs import adjudication_view
from elara_ui.tabs.adjudication import build_adjudication_tab
from elara_ui.tabs.adjudication_handlers import AdjudicationHandlers, AdjudicationState

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'>"
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def tab(services: Services) -> AdjudicationHandlers:
    with gr.Blocks():
        return build_adjudication_tab(services, gr.BrowserState(""))


@pytest.fixture
def item_id(services: Services) -> str:
    """An answer that Rater A accepts and Rater B corrects, finding severe harm."""
    with services.database.session() as session:
        response = add_response(session)
        add_review(session, response, "Rater A")
        edit = {"disposition": "accept_with_edit", "correction": "Better."}
        item = add_review(session, response, "Rater B", harm="severe", harm_likelihood="low", **edit).item
        session.refresh(item)
        item.contested = bool(triggers(item.reviews))
        return item.id


def press(act: str, item: str) -> Any:
    return SimpleNamespace(act=act, item=item)


def test_without_a_name_the_tab_explains_itself(tab: AdjudicationHandlers, item_id: str) -> None:
    updates = tab.refresh("", AdjudicationState())
    assert "severe harm or under-triage" in updates[tab.parts.waiting]
    assert item_id not in updates[tab.parts.waiting]
    assert "Nothing was settled" in updates[tab.parts.settled]


def test_an_answer_opens_with_all_its_reviews_and_nothing_of_what_made_it(
    tab: AdjudicationHandlers, item_id: str
) -> None:
    begun = tab.begin(" Judge ")
    assert begun[tab.parts.reviewer] == "Judge"
    assert item_id in begun[tab.parts.waiting]
    updates = tab.open("Judge", AdjudicationState(), press("open", item_id))
    shown = updates[tab.parts.task]
    assert "Rater A" in shown
    assert "Severe or death" in shown
    assert "≠ differs" in shown
    assert "patient@1" not in shown
    assert updates[tab.parts.correction] == "Asthma makes the airways tight."
    assert updates[tab.parts.desk]["visible"]


def test_who_has_judged_an_answer_is_told_so(tab: AdjudicationHandlers, item_id: str) -> None:
    updates = tab.open("Rater A", AdjudicationState(), press("open", item_id))
    assert "Leave it to a colleague" in updates[tab.parts.message]
    assert "1 more waits for somebody else" in updates[tab.parts.waiting]


def test_a_reviewers_correction_can_be_taken_over(tab: AdjudicationHandlers, item_id: str) -> None:
    state = AdjudicationState(item_id)
    assert tab.use("Judge", state, press("use", "1")) == {tab.parts.correction: "Better."}
    assert tab.parts.correction not in tab.use("Judge", state, press("use", "0"))
    assert tab.parts.correction not in tab.use("Judge", state, press("use", "9"))


def test_a_refused_decision_stays_as_filled_in(tab: AdjudicationHandlers, item_id: str) -> None:
    updates = tab.decide(Disposition.REJECT, "Judge", AdjudicationState(item_id), "", "")
    assert list(updates) == [tab.parts.trouble]
    assert "needs a note" in updates[tab.parts.trouble]


def test_a_decision_is_told_with_its_maker_listed_and_reopened_with_a_reason(
    tab: AdjudicationHandlers, item_id: str
) -> None:
    answer = "Asthma makes the airways tight."
    done = tab.decide(Disposition.ACCEPT, "Judge", AdjudicationState(item_id), answer, "It is right.")
    assert "made by patient@1" in done[tab.parts.message]
    assert "It is right." in done[tab.parts.settled]
    assert not done[tab.parts.desk]["visible"]
    asked = tab.ask_reason(done[tab.parts.state], press("reopen", item_id))
    assert asked[tab.parts.reopening]["visible"]
    state = asked[tab.parts.state]
    assert "needs a note" in tab.reopen("Chief", state, " ")[tab.parts.message]
    reopened = tab.reopen("Chief", state, "A new guideline.")
    assert item_id in reopened[tab.parts.waiting]
    assert "Nothing was settled" in reopened[tab.parts.settled]
    assert reopened[tab.parts.state].reopening is None


def test_names_and_texts_show_as_text() -> None:
    opinion = Opinion(HOSTILE, False, HOSTILE, Disposition.REJECT, (HOSTILE,) * 7, (), HOSTILE, HOSTILE, NOW)
    task = AdjudicationTask("i", HOSTILE, HOSTILE, (), HOSTILE, (), (opinion,), 1)
    settlement = Settlement(HOSTILE, Disposition.REJECT, None, HOSTILE, NOW)
    done = Settled("i", "r", HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), settlement)
    waiting = AdjudicationList((ContestedItem("i", HOSTILE, HOSTILE, (), 2, NOW),), 1, 0)
    for html in (
        adjudication_view.render_task(task, {}),
        adjudication_view.render_settled(SettledPage((done,), None)),
        adjudication_view.render_waiting(waiting, None),
    ):
        assert "<script" not in html
        assert "<img" not in html
        assert "alert(1)" in html


def test_who_reviews_is_who_settles_and_somebody_else_starts_over(
    tab: AdjudicationHandlers, item_id: str
) -> None:
    parts = tab.parts
    asked = tab.refresh("", AdjudicationState())
    assert (asked[parts.asking]["visible"], asked[parts.who]) == (True, "")
    assert "1 to 120 characters" in tab.begin("  ")[parts.message]
    known = tab.refresh("Judge", AdjudicationState())
    assert known[parts.asking]["visible"] is False
    assert "You settle as <b>Judge</b>" in known[parts.who]
    opened = tab.open("Judge", known[parts.state], press("open", item_id))[parts.state]
    assert parts.desk not in tab.refresh("Judge", opened)
    other = tab.refresh("Somebody else", opened)
    assert other[parts.desk]["visible"] is False
    assert other[parts.state].item_id is None
