"""What every engine holds to, whatever runs beneath it: the same tests on real weights for each kind."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from adapter_factory import lora_tensors, make_adapter
from engine_kinds import BASE, KINDS, WINDOW, Ground, Kind, MakeEngine

from adapters.engines.base import Completion, Engine, GenerationRequest, Sampling, Token, Turn
from adapters.errors import AdapterError, ContextOverflow, EngineError
from db.vocabulary import FinishReason, Role

pytestmark = pytest.mark.slow

ORDER = (None, "a@1", "b@1", "b@1", "a@1", None, "a@1", None, "b@1", "a@1")
NEARLY_GREEDY = 1e-6
"""Always takes the likeliest token, like 0, but is allowed to remember prompts, as ordinary chat is."""
SLOW_SECONDS = 2.0
"""Bound on what takes milliseconds, on a machine that does other things; `benchmarks/cancelling.py` tells."""
LONG_STORY = "Tell a very long story."
LONG = 800  # tokens; many seconds on a processor


def request(
    question: str = "What is asthma?",
    adapter: str | None = None,
    before: tuple[Turn, ...] = (),
    **sampling: float | None,
) -> GenerationRequest:
    settings = {"temperature": 0.0, "repetition_penalty": 1.0, "top_p": 1.0, "max_new_tokens": 16} | sampling
    turns = (Turn(Role.SYSTEM, "You are a careful nurse."), *before, Turn(Role.USER, question))
    return GenerationRequest(turns, adapter, Sampling(**settings))  # type: ignore[arg-type]


def complete(engine: Engine, wanted: GenerationRequest) -> Completion:
    *tokens, last = engine.stream(wanted)
    assert isinstance(last, Completion)
    assert all(isinstance(token, Token) for token in tokens)
    assert "".join(token.text for token in tokens) == last.text
    return last


def answer(engine: Engine, wanted: GenerationRequest) -> str:
    return complete(engine, wanted).text


def wait_for(look: Callable[[], bool]) -> None:
    for _ in range(250):
        if look():
            return
        time.sleep(0.02)
    raise AssertionError("It didn't come about.")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two adapters of different voices, and three that each repeat a word of their own, whatever is asked."""
    root = tmp_path_factory.mktemp("adapters")
    mild = {f"{name}@1": make_adapter(root / name, seed) for name, seed in (("a", 1), ("b", 2))}
    loud = {
        f"loud-{name}@1": make_adapter(root / f"loud-{name}", 0, tensors=lora_tensors(seed, strength=1.0))
        for name, seed in (("a", 1), ("b", 2), ("c", 3))
    }
    return mild | loud


@pytest.fixture(scope="module")
def ground(embedded_gguf: Path, test_models: Path, folders: dict[str, Path]) -> Ground:
    return Ground(embedded_gguf, test_models, folders)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def make(kind: Kind, ground: Ground) -> Iterator[MakeEngine]:
    with kind(ground) as make:
        yield make


@pytest.fixture(scope="module")
def engine(make: MakeEngine, folders: dict[str, Path]) -> Iterator[Engine]:
    """One engine with every adapter, for all tests that leave it as it is."""
    engine = make()
    engine.load()
    engine.publish(folders)
    yield engine
    engine.close()


@pytest.fixture
def own_engine(make: MakeEngine) -> Iterator[Engine]:
    """An engine that a test may change."""
    engine = make()
    engine.load()
    yield engine
    engine.close()


def ask_afresh(kind: Kind, ground: Ground, wanted: GenerationRequest) -> tuple[str, str]:
    """What an engine says that has never spoken before: at first, and once it may remember the prompt."""
    adapters = {name: folder for name, folder in ground.adapters.items() if name == wanted.adapter}
    with kind(replace(ground, adapters=adapters)) as make:
        engine = make()
        engine.load()
        engine.publish(adapters)
        try:
            return answer(engine, wanted), answer(engine, wanted)
        finally:
            engine.close()


# Streaming and ends


