"""Rows that come and go, each with its own adapter, say what they say alone; with little memory too."""

import json

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file
from serving_factory import answer_to, ask, ends_of, make_base, make_lora, solo
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapters.engines.transformers.line import Line
from adapters.engines.transformers.prefixes import Prefixes
from adapters.engines.transformers.request import Answer
from adapters.engines.transformers.voices import Voices
from adapters.engines.transformers.worker import Worker
from adapters.errors import AdapterError, EngineError
from adapters.manifest import CONFIG, WEIGHTS

SEGMENT = 16
VOICES = (None, "a@1", "b@1")


class Bench:
    """A worker on a tiny model, driven round by round."""

    def __init__(self, base, folders, rows=16, prefix_bytes=1 << 20):
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        self.ends = ends_of(self.tokenizer)
        self.voices = Voices(AutoModelForCausalLM.from_pretrained(base), str(base), "")
        self.keys = {name: self.voices.add(name, folder) for name, folder in folders.items()}
        self.line = Line()
        self.prefixes = Prefixes(prefix_bytes)
        self.left = []
        self.worker = Worker(
            self.voices, self.line, self.ends, rows, SEGMENT, self.prefixes, self.left.append
        )

    def put(self, request):
        answer = answer_to(request, self.tokenizer, self.keys.get(request.adapter))
        self.line.put(answer)
        return answer

    def finish(self):
        rounds = 0
        while len(self.line) or not self.worker.is_idle:
            self.worker.work()
            rounds += 1
            assert rounds < 1000
        return rounds


def written(answer):
    return answer.tokens[answer.prompt_tokens :]


def crowd():
    """Questions of all voices, of different lengths and to different lengths."""
    return [
        ask("Why? " * (number % 4 + 1) + str(number), VOICES[number % 3], max_new_tokens=4 + 5 * (number % 5))
        for number in range(14)
    ]


def expected(base, folders, requests):
    """What each says alone, in the order of the requests."""
    by_voice = {
        voice: iter(solo(base, folders.get(voice), [one for one in requests if one.adapter == voice]))
        for voice in VOICES
    }
    return [next(by_voice[request.adapter]) for request in requests]


@pytest.fixture(scope="module", params=["llama", "mistral", "qwen3", "gpt2", "bloom"])
def base(request, tmp_path_factory):
    changes = {"sliding_window": 24} if request.param == "mistral" else {}
    return make_base(tmp_path_factory.mktemp("base") / request.param, request.param, **changes)


