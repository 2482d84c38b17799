"""The HTTP API, asked by OpenAI's own client over a real connection."""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore, Thread
from typing import Any

import httpx
import openai
import pytest
from api_server import client_of, serving
from fake_engine import FakeEngine
from home_search import holding
from openai import OpenAI
from sqlalchemy import select

from db.home import Home
from db.models import Response
from elara_ui.api import app as api_app
from elara_ui.api.access import KeyGuard
from elara_ui.errors import EngineError
from elara_ui.services import Services, build_services
from elara_ui.settings import Settings

QUESTION = {"role": "user", "content": "What is asthma?"}
CHEST_PAIN = {"role": "user", "content": "I have crushing chest pain and my left arm hurts."}
KEY, OTHER_KEY = "a-long-enough-key-1", "a-long-enough-key-2"


@pytest.fixture
def address(services: Services) -> Iterator[str]:
    with serving(services) as address:
        yield address


@pytest.fixture
def client(address: str) -> OpenAI:
    return client_of(address)


def ask(client: OpenAI, *messages: dict[str, Any], model: str = "elara-patient", **options: Any) -> Any:
    return client.chat.completions.create(model=model, messages=list(messages or (QUESTION,)), **options)  # type: ignore[call-overload]


def stored(services: Services) -> list[Response]:
    with services.database.reading() as session:
        return list(session.scalars(select(Response)))


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> float:
    """Returns how long it took, s."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.005)
    return time.monotonic() - began


# Models


def test_every_audience_is_a_model_and_the_base_too(client: OpenAI, services: Services) -> None:
    names = [model.id for model in client.models.list()]
    assert names == [*(f"elara-{audience}" for audience in services.recipes), "elara-base"]
    model = client.models.retrieve("elara-doctor")
    assert (model.object, model.owned_by) == ("model", "elara")
    assert model.elara["audience"] == "doctor"  # type: ignore[attr-defined]
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-4")
    assert refused.value.code == "model_not_found"


# Answers


def test_an_answer_comes_in_one_piece_with_its_figures(client: OpenAI, engine: FakeEngine) -> None:
    answer = ask(client)
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content) == ("assistant", "Rest and drink water.")
    assert choice.finish_reason == "stop"
    usage = answer.usage
    assert usage.completion_tokens == 4
    assert usage.prompt_tokens == engine.count_tokens(engine.requests[0].turns)
    assert usage.total_tokens == usage.prompt_tokens + 4
    assert (answer.model, answer.object) == ("elara-patient", "chat.completion")
    assert answer.elara["audience"] == "patient"
    assert answer.elara["red_flags"]["emergency"] is False


def test_a_stream_says_the_same_word_by_word(client: OpenAI, engine: FakeEngine) -> None:
    engine.reply = "Rest now. Drink water. Call if it gets worse."
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(filter(None, deltas)) == engine.reply
    assert len([delta for delta in deltas if delta]) > 3
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == len(engine.reply.split())
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_has_no_figures_unless_asked_and_ends_with_done(address: str) -> None:
    body = {"model": "elara-patient", "messages": [QUESTION], "stream": True}
    answer = httpx.post(f"{address}/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = answer.text.strip().split("\n\n")
    assert lines[-1] == "data: [DONE]"
    assert all("usage" not in json.loads(line.removeprefix("data: ")) for line in lines[:-1])


@pytest.mark.parametrize("stream", [False, True])
def test_an_audience_s_length_holds_and_what_was_streamed_is_never_taken_back(
    client: OpenAI, services: Services, engine: FakeEngine, stream: bool
) -> None:
    engine.reply = " ".join(f"Sentence {number} has five words." for number in range(100))
    limit = services.recipes["emergency"].max_explanation_length
    if stream:
        chunks = list(ask(client, model="elara-emergency", stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        reason = chunks[-1].choices[0].finish_reason
    else:
        answer = ask(client, model="elara-emergency")
        text, reason = answer.choices[0].message.content, answer.choices[0].finish_reason
    assert reason == "length"
    assert 0.75 * limit <= len(text.split()) <= limit
    assert engine.reply.startswith(text)
    assert text.endswith("words.")


def test_the_whole_conversation_is_sent_and_the_audience_s_prompt_stays(
    client: OpenAI, services: Services, engine: FakeEngine
) -> None:
    ask(
        client,
        {"role": "system", "content": "Answer in one sentence."},
        {"role": "developer", "content": "Name no brands."},
        QUESTION,
        {"role": "assistant", "content": "Tight airways."},
        {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "croup?"}]},
        {"role": "user", "content": "In short."},
    )
    system, *turns = engine.requests[0].turns
    assert system.content == (
        f"{services.recipes['patient'].system_prompt} Answer in one sentence.\n\nName no brands."
    )
    assert [turn.content for turn in turns] == [
        "What is asthma?",
        "Tight airways.",
        "And\ncroup?\n\nIn short.",
    ]


def test_sampling_reaches_the_engine_and_the_rest_is_the_recipe_s(
    client: OpenAI, services: Services, engine: FakeEngine
) -> None:
    ask(client, temperature=0.5, top_p=0.5, max_completion_tokens=2, seed=7)
    ask(client, max_tokens=3)
    first, second = (request.sampling for request in engine.requests)
    recipe = services.recipes["patient"].sampling
    assert first == replace(recipe, temperature=0.5, top_p=0.5, max_new_tokens=2, seed=7)
    assert second == replace(recipe, max_new_tokens=3)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_ends_the_answer_before_it(client: OpenAI, engine: FakeEngine, stream: bool) -> None:
    engine.reply = "One two three four five."
    answer = ask(client, stop=["three four", "zzz"], stream=stream)
    if stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
    else:
        text = answer.choices[0].message.content
        assert answer.choices[0].finish_reason == "stop"
    assert text == "One two"
    assert engine.cancelled


def test_the_base_model_answers_alone_for_whichever_audience(
    client: OpenAI, services: Services, engine: FakeEngine
) -> None:
    ask(client, model="elara-base")
    ask(client, model="elara-base", extra_body={"elara": {"audience": "doctor"}})
    prompts = [request.turns[0].content for request in engine.requests]
    assert prompts == [services.recipes[audience].system_prompt for audience in ("patient", "doctor")]
    assert [request.adapter for request in engine.requests] == [None, None]


# Red flags


def test_red_flags_come_before_the_first_word(client: OpenAI, engine: FakeEngine) -> None:
    engine.reply = "Don't worry, this is nothing serious."
    first, *others = ask(client, CHEST_PAIN, stream=True)
    flags = first.elara["red_flags"]
    assert flags["emergency"] is True
    assert flags["categories"] == [card["category"] for card in flags["advice"]]
    assert flags["advice"][0]["text"]
    assert not first.choices[0].delta.content
    last = next(chunk for chunk in others if chunk.choices[0].finish_reason)
    assert last.elara["reassures"] is True
    assert "reassure wrongly" in last.elara["notes"][0]
    assert ask(client, CHEST_PAIN).elara["red_flags"] == flags


def test_red_flags_of_earlier_turns_count(client: OpenAI) -> None:
    told = {"role": "assistant", "content": "Where?"}
    answer = ask(client, CHEST_PAIN, told, {"role": "user", "content": "It is getting worse."})
    assert answer.elara["red_flags"]["emergency"] is True


def test_advice_reaches_the_asker_though_the_engine_fails(
    client: OpenAI, services: Services, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(request: object) -> Iterator[object]:
        raise EngineError("The engine is broken. Try again.")
        yield

    monkeypatch.setattr(engine, "stream", fail)
    with pytest.raises(openai.InternalServerError) as failed:
        ask(client, CHEST_PAIN)
    assert failed.value.status_code == 503
    assert failed.value.code == "engine_unavailable"
    assert failed.value.body["elara"]["red_flags"]["emergency"] is True  # type: ignore[index]
    stream = ask(client, CHEST_PAIN, stream=True)
    assert next(stream).elara["red_flags"]["emergency"] is True
    with pytest.raises(openai.APIError, match="engine is broken"):
        next(stream)
    with pytest.raises(openai.InternalServerError):  # no flag: the failure has a status of its own
        ask(client, stream=True)


# What is kept


def test_nothing_is_stored_unless_asked(
    client: OpenAI, services: Services, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="elara_ui")
    ask(client, {"role": "user", "content": "What is xylophonitis?"})
    assert stored(services) == []
    assert holding(home, "xylophonitis") == []
    assert "xylophonitis" not in caplog.text


def test_what_shall_be_stored_is_stored_with_what_made_it(client: OpenAI, services: Services) -> None:
    told = {"role": "assistant", "content": "Tight airways."}
    answer = ask(client, QUESTION, told, {"role": "user", "content": "Why?"}, store=True, stop="zzz")
    [response] = stored(services)
    assert response.id == answer.elara["response_id"]
    assert (response.question, response.text) == ("Why?", "Rest and drink water.")
    assert [turn["content"] for turn in response.context][1:] == ["What is asthma?", "Tight airways.", "Why?"]
    assert response.parameters["stop"] == ["zzz"]
    assert response.conversation_id is None


@pytest.mark.parametrize("place", ["question", "history", "system"])
def test_identifiers_are_stored_only_when_accepted(client: OpenAI, services: Services, place: str) -> None:
    text = "Write to jane.doe@example.org about asthma."
    messages: list[dict[str, Any]] = [QUESTION]
    if place == "question":
        messages = [{"role": "user", "content": text}]
    elif place == "history":
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}, QUESTION]
    else:
        messages = [{"role": "system", "content": text}, QUESTION]
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, *messages, store=True)
    assert refused.value.code == "identifiers_found"
    assert "jane.doe" not in refused.value.response.text
    assert stored(services) == []
    ask(client, *messages)
    assert stored(services) == []
    ask(client, *messages, store=True, extra_body={"elara": {"accept_identifiers": True}})
    assert len(stored(services)) == 1


def test_identifiers_leave_for_another_machine_only_when_accepted(
    client: OpenAI, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "is_remote", True)
    system = {"role": "system", "content": "The patient is jane.doe@example.org."}
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, system, QUESTION)
    assert refused.value.code == "identifiers_found"
    assert engine.requests == []
    ask(client, system, QUESTION, extra_body={"elara": {"accept_identifiers": True}})
    assert len(engine.requests) == 1


# Refusals


@pytest.mark.parametrize(
    ("options", "param", "says"),
    [
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"temperature": "hot"}, "temperature", "number"),
        ({"top_p": 0}, "top_p", "0.01"),
        ({"max_tokens": 0}, "max_tokens", "1"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens", "Send one"),
        ({"seed": -1}, "seed", "0"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "4"),
        ({"stop": ""}, "stop[0]", "1 character"),
        ({"n": 2}, "n", "isn't supported"),
        ({"logprobs": True}, "logprobs", "isn't supported"),
        ({"presence_penalty": 1}, "presence_penalty", "isn't supported"),
        ({"response_format": {"type": "json_object"}}, "response_format", "isn't supported"),
        ({"user": "jane"}, "user", "isn't supported"),
        ({"extra_body": {"top_k": 5}}, "top_k", "isn't supported"),
        ({"extra_body": {"elara": {"voice": "kind"}}}, "elara.voice", "isn't supported"),
        ({"extra_body": {"elara": {"audience": "doctor"}}}, "elara.audience", "elara-base"),
    ],
)
def test_what_isn_t_supported_is_refused_by_name(
    client: OpenAI, engine: FakeEngine, options: dict[str, Any], param: str, says: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, **options)
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"
    assert says in str(refused.value)
    assert engine.requests == []


def test_values_that_ask_for_nothing_are_taken(client: OpenAI) -> None:
    ask(client, n=1, logprobs=False, presence_penalty=0.0, tools=[], response_format={"type": "text"})


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ([{"role": "assistant", "content": "Hello."}], "messages"),
        ([{"role": "assistant", "content": "Hello."}, QUESTION], "messages"),
        ([QUESTION, {"role": "assistant", "content": "Yes."}], "messages"),
        ([QUESTION, {"role": "system", "content": "Be kind."}, QUESTION], "messages"),
        ([{"role": "user", "content": "  "}], "messages"),
        ([{"role": "user", "content": "long " * 2000}], "messages"),
        ([{"role": "tool", "content": "1"}], "messages[0].role"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "user", "content": "Hi", "name": "jane"}], "messages[0].name"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content"),
    ],
)
def test_messages_that_are_no_conversation_are_refused(
    address: str, messages: list[dict[str, Any]], param: str
) -> None:
    body = {"model": "elara-patient", "messages": messages}
    answer = httpx.post(f"{address}/chat/completions", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["param"] == param


def test_a_body_that_can_t_be_read_is_refused(address: str) -> None:
    url, typed = f"{address}/chat/completions", {"Content-Type": "application/json"}
    assert httpx.post(url, content="{", headers=typed).status_code == 400
    assert httpx.post(url, content="[]", headers=typed).status_code == 400
    assert httpx.post(url, content="{}", headers={"Content-Type": "text/plain"}).status_code == 415
    large = httpx.post(url, content=b"x" * 2_000_000, headers=typed)
    assert large.status_code == 413
    for answer in (large, httpx.get(url), httpx.get(f"{address}/embeddings")):
        assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


def test_an_unknown_model_is_named(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="elara-patient") as refused:
        ask(client, model="gpt-4o")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


def test_a_defect_tells_nothing_but_that_it_happened(
    client: OpenAI, services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(services.triage, "look", break_down)
    with pytest.raises(openai.InternalServerError) as failed:
        ask(client)
    assert failed.value.type == "server_error"
    assert "secret" not in failed.value.response.text
    assert "secret detail" in caplog.text


def test_a_model_that_doesn_t_come_up_is_said_to_be_unavailable(home: Home) -> None:
    def fail(choice: object, report: object) -> FakeEngine:
        raise EngineError("The model can't be fetched. Put it there by hand.")

    services = build_services(Settings.read(home=home.root), engine_factory=fail)
    with serving(services) as address, pytest.raises(openai.InternalServerError, match="by hand") as failed:
        ask(client_of(address))
    assert failed.value.status_code == 503
    assert failed.value.response.headers["retry-after"]
    services.close()


# Leaving and crowds


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_who_leaves_stops_the_engine(address: str, engine: FakeEngine, stream: bool) -> None:
    engine.reply, engine.pause = "word " * 1000, 0.02
    body = json.dumps({"model": "elara-doctor", "messages": [QUESTION], "stream": stream})
    url = httpx.URL(address)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        wait_until(lambda: bool(engine.requests))
    assert wait_until(lambda: bool(engine.cancelled), 10) < 10  # the answer would take 20 s
    assert engine.cancelled == {engine.requests[0].request_id}


def test_more_than_can_be_answered_are_turned_away(
    address: str, services: Services, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_app, "BoundedSemaphore", lambda places: BoundedSemaphore(2))
    engine.reply, engine.pause = "word " * 50, 0.01
    with serving(services) as crowded:
        busy = [Thread(target=ask, args=(client_of(crowded),)) for _ in range(2)]
        for thread in busy:
            thread.start()
        wait_until(lambda: len(engine.requests) == 2)
        with pytest.raises(openai.InternalServerError) as refused:
            ask(client_of(crowded))
        assert (refused.value.status_code, refused.value.code) == (503, "overloaded")
        for thread in busy:
            thread.join()
        assert ask(client_of(crowded)).choices[0].message.content.startswith("word")


# Keys


@pytest.fixture
def keyed(home: Home, engine: FakeEngine) -> Iterator[str]:
    settings = Settings.read(home=home.root, api_keys=f"{KEY}, {OTHER_KEY}")
    services = build_services(settings, engine_factory=lambda *_: engine)
    with serving(services) as address:
        yield address
    services.close()


def test_keys_open_the_api_and_nothing_else_does(keyed: str, engine: FakeEngine) -> None:
    for key in (KEY, OTHER_KEY):
        assert ask(client_of(keyed, key)).choices
    for wrong in (KEY[:-1], f"{KEY}x", f"{KEY},{OTHER_KEY}", "é" * 20):
        headers = {"Authorization": f"Bearer {wrong}".encode()}
        answer = httpx.get(f"{keyed}/models", headers=headers)
        assert answer.status_code == 401, wrong
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert KEY not in answer.text
    assert httpx.get(f"{keyed}/models").status_code == 401
    assert httpx.get(f"{keyed}/nothing").status_code == 401
    with pytest.raises(openai.AuthenticationError):
        ask(client_of(keyed, "wrong"))
    assert len(engine.requests) == 2


def test_a_repeated_request_is_answered_from_memory_to_the_same_client_alone(
    keyed: str, engine: FakeEngine
) -> None:
    first, second = (client_of(keyed, key) for key in (KEY, OTHER_KEY))
    told = [ask(client, temperature=0) for client in (first, first, second)]
    assert [reply.elara["cached"] for reply in told] == [False, True, False]
    assert len({reply.choices[0].message.content for reply in told}) == 1
    assert len(engine.requests) == 2


def test_without_keys_other_machines_find_it_shut(home: Home) -> None:
    settings = Settings.read(home=home.root, host="0.0.0.0")
    services = build_services(settings, engine_factory=lambda *_: FakeEngine())
    with serving(services) as address, pytest.raises(openai.AuthenticationError, match="ELARA_API_KEYS"):
        ask(client_of(address))
    services.close()


def test_every_key_is_compared_whatever_the_first_says(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    monkeypatch.setattr(
        "elara_ui.api.access.hmac.compare_digest", lambda mine, given: seen.append(mine) or mine == given
    )
    guard = KeyGuard(None, [KEY, OTHER_KEY], closed=False)  # type: ignore[arg-type]
    assert guard._refuse({"authorization": f"Bearer {KEY}"}) is None  # type: ignore[arg-type]
    assert seen == [KEY.encode(), OTHER_KEY.encode()]


# Beside the page, and with real weights


def test_the_api_is_mounted_beside_the_page(
    home: Home, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app_process import free_port

    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(home.uploads))
    from elara_ui.api import api_routes
    from elara_ui.blocks import build_page, launch_page

    page = build_page(services)
    settings = Settings.read(home=home.root, port=free_port())
    address = launch_page(page, settings, routes=api_routes(services), wait=False).rstrip("/")
    try:
        assert "Elara" in httpx.get(address).text
        chunks = list(ask(client_of(f"{address}/v1"), CHEST_PAIN, stream=True))
        assert chunks[0].elara["red_flags"]["emergency"] is True
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text == "Rest and drink water."
        foreign = httpx.get(f"{address}/v1/models", headers={"Origin": "https://example.org"})
        assert "access-control-allow-origin" not in foreign.headers
    finally:
        page.close()


@pytest.mark.slow
def test_the_embedded_model_answers(home: Home, embedded_gguf: Path) -> None:
    services = build_services(Settings.read(home=home.root, model_file=embedded_gguf))
    with serving(services) as address:
        client = client_of(address)
        options = {"temperature": 0.0, "max_tokens": 24, "seed": 1}
        whole = ask(client, **options)
        chunks = list(ask(client, stream=True, stream_options={"include_usage": True}, **options))
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert streamed == whole.choices[0].message.content != ""
        assert chunks[-1].usage == whole.usage
        assert 0 < whole.usage.completion_tokens <= 24
    services.close()
