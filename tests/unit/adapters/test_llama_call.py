"""What whoever reads an answer of llama.cpp is woken for."""

import pytest

from adapters.engines import llama_call
from adapters.engines.base import GenerationRequest, Sampling, Turn
from adapters.engines.llama_call import GATHERING_SECONDS, Call
from adapters.errors import EngineError
from db.vocabulary import Role


@pytest.fixture
def clock(monkeypatch):
    """The time, s; goes on when told to."""
    now = [100.0]
    monkeypatch.setattr(llama_call.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def call():
    return Call(GenerationRequest((Turn(Role.USER, "Hello"),), None, Sampling()))


def text(words):
    return {"choices": [{"delta": {"content": words}}]}


def waking(call):
    """How often the reader would be woken by now."""
    return call._arrivals.qsize()


def test_the_first_words_come_at_once_and_the_next_ones_together(call, clock):
    call.receive({"prompt_progress": {"processed": 64}, "choices": [{"delta": {"role": "assistant"}}]})
    assert waking(call) == 0, "there is nothing to read yet"
    call.receive(text("An"))
    assert waking(call) == 1
    for word in (" aspirin", " a", " day"):
        clock[0] += GATHERING_SECONDS / 5
        call.receive(text(word))
    assert waking(call) == 1
    clock[0] += GATHERING_SECONDS
    call.receive(text("."))
    assert waking(call) == 2


def test_slow_words_come_each_at_once(call, clock):
    for number, word in enumerate(("Slow", " words"), 1):
        clock[0] += 2 * GATHERING_SECONDS
        call.receive(text(word))
        assert waking(call) == number


def test_what_was_gathered_comes_before_the_end_and_in_order(call, clock):
    for word in ("One", " two", " three"):
        call.receive(text(word))
    call.end()
    words = [chunk["choices"][0]["delta"]["content"] for _, chunk in call.read()]
    assert words == ["One", " two", " three"]


def test_a_failure_comes_after_what_was_gathered(call, clock):
    call.receive(text("One"))
    call.receive(text(" two"))
    call.end(EngineError("It broke."))
    read = call.read()
    assert [next(read)[1], next(read)[1]] == [text("One"), text(" two")]
    with pytest.raises(EngineError, match="It broke"):
        next(read)


def test_who_cancelled_reads_nothing_more(call, clock):
    call.receive(text("One"))
    call.receive(text(" two"))
    call.cancel()
    assert list(call.read()) == []


def test_words_that_may_be_the_last_for_long_come_at_once(call, clock):
    call.receive_seldom(text("One"))
    call.receive_seldom(text(" two"))
    assert waking(call) == 2
