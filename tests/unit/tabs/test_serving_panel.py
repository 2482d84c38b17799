"""The panel that switches what answers."""

import time

import gradio as gr
import pytest
from base_gguf import write_head
from fake_engine import FakeEngine

from adapters.engines.choice import Choice, EngineKind
from adapters.engines.serving_memory import ServingMemory
from elara_ui.errors import ModelError
from elara_ui.services import Services, build_services, serving_choice
from elara_ui.settings import Settings
from elara_ui.tabs import models_serving
from elara_ui.tabs.models_serving import ServingPanel, build_serving_panel

LLAMACPP, TRANSFORMERS = "smollm2-135m · llama.cpp", "smollm2-135m · transformers"


class Engines:
    """Makes engines; one that is broken can't be loaded."""

    def __init__(self) -> None:
        self.made: list[Choice] = []
        self.broken = False

    def __call__(self, choice: Choice, report: object) -> FakeEngine:
        self.made.append(choice)
        if self.broken:
            raise ModelError("Its file is damaged. Fetch it anew.")
        return FakeEngine()


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
def services(home, engines: Engines, monkeypatch):
    monkeypatch.setattr(models_serving, "LOOK_SECONDS", 0.005)
    services = build_services(Settings.read(home=home.root), engine_factory=engines)
    services.serving.engine()
    yield services
    services.close()


@pytest.fixture
def panel(services: Services) -> ServingPanel:
    with gr.Blocks():
        return build_serving_panel(services)


def test_what_is_here_is_offered_and_what_answers_is_chosen(panel, services, home) -> None:
    write_head(home.root / "mine.gguf")
    services.serving.switch(
        Choice(EngineKind.LLAMACPP, str(home.root / "mine.gguf"), home.root / "mine.gguf")
    )
    while services.serving.status.is_switching:
        time.sleep(0.005)
    updates = panel.refresh()
    assert updates[panel.parts.model]["choices"] == [LLAMACPP, TRANSFORMERS, "mine.gguf · llama.cpp"]
    assert updates[panel.parts.model]["value"] == "mine.gguf · llama.cpp"
    assert "<strong>mine.gguf · llama.cpp</strong>" in updates[panel.parts.answers]
    assert updates[panel.parts.dtype]["visible"] is False
    assert panel.choose(TRANSFORMERS)[panel.parts.dtype]["visible"] is True


def test_a_switch_is_followed_to_its_end(panel, services, engines) -> None:
    *_, last = panel.switch(TRANSFORMERS, "4bit")
    assert engines.made[-1] == Choice(EngineKind.TRANSFORMERS, "smollm2-135m", weights="4bit")
    assert "smollm2-135m 4bit · transformers answers now." in last[panel.parts.message]
    assert last[panel.parts.switch]["interactive"] is True


def test_a_failure_is_told_and_what_answered_goes_on(panel, services, engines) -> None:
    engines.broken = True
    *_, last = panel.switch(TRANSFORMERS, "auto")
    assert "Its file is damaged. Fetch it anew." in last[panel.parts.message]
    assert f"<strong>{LLAMACPP}</strong>" in last[panel.parts.answers]


def test_who_is_short_of_memory_may_insist(panel, services, engines, monkeypatch) -> None:
    monkeypatch.setattr(serving_choice, "reckon_serving", lambda *_: ServingMemory(9 << 30, 1 << 30))
    [refused] = panel.switch(TRANSFORMERS, "auto")
    assert "9.0 GiB" in refused[panel.parts.message]
    assert refused[panel.parts.insist]["visible"] is True
    *_, last = panel.insist(TRANSFORMERS, "auto")
    assert "answers now" in last[panel.parts.message]


def test_nobody_switches_from_a_page_that_others_can_reach(home, engines) -> None:
    settings = Settings.read(home=home.root, host="0.0.0.0", api_keys="k" * 20)
    services = build_services(settings, engine_factory=engines)
    services.serving.engine()
    with gr.Blocks():
        panel = build_serving_panel(services)
    [refused] = panel.switch(TRANSFORMERS, "auto")
    assert "only where Elara listens on this machine alone" in refused[panel.parts.message]
    assert services.serving.choice == engines.made[0]
    services.close()