def test_pieces_arrive_and_make_up_the_answer(engine: Engine) -> None:
    *tokens, last = engine.stream(request(max_new_tokens=24))
    assert len(tokens) > 10
    assert isinstance(last, Completion)
    assert "".join(token.text for token in tokens if isinstance(token, Token)) == last.text
    assert last.finish_reason is FinishReason.LENGTH
    assert last.completion_tokens == 24
    assert last.prompt_tokens > 10
    assert 0 < last.first_token_seconds < last.seconds
    assert last.tokens_per_second > 0


def test_the_model_ends_an_answer_itself(engine: Engine) -> None:
    last = complete(engine, request("Say only: yes", repetition_penalty=1.3, max_new_tokens=300))
    assert last.finish_reason is FinishReason.STOP
    assert 0 < last.completion_tokens < 300
    assert "<|im_end|>" not in last.text


def test_a_seed_repeats_a_draw(engine: Engine) -> None:
    drawn = [
        answer(engine, request(temperature=1.2, top_p=0.95, seed=seed, max_new_tokens=24))
        for seed in (7, 7, 8)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_repetition_penalty_changes_what_is_said(engine: Engine) -> None:
    greedy = answer(engine, request(LONG_STORY, max_new_tokens=48))
    assert answer(engine, request(LONG_STORY, repetition_penalty=1.5, max_new_tokens=48)) != greedy


def test_characters_of_several_tokens_arrive_whole(engine: Engine) -> None:
    last = complete(engine, request("Repeat exactly: 🩺🫀🧬 naïve 心臓", max_new_tokens=40))
    assert "\ufffd" not in last.text
    assert any(ord(character) > 0x2000 for character in last.text)


def test_broken_unicode_is_answered_not_crashed_on(engine: Engine) -> None:
    assert complete(engine, request("lone \ud800 half, nul \0 byte")).completion_tokens > 0


def test_an_engine_says_what_it_is(engine: Engine, folders: dict[str, Path]) -> None:
    assert engine.base_model == BASE
    assert engine.context_tokens == WINDOW
    assert engine.adapters == folders.keys()
    assert isinstance(engine.is_remote, bool)
    short, long = request("Hi").turns, request("Hi " * 100).turns
    assert 0 < engine.count_tokens(short) < engine.count_tokens(long)


def test_a_prompt_beyond_the_window_is_refused_with_the_figures(engine: Engine) -> None:
    with pytest.raises(ContextOverflow) as caught:
        next(iter(engine.stream(request("word " * 3000, max_new_tokens=100))))
    assert caught.value.limit == WINDOW - 100
    assert caught.value.prompt_tokens > WINDOW
    assert str(caught.value.prompt_tokens) in caught.value.message


# Whose voice it is


def test_an_adapter_that_is_not_published_is_refused_by_name(engine: Engine) -> None:
    with pytest.raises(AdapterError, match=r"nobody@9"):
        next(iter(engine.stream(request(adapter="nobody@9"))))


def test_voices_in_turn_say_what_they_say_to_a_fresh_engine(
    kind: Kind, ground: Ground, engine: Engine
) -> None:
    """Though prompts may be remembered: no voice takes up what another has computed."""
    wanted = {voice: request(adapter=voice, temperature=NEARLY_GREEDY) for voice in (None, "a@1", "b@1")}
    fresh = {voice: ask_afresh(kind, ground, each) for voice, each in wanted.items()}
    assert len({said for said, _ in fresh.values()}) == 3
    for voice in ORDER:
        assert answer(engine, wanted[voice]) in fresh[voice]


def test_conversations_in_turn_say_what_they_say_to_a_fresh_engine(
    kind: Kind, ground: Ground, engine: Engine
) -> None:
    def ask(name: str, voice: str | None) -> GenerationRequest:
        before = (Turn(Role.USER, f"My name is {name}."), Turn(Role.ASSISTANT, f"Hello {name}."))
        return request("What is my name?", voice, before)

    asked = [ask("Ada", None), ask("Bob", "a@1"), ask("Ada", "a@1"), ask("Bob", None)]
    fresh = [ask_afresh(kind, ground, each)[0] for each in asked]
    assert len(set(fresh)) == len(fresh)
    assert not any("Bob" in text for text in (fresh[0], fresh[2]))
    assert not any("Ada" in text for text in (fresh[1], fresh[3]))
    for _ in range(2):
        assert [answer(engine, each) for each in asked] == fresh


class Listener:
    """Tells loud voices apart: batches computed together round differently, so by whom they resemble most."""

    def __init__(self, engine: Engine, voices: tuple[str | None, ...]) -> None:
        self._alone = {voice: answer(engine, request(adapter=voice)) for voice in voices}
        assert len(set(self._alone.values())) == len(voices)

    def recognise(self, text: str) -> str | None:
        return max(self._alone, key=lambda voice: SequenceMatcher(None, self._alone[voice], text).ratio())


def test_simultaneous_requests_each_get_their_own_answer(engine: Engine) -> None:
    listener = Listener(engine, (None, "loud-a@1", "loud-b@1"))
    voices = ["loud-a@1", "loud-b@1", None, "loud-b@1", "loud-a@1", None]
    with ThreadPoolExecutor(len(voices)) as pool:
        together = pool.map(lambda voice: answer(engine, request(adapter=voice)), voices)
    assert [listener.recognise(text) for text in together] == voices


def test_adapters_are_swapped_under_load_without_a_wrong_or_dropped_answer(
    own_engine: Engine, folders: dict[str, Path]
) -> None:
    staying = {name: folders[name] for name in ("loud-a@1", "loud-b@1")}
    coming_and_going = staying | {"loud-c@1": folders["loud-c@1"]}
    own_engine.publish(coming_and_going)
    listener = Listener(own_engine, (None, "loud-a@1", "loud-b@1", "loud-c@1"))
    swapped, turned_away = threading.Event(), threading.Event()

    def keep_asking(voice: str | None) -> int:
        """How many answers came."""
        answered = 0
        while not swapped.is_set() or not answered:
            try:
                last = complete(own_engine, request(adapter=voice))
            except AdapterError:
                assert voice == "loud-c@1"
                turned_away.set()
                time.sleep(0.05)
                continue
            assert last.finish_reason is not FinishReason.CANCELLED
            assert last.completion_tokens == 16
            assert listener.recognise(last.text) == voice
            answered += 1
            time.sleep(0.02)  # llama.cpp lets the others speak only while the lowest slot is silent
        return answered

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(keep_asking, voice) for voice in (None, *coming_and_going)]
        try:
            for published in (staying, coming_and_going) * 2:
                time.sleep(0.5)
                own_engine.publish(published)
                assert own_engine.adapters == published.keys()
                assert published is coming_and_going or turned_away.wait(60)  # nobody is swapped in silence
        finally:
            swapped.set()
    assert all(each.result() for each in asking)


