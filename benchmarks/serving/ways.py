"""Ways to get an answer: Elara's engines, llama.cpp alone, and transformers with PEFT as in tutorials."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from adapters.engines.base import Completion, Engine, GenerationRequest
from adapters.processors import Threads
from adapters.templating import render_prompt
from benchmarks.serving.ground import WINDOW


@dataclass(frozen=True)
class Timed:
    """An answer with its times, by the clock of whoever asked.

    Args:
        text: the answer.
        tokens: of it.
        first: until its first piece, s.
        seconds: until its end, s.
    """

    text: str
    tokens: int
    first: float
    seconds: float

    @property
    def rate(self) -> float:
        """Tokens a second of the writing alone."""
        return (self.tokens - 1) / max(self.seconds - self.first, 1e-9)


class Way(Protocol):
    """Something that answers."""

    def answer(self, request: GenerationRequest) -> Timed:
        """Answer one request to its end."""
        ...


class ByEngine:
    """One of Elara's engines."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def answer(self, request: GenerationRequest) -> Timed:
        """Answer one request to its end."""
        began, first = time.perf_counter(), None
        for item in self._engine.stream(request):
            if isinstance(item, Completion):
                ended = time.perf_counter()
                return Timed(item.text, item.completion_tokens, (first or ended) - began, ended - began)
            first = first or time.perf_counter()
        raise RuntimeError("The stream ended without its completion.")


class Bare:
    """A llama.cpp server as xllamacpp gives it, asked by one person.

    Args:
        gguf: the base model.
        adapters: name → GGUF LoRA.
        threads: None leaves them to llama.cpp.
    """

    def __init__(self, gguf: Path, adapters: Mapping[str, Path], threads: Threads | None) -> None:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(gguf)
        parameters.n_ctx, parameters.n_parallel, parameters.verbosity = WINDOW, 1, 0
        parameters.ui = False
        parameters.lora_adapters = [
            xllamacpp.CommonAdapterLoraInfo(str(path), 1.0) for path in adapters.values()
        ]
        if threads:
            parameters.cpuparams.n_threads = threads.writing
            parameters.cpuparams_batch.n_threads = threads.reading
        self._names = list(adapters)
        self._server = xllamacpp.Server(parameters)

    def answer(self, request: GenerationRequest) -> Timed:
        """Answer one request to its end; the prompt is computed anew, as Elara does for greedy ones."""
        pieces: list[str] = []
        tokens = 0
        first: float | None = None

        def receive(chunk: dict[str, Any]) -> bool:
            nonlocal tokens, first
            tokens = chunk.get("timings", {}).get("predicted_n", tokens)
            for choice in chunk.get("choices", ()):
                if text := choice["delta"].get("content"):
                    first = first or time.perf_counter()
                    pieces.append(text)
            return False

        began = time.perf_counter()
        self._server.handle_chat_completions(
            {
                "messages": [{"role": str(turn.role), "content": turn.content} for turn in request.turns],
                "lora": [{"id": i, "scale": float(n == request.adapter)} for i, n in enumerate(self._names)],
                "cache_prompt": False,
                "temperature": 0,
                "max_tokens": request.sampling.max_new_tokens,
                "stream": True,
                "timings_per_token": True,
            },
            receive,
        )
        ended = time.perf_counter()
        return Timed("".join(pieces), tokens, (first or ended) - began, ended - began)


class _Clock:
    """A streamer for `generate` that notes when the first token came; the prompt comes before it."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def put(self, value: Any) -> None:
        """Something came."""
        self.moments.append(time.perf_counter())

    def end(self) -> None:
        """All has come."""


class Tutorial:
    """A model with several adapters as PEFT's documentation shows it: `set_adapter`, then `generate`.

    Args:
        weights: the base model's folder.
        folders: adapters by name.
        model: instead of loading one as it comes, e.g. in the type that the engine computes in.
    """

    def __init__(self, weights: Path, folders: Mapping[str, Path], model: Any = None) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(weights)
        base = AutoModelForCausalLM.from_pretrained(weights) if model is None else model
        (first, folder), *others = folders.items()
        self.model: Any = PeftModel.from_pretrained(base, folder, adapter_name=_plain(first))
        for name, folder in others:
            self.load(name, folder)
        self.model.eval()

    def load(self, name: str, folder: Path) -> None:
        """One adapter more."""
        self.model.load_adapter(folder, adapter_name=_plain(name))

    def answer(self, request: GenerationRequest) -> Timed:
        """Answer greedily."""
        import torch

        began = time.perf_counter()
        self.model.set_adapter(_plain(str(request.adapter)))
        prompt = torch.tensor([render_prompt(request.turns, self._tokenizer)], device=self.model.device)
        clock = _Clock()
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=request.sampling.max_new_tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id,
                streamer=clock,
            )
        ended = time.perf_counter()
        words = output[0, prompt.shape[1] :]
        text = self._tokenizer.decode(words, skip_special_tokens=True)
        return Timed(text, len(words), clock.moments[1] - began, ended - began)


def _plain(name: str) -> str:
    """PEFT makes modules of the names, which take no dots and no signs."""
    return name.replace("@", "_")


def timed(work: Callable[[], object]) -> float:
    """How long some work takes, s."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
