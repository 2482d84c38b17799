"""Asking another server: one with real weights and adapters, and one that fails in every way."""

import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from adapter_factory import make_adapter, register_adapter
from openai_server import LlamaRouter, OpenAIServer, running

from adapters import registry
from adapters.engines.base import Completion, GenerationRequest, Sampling, Token, Turn
from adapters.engines.remote import ATTEMPTS, RemoteEngine
from adapters.errors import AdapterError, ContextOverflow, EngineError, ModelError
from db.home import Home
from db.session import Database
from db.vocabulary import FinishReason, Role
from elara_ui.cli.main import main
from elara_ui.errors import IdentifiersFound
from elara_ui.services import build_services
from elara_ui.settings import Settings

BASE = "smollm2-135m"
TURNS = (Turn(Role.SYSTEM, "Use plain words."), Turn(Role.USER, "What is asthma?"))
FOLDER = Path("unused")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with running(OpenAIServer([BASE, "patient@1", "deaf@1"])) as server:
        yield server


@pytest.fixture
def engine(server: OpenAIServer) -> Iterator[RemoteEngine]:
    engine = RemoteEngine(BASE, server.url, silence=1)
    engine.load()
    yield engine
    engine.close()


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


def test_silence_has_an_end(engine: RemoteEngine, server: OpenAIServer) -> None:
    server.faults = ["silence"]
    with pytest.raises(EngineError, match="nothing for 1 s"):
        say(engine)


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
        give_up = time.monotonic() + 5
        while not server.bodies and time.monotonic() < give_up:
            time.sleep(0.01)
        began = time.perf_counter()
        engine.cancel(request.request_id)
        reader.join(5)
        assert time.perf_counter() - began < 0.1
        [completion] = ended
        assert completion.finish_reason is FinishReason.CANCELLED  # type: ignore[attr-defined]
    else:
        next(stream)
        began = time.perf_counter()
        stream.close()  # type: ignore[attr-defined]
        assert time.perf_counter() - began < 0.1
    assert server.hung_up.wait(1)


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
    services.adapters.promote("patient@1")
    *_, last = chat.ask_once(chat.check("patient", "What is asthma?"))
    assert last.answer.text == "I am lora-p."  # type: ignore[union-attr]
    assert services.serving.is_remote
    with pytest.raises(IdentifiersFound, match="another machine"):
        services.private_chat.check("patient", "I am jane.doe@example.org")
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
