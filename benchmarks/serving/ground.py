"""What the parts stand on: the embedded model, LoRAs made for measuring, and the questions."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors.numpy import save_file

from adapters import catalog, embedded
from adapters.engines.base import Engine, GenerationRequest, Sampling, Turn
from adapters.engines.llamacpp import LlamaCppEngine
from adapters.export import convert_lora
from adapters.processors import Threads, choose_threads
from adapters.recipe import find_recipe
from adapters.training.base_models import ensure_trainable
from db.vocabulary import Audience, Role

Given, Got = TypeVar("Given"), TypeVar("Got")

WINDOW = 1024
STRENGTH = 0.1
"""Spread of the second factor's weights: greedy answers then differ clearly, and are words still."""
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj")
AUDIENCES = tuple(str(each) for each in Audience)
SUBJECTS = (
    "asthma", "high blood pressure", "a minor burn", "a common cold", "type 2 diabetes", "migraine", "eczema",
    "a sprained ankle", "hay fever", "iron deficiency", "heartburn", "insomnia", "gout", "shingles",
    "a fever in a child", "kidney stones",
)  # fmt: skip


@dataclass(frozen=True)
class Ground:
    """Where everything lies.

    Args:
        models: folder of base models.
        gguf: the embedded model's file.
        weights: the embedded model unpacked for transformers.
        adapters: folder with the LoRAs.
        threads: compute threads; None as the engines choose.
        dtype: of the transformers engine.
        quick: fewer rounds, shorter answers.
    """

    models: Path
    gguf: Path
    weights: Path
    adapters: Path
    threads: int | None
    dtype: str
    quick: bool

    @classmethod
    def at(cls, models: Path, adapters: Path, threads: int | None, dtype: str, *, quick: bool) -> "Ground":
        """Fetch and unpack what is missing."""
        gguf = embedded.fetch(models)
        return cls(models, gguf, ensure_trainable(models, gguf), adapters, threads, dtype, quick)

    @property
    def rounds(self) -> int:
        """How often each way is measured."""
        return 2 if self.quick else 5

    @property
    def tokens(self) -> int:
        """Longest answer, tokens."""
        return 12 if self.quick else 48

    @property
    def llama_threads(self) -> Threads:
        """Of llama.cpp, as on a machine that has no browser on it."""
        return Threads(self.threads, self.threads) if self.threads else choose_threads()

    def folders(self, count: int) -> dict[str, Path]:
        """So many adapters, by versioned name; the first five are the audiences'."""
        names = [*AUDIENCES, *(f"extra{number}" for number in range(count))][:count]
        return {f"{name}@1": self.adapters / str(number) for number, name in enumerate(names)}

    def llamacpp(self, count: int, window: int = WINDOW) -> LlamaCppEngine:
        """Elara's llama.cpp engine with so many adapters, loaded."""
        engine = LlamaCppEngine(
            catalog.EMBEDDED, self.gguf, context_tokens=window, threads=self.llama_threads
        )
        engine.publish(self.folders(count))
        return engine

    def transformers(self, count: int, dtype: str | None = None, window: int = WINDOW) -> Engine:
        """Elara's transformers engine, likewise."""
        from adapters.engines.transformers.engine import TransformersEngine

        engine = TransformersEngine(
            catalog.EMBEDDED,
            self.models,
            context_tokens=window,
            dtype=dtype or self.dtype,
            threads=self.threads,
        )
        engine.publish(self.folders(count))
        return engine


def make_adapters(weights: Path, folder: Path, count: int, rank: int) -> None:
    """LoRAs of random weights on the attention, as PEFT and as GGUF, in folders by number."""
    config: dict[str, Any] = json.loads((weights / "config.json").read_text("utf-8"))
    for number in range(count):
        target = folder / str(number)
        target.mkdir(parents=True)
        settings = {
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank,
            "lora_dropout": 0.0, "target_modules": list(MODULES), "bias": "none",
        }  # fmt: skip
        (target / "adapter_config.json").write_text(json.dumps(settings), "utf-8")
        tensors = _draw(config, rank, np.random.default_rng(number))
        save_file(tensors, target / "adapter_model.safetensors", metadata={"format": "pt"})
        convert_lora(target, target / "adapter.gguf", config)


def _draw(config: dict[str, Any], rank: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Both factors of every layer; strength falls with rank, so that ranks change answers alike."""
    hidden, heads, groups = (
        int(config[name]) for name in ("hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    outputs = {"q_proj": hidden, "o_proj": hidden}
    tensors = {}
    for layer in range(int(config["num_hidden_layers"])):
        for module in MODULES:
            rows = outputs.get(module, hidden // heads * groups)
            path = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            a = random.normal(0, hidden**-0.5, (rank, hidden))
            b = random.normal(0, STRENGTH * (8 / rank) ** 0.5, (rows, rank))
            tensors[f"{path}.lora_A.weight"] = a.astype(np.float32)
            tensors[f"{path}.lora_B.weight"] = b.astype(np.float32)
    return tensors


def make_request(
    number: int, adapter: str | None, tokens: int, *, temperature: float = 0.0, system: bool = True
) -> GenerationRequest:
    """Question number n; with an audience's prompt about 100 tokens, as from the page.

    Args:
        adapter: whose voice.
        tokens: longest answer.
        temperature: 0 for an answer that can be compared; then the prompt is computed anew.
        system: whether the audience's prompt opens it.
    """
    audience = (adapter or AUDIENCES[0]).partition("@")[0]
    recipe = find_recipe(audience if audience in AUDIENCES else AUDIENCES[0])
    asked = Turn(Role.USER, f"What should I know about {SUBJECTS[number % len(SUBJECTS)]}? Part {number}.")
    turns = (Turn(Role.SYSTEM, recipe.system_prompt), asked) if system else (asked,)
    sampling = Sampling(temperature=temperature, repetition_penalty=1, top_p=1, max_new_tokens=tokens)
    return GenerationRequest(turns, adapter, sampling)


def at_once(work: Callable[[Given], Got], given: Iterable[Given]) -> list[Got]:
    """Do all at the same time, each in a thread."""
    everything = list(given)
    with ThreadPoolExecutor(len(everything)) as pool:
        return list(pool.map(work, everything))
