"""The header's pill: what answers, how it does, and what is wrong."""

from dataclasses import replace

import pytest
from fake_engine import FakeEngine

from adapters.engines.base import EngineStats
from adapters.engines.choice import Choice, EngineKind
from elara_ui.blocks import CALM_POLL_SECONDS, SERVING_POLL_SECONDS, watch_serving
from elara_ui.services import Services
from elara_ui.services.serving import ServingState, ServingStatus, Switching
from elara_ui.tabs.serving_view import describe_stats, render_serving

STATS = EngineStats(
    running=1,
    waiting=2,
    answered=1200,
    cancelled=3,
    failed=0,
    prompt_tokens=1000,
    cached_tokens=610,
    generated_tokens=45_000,
    adapters=1,
    seconds=7200.0,
)
LOCAL = Choice(EngineKind.LLAMACPP, "smollm2-135m")
READY = ServingStatus(ServingState.READY, "Ready.", stats=STATS)


def test_the_figures_are_told_in_words() -> None:
    assert describe_stats(STATS) == (
        "Up for 2 hours with 1 adapter. 1,200 answers, 3 stopped, 0 failed; 45,000 tokens written. "
        "61% of all prompts was remembered. Now 1 being written, 2 waiting."
    )
    unknown = describe_stats(replace(STATS, waiting=None, prompt_tokens=0))
    assert "waiting" not in unknown
    assert "remembered" not in unknown


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (Choice(EngineKind.LLAMACPP, "smollm2-135m"), "smollm2-135m · llama.cpp"),
        (Choice(EngineKind.TRANSFORMERS, "owner/name", weights="4bit"), "owner/name 4bit · transformers"),
        (Choice(EngineKind.REMOTE, "/models/large"), "large · another machine"),
    ],
)
def test_the_pill_names_model_and_engine(choice: Choice, name: str) -> None:
    html = render_serving(replace(READY, choice=choice))
    assert f">{name}</span>" in html
    assert 'class="el-pill el-ready" title="Ready. Up for' in html


def test_a_model_on_its_way_stands_beside_the_one_that_answers() -> None:
    coming = Switching(Choice(EngineKind.LLAMACPP, "owner/name"), "Loading the model.", 0.4)
    html = render_serving(replace(READY, choice=LOCAL, switching=coming))
    assert ">smollm2-135m · llama.cpp</span>" in html
    assert ">owner/name · llama.cpp: loading the model. 40%</span>" in html
    assert "loading" not in render_serving(replace(READY, switching=replace(coming, failed=True)))


def test_what_is_wrong_unfolds_and_is_shown_as_text() -> None:
    warnings = ("patient@1 can't be served. It says <b>what</b> the base says.", "The server is lost. Look.")
    html = render_serving(replace(READY, warnings=warnings))
    assert "<summary>patient@1 can&#x27;t be served, and 1 more</summary>" in html
    assert "&lt;b&gt;what&lt;/b&gt;" in html
    assert "The server is lost. Look." in html
    assert "details" not in render_serving(READY)


def test_a_model_is_watched_closely_until_it_is_there_and_now_and_then_for_good(
    services: Services, engine: FakeEngine
) -> None:
    _, timer, _ = watch_serving(services)
    assert (timer.active, timer.value) == (True, SERVING_POLL_SECONDS)
    services.serving.engine()
    engine.trouble = "The server is lost. Look whether it runs."
    header, timer, base_model = watch_serving(services)
    assert (timer.active, timer.value) == (True, CALM_POLL_SECONDS)
    assert "Look whether it runs." in header
    assert base_model == "smollm2-135m"


def test_the_status_carries_what_the_engine_did(services: Services) -> None:
    assert services.serving.status.stats is None
    list(services.chat.ask_once(services.chat.check("patient", "What is asthma?")))
    stats = services.serving.status.stats
    assert stats is not None
    assert (stats.answered, stats.generated_tokens) == (1, 4)
