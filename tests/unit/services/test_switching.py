"""Another model takes over while answers are written, and comes back at the next start."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from adapter_factory import make_adapter, register_adapter
from base_gguf import write_head
from fake_engine import FakeEngine
from starlette.applications import Starlette
from starlette.testclient import TestClient

from adapters.engines.choice import Choice, EngineKind
from adapters.engines.serving_memory import ServingMemory
from db.home import Home
from db.vocabulary import FinishReason
from elara_ui.api import api_routes
from elara_ui.errors import AdapterError, EngineError, InvalidInput, ModelError, NotEnoughMemory
from elara_ui.services import Services, build_services, serving, serving_choice
from elara_ui.services.answers import Answer, ChatEvent, Finished
from elara_ui.services.serving import ServingState
from elara_ui.services.serving_choice import choose
from elara_ui.settings import Settings


class Engines:
    """Makes engines that say which model they are; some can't be loaded, some take a while."""

    def __init__(self) -> None:
        self.made: list[FakeEngine] = []
        self.broken: set[str] = set()
        self.loading = Event()
        self.may_load = Event()
        self.may_load.set()
        self.pause = 0.0

    def __call__(self, choice: Choice, report: object) -> FakeEngine:
        engine = FakeEngine(f"This is what {choice.base_model} says.", self.pause)
        engine.base_model = choice.base_model
        engine.load = lambda: self._load(engine)
        self.made.append(engine)
        return engine

    def _load(self, engine: FakeEngine) -> None:
        self.loading.set()
        self.may_load.wait(5)
        if engine.base_model in self.broken:
            raise ModelError("Its file is damaged. Fetch it anew.")
        FakeEngine.load(engine)


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
def start(home: Home, engines: Engines) -> Iterator[Callable[..., Services]]:
    """Starts Elara on the home, again where it has run before."""
    running: list[Services] = []

    def start(**settings: object) -> Services:
        for earlier in running:
            earlier.close()
        services = build_services(Settings.read(home=home.root, **settings), engine_factory=engines)
        running[:] = [services]
        services.serving.start()
        wait_for(lambda: services.serving.status.state in (ServingState.READY, ServingState.FAILED))
        return services

    yield start
    for services in running:
        services.close()


@pytest.fixture
def other(home: Home) -> Choice:
    """A model that was placed on this machine."""
    file = write_head(home.root / "other.gguf")
    return Choice(EngineKind.LLAMACPP, str(file), file)


def wait_for(truth: Callable[[], object], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.005)


def ended(services: Services) -> None:
    wait_for(lambda: not services.serving.status.is_switching)


def switch(services: Services, choice: Choice) -> None:
    services.serving.switch(choice)
    ended(services)


def ask(services: Services, text: str = "What is asthma?") -> Answer:
    return last(services.chat.ask(services.chat.check("patient", text)))


def last(events: Iterator[ChatEvent]) -> Answer:
    *_, end = events
    assert isinstance(end, Finished)
    return end.answer


def test_a_switch_has_the_other_model_answer_and_frees_the_one_before(start, engines, other) -> None:
    services = start()
    assert "smollm2-135m" in ask(services).text
    switch(services, other)
    answer = ask(services)
    assert answer.text == f"This is what {other.base_model} says."
    assert services.serving.base_model == answer.base_model == other.base_model
    assert services.serving.status.choice == other
    assert [engine.closed for engine in engines.made] == [True, False]


def test_under_load_every_answer_is_whole_and_from_one_model(start, engines, other) -> None:
    engines.pause = 0.003
    services = start()
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(ask, services, f"Question {number}?") for number in range(24)]
        engines.may_load.clear()
        services.serving.switch(other)
        wait_for(lambda: len(engines.made[0].requests) >= 6)
        engines.may_load.set()
        texts = [answer.result() for answer in answers]
    for answer in texts:
        assert answer.text == f"This is what {answer.base_model} says."
        assert answer.finish_reason is FinishReason.STOP
    assert {answer.base_model for answer in texts} == {"smollm2-135m", other.base_model}
    wait_for(lambda: services.serving.status.draining == 0)
    assert engines.made[0].closed


def test_an_answer_in_progress_ends_where_it_began_and_can_still_be_stopped(start, engines, other) -> None:
    services = start()
    events = services.chat.ask(services.chat.check("patient", "What is asthma?"))
    started, _ = next(events), next(events)
    switch(services, other)
    assert services.serving.status.draining == 1
    assert not engines.made[0].closed
    services.chat.stop(started.request_id)
    assert engines.made[0].cancelled == {started.request_id}
    assert last(events).base_model == "smollm2-135m"
    assert engines.made[0].closed
    assert services.serving.status.draining == 0


def test_a_model_that_cannot_be_loaded_leaves_the_one_that_answers(
    start, engines, other, monkeypatch
) -> None:
    engines.broken = {other.base_model}
    services = start()
    switch(services, other)
    [warning] = services.serving.status.warnings
    assert "other.gguf · llama.cpp failed. Its file is damaged. Fetch it anew." in warning
    assert "smollm2-135m · llama.cpp goes on answering." in warning
    assert "smollm2-135m" in ask(services).text
    assert [engine.closed for engine in engines.made] == [False, True]
    monkeypatch.setattr(serving, "FAILURE_SECONDS", 0.0)
    assert services.serving.status.warnings == ()
    assert start().serving.base_model == "smollm2-135m"


