"""LoRA folders with random weights, laid out as PEFT does, made without torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from safetensors.numpy import save_file

from adapters import registry
from adapters.export import convert_lora
from adapters.recipe import find_recipe
from adapters.registry import Provenance
from db.home import Home
from db.session import Database

# config.json of the embedded model, as far as adapters go.
EMBEDDED_CONFIG: Mapping[str, object] = MappingProxyType(
    {
        "model_type": "llama",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "tie_word_embeddings": True,
    }
)
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")


def shapes(config: Mapping[str, object]) -> dict[str, tuple[str, int, int]]:
    """Module → (its parent in a layer, inputs, outputs)."""
    hidden, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    kv = hidden // int(config["num_attention_heads"]) * int(config["num_key_value_heads"])
    return {
        "q_proj": ("self_attn", hidden, hidden),
        "k_proj": ("self_attn", hidden, kv),
        "v_proj": ("self_attn", hidden, kv),
        "o_proj": ("self_attn", hidden, hidden),
        "gate_proj": ("mlp", hidden, inner),
        "up_proj": ("mlp", hidden, inner),
        "down_proj": ("mlp", inner, hidden),
    }


def lora_tensors(
    seed: int,
    rank: int = 8,
    modules: Sequence[str] = ATTENTION,
    strength: float = 0.1,
    config: Mapping[str, object] = EMBEDDED_CONFIG,
) -> dict[str, np.ndarray]:
    """Random factors; at the default strength greedy answers differ clearly and stay text."""
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in range(int(config["num_hidden_layers"])):
        for module in modules:
            parent, inputs, outputs = shapes(config)[module]
            path = f"base_model.model.model.layers.{layer}.{parent}.{module}"
            a = random.normal(0, inputs**-0.5, (rank, inputs))
            b = random.normal(0, strength, (outputs, rank))
            tensors[f"{path}.lora_A.weight"] = a.astype(np.float32)
            tensors[f"{path}.lora_B.weight"] = b.astype(np.float32)
    return tensors


def make_peft_folder(
    folder: Path,
    seed: int,
    *,
    rank: int = 8,
    alpha: int = 16,
    modules: Sequence[str] = ATTENTION,
    tensors: dict[str, np.ndarray] | None = None,
    **config: object,
) -> Path:
    """Write a PEFT LoRA folder.

    Args:
        tensors: instead of random ones.
        config: entries that go over the usual ones of ``adapter_config.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "target_modules": list(modules),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings | config), "utf-8")
    if tensors is None:
        tensors = lora_tensors(seed, rank, modules)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


def make_adapter(folder: Path, seed: int, **options: object) -> Path:
    """An adapter folder that the llama.cpp engine can publish on the embedded model."""
    make_peft_folder(folder, seed, **options)
    convert_lora(folder, folder / "adapter.gguf", EMBEDDED_CONFIG)
    return folder


def register_adapter(database: Database, home: Home, folder: Path, **values: object) -> str:
    """Register a LoRA folder as a trained version of patient on the embedded model; returns its name.

    Args:
        values: fields of the provenance that go over the usual ones.
    """
    recipe = find_recipe("patient")
    usual = {
        "audience": "patient",
        "base_model": "smollm2-135m",
        "base_revision": "",
        "base_sha256": "",
        "snapshot_sha256": "5" * 64,
        "rows": 27,
        "recipe": {
            "audience": "patient",
            "system_prompt": recipe.system_prompt,
            "max_explanation_length": recipe.max_explanation_length,
            "hyperparameters": recipe.hyperparameters.to_dict(),
        },
        "run_id": None,
        "metrics": {"eval_loss_before": 2.5, "eval_loss_after": 2.125, "train_rows": 27},
        "source": "starter",
        "data": {"given": 30, "train": 27, "evaluation": 3},
    }
    with database.session() as session:
        return registry.register(session, home, folder, Provenance(**(usual | values))).name


# config.json of a base model whose files are some kilobytes.
TINY_CONFIG: Mapping[str, object] = MappingProxyType(
    {
        "model_type": "llama",
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    }
)


def make_base_folder(folder: Path, config: Mapping[str, object] = TINY_CONFIG) -> Path:
    """A model folder whose layers have the right shapes and nothing in them; can't be loaded."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(dict(config)), "utf-8")
    tensors = {
        f"model.layers.{layer}.{parent}.{module}.weight": np.zeros((outputs, inputs), np.float16)
        for layer in range(int(config["num_hidden_layers"]))
        for module, (parent, inputs, outputs) in shapes(config).items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def make_tiny_peft(folder: Path, seed: int = 1, rank: int = 2, **config: object) -> Path:
    """A LoRA for `make_base_folder`'s model.

    Args:
        config: entries that go over the usual ones of ``adapter_config.json``.
    """
    tensors = lora_tensors(seed, rank, ("q_proj", "v_proj"), config=TINY_CONFIG)
    return make_peft_folder(folder, seed, rank=rank, modules=("q_proj", "v_proj"), tensors=tensors, **config)