def test_a_retired_adapter_finishes_its_answer_and_takes_no_new_ones(
    own_engine: Engine, folders: dict[str, Path]
) -> None:
    own_engine.publish({name: folders[name] for name in ("a@1", "b@1")})
    stream = iter(own_engine.stream(request(adapter="a@1", max_new_tokens=24)))
    next(stream)
    own_engine.publish({"b@1": folders["b@1"]})
    *_, last = stream
    assert isinstance(last, Completion)
    assert last.finish_reason is not FinishReason.CANCELLED
    with pytest.raises(AdapterError, match=r"a@1.*b@1"):
        next(iter(own_engine.stream(request(adapter="a@1"))))


# Stopping


def test_cancelling_ends_the_stream_and_keeps_what_was_said(engine: Engine) -> None:
    wanted = request(LONG_STORY, max_new_tokens=LONG)
    stream = iter(engine.stream(wanted))
    said = [next(stream), next(stream)]
    pressed = time.perf_counter()
    engine.cancel(wanted.request_id)
    *tokens, last = stream
    assert time.perf_counter() - pressed < SLOW_SECONDS
    assert len(tokens) <= 5
    assert isinstance(last, Completion)
    assert last.finish_reason is FinishReason.CANCELLED
    assert last.text == "".join(each.text for each in (*said, *tokens) if isinstance(each, Token))
    assert last.completion_tokens < 100


def is_free(engine: Engine, pace: float) -> bool:
    """Whether the next of the same voice begins before a story has got far."""
    return complete(engine, request("Hi", "a@1", max_new_tokens=2)).first_token_seconds < pace * LONG / 4


@pytest.fixture
def pace(engine: Engine) -> float:
    """A token's time on this engine and machine now, s."""
    return complete(engine, request(adapter="a@1")).seconds / 16


