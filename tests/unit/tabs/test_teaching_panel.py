"""The panel in which a finished adapter is let teach."""

from pathlib import Path

import gradio as gr
import pytest
from adapter_factory import make_adapter, register_adapter

from adapters.training.rejects import RejectExample, Rejects
from db.home import Home
from db.session import Database
from elara_ui.errors import IdentifiersFound, InvalidInput
from elara_ui.services import Services
from elara_ui.services.teaching import Teaching, TeachingPlan, TeachingState, Use
from elara_ui.services.training import DataChoice, DataSource
from elara_ui.tabs.teaching import Seen, TeachingHandlers, build_teaching
from elara_ui.tabs.teaching_view import render_teaching

PLAN = TeachingPlan("patient@1", DataChoice(DataSource.STARTER), Use.TRAIN, "owner/big")
GOING = Teaching(PLAN, TeachingState.ANSWERING, 3, 30, "Rest <b>now</b>.")


@pytest.fixture
def panel(services: Services) -> TeachingHandlers:
    with gr.Blocks():
        return build_teaching(services)


@pytest.fixture
def started(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[TeachingPlan]:
    """What was asked to be taught."""
    plans: list[TeachingPlan] = []

    def start(plan: TeachingPlan) -> Teaching:
        plans.append(plan)
        services.teaching._current = GOING
        return GOING

    monkeypatch.setattr(services.teaching, "start", start)
    return plans


def test_it_is_offered_once_there_is_an_adapter(
    panel: TeachingHandlers, database: Database, home: Home, tmp_path: Path
) -> None:
    assert panel.parts.seen in panel.refresh(Seen())  # nothing is there, and nothing is painted
    assert panel.parts.panel not in panel.refresh(Seen())
    register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))
    painted = panel.refresh(Seen())
    assert painted[panel.parts.panel]["visible"] is True
    assert painted[panel.parts.teacher]["value"] == "patient@1"
    register_adapter(database, home, make_adapter(tmp_path / "next", seed=2, rank=2))
    again = panel.refresh(painted[panel.parts.seen])
    assert set(again[panel.parts.teacher]["choices"]) == {"patient@1", "patient@2"}
    assert "value" not in again[panel.parts.teacher]  # what was picked stays


def test_a_start_hands_over_what_is_filled_in(panel: TeachingHandlers, started: list[TeachingPlan]) -> None:
    painted = panel.start(Seen(), "patient@1", "starter", "train", " owner/big ", 0, 0, False)
    panel.start(Seen(), "patient@1", "ab12", "review", "owner/big", 9.5, 200.0, True)
    stored = DataChoice(DataSource.SNAPSHOT, reference="ab12")
    assert started == [PLAN, TeachingPlan("patient@1", stored, Use.REVIEW, "owner/big", 9.5, 200, True)]
    assert painted[panel.parts.start]["interactive"] is False
    assert painted[panel.parts.stop]["visible"] is True
    assert "Rest &lt;b&gt;now&lt;/b&gt;." in painted[panel.parts.report]


def test_nothing_new_paints_nothing(panel: TeachingHandlers, started: list[TeachingPlan]) -> None:
    painted = panel.start(Seen(), "patient@1", "starter", "train", "owner/big", None, None, False)
    assert set(panel.refresh(painted[panel.parts.seen])) == {panel.parts.seen}


def test_a_refusal_is_said(
    panel: TeachingHandlers, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(plan: TeachingPlan) -> Teaching:
        raise InvalidInput("No teacher is chosen.")

    monkeypatch.setattr(services.teaching, "start", refuse)
    painted = panel.start(Seen(), None, "starter", "store", "", None, None, False)
    assert "No teacher is chosen." in painted[panel.parts.message]
    assert panel.parts.report not in painted


def test_likely_identifiers_are_shown_and_consent_holds_for_these_questions_only(
    panel: TeachingHandlers, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(plan: TeachingPlan) -> Teaching:
        raise IdentifiersFound(
            "The questions likely hold some.", {"e-mail address": 1}, ("[e-mail address]",)
        )

    monkeypatch.setattr(services.teaching, "start", refuse)
    asked = panel.start(Seen(), "patient@1", "ab12", "store", "", None, None, False)
    assert "The questions likely hold some." in asked[panel.parts.message]
    assert "[e-mail address]" in asked[panel.parts.message]
    assert (asked[panel.parts.accept]["visible"], asked[panel.parts.accept]["value"]) == (True, False)
    forgotten = panel.forget_consent()[panel.parts.accept]
    assert (forgotten["visible"], forgotten["value"]) == (False, False)


def test_a_base_model_is_asked_for_only_to_train(panel: TeachingHandlers) -> None:
    assert panel.choose_use("train")[panel.parts.base_model]["visible"] is True
    assert panel.choose_use("review")[panel.parts.base_model]["visible"] is False


def test_the_report_says_what_passed_and_why_the_rest_did_not() -> None:
    rejects = (Rejects("answer cut off", 2, (RejectExample(4, "Why? → <i>So"),)),)
    ended = Teaching(PLAN, TeachingState.DONE, 30, 30, "", 28, rejects, "5e7", "abc")
    html = render_teaching(ended)
    assert "<b>28</b> of 30 answers passed" in html
    assert "2 left out: answer cut off" in html
    assert "<i>So" not in html
    assert "Run abc teaches them to owner/big" in html
    assert "adapters distill patient@1 --prompts starter --base owner/big --train" in html
    assert render_teaching(None) == ""
