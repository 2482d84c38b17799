"""Putting an adapter on the hub from the page: with a token, checked first, and confirmed."""

from pathlib import Path

import gradio as gr
import pytest
from adapter_factory import make_adapter, register_adapter

from db.home import Home
from db.session import Database
from elara_ui.errors import AdapterError, InvalidInput
from elara_ui.services import Services
from elara_ui.services.exporting import Exported, ExportService, Target
from elara_ui.tabs.hub_push import AdapterShelf, HubHandlers, Push, build_hub_push


@pytest.fixture
def adapter(database: Database, home: Home, tmp_path: Path) -> str:
    return register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))


@pytest.fixture
def panel(services: Services, monkeypatch: pytest.MonkeyPatch) -> HubHandlers:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with gr.Blocks():
        return build_hub_push(AdapterShelf(services), gr.State(""), "hub-push")


@pytest.fixture
def pushed(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What was uploaded."""
    given: list[tuple[object, ...]] = []

    def export(name: str, target: Target, place: str, *, public: bool) -> Exported:
        given.append((name, target, place, public))
        return Exported(name, target, "https://hub/clinic/patient/commit/1", ())

    monkeypatch.setattr(services.exports, "export", export)
    return given


def test_without_a_token_it_says_how_to_set_one(panel: HubHandlers, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = panel.follow("patient@1")
    assert (shown[panel.parts.panel]["visible"], shown[panel.parts.form]["visible"]) == (True, True)
    monkeypatch.setenv("HF_TOKEN", " ")
    shown = panel.follow("patient@1")
    assert (shown[panel.parts.lacking]["visible"], shown[panel.parts.form]["visible"]) == (True, False)
    assert "HF_TOKEN" in panel.parts.lacking.value
    assert panel.follow("")[panel.parts.panel]["visible"] is False


def test_nothing_leaves_before_it_is_confirmed(
    panel: HubHandlers, adapter: str, pushed: list[tuple[object, ...]]
) -> None:
    asked = panel.ask(adapter, " clinic/patient ", False)
    assert asked[panel.parts.confirmation]["visible"] is True
    assert "Only its owner" in asked[panel.parts.question]
    assert pushed == []
    going, done = panel.push(asked[panel.parts.asked])
    assert going[panel.parts.asked] is None  # a second press pushes nothing
    assert pushed == [(adapter, Target.HUB, "clinic/patient", False)]
    assert 'href="https://hub/clinic/patient/commit/1"' in done[panel.parts.message]


def test_leaving_it_forgets_what_was_asked(panel: HubHandlers, pushed: list[tuple[object, ...]]) -> None:
    left = panel.leave()
    assert left[panel.parts.confirmation]["visible"] is False
    assert list(panel.push(left[panel.parts.asked]))
    assert pushed == []


def test_public_is_said_before_it_is_confirmed(panel: HubHandlers, adapter: str) -> None:
    assert "Everybody can see it" in panel.ask(adapter, "clinic/patient", True)[panel.parts.question]


def test_what_can_t_be_pushed_is_never_asked_to_be_confirmed(panel: HubHandlers, adapter: str) -> None:
    painted = panel.ask(adapter, "no-owner", False)
    assert "is written owner/name" in painted[panel.parts.message]
    assert painted[panel.parts.asked] is None
    assert "needs a repository" in panel.ask(adapter, "", False)[panel.parts.message]


def test_a_refusal_of_the_hub_is_said_and_can_be_tried_again(
    panel: HubHandlers, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AdapterError("The hub did not take the adapter.")

    monkeypatch.setattr(services.exports, "export", refuse)
    *_, done = panel.push(Push("patient@1", "clinic/patient", public=False))
    assert "did not take" in done[panel.parts.message]
    assert done[panel.parts.ask]["interactive"] is True


def test_a_page_that_others_can_reach_pushes_nothing(
    database: Database, home: Home, adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(InvalidInput, match="listens on this machine alone"):
        ExportService(database, home, is_local=False).check_push(adapter, "clinic/patient")
