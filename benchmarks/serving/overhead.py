"""(e) What the chat's services, the HTTP API and the page add to the engine, for the same answer."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from adapters.engines.base import Engine
from benchmarks.serving.ground import SUBJECTS, Ground, make_request
from benchmarks.serving.report import Report
from benchmarks.serving.ways import ByEngine, Timed
from elara_ui.services import Services, build_services
from elara_ui.services.answers import Finished, Piece
from elara_ui.settings import Settings

AUDIENCE = "patient"
ENGINE, SERVICES, API, PAGE = "engine", "chat's services", "HTTP API", "page"
TIMEOUT = 300.0


def measure(ground: Ground) -> Report:
    """The base model answers, as before any adapter is live; the four ways in turn."""
    report = Report()
    with tempfile.TemporaryDirectory() as home, _serving(ground, Path(home)) as (services, page, address):
        ways: dict[str, Callable[[int], Timed]] = {
            ENGINE: lambda number: _by_engine(services.serving.engine(), ground, number),
            SERVICES: lambda number: _by_services(services, ground, number),
            API: lambda number: _by_api(address, ground, number),
            PAGE: lambda number: _by_page(page, address, ground, number),
        }
        for way in ways.values():
            way(0)
        answers: dict[str, list[Timed]] = {name: [] for name in ways}
        for number in range(1, ground.rounds + 1):
            for name, way in ways.items():
                answers[name].append(way(number))
    plain = min(each.seconds for each in answers[ENGINE])
    for name, given in answers.items():
        whole = min(each.seconds for each in given)
        report.note(f"{name}: whole answer", 1000 * whole, "ms")
        report.note(f"{name}: first words", 1000 * min(each.first for each in given), "ms")
        if name != ENGINE:
            report.note(f"{name}: added to the engine's answer", 1000 * (whole - plain), "ms")
            report.note(f"{name}: whole answer, of the engine's", whole / plain)
    return report


@contextmanager
def _serving(ground: Ground, home: Path) -> Iterator[tuple[Services, Any, str]]:
    """The app in this process, on a fresh home."""
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(home / "uploads")}
    from benchmarks.startup import find_free_port
    from elara_ui.api import api_routes
    from elara_ui.blocks import build_page, launch_page

    settings = Settings.read(home=home, port=find_free_port(), cache_mb=0)
    services = build_services(settings, engine_factory=lambda *_: ground.llamacpp(0))
    page = build_page(services)
    address = launch_page(page, settings, routes=api_routes(services), wait=False).rstrip("/")
    try:
        services.serving.engine()
        yield services, page, address
    finally:
        page.close()
        services.close()


def _question(number: int) -> str:
    return f"What should I know about {SUBJECTS[number % len(SUBJECTS)]}? Part {number}."


def _by_engine(engine: Engine, ground: Ground, number: int) -> Timed:
    return ByEngine(engine).answer(make_request(number, None, ground.tokens))


def _by_services(services: Services, ground: Ground, number: int) -> Timed:
    """Checked, looked through for red flags, stored, measured."""
    overrides = _sampling(ground) | {"max_new_tokens": ground.tokens}
    began, first = time.perf_counter(), None
    question = services.chat.check(AUDIENCE, _question(number), overrides)
    for event in services.chat.ask(question):
        if isinstance(event, Piece):
            first = first or time.perf_counter()
        elif isinstance(event, Finished):
            answer = event.answer
    ended = time.perf_counter()
    return Timed(answer.text, answer.completion_tokens, (first or ended) - began, ended - began)


def _by_api(address: str, ground: Ground, number: int) -> Timed:
    """Streamed; nothing is stored, as clients have it unless they ask."""
    body = {
        "model": f"elara-{AUDIENCE}",
        "messages": [{"role": "user", "content": _question(number)}],
        "temperature": 0,
        "top_p": 1.0,
        "max_tokens": ground.tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    began, first, text, tokens = time.perf_counter(), None, "", 0
    with httpx.stream("POST", f"{address}/v1/chat/completions", json=body, timeout=TIMEOUT) as answer:
        for chunk in _events(answer):
            for choice in chunk["choices"]:
                if words := choice["delta"].get("content"):
                    first = first or time.perf_counter()
                    text += words
            tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
    ended = time.perf_counter()
    return Timed(text, tokens, (first or ended) - began, ended - began)


def _by_page(page: Any, address: str, ground: Ground, number: int) -> Timed:
    """As a browser presses Send; only the painting is missing. The first words are in its second update."""
    number_of, inputs = _send_handler(page)
    session = uuid4().hex
    values = _sampling(ground)
    given = [
        _question(number), AUDIENCE, None, values["temperature"], values["repetition_penalty"],
        values["top_p"], ground.tokens, None,
    ]  # fmt: skip
    if len(given) != inputs:
        raise RuntimeError(f"The page's Send takes {inputs} values now, not {len(given)}.")
    began, updates = time.perf_counter(), []
    joined = httpx.post(
        f"{address}/gradio_api/queue/join",
        json={"data": given, "fn_index": number_of, "session_hash": session},
        timeout=TIMEOUT,
    )
    joined.raise_for_status()
    with httpx.stream(
        "GET", f"{address}/gradio_api/queue/data", params={"session_hash": session}, timeout=TIMEOUT
    ) as answer:
        for message in _events(answer):
            if message["msg"] == "process_generating":
                updates.append(time.perf_counter())
            elif message["msg"] == "process_completed":
                if not message["success"]:
                    raise RuntimeError(f"The page failed: {message['output']}")
                break
    ended = time.perf_counter()
    first = updates[1] if len(updates) > 1 else ended
    return Timed("", ground.tokens, first - began, ended - began)


def _send_handler(page: Any) -> tuple[int, int]:
    """The page's number for what Send does, and how many values it takes."""
    for number, block in page.fns.items():
        if getattr(block.fn, "__qualname__", "").endswith("ChatHandlers.ask"):
            return int(number), len(block.inputs)
    raise RuntimeError("The page has no handler ChatHandlers.ask any more.")


def _sampling(ground: Ground) -> dict[str, float]:
    """As `make_request` draws."""
    sampling = make_request(0, None, ground.tokens).sampling
    return {
        "temperature": sampling.temperature,
        "repetition_penalty": sampling.repetition_penalty,
        "top_p": sampling.top_p,
    }


def _events(answer: httpx.Response) -> Iterator[Any]:
    """The documents of a stream of events."""
    answer.raise_for_status()
    for line in answer.iter_lines():
        if line.startswith("data:") and (words := line.removeprefix("data:").strip()) != "[DONE]":
            yield json.loads(words)