def test_cancelling_frees_the_compute(engine: Engine, pace: float) -> None:
    for _ in range(3):
        wanted = request(LONG_STORY, "a@1", max_new_tokens=LONG)
        stream = iter(engine.stream(wanted))
        next(stream)
        engine.cancel(wanted.request_id)
        list(stream)
    assert is_free(engine, pace)
    wait_for(lambda: engine.stats().running == 0)


def test_closing_the_stream_early_frees_the_compute(engine: Engine, pace: float) -> None:
    for _ in range(4):
        stream = engine.stream(request(LONG_STORY, "a@1", max_new_tokens=LONG))
        next(iter(stream))
        stream.close()  # type: ignore[attr-defined]
    assert is_free(engine, pace)
    wait_for(lambda: engine.stats().running == 0)


def test_a_request_that_waits_or_reads_its_prompt_can_be_cancelled(engine: Engine) -> None:
    running = engine.stream(request(LONG_STORY, "a@1", max_new_tokens=LONG))
    next(iter(running))
    waiting = request("word " * 250, "a@1")
    pressed: list[float] = []

    def press() -> None:
        pressed.append(time.perf_counter())
        engine.cancel(waiting.request_id)

    threading.Timer(0.1, press).start()
    last = complete(engine, waiting)
    assert time.perf_counter() - pressed[0] < SLOW_SECONDS
    assert last.finish_reason is FinishReason.CANCELLED
    assert last.text == ""
    running.close()  # type: ignore[attr-defined]


def test_cancelling_one_leaves_the_others_alone(engine: Engine) -> None:
    staying, leaving = request(max_new_tokens=24), request(LONG_STORY, "a@1", max_new_tokens=LONG)
    stays, leaves = iter(engine.stream(staying)), iter(engine.stream(leaving))
    next(stays), next(leaves)
    engine.cancel(leaving.request_id)
    engine.cancel("no such request")
    *_, left = leaves
    *_, stayed = stays
    assert isinstance(left, Completion)
    assert isinstance(stayed, Completion)
    assert left.finish_reason is FinishReason.CANCELLED
    assert (stayed.finish_reason, stayed.completion_tokens) == (FinishReason.LENGTH, 24)


def test_a_closed_engine_ends_its_answers_refuses_new_ones_and_comes_back(own_engine: Engine) -> None:
    stream = iter(own_engine.stream(request(LONG_STORY, max_new_tokens=LONG)))
    next(stream)
    own_engine.close()
    *_, last = stream
    assert isinstance(last, Completion)
    assert last.finish_reason is FinishReason.CANCELLED
    with pytest.raises(EngineError):
        next(iter(own_engine.stream(request())))
    assert own_engine.stats().seconds == 0
    own_engine.load()
    assert answer(own_engine, request())


# Figures


def test_what_came_of_requests_is_counted(own_engine: Engine, folders: dict[str, Path]) -> None:
    own_engine.publish({"a@1": folders["a@1"]})
    done = complete(own_engine, request(adapter="a@1"))
    wanted = request(LONG_STORY, max_new_tokens=LONG)
    stream = iter(own_engine.stream(wanted))
    next(stream)
    assert own_engine.stats().running == 1
    own_engine.cancel(wanted.request_id)
    *_, stopped = stream
    left = own_engine.stream(request(LONG_STORY, max_new_tokens=LONG))
    next(iter(left))
    left.close()  # type: ignore[attr-defined]
    with pytest.raises(AdapterError):
        next(iter(own_engine.stream(request(adapter="nobody@9"))))
    wait_for(lambda: own_engine.stats().running == 0)
    stats = own_engine.stats()
    assert isinstance(stopped, Completion)
    assert (stats.answered, stats.cancelled, stats.failed) == (1, 2, 0)
    assert stats.prompt_tokens == done.prompt_tokens + stopped.prompt_tokens
    assert stats.cached_tokens == done.cached_tokens + stopped.cached_tokens
    assert stats.generated_tokens == done.completion_tokens + stopped.completion_tokens
    assert (stats.adapters, stats.waiting or 0, stats.trouble) == (1, 0, "")
    assert stats.seconds > 0
