"""The transformers engine against transformers and peft as a tutorial uses them, on the embedded model.

    python -m benchmarks.serving_mixed --models FOLDER    # holds the embedded model, or receives it
    python -m benchmarks.serving_mixed --tokens 24 --rounds 1 --json

First one person: tokens a second of `generate` with one PEFT adapter, and of the engine. Then a crowd: many
questions over several adapters, by the engine all at once, and by `set_adapter` and `generate` one after the
other, which is what a model with several adapters allows without mixing them. Both sides compute in the same
type, with as many threads, and answer greedily to the same length. Rounds are interleaved and the best of
each counts: on a shared machine times only get longer. On a busy one, `--processor-time` with `--threads 1`
counts the seconds that this process computed; not for a graphics card, which computes by itself. Prompts are
remembered in the engine, as in use; the first round reads them.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from adapters import catalog
from adapters.engines.base import Completion, GenerationRequest, Sampling, Turn
from adapters.engines.choice import DTYPES
from adapters.engines.transformers import loading
from adapters.engines.transformers.engine import TransformersEngine
from adapters.recipe import find_recipe
from adapters.templating import render_prompt
from db.vocabulary import Role

QUESTIONS = (
    "What is asthma?",
    "How is high blood pressure treated?",
    "What should I do about a minor burn?",
    "Why do antibiotics not help against a cold?",
)
CONTEXT_TOKENS = 1024


@dataclass(frozen=True)
class Figures:
    """What was measured, best of the rounds.

    Args:
        single_plain: one stream, `generate` with PEFT, tokens/s.
        single_engine: one stream, the engine, tokens/s.
        crowd_plain: all answers one after the other with `set_adapter`, tokens/s.
        crowd_engine: all answers at once, the engine, tokens/s.
        first_token: median over the crowd's people, s.
    """

    single_plain: float
    single_engine: float
    crowd_plain: float
    crowd_engine: float
    first_token: float


def main() -> None:
    """Measure and print."""
    options = _parse()
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(options, Path(scratch))
    if options.json:
        print(json.dumps(asdict(figures)))
        return
    print(
        f"one stream:  generate {figures.single_plain:6.1f} tok/s   engine {figures.single_engine:6.1f} tok/s"
    )
    print(f"             ratio {figures.single_engine / figures.single_plain:.2f}")
    print(
        f"{options.users} people over {options.adapters} adapters:  one after the other "
        f"{figures.crowd_plain:6.1f} tok/s   engine {figures.crowd_engine:6.1f} tok/s"
    )
    print(f"             ratio {figures.crowd_engine / figures.crowd_plain:.2f}")
    print(f"             first token, median {figures.first_token:.2f} s")


def measure(options: argparse.Namespace, scratch: Path) -> Figures:
    """Interleave both sides and keep the best of each."""
    served = loading.load(options.models, catalog.EMBEDDED, options.dtype, CONTEXT_TOKENS)
    folders = make_adapters(served.model, options.adapters, scratch)
    plain = Plain(served, folders)
    engine = TransformersEngine(
        catalog.EMBEDDED,
        options.models,
        context_tokens=CONTEXT_TOKENS,
        dtype=options.dtype,
        rows=options.users,
        threads=options.threads,
    )
    engine.publish(folders)
    crowd = [make_request(number, list(folders), options.tokens) for number in range(options.users)]
    alone = crowd[0]
    ask(engine, [alone])  # both sides warm
    plain.answer(alone)
    clock = time.process_time if options.processor_time else time.perf_counter
    rounds = [
        (
            rate(clock, lambda: plain.answer(alone)),
            rate(clock, lambda: sum(last.completion_tokens for last in ask(engine, [alone]))),
            rate(clock, lambda: sum(map(plain.answer, crowd))),
            *rate_crowd(clock, engine, crowd),
        )
        for _ in range(options.rounds)
    ]
    engine.close()
    best = [max(values) for values in list(zip(*rounds, strict=True))[:4]]
    return Figures(*best, first_token=min(values[4] for values in rounds))


class Plain:
    """A model with several adapters as peft's documentation shows it.

    Args:
        served: the base model, which gets the adapters.
        folders: adapters by name.
    """

    def __init__(self, served: loading.Served, folders: dict[str, Path]) -> None:
        self._tokenizer = served.tokenizer
        (first, folder), *others = folders.items()
        self._model: Any = PeftModel.from_pretrained(served.model, folder, adapter_name=first)
        for name, folder in others:
            self._model.load_adapter(folder, adapter_name=name)
        self._model.eval()

    def answer(self, request: GenerationRequest) -> int:
        """Answer greedily; returns the number of tokens."""
        self._model.set_adapter(request.adapter)
        prompt = torch.tensor([render_prompt(request.turns, self._tokenizer)], device=self._model.device)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=request.sampling.max_new_tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        return int(output.shape[1] - prompt.shape[1])


def make_adapters(model: Any, count: int, scratch: Path) -> dict[str, Path]:
    """LoRAs on the attention as recipes make them, of random weights; the model is left as it was."""
    folders = {}
    config = AutoModelForCausalLM.from_config(model.config)
    for number in range(count):
        torch.manual_seed(number)
        lora = LoraConfig(
            r=16,
            lora_alpha=32,
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
            task_type="CAUSAL_LM",
        )
        wrapped = get_peft_model(config, lora)
        for name, weight in wrapped.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.01)
        folders[f"audience{number}@1"] = scratch / str(number)
        wrapped.save_pretrained(folders[f"audience{number}@1"])
        config = wrapped.unload()
    return folders


def make_request(number: int, adapters: Sequence[str], tokens: int) -> GenerationRequest:
    """Question number n, to the adapters in turn, each with an audience's own prompt."""
    prompt = find_recipe("patient").system_prompt
    turns = (Turn(Role.SYSTEM, prompt), Turn(Role.USER, QUESTIONS[number % len(QUESTIONS)]))
    sampling = Sampling(temperature=0, repetition_penalty=1, top_p=1, max_new_tokens=tokens)
    return GenerationRequest(turns, adapters[number % len(adapters)], sampling)


def ask(engine: TransformersEngine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    """Ask all at once."""

    def whole(request: GenerationRequest) -> Completion:
        *_, last = engine.stream(request)
        assert isinstance(last, Completion)
        return last

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(whole, requests))


def rate(clock: Callable[[], float], work: Callable[[], int]) -> float:
    """Tokens a second of some work that returns its tokens; prompts are part of it."""
    began = clock()
    return work() / (clock() - began)


def rate_crowd(
    clock: Callable[[], float], engine: TransformersEngine, crowd: Sequence[GenerationRequest]
) -> tuple[float, float]:
    """Tokens a second, and the median time to the first token on the clock, s."""
    lasts: list[Completion] = []

    def answer_all() -> int:
        lasts.extend(ask(engine, crowd))
        return sum(last.completion_tokens for last in lasts)

    speed = rate(clock, answer_all)
    return speed, statistics.median(last.first_token_seconds for last in lasts)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, default=Path(".elara/models"), help="folder of base models")
    parser.add_argument("--dtype", default="auto", choices=DTYPES)
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--adapters", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=48, help="of each answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None, help="of torch; half the cores if not given")
    parser.add_argument("--processor-time", action="store_true", help="for a machine that others use too")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