@pytest.fixture(scope="module")
def folders(base, tmp_path_factory):
    root = tmp_path_factory.mktemp("adapters")
    return {
        "a@1": make_lora(base, root / "a", 1),
        "b@1": make_lora(base, root / "b", 2, r=7, target_modules="all-linear"),
    }


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A base and its adapters, where one architecture is enough."""
    root = tmp_path_factory.mktemp("llama")
    base = make_base(root / "base")
    return base, {name: make_lora(base, root / name, seed) for name, seed in (("a@1", 1), ("b@1", 2))}


def test_rows_that_come_and_go_say_what_generate_says_alone(base, folders):
    bench, requests = Bench(base, folders, rows=5), crowd()
    answers = []
    for number, request in enumerate(requests):
        answers.append(bench.put(request))
        for _ in range(number % 4):
            bench.worker.work()
    bench.finish()
    alone = expected(base, folders, requests)
    assert [written(answer) for answer in answers] == alone
    assert len({tuple(tokens[:4]) for tokens in alone}) > 5  # they differ, so the comparison says something
    assert sorted(map(id, bench.left)) == sorted(map(id, answers))


SCALES = {
    "stabilised": {"use_rslora": True, "r": 9},
    "ranks": {"rank_pattern": {"layers.0.self_attn.q_proj": 7}, "alpha_pattern": {"v_proj": 31, "k_proj": 2}},
    "pattern": {"target_modules": r".*layers\.1\..*(q|v)_proj"},
    "some layers": {"layers_to_transform": [1], "target_modules": ["q_proj", "down_proj"]},
}


@pytest.mark.parametrize("settings", SCALES.values(), ids=list(SCALES))
def test_ranks_strengths_and_layers_are_those_that_peft_would_take(llama, tmp_path, settings):
    base, others = llama
    folders = others | {"b@1": make_lora(base, tmp_path / "own", 3, **settings)}
    bench, requests = Bench(base, folders), crowd()
    answers = [bench.put(request) for request in requests]
    bench.finish()
    assert [written(answer) for answer in answers] == expected(base, folders, requests)


def test_numbers_too_large_for_the_base_s_type_are_refused(llama, tmp_path):
    base, _ = llama
    folder = make_lora(base, tmp_path / "large", 4)
    weights = load_file(folder / WEIGHTS)
    weights[min(weights)][0, 0] = 1e6
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float16)
    with pytest.raises(AdapterError, match="too large"):
        Voices(model, str(base), "").add("large@1", folder)


def test_targets_that_this_base_has_not_and_what_is_left_to_peft_s_defaults_are_no_fault(llama, tmp_path):
    base, others = llama
    folder = make_lora(base, tmp_path / "broad", 5, r=8, lora_alpha=8)
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    config["target_modules"] += ["query_key_value"]
    config |= {"exclude_modules": ["lm_head"]}
    del config["r"], config["lora_alpha"]
    (folder / CONFIG).write_text(json.dumps(config), "utf-8")
    bench = Bench(base, others | {"b@1": folder})
    requests = [ask("Why?", "b@1"), ask("When?", "a@1")]
    answers = [bench.put(request) for request in requests]
    bench.finish()
    alone = solo(base, folder, requests[:1]) + solo(base, others["a@1"], requests[1:])
    assert [written(answer) for answer in answers] == alone


def test_an_adapter_that_goes_leaves_the_others_and_the_model_as_they_were(llama):
    base, folders = llama
    bench, requests = Bench(base, folders), crowd()
    bench.voices.remove(bench.keys.pop("a@1"))
    bench.voices.remove(bench.voices.add("c@1", folders["a@1"]))
    left = [request for request in requests if request.adapter != "a@1"]
    answers = [bench.put(request) for request in left]
    bench.finish()
    alone = dict(zip(map(id, requests), expected(base, folders, requests), strict=True))
    assert [written(answer) for answer in answers] == [alone[id(request)] for request in left]
    bench.voices.remove(bench.keys["b@1"])
    assert bench.voices.keys == ()
    assert not any(layer._forward_hooks for layer in bench.voices._model.modules())


def test_a_cancelled_row_leaves_at_the_next_step_and_disturbs_nobody(llama):
    base, folders = llama
    bench, requests = Bench(base, folders), crowd()[:6]
    answers = [bench.put(request) for request in requests]
    for _ in range(4):
        bench.worker.work()
    victim = max(answers, key=lambda answer: answer.request.sampling.max_new_tokens - len(written(answer)))
    so_far = len(written(victim))
    assert not victim.is_over
    victim.cancel()
    bench.finish()
    assert len(written(victim)) == so_far
    assert victim in bench.left
    for answer, tokens in zip(answers, expected(base, folders, requests), strict=True):
        assert answer is victim or written(answer) == tokens


def test_one_that_is_cancelled_between_two_looks_is_not_lost(llama, monkeypatch):
    bench = Bench(*llama)
    answers = [bench.put(ask(str(number))) for number in range(3)]
    looks, is_over = [], Answer.is_over.fget

    def look(answer):
        if answer is answers[1]:
            looks.append(answer)
            return len(looks) > 3
        return is_over(answer)

    monkeypatch.setattr(Answer, "is_over", property(look))
    bench.finish()
    assert sorted(map(id, bench.left)) == sorted(map(id, answers))


def test_those_who_were_cancelled_before_their_turn_never_begin(llama):
    bench = Bench(*llama, rows=1)
    first, second = bench.put(ask()), bench.put(ask("And?"))
    second.cancel()
    bench.finish()
    assert written(first)
    assert not written(second)
    assert bench.left == [second, first]


def test_a_prompt_cancelled_while_it_is_read_is_left(llama):
    bench = Bench(*llama)
    long = bench.put(ask("word " * 60))
    bench.worker.work()
    long.cancel()
    bench.finish()
    assert not written(long)
    assert bench.left == [long]


def test_voices_take_turns(llama):
    """Ten of one audience came first; the others' only question is answered second, not eleventh."""
    bench = Bench(*llama, rows=1)
    many = [bench.put(ask(str(number), "a@1")) for number in range(10)]
    bench.put(ask("other", "b@1"))
    bench.put(ask("base"))
    bench.finish()
    order = [answer.request.adapter for answer in bench.left]
    assert order[:4] == ["a@1", "b@1", None, "a@1"]
    assert [answer for answer in bench.left if answer.request.adapter == "a@1"] == many


