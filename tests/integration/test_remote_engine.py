"""Asking another server: one with real weights and adapters, and one that fails in every way."""

import json
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from adapter_factory import make_adapter, register_adapter
from fake_engine import FakeEngine
from openai_server import LlamaRouter, OpenAIServer, running

from adapters import registry
from adapters.engines.base import Completion, GenerationRequest, Sampling, Token, Turn
from adapters.engines.remote import RemoteEngine
from adapters.engines.remote_server import ATTEMPTS
from adapters.errors import AdapterError, ContextOverflow, EngineError, ModelError
from db.home import Home
from db.session import Database
from db.vocabulary import FinishReason, Role
from elara_ui.blocks import render_header
from elara_ui.cli.main import main
from elara_ui.errors import IdentifiersFound
from elara_ui.services import build_services, publishing
from elara_ui.services.publishing import LOOK_AGAIN_SECONDS
from elara_ui.services.serving import ServingState
from elara_ui.services.training import DataChoice, DataSource
from elara_ui.settings import Settings

BASE = "smollm2-135m"
EMAIL = "jane.roe@example.com"
TURNS = (Turn(Role.SYSTEM, "Use plain words."), Turn(Role.USER, "What is asthma?"))
FOLDER = Path("unused")

Result = TypeVar("Result")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with running(OpenAIServer([BASE, "patient@1", "deaf@1"])) as server:
        yield server


@pytest.fixture
def engine(server: OpenAIServer) -> Iterator[RemoteEngine]:
    engine = RemoteEngine(BASE, server.url)
    engine.load()
    yield engine
    engine.close()


def wait_for(look: Callable[[], Result]) -> Result:
    """What it comes to, once it is true."""
    for _ in range(250):
        if seen := look():
            return seen
        time.sleep(0.02)
    raise AssertionError("It didn't come about.")


def say(engine: RemoteEngine, adapter: str | None = None, **sampling: object) -> Completion:
    *tokens, completion = engine.stream(GenerationRequest(TURNS, adapter, Sampling(**sampling)))  # type: ignore[arg-type]
    assert isinstance(completion, Completion)
    assert completion.text == "".join(token.text for token in tokens if isinstance(token, Token))
    return completion


def test_an_answer_is_streamed_with_its_figures(engine: RemoteEngine, server: OpenAIServer) -> None:
    done = say(engine, temperature=0.5, top_p=0.7, repetition_penalty=1.2, max_new_tokens=9, seed=3)
    assert (done.text, done.finish_reason) == (f"I am {BASE}.", FinishReason.STOP)
    assert (done.prompt_tokens, done.completion_tokens) == (7, 5)
    body = server.bodies[-1]
    assert [message["content"] for message in body["messages"]] == [turn.content for turn in TURNS]
    assert (body["temperature"], body["top_p"], body["max_tokens"], body["seed"]) == (0.5, 0.7, 9, 3)
    assert body["repetition_penalty"] == body["repeat_penalty"] == 1.2


def test_an_adapter_answers_under_its_name_once_published(engine: RemoteEngine) -> None:
    with pytest.raises(AdapterError, match="must be published"):
        say(engine, "patient@1")
    engine.publish({"patient@1": FOLDER})
    assert say(engine, "patient@1").text == "I am patient@1."
    engine.publish({})
    with pytest.raises(AdapterError, match="must be published"):
        say(engine, "patient@1")


def test_an_adapter_that_the_server_lacks_or_doesn_t_apply_is_refused(
    engine: RemoteEngine, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AdapterError, match="has no model 'doctor@1'"):
        engine.publish({"doctor@1": FOLDER})
    monkeypatch.setattr(engine, "_base_model", "deaf@1")  # two names, one voice
    server.models.append("deaf@2")
    with pytest.raises(AdapterError, match="exactly as its base model"):
        engine.publish({"deaf@2": FOLDER})
    assert engine.adapters == frozenset()


