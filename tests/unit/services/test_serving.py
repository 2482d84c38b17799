"""Bringing the model up, and saying so."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from fake_engine import FakeEngine

from db.home import Home
from elara_ui.errors import EngineError, ModelError
from elara_ui.services import build_services
from elara_ui.services.publishing import AdapterPublisher
from elara_ui.services.serving import ServingState, ServingStatus
from elara_ui.settings import Settings


def test_every_stage_is_reported_until_ready(home: Home) -> None:
    told: list[ServingStatus] = []
    services = build_services(
        Settings.read(home=home.root), told.append, engine_factory=lambda *_: FakeEngine()
    )
    services.serving.engine()
    assert [status.state for status in told] == [ServingState.LOADING, ServingState.READY]
    services.close()


def test_a_model_that_cannot_be_had_is_an_error_with_its_remedy_and_can_be_tried_again(home: Home) -> None:
    attempts = []

    def fail_once(choice: object, report: object) -> FakeEngine:
        attempts.append(1)
        if len(attempts) == 1:
            raise ModelError("The model can't be fetched. Put the file there by hand.")
        return FakeEngine()

    services = build_services(Settings.read(home=home.root), engine_factory=fail_once)
    with pytest.raises(EngineError, match="by hand"):
        services.serving.engine()
    assert services.serving.status.state is ServingState.FAILED
    assert services.serving.engine().base_model == "smollm2-135m"
    services.close()


def test_an_unexpected_failure_shows_no_traceback(home: Home) -> None:
    def crash(choice: object, report: object) -> FakeEngine:
        raise ZeroDivisionError("secret detail")

    services = build_services(Settings.read(home=home.root), engine_factory=crash)
    with pytest.raises(EngineError) as caught:
        services.serving.engine()
    assert "secret detail" not in caught.value.message
    services.close()


def test_cancelling_reaches_the_engine_without_waiting_for_a_publication(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    services = build_services(Settings.read(home=home.root), engine_factory=lambda *_: engine)
    services.serving.cancel("too early")  # nothing is there to cancel, and nothing is started for it
    assert services.serving.status.state is ServingState.IDLE
    services.serving.engine()
    loading, loaded = Event(), Event()
    publish = AdapterPublisher.publish_live

    def publish_slowly(publisher: AdapterPublisher, engine: FakeEngine) -> None:
        loading.set()
        loaded.wait(5)
        publish(publisher, engine)

    monkeypatch.setattr(AdapterPublisher, "publish_live", publish_slowly)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(services.serving.engine)
        assert loading.wait(5)
        services.serving.cancel("an answer")
        assert not asking.done()
        assert engine.cancelled == {"an answer"}
        loaded.set()
    services.close()
    services.serving.cancel("too late")