def test_a_remembered_prompt_changes_no_number(llama):
    base, folders = llama
    bench = Bench(base, folders)
    seen = []
    forward = bench.voices.forward
    bench.voices.forward = lambda *given: seen.append(forward(*given)) or seen[-1]
    first, again = bench.put(ask("word " * 20, "a@1")), None
    bench.finish()
    fresh = [logits.clone() for logits in seen[-16:]]
    seen.clear()
    again = bench.put(ask("word " * 20, "a@1"))
    bench.finish()
    assert first.cached_tokens == 0
    assert again.cached_tokens >= again.system_tokens > SEGMENT
    assert len(seen) < 18
    assert all(torch.equal(one, other) for one, other in zip(fresh, seen[-16:], strict=True))


def test_what_one_voice_read_is_nothing_to_another(llama):
    base, folders = llama
    bench = Bench(base, folders)
    requests = [ask("Same question.", voice) for voice in (*VOICES, *VOICES)]
    answers = []
    for request in requests:
        answers.append(bench.put(request))
        bench.finish()
    assert [written(answer) for answer in answers] == expected(base, folders, requests)
    assert [answer.cached_tokens > 0 for answer in answers] == [False] * 3 + [True] * 3


def limit_memory(bench, rows):
    """Let the model find no memory for more rows than that; returns how often that happened."""
    forward, failures = bench.voices.forward, []

    def forward_within(tokens, starts, padding, cache, voices):
        if len(tokens) <= rows:
            return forward(tokens, starts, padding, cache, voices)
        forward(tokens, starts, padding, cache, voices)  # the cache has taken the tokens in when it fails
        failures.append(len(tokens))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    bench.voices.forward = forward_within
    return failures


def test_running_out_of_memory_costs_time_but_no_answer(llama):
    base, folders = llama
    bench, requests = Bench(base, folders, rows=8), crowd()
    failures = limit_memory(bench, rows=3)
    answers = [bench.put(request) for request in requests]
    bench.finish()
    assert failures == [4]
    assert bench.worker.rows < 8
    assert [written(answer) for answer in answers] == expected(base, folders, requests)
    assert len(bench.left) == len(answers)


def test_the_youngest_go_back_to_the_line(llama):
    bench = Bench(*llama, rows=4)
    failures = limit_memory(bench, rows=2)
    answers = [bench.put(ask(str(number))) for number in range(4)]
    while not failures:
        bench.worker.work()
    assert bench.worker.running == bench.worker.rows == failures[0] // 2
    stayed = bench.worker.running
    assert [bench.line.take() for _ in answers[stayed:]] == answers[stayed:]


def test_the_batch_grows_again_after_a_while(llama):
    bench = Bench(*llama, rows=4)
    limit_memory(bench, rows=2)
    for number in range(4):
        bench.put(ask(str(number), max_new_tokens=4))
    bench.finish()
    small = bench.worker.rows
    for number in range(40):
        bench.put(ask(str(number)))
        bench.finish()
    assert small < bench.worker.rows <= 4


def test_one_that_never_fits_is_told_so_and_the_others_are_answered(llama):
    base, folders = llama
    bench = Bench(base, folders)
    forward = bench.voices.forward

    def forward_within(tokens, starts, padding, cache, voices):
        if starts[0] + padding[0] > 150:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(tokens, starts, padding, cache, voices)

    bench.voices.forward = forward_within
    large, small = bench.put(ask("word " * 60)), bench.put(ask())
    bench.finish()
    assert written(small) == expected(base, folders, [small.request])[0]
    with pytest.raises(EngineError, match="memory for one answer"):
        list(large.read())
    assert len(bench.left) == 2


def test_any_other_failure_ends_the_answers_that_had_begun(llama):
    bench = Bench(*llama, rows=1)
    begun, waits = bench.put(ask()), bench.put(ask("Later"))
    bench.worker.work()
    bench.worker.fail(EngineError("broken"))
    with pytest.raises(EngineError, match="broken"):
        list(begun.read())
    bench.finish()
    assert written(waits)
