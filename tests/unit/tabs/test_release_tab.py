"""The release tab: what it offers, what it says when refused, and what it shows of the past."""

from pathlib import Path

import gradio as gr
import pytest
from adapter_factory import register_adapter

from db.home import Home
from elara_ui.services import Services
from elara_ui.tabs.release import build_release_tab
from elara_ui.tabs.release_handlers import ReleaseHandlers


@pytest.fixture
def tab(services: Services, home: Home, small_lora: Path) -> ReleaseHandlers:
    """The tab on a home with a live version and a candidate."""
    for _ in range(2):
        register_adapter(services.database, home, small_lora, metrics={})
    services.release.promote("patient@1", "Ada", "first <b>look</b>")
    with gr.Blocks():
        return build_release_tab(services)


def test_it_shows_what_answers_what_might_and_who_decided(tab: ReleaseHandlers) -> None:
    painted, parts = tab.refresh("Dr Lind", "patient", None, ""), tab.parts
    assert painted[parts.choice.by] == "Dr Lind"
    assert painted[parts.choice.candidate]["value"] == "patient@2"
    assert "patient@2 against patient@1" in painted[parts.gate]
    assert painted[parts.gate].count("not measured") == 3
    assert "first &lt;b&gt;look" in painted[parts.history]
    assert "by Ada" in painted[parts.history]
    assert painted[parts.buttons.roll_back]["value"] == "Roll back to base model"
    assert tab.refresh("Dr Lind", "patient", None, "Ben")[parts.choice.by] == "Ben"


def test_an_audience_without_versions_offers_nothing(tab: ReleaseHandlers) -> None:
    painted, parts = tab.choose_audience("doctor"), tab.parts
    assert painted[parts.gate] == ""
    assert not painted[parts.buttons.promote]["interactive"]
    assert not painted[parts.buttons.roll_back]["interactive"]
    assert "train one in Fine-tune" in painted[parts.standing]


def test_promoting_asks_for_a_reason_then_does_it_and_tells_the_chat(tab: ReleaseHandlers) -> None:
    parts = tab.parts
    refused = tab.promote("patient", "patient@2", "Ada", "", 4)
    assert "say why" in refused[parts.message]
    assert parts.promoted not in refused
    done = tab.promote("patient", "patient@2", "Ada", "plainer", 4)
    assert (done[parts.promoted], done[parts.choice.why]) == (5, "")
    assert "patient@2 now answers for patient" in done[parts.message]
    back = tab.roll_back("patient", None, "Ada", "", 5)
    assert "patient@1 answers patient again" in back[parts.message]
    assert back[parts.history].index("back to patient@1") < back[parts.history].index("made live")


def test_a_trial_is_started_shown_and_stopped_by_one_button(tab: ReleaseHandlers) -> None:
    parts = tab.parts
    started = tab.turn_trial("patient", "patient@2", "Ada", "a few", 10)
    assert "10% of new conversations" in started[parts.message]
    assert "Trial of patient@2" in started[parts.trial]
    assert started[parts.buttons.trial]["value"] == "Stop trying patient@2"
    stopped = tab.turn_trial("patient", "patient@2", "Ada", "", 10)
    assert stopped[parts.trial] == ""
    assert "no longer tried" in stopped[parts.message]
    assert "0 conversations" in stopped[parts.history]
