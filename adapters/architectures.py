"""Recognising a model's architecture and build, from ``config.json`` or a GGUF header. Loads nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adapters.base_model import BaseModel, Shape
from adapters.errors import ModelError
from adapters.gguf_header import GgufHeader, read_header

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")

# Attention projections only: the usual first choice for LoRA, a fraction of the parameters of the MLP ones.
TARGET_MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "llama": _ATTENTION,
        "mistral": _ATTENTION,
        "qwen2": _ATTENTION,
        "qwen3": _ATTENTION,
        "gemma": _ATTENTION,
        "gpt2": ("c_attn", "c_proj"),
        "bloom": ("query_key_value", "dense"),
    }
)

# Every linear layer of a block. Together with the defaults above: what may be named.
_LLAMA_LINEAR = (*_ATTENTION, "gate_proj", "up_proj", "down_proj")
LINEAR_MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "llama": _LLAMA_LINEAR,
        "mistral": _LLAMA_LINEAR,
        "qwen2": _LLAMA_LINEAR,
        "qwen3": _LLAMA_LINEAR,
        "gemma": _LLAMA_LINEAR,
        "gpt2": ("c_attn", "c_proj", "c_fc"),
        "bloom": ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),
    }
)

_BYTES: Mapping[str, int] = MappingProxyType({"float32": 4, "bfloat16": 2, "float16": 2})
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "seq_length")


def describe_folder(folder: Path) -> BaseModel:
    """A model saved by transformers, from its ``config.json`` alone.

    Args:
        folder: absolute.

    Raises:
        ModelError: it doesn't hold a usable model.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"A model folder must hold config.json; {folder} doesn't. Choose one that save_pretrained made."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read as JSON ({error}). Save the model again.") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ModelError(f"{path} must name its architecture in “model_type”. Save the model again.")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"A model folder must hold its weights as safetensors; {folder} has none. "
            "Save it again with save_pretrained: other formats can run code when they are opened."
        )
    return describe_config(
        str(folder), config, title=folder.name, parameters=_count_parameters(folder, config)
    )


def describe_config(
    source: str, config: Mapping[str, Any], *, title: str = "", parameters: int = 0
) -> BaseModel:
    """A model from transformers' configuration of it.

    Args:
        source: hub id or absolute folder; its id too.
        config: what ``config.json`` holds.
        title: the name shown; the source if empty.
        parameters: number of weights; 0 when not known.
    """
    architecture = str(config.get("model_type") or "")
    text = config.get("text_config")  # of models that see as well
    inner = {**config, **text} if isinstance(text, Mapping) else config
    return BaseModel(
        id=source,
        title=title or source,
        source=source,
        architecture=architecture,
        parameters=parameters,
        shape=_shape_of_config(inner),
        context_tokens=next((inner[key] for key in _CONTEXT_KEYS if isinstance(inner.get(key), int)), 0),
        target_modules=TARGET_MODULES.get(architecture, ()),
    )


def describe_gguf(path: Path) -> BaseModel:
    """A model in a GGUF file, from its header.

    Args:
        path: absolute; of a file in several parts, the first.

    Raises:
        ModelError: it is no GGUF file, or not one of a language model.
    """
    header = read_header(path)
    if not header.architecture or not header.number("block_count"):
        raise ModelError(
            f"A base model's GGUF must name its architecture and layers; {path} doesn't: it may be an "
            "adapter or a part of a model. Give the model's own file, and of one in parts the first."
        )
    architecture = _transformers_name(header)
    return BaseModel(
        id=str(path),
        title=path.stem,
        source=str(path),
        architecture=architecture,
        parameters=header.parameters,
        shape=_shape_of_header(header),
        licence=str(header.values.get("general.license") or ""),
        context_tokens=header.number("context_length"),
        target_modules=TARGET_MODULES.get(architecture, ()),
        has_chat_template=header.has_chat_template,
        notes=f"A GGUF file, mostly {header.quantisation}.",
    )


def _transformers_name(header: GgufHeader) -> str:
    """The architecture as transformers calls it; llama.cpp puts Mistral under llama."""
    return {"gemma3": "gemma3_text"}.get(header.architecture, header.architecture)


def _shape_of_header(header: GgufHeader) -> Shape | None:
    heads = header.number("attention.head_count")
    width = header.number("embedding_length")
    if not heads or not width:
        return None
    return Shape(
        layers=header.number("block_count"),
        kv_heads=header.number("attention.head_count_kv") or heads,
        head_size=header.number("attention.key_length") or width // heads,
        width=width,
        vocabulary=int(header.values.get("tokenizer.ggml.tokens.length") or header.number("vocab_size")),
    )


def _shape_of_config(config: Mapping[str, Any]) -> Shape | None:
    """Sizes under the names that architectures give them; None when one is missing."""
    layers = _first(config, "num_hidden_layers", "n_layer")
    heads = _first(config, "num_attention_heads", "n_head")
    width = _first(config, "hidden_size", "n_embd")
    vocabulary = _first(config, "vocab_size")
    if not (layers and heads and width and vocabulary):
        return None
    kinds = config.get("layer_types")
    windowed = kinds.count("sliding_attention") if isinstance(kinds, list) else 0
    return Shape(
        layers=layers,
        kv_heads=_first(config, "num_key_value_heads") or heads,
        head_size=_first(config, "head_dim") or width // heads,
        width=width,
        vocabulary=vocabulary,
        tied=bool(config.get("tie_word_embeddings", False)),
        window_layers=windowed,
        window=_first(config, "sliding_window") if windowed else 0,
    )


def _first(config: Mapping[str, Any], *names: str) -> int:
    return next((value for name in names if isinstance(value := config.get(name), int)), 0)


def _count_parameters(folder: Path, config: Mapping[str, Any]) -> int:
    """Weights of a saved model, from the size of its files and the type that they are in; 0 when not told."""
    size = _BYTES.get(str(config.get("dtype") or config.get("torch_dtype")), 0)
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) // size if size else 0