def test_one_switch_at_a_time(start, engines, other) -> None:
    services = start()
    engines.may_load.clear()
    services.serving.switch(other)
    with pytest.raises(EngineError, match=r"One switch at a time: other.gguf .* Wait until"):
        services.serving.switch(Choice(EngineKind.TRANSFORMERS, "smollm2-135m"))
    assert services.serving.status.is_switching
    assert "smollm2-135m" in ask(services).text  # meanwhile
    engines.may_load.set()
    ended(services)
    with pytest.raises(InvalidInput, match="answers already"):
        services.serving.switch(other)


def test_closing_frees_a_model_that_comes_up_too_late(start, engines, other) -> None:
    services = start()
    engines.loading.clear()
    engines.may_load.clear()
    services.serving.switch(other)
    assert engines.loading.wait(5)
    services.serving.close()
    engines.may_load.set()
    wait_for(lambda: all(engine.closed for engine in engines.made))
    assert services.serving.status.state is ServingState.IDLE


def test_each_base_model_has_its_own_adapters(start, engines, other, tmp_path) -> None:
    services = start()
    database, home = services.database, services.settings.folders
    own = register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))
    services.release.promote(own, "A tester", "for a test")
    assert ask(services).adapter == own
    switch(services, other)
    assert ask(services).adapter is None
    assert services.adapters.live() == {}
    assert engines.made[1].adapters == frozenset()
    with services.serving.hold() as held, pytest.raises(AdapterError, match="only fits its own base model"):
        held.publish({own})
    switch(services, Choice(EngineKind.LLAMACPP, "smollm2-135m"))
    assert ask(services).adapter == own
    assert engines.made[2].publications == [{own}]  # before it took the first question


def test_a_remembered_answer_is_that_of_the_model_which_is_asked(start, other) -> None:
    services = start()

    def ask_again() -> Answer:
        return last(services.chat.ask_once(services.chat.check("patient", "Why?", {"temperature": 0.0})))

    first = ask_again()
    switch(services, other)
    assert ask_again().text != first.text
    switch(services, Choice(EngineKind.TRANSFORMERS, "smollm2-135m"))
    assert not ask_again().cached
    switch(services, Choice(EngineKind.LLAMACPP, "smollm2-135m"))
    assert ask_again().cached


def test_the_api_names_the_model_that_answers(start, other) -> None:
    services = start()
    client = TestClient(Starlette(routes=api_routes(services)))
    before = client.get("/v1/models").json()["data"]
    switch(services, other)
    after = client.get("/v1/models").json()["data"]
    assert {model["elara"]["base_model"] for model in before} == {"smollm2-135m"}
    assert {model["elara"]["base_model"] for model in after} == {other.base_model}


def test_what_was_chosen_answers_after_a_restart(start, engines, other) -> None:
    switch(start(), other)
    services = start()
    assert services.serving.choice == other
    assert ask(services).base_model == other.base_model


def test_a_changed_setting_goes_before_what_was_chosen(start, other) -> None:
    switch(start(), other)
    services = start(engine="transformers")
    assert services.serving.choice == Choice(EngineKind.TRANSFORMERS, "smollm2-135m")
    assert services.serving.status.warnings == ()


@pytest.mark.parametrize("lost", ["file", "model"])
def test_without_what_was_chosen_the_settings_decide_and_say_so(start, engines, other, lost) -> None:
    switch(start(), other)
    if lost == "file":
        other.path.unlink()
    else:
        engines.broken = {other.base_model}
    services = start()
    assert services.serving.base_model == "smollm2-135m"
    [warning] = services.serving.status.warnings
    assert warning.startswith(f"{other.base_model}, which was chosen to answer, can't be served.")
    assert warning.endswith("Until then smollm2-135m · llama.cpp answers, as the settings ask for.")


def test_a_model_too_large_is_refused_unless_somebody_insists(start, other, monkeypatch) -> None:
    services = start()
    memory = ServingMemory(needed=9 << 30, available=2 << 30)
    monkeypatch.setattr(serving_choice, "reckon_serving", lambda *_: memory)
    with pytest.raises(NotEnoughMemory, match=r"needs about 9\.0 GiB and 2\.0 GiB are free.*or insist"):
        services.serving.switch(other)
    assert services.serving.status.switching is None
    services.serving.switch(other, insist=True)
    ended(services)
    assert services.serving.base_model == other.base_model


def test_a_choice_made_elsewhere_is_followed(start, home, other) -> None:
    services = start()
    elsewhere = build_services(services.settings)
    elsewhere.serving.choose_for_next_start(choose(services.settings, other.base_model))
    elsewhere.close()
    services.serving.follow()
    ended(services)
    assert services.serving.choice == other
    services.serving.follow()  # once
    assert services.serving.status.switching is None


def test_a_choice_made_elsewhere_under_other_settings_is_told(start, home, other) -> None:
    services = start()
    elsewhere = build_services(Settings.read(home=home.root, dtype="fp32"))
    elsewhere.serving.choose_for_next_start(other)
    elsewhere.close()
    services.serving.follow()
    [warning] = services.serving.status.warnings
    assert f"{other.base_model} was chosen on the command line under other settings" in warning
    assert services.serving.base_model == "smollm2-135m"


def test_the_first_model_can_be_switched_away_from_when_it_cannot_be_loaded(start, engines, other) -> None:
    engines.broken = {"smollm2-135m"}
    services = start()
    assert services.serving.status.state is ServingState.FAILED
    switch(services, other)
    assert services.serving.status.state is ServingState.READY
    assert ask(services).base_model == other.base_model
