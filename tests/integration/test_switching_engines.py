"""Switching between real models while questions come in: no answer is wrong, mixed or dropped."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from base_gguf import write_base_gguf
from tiny_models import tiny_model, tiny_tokenizer

from adapters.engines.choice import Choice, EngineKind
from db.home import Home
from db.vocabulary import FinishReason
from elara_ui.services import Services, build_services
from elara_ui.services.answers import Answer, Finished
from elara_ui.settings import Settings

pytestmark = pytest.mark.slow

QUESTIONS = [f"What is {what}?" for what in ("asthma", "gout")]
GREEDY = {"temperature": 0.0, "max_new_tokens": 5}


@pytest.fixture
def tiny(tmp_path: Path) -> Choice:
    """A GPT-2 of two layers without a chat template, as a file on this machine; its window is 512 tokens."""
    torch.manual_seed(3)
    model = tiny_model("gpt2", initializer_range=0.3, n_positions=512)
    file = write_base_gguf(model, tmp_path / "tiny.gguf", tiny_tokenizer(chat_template=None))
    return Choice(EngineKind.LLAMACPP, str(file), file)


@pytest.fixture
def services(home: Home, embedded_gguf: Path):
    settings = Settings.read(
        home=home.root, model_file=embedded_gguf, context_tokens=640, slots=2, cache_mb=0, threads=1
    )
    services = build_services(settings)
    services.serving.engine()
    yield services
    services.close()


def ask(services: Services, text: str) -> Answer:
    *_, last = services.chat.ask_once(services.chat.check("patient", text, GREEDY))
    assert isinstance(last, Finished)
    return last.answer


def wait_for_switch(services: Services) -> None:
    until = time.monotonic() + 60
    while services.serving.status.is_switching:
        assert time.monotonic() < until
        time.sleep(0.01)


def switch(services: Services, choice: Choice) -> None:
    services.serving.switch(choice)
    wait_for_switch(services)
    assert services.serving.choice == choice


def test_answers_under_load_are_those_of_one_model_each_and_a_damaged_one_gives_none(
    services: Services, tiny: Choice
) -> None:
    embedded = services.serving.choice
    assert embedded is not None
    assert tiny.path is not None
    alone = {embedded.base_model: {text: ask(services, text).text for text in QUESTIONS}}
    switch(services, tiny)
    alone[tiny.base_model] = {text: ask(services, text).text for text in QUESTIONS}
    assert all(one != other for one, other in zip(*(each.values() for each in alone.values()), strict=True))

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(ask, services, text) for text in QUESTIONS * 3]
        switch(services, embedded)
        waiting += [pool.submit(ask, services, text) for text in QUESTIONS]
        answers = [answer.result() for answer in waiting]
    for answer in answers:
        assert answer.text == alone[answer.base_model][answer.question]
        assert answer.finish_reason is not FinishReason.CANCELLED
    assert {answer.base_model for answer in answers} == alone.keys()

    cut = tiny.path.with_name("cut.gguf")
    cut.write_bytes(tiny.path.read_bytes()[: tiny.path.stat().st_size // 2])
    services.serving.switch(Choice(EngineKind.LLAMACPP, str(cut), cut))
    wait_for_switch(services)
    assert services.serving.choice == embedded
    [warning] = services.serving.status.warnings
    assert "cut.gguf can't be loaded" in warning
