"""The header's pill: what answers, how it does, and what is wrong."""

from dataclasses import replace

from fake_engine import FakeEngine

from adapters.engines.base import EngineStats
from elara_ui.blocks import REMOTE_POLL_SECONDS, SERVING_POLL_SECONDS, watch_serving
from elara_ui.services import Services
from elara_ui.services.serving import ServingState, ServingStatus
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
READY = ServingStatus(ServingState.READY, "Ready.", stats=STATS)


def test_the_figures_are_told_in_words() -> None:
    assert describe_stats(STATS) == (
        "Up for 2 hours with 1 adapter. 1,200 answers, 3 stopped, 0 failed; 45,000 tokens written. "
        "61% of all prompts was remembered. Now 1 being written, 2 waiting."
    )
    unknown = describe_stats(replace(STATS, waiting=None, prompt_tokens=0))
    assert "waiting" not in unknown
    assert "remembered" not in unknown


def test_another_machine_is_named_as_such() -> None:
    assert ">smollm2-135m</span>" in render_serving(READY, "smollm2-135m", remote=False)
    assert ">smollm2-135m, on another machine</span>" in render_serving(READY, "smollm2-135m", remote=True)


def test_what_is_wrong_unfolds_and_is_shown_as_text() -> None:
    warnings = ("patient@1 can't be served. It says <b>what</b> the base says.", "The server is lost. Look.")
    html = render_serving(replace(READY, warnings=warnings), "base", remote=True)
    assert "<summary>patient@1 can&#x27;t be served, and 1 more</summary>" in html
    assert "&lt;b&gt;what&lt;/b&gt;" in html
    assert "The server is lost. Look." in html
    assert "details" not in render_serving(READY, "base", remote=True)


def test_a_local_model_is_watched_until_it_is_there_and_another_machine_s_for_good(
    services: Services, engine: FakeEngine
) -> None:
    _, timer = watch_serving(services)
    assert (timer.active, timer.value) == (True, SERVING_POLL_SECONDS)
    services.serving.engine()
    _, timer = watch_serving(services)
    assert timer.active is False
    engine.is_remote = True
    engine.trouble = "The server is lost. Look whether it runs."
    header, timer = watch_serving(services)
    assert (timer.active, timer.value) == (True, REMOTE_POLL_SECONDS)
    assert "Look whether it runs." in header


def test_the_status_carries_what_the_engine_did(services: Services) -> None:
    assert services.serving.status.stats is None
    list(services.chat.ask_once(services.chat.check("patient", "What is asthma?")))
    stats = services.serving.status.stats
    assert stats is not None
    assert (stats.answered, stats.generated_tokens) == (1, 4)
