"""The transformers engine from outside, on tiny random models; once on the embedded model's weights."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("torch")

import torch
from adapter_factory import make_adapter, make_peft_folder
from engine_threads import BESIDE_OTHERS
from safetensors.torch import load_file, save_file
from serving_factory import ask, make_base, make_lora, solo
from tiny_models import save_tiny

from adapters.engines.base import Completion, Token
from adapters.engines.llamacpp import LlamaCppEngine
from adapters.engines.transformers.engine import TransformersEngine
from adapters.engines.transformers.request import Answer
from adapters.errors import AdapterError, ContextOverflow, EngineBusy, EngineError, ModelError
from adapters.manifest import CONFIG, WEIGHTS
from db.vocabulary import FinishReason

WINDOW = 512
VOICES = (None, "a@1", "b@1")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base") / "llama")


@pytest.fixture(scope="module")
def folders(base, tmp_path_factory):
    root = tmp_path_factory.mktemp("adapters")
    return {f"{name}@1": make_lora(base, root / name, seed) for name, seed in (("a", 1), ("b", 2))}


def make_engine(base, **settings):
    return TransformersEngine(
        str(base), base.parent, **({"context_tokens": WINDOW, "dtype": "fp32"} | settings)
    )


@pytest.fixture(scope="module")
def engine(base, folders):
    """One engine with both adapters, for all tests that leave it as it is."""
    engine = make_engine(base)
    engine.publish(folders)
    yield engine
    engine.close()


@pytest.fixture
def own_engine(base):
    """An engine that a test may change."""
    engine = make_engine(base, rows=4, waiting=4)
    engine.load()
    yield engine
    engine.close()


@pytest.fixture
def tokens_of(monkeypatch):
    """The tokens of every answer by request id: random bytes make no text that could be compared."""
    written = {}
    take = Answer.take

    def note(answer, token, ends):
        written.setdefault(answer.request.request_id, []).append(token)
        take(answer, token, ends)

    monkeypatch.setattr(Answer, "take", note)
    return written


def completion(engine, request):
    return list(engine.stream(request))[-1]


@pytest.fixture(scope="module")
def endless(engine):
    """Makes a question to the base model whose answer goes on to its bound, 400 tokens."""
    for seed in range(60):
        story = {"temperature": 1.5, "top_p": 0.9, "seed": seed, "max_new_tokens": 400}
        last = completion(engine, ask("Tell a long story.", **story))
        if last.finish_reason is FinishReason.LENGTH and len(last.text) > 100:
            return lambda: ask("Tell a long story.", **story)
    pytest.fail("every answer of this random model ends early")


def started(engine, request):
    """A stream that has begun: its answer is being written."""
    stream = engine.stream(request)
    return stream, next(stream).text


def test_pieces_arrive_and_make_up_the_answer(engine):
    *tokens, last = engine.stream(ask(max_new_tokens=24, temperature=3.0, seed=3))
    assert all(isinstance(token, Token) for token in tokens)
    assert isinstance(last, Completion)
    assert len(tokens) > 5
    assert "".join(token.text for token in tokens) == last.text
    assert last.prompt_tokens == engine.count_tokens(ask().turns)
    assert 0 < last.first_token_seconds <= last.seconds
    assert last.tokens_per_second > 0


def test_an_answer_ends_at_its_bound_or_where_the_model_ends_it(engine):
    ended = [completion(engine, ask(temperature=5.0, max_new_tokens=400, seed=seed)) for seed in range(8)]
    stopped = [last for last in ended if last.finish_reason is FinishReason.STOP]
    assert stopped  # one token in 259 is the end
    assert all(last.completion_tokens < 400 and "<|im_end|>" not in last.text for last in stopped)
    short = completion(engine, ask(temperature=5.0, max_new_tokens=3, seed=1))
    assert (short.finish_reason, short.completion_tokens) == (FinishReason.LENGTH, 3)


def test_a_crowd_gets_what_each_gets_alone_from_generate(engine, base, folders, tokens_of):
    requests = [
        ask(f"Question {number}?" * (number % 3 + 1), VOICES[number % 3], max_new_tokens=4 + number)
        for number in range(24)
    ]
    with ThreadPoolExecutor(len(requests)) as pool:
        list(pool.map(lambda request: completion(engine, request), requests))
    for voice in VOICES:
        own = [request for request in requests if request.adapter == voice]
        assert [tokens_of[request.request_id] for request in own] == solo(base, folders.get(voice), own)


def test_a_seed_repeats_a_draw_whoever_else_is_there(engine, tokens_of, endless):
    def draw(seed):
        request = ask("Draw.", "a@1", temperature=2.0, top_p=0.98, repetition_penalty=1.3, seed=seed)
        completion(engine, request)
        return tokens_of[request.request_id]

    alone = draw(7)
    others = [started(engine, endless())[0] for _ in VOICES]
    in_company = draw(7)
    for stream in others:
        stream.close()
    assert alone == in_company
    assert draw(8) != alone


def test_an_audiences_prompt_is_computed_once(engine):
    completion(engine, ask("First.", "b@1"))
    other = completion(engine, ask("Another question altogether?", "b@1"))
    assert len("You are a careful nurse.") < other.cached_tokens < other.prompt_tokens


def test_cancelling_ends_the_stream_and_the_work(engine, tokens_of, endless):
    request = endless()
    stream, said = started(engine, request)
    engine.cancel(request.request_id)
    last = list(stream)[-1]
    assert last.finish_reason is FinishReason.CANCELLED
    assert last.text.startswith(said)
    settle(engine)
    assert len(tokens_of[request.request_id]) < 400
    engine.cancel("no such request")


def settle(engine, seconds=10):
    """Wait until nobody is in the engine."""
    end = time.monotonic() + seconds
    while engine._answers:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_closing_the_stream_early_frees_the_row(engine, endless):
    for _ in range(20):  # more than there are rows
        started(engine, endless())[0].close()
    assert completion(engine, ask()).seconds < 20
    settle(engine)


def test_an_adapter_that_is_not_published_is_refused_by_name(engine):
    with pytest.raises(AdapterError, match=r"nobody@9.*a@1, b@1"):
        next(engine.stream(ask(adapter="nobody@9")))


def test_a_prompt_beyond_the_window_is_refused_with_the_figures(engine):
    with pytest.raises(ContextOverflow) as caught:
        next(engine.stream(ask("word " * 100, max_new_tokens=100)))
    assert caught.value.limit == WINDOW - 100
    assert str(caught.value.prompt_tokens) in caught.value.message


def test_too_many_are_told_that_it_is_busy(own_engine, endless):
    running = [started(own_engine, endless())[0] for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        waiting = [ask(str(number), max_new_tokens=2) for number in range(4)]
        answers = [pool.submit(completion, own_engine, request) for request in waiting]
        while len(own_engine._line) < 4:
            time.sleep(0.005)
        with pytest.raises(EngineBusy, match=r"At most 4 .* and 4 do\. Try again"):
            next(own_engine.stream(ask()))
        for stream in running:
            stream.close()
        assert all(answer.result().finish_reason for answer in answers)


def test_publishing_under_load_drops_and_confuses_nothing(own_engine, base, folders, tokens_of, tmp_path):
    third = make_lora(base, tmp_path / "c", 3, r=9, target_modules="all-linear")
    known = {**folders, "c@1": third}
    own_engine.publish(known)
    stop = threading.Event()
    asked = []

    def keep_asking(voice):
        while not stop.is_set():
            request = ask(f"{voice}?", voice, max_new_tokens=12)
            try:
                last = completion(own_engine, request)
            except AdapterError:
                continue  # retired just now; nothing was answered
            assert last.finish_reason is not FinishReason.CANCELLED
            asked.append(request)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(keep_asking, voice) for voice in (None, "a@1", "b@1", "c@1")]
        try:
            for round_ in range(12):
                own_engine.publish({**folders, **({"c@1": third} if round_ % 2 else {})})
                own_engine.publish({"a@1": folders["a@1"]} if round_ % 3 else {})
        finally:
            stop.set()
        for future in asking:
            future.result()
    assert {request.adapter for request in asked} == {None, *known}
    for voice in (None, *known):
        example = next(request for request in asked if request.adapter == voice)
        (alone,) = solo(base, known.get(voice), [example])
        assert {tuple(tokens_of[one.request_id]) for one in asked if one.adapter == voice} == {tuple(alone)}


def test_a_retired_adapter_finishes_its_answer_takes_no_new_ones_and_is_freed(own_engine, folders):
    own_engine.publish(folders)
    stream, _ = started(own_engine, ask("Go on.", "a@1", temperature=3.0, seed=5, max_new_tokens=60))
    own_engine.publish({"b@1": folders["b@1"]})
    with pytest.raises(AdapterError):
        next(own_engine.stream(ask(adapter="a@1")))
    assert list(stream)[-1].finish_reason is not FinishReason.CANCELLED
    own_engine.publish({})
    assert own_engine.adapters == frozenset()
    assert completion(own_engine, ask()).completion_tokens


def test_a_version_published_again_from_elsewhere_is_the_new_one(own_engine, folders, base, tokens_of):
    for folder in (folders["a@1"], folders["b@1"], folders["a@1"]):
        own_engine.publish({"a@1": folder})
        request = ask(adapter="a@1")
        completion(own_engine, request)
        assert [tokens_of[request.request_id]] == solo(base, folder, [request])


def damage_file(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:500])


def drop_weight(folder):
    weights = load_file(folder / WEIGHTS)
    del weights[min(weights)]
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def drop_layer(folder):
    weights = load_file(folder / WEIGHTS)
    kept = {name: weight for name, weight in weights.items() if "layers.1." not in name}
    assert 0 < len(kept) < len(weights)
    save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})


def empty_file(folder):
    save_file({}, folder / WEIGHTS, metadata={"format": "pt"})


def add_weight(folder):
    weights = load_file(folder / WEIGHTS)
    weights[min(weights).replace("layers.0", "layers.7")] = torch.zeros(4, 64)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def spoil_weight(folder):
    weights = load_file(folder / WEIGHTS)
    weights[min(weights)].view(-1)[0] = float("nan")
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def configure(**settings):
    def change(folder):
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        (folder / CONFIG).write_text(json.dumps(config | settings), "utf-8")

    return change


def claim_other_base(folder):
    (folder / "manifest.json").write_text(json.dumps({"provenance": {"base_model": "gpt2"}}), "utf-8")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_file, "can't be read"),
        (lambda folder: (folder / WEIGHTS).unlink(), "can't be read"),
        (lambda folder: (folder / CONFIG).write_text("{"), "can't be read"),
        (drop_weight, "its file lacks"),
        (drop_layer, "its file lacks model.layers.1"),
        (empty_file, "its file lacks"),
        (add_weight, "no place for"),
        (spoil_weight, "isn't a number"),
        (configure(r=8), "doesn't fit"),
        (configure(target_modules=["c_attn"]), "doesn't fit"),
        (configure(use_dora=True), "DoRA .*can't share a batch"),
        (configure(modules_to_save=["lm_head"]), "replaces whole layers"),
        (configure(peft_type="IA3"), "must be a LoRA"),
        (configure(init_lora_weights="pissa"), "changes the base model's own weights"),
        (configure(lora_bias=True), "more than a plain LoRA"),
        (claim_other_base, "trained on gpt2"),
    ],
    ids=[
        "cut", "missing", "config", "lacks", "layer", "empty", "more", "nan", "rank", "modules", "dora",
        "whole", "ia3", "pissa", "unknown", "base",
    ],
)  # fmt: skip
@pytest.mark.parametrize("first", [True, False], ids=["alone", "beside"])
def test_an_adapter_that_cannot_be_served_is_named_and_changes_nothing(
    own_engine, base, folders, tokens_of, tmp_path, damage, says, first
):
    bad = make_lora(base, tmp_path / "bad", 9)
    damage(bad)
    present = {} if first else {"a@1": folders["a@1"]}
    own_engine.publish(present)
    with pytest.raises(AdapterError, match=f"(?s)bad@1.*{says}"):
        own_engine.publish({**present, "b@1": folders["b@1"], "bad@1": bad})
    assert own_engine.adapters == set(present)
    for voice in (None, *present):
        request = ask(adapter=voice)
        completion(own_engine, request)
        assert [tokens_of[request.request_id]] == solo(base, present.get(voice), [request])
    own_engine.publish(folders)
    assert own_engine.adapters == {"a@1", "b@1"}


def test_an_adapter_of_another_architecture_does_not_fit(own_engine, tmp_path):
    other = make_base(tmp_path / "gpt2", "gpt2")
    with pytest.raises(AdapterError, match="doesn't fit"):
        own_engine.publish({"g@1": make_lora(other, tmp_path / "g", 1)})
    assert completion(own_engine, ask()).completion_tokens


def test_a_closed_engine_ends_its_answers_refuses_new_ones_and_can_be_loaded_again(
    own_engine, folders, endless
):
    own_engine.publish(folders)
    stream, _ = started(own_engine, endless())
    own_engine.close()
    assert list(stream)[-1].finish_reason is FinishReason.CANCELLED
    with pytest.raises(EngineError):
        next(own_engine.stream(ask()))
    with pytest.raises(EngineError):
        own_engine.count_tokens(ask().turns)
    own_engine.load()
    assert own_engine.adapters == frozenset()
    assert completion(own_engine, ask()).completion_tokens


def test_what_cannot_be_served_is_a_model_error(base, tmp_path):
    with pytest.raises(ModelError, match="none of them"):
        TransformersEngine("no such folder", tmp_path).load()
    with pytest.raises(ModelError, match="512 tokens; 4096"):
        make_engine(base, context_tokens=4096).load()
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="graphics card"):
            make_engine(base, dtype="fp16").load()


@pytest.mark.parametrize("dtype", ["bf16", "8bit", "4bit"])
def test_smaller_weights_answer_each_in_their_own_voice(tmp_path, dtype, tokens_of):
    base = save_tiny(tmp_path / "base", "llama", initializer_range=0.3)
    folders = {f"{seed}@1": make_lora(base, tmp_path / str(seed), seed) for seed in (1, 2)}
    engine = make_engine(base, dtype=dtype)
    engine.publish(folders)
    requests = [ask(adapter=voice) for voice in (None, *folders)]
    try:
        with ThreadPoolExecutor(3) as pool:
            lasts = list(pool.map(lambda request: completion(engine, request), requests))
        assert all(last.completion_tokens for last in lasts)
        assert len({tuple(tokens_of[request.request_id]) for request in requests}) == 3
    finally:
        engine.close()


@pytest.mark.slow
def test_on_the_embedded_model_both_engines_say_the_same(test_models, embedded_gguf, tmp_path):
    """Template, adapters and penalty mean the same in both; as they round differently, beginnings count."""
    folders = {f"{name}@1": make_adapter(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 2))}
    here = TransformersEngine("smollm2-135m", test_models, context_tokens=WINDOW, dtype="fp32")
    there = LlamaCppEngine(
        "smollm2-135m", embedded_gguf, context_tokens=WINDOW, slots=1, threads=BESIDE_OTHERS
    )
    requests = [ask(adapter=voice, repetition_penalty=1.3, max_new_tokens=24) for voice in (None, *folders)]
    try:
        for engine in (here, there):
            engine.publish(folders)
        with ThreadPoolExecutor(3) as pool:
            mine = [last.text for last in pool.map(lambda request: completion(here, request), requests)]
        theirs = [completion(there, request).text for request in requests]
    finally:
        here.close()
        there.close()
    assert len(set(mine)) == 3
    assert [text[:30] for text in mine] == [text[:30] for text in theirs]


@pytest.mark.slow
def test_on_the_embedded_model_a_mixed_crowd_says_what_generate_says(
    test_models, embedded_hf, tmp_path, tokens_of
):
    folders = {f"{name}@1": make_peft_folder(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 2))}
    engine = TransformersEngine("smollm2-135m", test_models, context_tokens=WINDOW, dtype="fp32")
    requests = [
        ask(question, voice, max_new_tokens=8 + 4 * number)
        for number, question in enumerate(("What is asthma?", "How do I treat a burn at home?"))
        for voice in (None, *folders)
    ]
    try:
        engine.publish(folders)
        with ThreadPoolExecutor(len(requests)) as pool:
            list(pool.map(lambda request: completion(engine, request), requests))
    finally:
        engine.close()
    for voice in (None, *folders):
        own = [request for request in requests if request.adapter == voice]
        assert [tokens_of[one.request_id] for one in own] == solo(embedded_hf, folders.get(voice), own)
