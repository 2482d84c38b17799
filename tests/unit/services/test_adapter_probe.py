"""Adapters from elsewhere are tried in what serves, and only then may they answer."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from adapter_factory import make_base_folder, make_tiny_peft, register_adapter
from fake_engine import FakeEngine

from adapters.probing import QUESTIONS, Probe
from elara_ui.errors import AdapterError, InvalidInput, NotFound
from elara_ui.services import Services
from elara_ui.services.adapter_probe import ProbeState
from elara_ui.services.adapters import ProbeStanding


@pytest.fixture
def uploaded(services: Services, engine: FakeEngine, tmp_path: Path) -> str:
    """A candidate that was brought in, for the base model that answers."""
    base = make_base_folder(tmp_path / "base")
    engine.base_model = str(base)
    accepted = services.intake.take_in([make_tiny_peft(tmp_path / "peft")], "patient", str(base), "Dr A")
    services.serving.engine()
    return accepted.name


def settle(look: Callable[[], bool]) -> None:
    for _ in range(500):
        if look():
            return
        time.sleep(0.01)
    raise AssertionError("It didn't come to an end.")


def standing(services: Services) -> ProbeStanding:
    return services.adapters.versions()[0].probe


def test_an_adapter_that_speaks_passes_and_may_be_made_live(
    services: Services, engine: FakeEngine, uploaded: str
) -> None:
    engine.reply = "This is what {adapter} has to say about that."
    assert standing(services) is ProbeStanding.UNTRIED
    with pytest.raises(AdapterError, match="must pass its probe"):
        services.release.promote(uploaded, "A tester", "for a test")
    heard: list[int] = []
    probe = services.probes.run(uploaded, heard.append)
    assert (probe.passed, heard) == (True, [1, 2, 3])
    assert [each.question for each in probe.tried] == list(QUESTIONS)
    assert uploaded in probe.tried[0].adapter
    assert "None" in probe.tried[0].base
    assert standing(services) is ProbeStanding.PASSED
    assert services.release.promote(uploaded, "A tester", "for a test").name == uploaded


def test_it_is_asked_greedily_and_as_its_audience_is(
    services: Services, engine: FakeEngine, uploaded: str
) -> None:
    services.probes.run(uploaded)
    recipe = services.recipes["patient"]
    for request in engine.requests[-2 * len(QUESTIONS) :]:
        assert request.sampling.temperature == 0
        assert request.sampling.max_new_tokens >= max(256, recipe.sampling.max_new_tokens)
        assert request.turns[0].content == recipe.system_prompt


def test_an_adapter_without_a_voice_fails_and_stays_a_candidate(
    services: Services, engine: FakeEngine, uploaded: str
) -> None:
    engine.reply = "The same words whoever speaks."
    probe = services.probes.run(uploaded)
    assert not probe.passed
    assert standing(services) is ProbeStanding.FAILED
    with pytest.raises(AdapterError, match="word for word"):
        services.release.promote(uploaded, "A tester", "for a test")
    details = services.adapters.details(uploaded)
    assert details.probe == probe
    assert details.upload["Brought by"] == "Dr A"


def test_in_the_background_it_goes_on_alone(services: Services, engine: FakeEngine, uploaded: str) -> None:
    engine.reply = "This is what {adapter} has to say about that."
    assert services.probes.state(uploaded) is None
    assert services.probes.start(uploaded).is_under_way
    settle(lambda: not services.probes.state(uploaded).is_under_way)
    probing = services.probes.state(uploaded)
    assert (probing.state, probing.done) == (ProbeState.DONE, len(QUESTIONS))
    assert isinstance(probing.probe, Probe)


def test_an_engine_that_refuses_it_is_no_verdict(
    services: Services, engine: FakeEngine, uploaded: str
) -> None:
    engine.refuses = {uploaded}
    services.probes.start(uploaded)
    settle(lambda: not services.probes.state(uploaded).is_under_way)
    assert services.probes.state(uploaded).state is ProbeState.FAILED
    assert "can't be loaded" in services.probes.state(uploaded).error
    assert standing(services) is ProbeStanding.UNTRIED


def test_closing_stops_it_without_a_verdict(services: Services, engine: FakeEngine, uploaded: str) -> None:
    engine.pause = 0.02
    engine.reply = "word " * 200
    services.probes.start(uploaded)
    settle(lambda: bool(engine.requests))
    started = time.monotonic()
    services.probes.close()
    assert time.monotonic() - started < 2
    assert services.adapters.details(uploaded).probe is None


def test_it_is_tried_on_its_own_base_only(services: Services, engine: FakeEngine, uploaded: str) -> None:
    engine.base_model = "smollm2-135m"
    with pytest.raises(AdapterError, match="its own base model"):
        services.probes.start(uploaded)
    with pytest.raises(AdapterError, match="its own base model"):
        services.probes.run(uploaded)
    with pytest.raises(NotFound):
        services.probes.start("patient@9")


def test_what_was_trained_here_needs_no_probe(services: Services, tmp_path: Path) -> None:
    register_adapter(services.database, services.settings.folders, make_tiny_peft(tmp_path / "own"))
    assert standing(services) is ProbeStanding.NOT_NEEDED
    assert services.release.promote("patient@1", "A tester", "for a test").audience == "patient"


def test_wrong_asks_are_told_apart(services: Services, tmp_path: Path) -> None:
    peft = make_tiny_peft(tmp_path / "peft")
    for sources, audience, said in (
        ([peft], "nobody", "is none"),
        ([], "patient", "no adapter yet"),
        ([tmp_path / "nowhere"], "patient", "Check the path"),
    ):
        with pytest.raises(InvalidInput, match=said):
            services.intake.take_in(sources, audience)