@pytest.fixture
def deaf(engine: RemoteEngine, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> OpenAIServer:
    """A server that has deaf@2 and answers for it as for its base."""
    monkeypatch.setattr(engine, "_base_model", "deaf@1")
    server.models.append("deaf@2")
    return server


def test_rounding_is_no_voice_of_its_own(engine: RemoteEngine, deaf: OpenAIServer) -> None:
    deaf.rounding = iter([0.0, 0.04, 0.06])  # the base, the base again, the adapter
    with pytest.raises(AdapterError, match="exactly as its base model"):
        engine.publish({"deaf@2": FOLDER})
    deaf.rounding = iter([0.0, 0.0, 0.06])
    engine.publish({"deaf@2": FOLDER})


def test_where_no_probabilities_are_told_the_words_decide(engine: RemoteEngine, deaf: OpenAIServer) -> None:
    deaf.tells_probabilities = False
    with pytest.raises(AdapterError, match="tells no log-probabilities"):
        engine.publish({"deaf@2": FOLDER})
    engine.publish({"patient@1": FOLDER})
    assert engine.adapters == {"patient@1"}


def test_a_passing_failure_stops_no_probe(engine: RemoteEngine, server: OpenAIServer) -> None:
    server.probe_faults = ["503", "429"]
    engine.publish({"patient@1": FOLDER})
    server.probe_faults = ["401"]
    engine.publish({})
    with pytest.raises(EngineError, match="refuses the key"):
        engine.publish({"patient@1": FOLDER})


def test_a_server_that_is_lost_is_noticed_and_so_is_its_return(server: OpenAIServer) -> None:
    engine = RemoteEngine(BASE, server.url, health_pause=0.05)
    engine.load()
    engine.publish({"patient@1": FOLDER})
    assert engine.stats().trouble == ""
    server.models.remove("patient@1")
    assert "no longer has patient@1" in wait_for(lambda: engine.stats().trouble)
    server.models.append("patient@1")
    wait_for(lambda: not engine.stats().trouble)
    server.refuses_to_list = True
    assert "status 503" in wait_for(lambda: engine.stats().trouble)
    server.refuses_to_list = False
    wait_for(lambda: not engine.stats().trouble)
    engine.close()
    assert engine.stats().seconds == 0


def test_a_request_that_fails_has_the_server_looked_at_at_once(server: OpenAIServer) -> None:
    engine = RemoteEngine(BASE, server.url, health_pause=600)
    engine.load()
    server.refuses_to_list = True
    server.faults = ["500"] * ATTEMPTS
    with pytest.raises(EngineError):
        say(engine)
    assert "status 503" in wait_for(lambda: engine.stats().trouble)
    engine.close()


def test_what_came_of_requests_is_counted(engine: RemoteEngine, server: OpenAIServer) -> None:
    say(engine)
    server.faults = ["400"]
    with pytest.raises(EngineError):
        say(engine)
    with pytest.raises(AdapterError):
        say(engine, "nobody@1")
    server.faults = ["hang"]
    request = GenerationRequest(TURNS)
    threading.Timer(0.2, engine.cancel, [request.request_id]).start()
    list(engine.stream(request))
    stats = engine.stats()
    assert (stats.answered, stats.cancelled, stats.failed) == (1, 1, 1)
    assert (stats.running, stats.waiting) == (0, None)
    assert stats.generated_tokens == 5
    assert stats.seconds > 0


def test_names_may_differ(server: OpenAIServer) -> None:
    server.models += ["org/base", "lora-p"]
    engine = RemoteEngine(BASE, server.url, names={BASE: "org/base", "patient@1": "lora-p"})
    engine.load()
    engine.publish({"patient@1": FOLDER})
    assert say(engine).text == "I am org/base."
    assert say(engine, "patient@1").text == "I am lora-p."
    engine.close()


def test_a_server_without_the_base_or_none_at_all_is_said_at_once(server: OpenAIServer) -> None:
    with pytest.raises(ModelError, match="must list the base model as 'qwen'"):
        RemoteEngine("qwen", server.url).load()
    with pytest.raises(ModelError, match="can't be reached"):
        RemoteEngine(BASE, "http://127.0.0.1:9/v1").load()


def test_what_fails_before_the_first_word_is_tried_again(engine: RemoteEngine, server: OpenAIServer) -> None:
    server.faults = ["500", "503"]
    assert say(engine).text == f"I am {BASE}."
    server.faults = ["500"] * (ATTEMPTS + 1)
    with pytest.raises(EngineError, match="status 500"):
        say(engine)
    assert len(server.faults) == 1
    server.faults = ["400", "500"]
    with pytest.raises(EngineError, match="status 400"):
        say(engine)
    assert server.faults == ["500"]


def test_what_breaks_after_the_first_word_is_not_tried_again(
    engine: RemoteEngine, server: OpenAIServer
) -> None:
    server.faults = ["break", "break"]
    seen = []
    with pytest.raises(EngineError, match="broke off"):
        seen.extend(engine.stream(GenerationRequest(TURNS)))
    assert "".join(token.text for token in seen) == "I am"
    assert server.faults == ["break"]


def test_an_answer_of_another_model_is_not_used(engine: RemoteEngine, server: OpenAIServer) -> None:
    server.faults = ["other"]
    with pytest.raises(EngineError, match="answers with 'somebody'"):
        say(engine)
    engine.publish({"patient@1": FOLDER})
    server.faults = ["404"]
    with pytest.raises(AdapterError, match="no longer has patient@1"):
        say(engine, "patient@1")


def test_silence_has_an_end(server: OpenAIServer) -> None:
    engine = RemoteEngine(BASE, server.url, silence=1)
    engine.load()
    server.faults = ["silence"]
    with pytest.raises(EngineError, match="nothing for 1 s"):
        say(engine)
    engine.close()


def test_a_key_is_sent_and_comes_into_no_message(server: OpenAIServer) -> None:
    engine = RemoteEngine(BASE, server.url, key="a-secret-key")
    engine.load()
    say(engine)
    assert server.keys == {"Bearer a-secret-key"}
    server.faults = ["401"]
    with pytest.raises(EngineError, match="refuses the key") as refused:
        say(engine)
    assert "a-secret-key" not in refused.value.message
    engine.close()


@pytest.mark.parametrize("way", ["hang", "stall", "close"])
def test_a_request_is_stopped_at_once_even_before_its_first_word(
    engine: RemoteEngine, server: OpenAIServer, way: str
) -> None:
    server.faults = [way]
    request = GenerationRequest(TURNS)
    stream = engine.stream(request)
    if way != "close":
        ended: list[object] = []
        reader = threading.Thread(target=lambda: ended.extend(stream))
        reader.start()
        give_up = time.monotonic() + 30
        while not server.bodies and time.monotonic() < give_up:
            time.sleep(0.01)
        began = time.perf_counter()
        engine.cancel(request.request_id)
        reader.join(30)
        assert time.perf_counter() - began < 4
        [completion] = ended
        assert completion.finish_reason is FinishReason.CANCELLED  # type: ignore[attr-defined]
    else:
        next(stream)
        began = time.perf_counter()
        stream.close()  # type: ignore[attr-defined]
        assert time.perf_counter() - began < 4
    assert server.hung_up.wait(30)


def test_too_long_a_conversation_is_refused_before_it_is_sent(
    engine: RemoteEngine, server: OpenAIServer
) -> None:
    sent = len(server.bodies)
    with pytest.raises(ContextOverflow):
        list(engine.stream(GenerationRequest((Turn(Role.USER, "long " * 5000),))))
    assert len(server.bodies) == sent


def test_the_settings_lead_the_app_to_the_server(home: Home, server: OpenAIServer) -> None:
    server.models += ["org/base", "lora-p"]
    names = f"{BASE}=org/base, patient@1=lora-p"
    services = build_services(Settings.read(home=home.root, engine_url=server.url, engine_names=names))
    register_adapter(services.database, home, make_adapter(home.root / "new", 1))
    chat = services.chat
    *_, last = chat.ask_once(chat.check("patient", "What is asthma?"))
    assert last.answer.text == "I am org/base."  # type: ignore[union-attr]
    services.release.promote("patient@1", "Rater A", "a test")
    *_, last = chat.ask_once(chat.check("patient", "What is asthma?"))
    assert last.answer.text == "I am lora-p."  # type: ignore[union-attr]
    assert services.serving.is_remote
    with pytest.raises(IdentifiersFound, match="another machine"):
        services.private_chat.check("patient", "I am jane.doe@example.org")
    services.close()


def test_likely_identifiers_reach_no_server_by_any_way(
    home: Home, server: OpenAIServer, tmp_path: Path
) -> None:
    """Settings without a server first: what was accepted there stays there."""
    local = build_services(Settings.read(home=home.root), engine_factory=lambda *_: FakeEngine())
    name = register_adapter(local.database, home, make_adapter(home.root / "new", 1, rank=2))
    told = local.chat.check("patient", f"I am {EMAIL}. What helps?", accept_identifiers=True)
    started, *_ = local.chat.ask(told)
    conversation = started.conversation_id  # type: ignore[union-attr]
    local.close()
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(f'{{"instruction": "Who is {EMAIL}?", "response": "x"}}\n')

    services = build_services(Settings.read(home=home.root, engine_url=server.url))
    plain = services.chat.check("patient", "And then?")
    lesson = services.distillation.plan(name, DataChoice(DataSource.FILE, prompts))
    ways: list[Callable[[], object]] = [
        lambda: services.chat.check("patient", EMAIL),
        lambda: services.private_chat.check("patient", EMAIL),
        lambda: list(services.chat.simplify(conversation)),
        lambda: list(services.chat.ask(plain, conversation)),
        lambda: list(services.chat.ask_once(plain, [Turn(Role.USER, EMAIL), Turn(Role.ASSISTANT, "Hello.")])),
        lambda: list(services.private_chat.ask_once(replace(plain, text=EMAIL))),
        lambda: list(services.distillation.answer(lesson)),
    ]
    for way in ways:
        with pytest.raises(IdentifiersFound):
            way()
    assert EMAIL not in json.dumps(server.bodies)
    list(services.chat.ask(replace(plain, accept_identifiers=True), conversation))
    assert EMAIL in json.dumps(server.bodies)
    services.close()


def test_an_adapter_that_the_server_passes_over_is_said_in_the_status_and_the_log(
    home: Home, database: Database, server: OpenAIServer, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    name = register_adapter(database, home, make_adapter(home.root / "new", 1, rank=2))
    with database.session() as session:
        registry.promote(session, home, name)
    server.models += ["deaf-base", "deaf-patient"]
    settings = Settings.read(
        home=home.root, engine_url=server.url, engine_names=f"{BASE}=deaf-base, {name}=deaf-patient"
    )
    services = build_services(settings)
    services.serving.start()
    wait_for(lambda: services.serving.status.state is ServingState.READY)
    [warning] = services.serving.status.warnings
    assert f"{name} can't be served" in warning
    assert "exactly as its base model does" in warning
    assert "exactly as its base model does" in caplog.text
    header = render_header(services)
    assert "exactly as its base model does" in header
    assert "another machine" in header
    with pytest.raises(AdapterError, match="exactly as its base model"):
        list(services.chat.ask_once(services.chat.check("patient", "What is asthma?")))

    # Started again as it should be, it is taken without a restart of Elara.
    monkeypatch.setitem(services.serving.engine()._names, name, "patient@1")  # type: ignore[attr-defined]
    later = time.monotonic() + LOOK_AGAIN_SECONDS
    monkeypatch.setattr(publishing.time, "monotonic", lambda: later)
    *_, last = services.chat.ask_once(services.chat.check("patient", "What is asthma?"))
    assert last.answer.text == "I am patient@1."  # type: ignore[union-attr]
    assert services.serving.status.warnings == ()
    services.close()


def test_a_server_that_is_away_is_said_and_tried_again(home: Home, server: OpenAIServer) -> None:
    server.models.clear()
    services = build_services(Settings.read(home=home.root, engine_url=server.url))
    with pytest.raises(EngineError, match="must list the base model"):
        services.serving.engine()
    server.models.append(BASE)
    assert services.serving.engine().base_model == BASE
    services.close()


def test_the_command_names_every_live_adapter(
    home: Home, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> list[str]:
        assert main(["serve-command", "vllm", "--home", str(home.root)]) == 0
        return shlex.split(capsys.readouterr().out)

    assert command()[:5] == [
        "vllm",
        "serve",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "--served-model-name",
        BASE,
    ]
    name = register_adapter(database, home, make_adapter(home.root / "new", 1, rank=12))
    assert "--enable-lora" not in command()
    with database.session() as session:
        registry.promote(session, home, name)
    words = command()
    assert words[words.index("--max-lora-rank") + 1] == "16"
    [module] = words[words.index("--lora-modules") + 1 :]
    assert module == f"{name}={home.adapters / 'patient' / '1'}"


@pytest.mark.slow
def test_real_weights_answer_with_the_adapter_of_the_name(embedded_gguf: Path, tmp_path: Path) -> None:
    lora = make_adapter(tmp_path / "adapter", 1) / "adapter.gguf"
    with running(LlamaRouter(embedded_gguf, {"patient@1": lora}, BASE)) as server:
        engine = RemoteEngine(BASE, server.url, context_tokens=1024)
        engine.load()
        engine.publish({"patient@1": FOLDER})
        greedy = {"temperature": 0.0, "max_new_tokens": 16}
        base, adapted = say(engine, **greedy), say(engine, "patient@1", **greedy)
        assert base.text != adapted.text
        assert base.finish_reason is FinishReason.LENGTH
        assert (say(engine, **greedy).text, say(engine, "patient@1", **greedy).text) == (
            base.text,
            adapted.text,
        )
        assert 0 < base.completion_tokens <= 16
        assert base.prompt_tokens > 10
        drawn = {"temperature": 1.0, "max_new_tokens": 16, "seed": 5}
        assert say(engine, **drawn).text == say(engine, **drawn).text
        engine.close()
