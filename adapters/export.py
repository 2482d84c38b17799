"""From a PEFT LoRA folder to the GGUF LoRA file that llama.cpp reads. Needs no torch.

The layout is llama.cpp's: for every adapted tensor ``<gguf name>.lora_a`` (rank × in) and
``<gguf name>.lora_b`` (out × rank), both in 16 bits, and one alpha for all. llama.cpp scales each pair by
alpha / rank.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adapters.errors import AdapterError

if TYPE_CHECKING:
    from gguf import TensorNameMap

Weights = NDArray[np.float32]

# transformers' model_type → the architecture's name in GGUF.
_ARCHITECTURES: Mapping[str, str] = MappingProxyType(
    {
        "llama": "llama",
        "mistral": "llama",
        "qwen2": "qwen2",
        "qwen3": "qwen3",
        "gpt2": "gpt2",  # peft's factors of its transposed layers are laid out as those of any other
        "bloom": "bloom",
    }
)
_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
# What PEFT can add to a LoRA that the GGUF layout has no place for.
_UNSUPPORTED = (
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "use_dora",
    "lora_bias",
    "trainable_token_indices",
)
_DTYPES: Mapping[str, str] = MappingProxyType({"F32": "<f4", "F16": "<f2", "BF16": "<u2"})


@dataclass(frozen=True)
class _Pair:
    """The two factors of one adapted matrix.

    Args:
        a: rank × in.
        b: out × rank.
    """

    a: Weights
    b: Weights


def can_convert(architecture: str) -> bool:
    """Whether adapters of this architecture (transformers' ``model_type``) can be converted."""
    return architecture in _ARCHITECTURES


def convert_lora(
    peft_folder: Path,
    out: Path,
    base_config: Mapping[str, Any],
) -> None:
    """Write a PEFT LoRA as a GGUF LoRA. `out` appears whole or not at all.

    Args:
        peft_folder: holds ``adapter_config.json`` and ``adapter_model.safetensors``.
        out: the file to write; replaced when there.
        base_config: the base model's ``config.json``.

    Raises:
        AdapterError: the folder is damaged, or the adapter or its architecture has no form in GGUF.
    """
    architecture = _architecture(base_config)
    config = _read_config(peft_folder)
    pairs = _read_pairs(peft_folder / "adapter_model.safetensors")
    names = _name_map(architecture, base_config)
    named = {
        _gguf_name(module, names, base_config): _fit(module, pair, architecture, base_config)
        for module, pair in sorted(pairs.items())
    }
    _write(out, architecture, _alpha(config), named)


def _architecture(base_config: Mapping[str, Any]) -> str:
    """The base model's architecture, in GGUF's words."""
    model_type = str(base_config.get("model_type"))
    if model_type not in _ARCHITECTURES:
        raise AdapterError(
            f"Adapters can be converted to GGUF for {', '.join(_ARCHITECTURES)}; not yet for “{model_type}”. "
            "The adapter itself is whole: serve it with the transformers engine."
        )
    return _ARCHITECTURES[model_type]


def _read_config(folder: Path) -> dict[str, Any]:
    """PEFT's configuration, if it is a plain LoRA."""
    path = folder / "adapter_config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterError(f"An adapter must have {path.name}; {path} can't be read ({error}).") from error
    extras = [name for name in _UNSUPPORTED if config.get(name)]
    if config.get("bias", "none") != "none":
        extras.append("bias")
    if config.get("peft_type") != "LORA" or extras:
        raise AdapterError(
            f"Only a plain LoRA has a form in GGUF; this one is {config.get('peft_type')} "
            f"with {', '.join(extras) or 'no extras'}. Train it again without them."
        )
    return config


def _alpha(config: Mapping[str, Any]) -> float:
    """The alpha that makes llama.cpp's alpha / rank equal PEFT's scaling.

    Rank-stabilised LoRA (Kalajdzievski 2023, arXiv:2312.03732) scales by alpha / √rank instead.
    """
    alpha, rank = float(config["lora_alpha"]), int(config["r"])
    if alpha <= 0:
        raise AdapterError(f"lora_alpha must be above 0; it is {alpha:g}. Train the adapter again.")
    return alpha * math.sqrt(rank) if config.get("use_rslora") else alpha


def _read_pairs(path: Path) -> dict[str, _Pair]:
    """Module path in the base model → its two factors."""
    sides: dict[str, dict[str, Weights]] = {}
    for key, tensor in read_tensors(path).items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise AdapterError(f"Only LoRA matrices have a form in GGUF; {path.name} also holds “{key}”.")
        sides.setdefault(match["module"], {})[match["side"]] = tensor
    broken = [module for module, found in sides.items() if set(found) != {"A", "B"}]
    if broken or not sides:
        what = f"{broken[0]} lacks one" if broken else "it holds none"
        raise AdapterError(f"Every adapted module must have both its matrices; {what}. {path} is damaged.")
    return {module: _Pair(found["A"], found["B"]) for module, found in sides.items()}


def read_tensors(path: Path) -> dict[str, Weights]:
    """All tensors of a safetensors file as float32; numpy has no bfloat16, so those bits are widened.

    Raises:
        AdapterError: it can't be read, or holds something else than numbers with a point.
    """
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (OSError, SafetensorError) as error:
        raise AdapterError(
            f"An adapter must have its weights in {path}; it can't be read ({error})."
        ) from error
    tensors: dict[str, Weights] = {}
    for name, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise AdapterError(f"Adapter weights must be {', '.join(_DTYPES)}; “{name}” is {entry['dtype']}.")
        raw = np.frombuffer(entry["data"], dtype=_DTYPES[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            tensors[name] = (raw.astype(np.uint32) << 16).view(np.float32)
        else:
            tensors[name] = raw.astype(np.float32)
    return tensors


def _name_map(architecture: str, base_config: Mapping[str, Any]) -> "TensorNameMap":
    """What the weights of the base model's modules are called in its GGUF."""
    import gguf

    numbers = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    layers = int(_first(base_config, "num_hidden_layers", "n_layer"))
    return gguf.get_tensor_name_map(numbers[architecture], layers)


def _gguf_name(module: str, names: "TensorNameMap", base_config: Mapping[str, Any]) -> str:
    """The name of the module's weight in the base model's GGUF."""
    name = names.get_name(module)
    tied = module == "lm_head" and base_config.get("tie_word_embeddings")
    if name is None or tied:
        raise AdapterError(
            f"An adapted module must be a matrix of its own in the base model's GGUF; “{module}” isn't. "
            "Train the adapter again without that module."
        )
    return f"{name}.weight"


def _fit(module: str, pair: _Pair, architecture: str, base_config: Mapping[str, Any]) -> _Pair:
    """Bring a pair into the order of rows that the base model has in GGUF.

    Llama's rotary embedding pairs the halves of each head in transformers, neighbours in llama.cpp: there the
    output rows of the query and key projections are interleaved, and so must be those of `b`. BLOOM's fused
    projection has query, key and value of each head together in transformers, all queries first in GGUF.
    """
    if architecture == "llama" and module.endswith(("q_proj", "k_proj")):
        heads = int(base_config["num_attention_heads"])
        if module.endswith("k_proj"):
            heads = int(base_config.get("num_key_value_heads") or heads)
        return _swap_rows(module, pair, heads, 2)
    if architecture == "bloom" and module.endswith("query_key_value"):
        return _swap_rows(module, pair, int(_first(base_config, "num_attention_heads", "n_head")), 3)
    return pair


def _swap_rows(module: str, pair: _Pair, heads: int, parts: int) -> _Pair:
    """Reorder the output rows: llama's within each head, BLOOM's over all heads.

    Args:
        module: named when its rows don't divide.
        pair: the factors.
        heads: of the module.
        parts: 2, the halves of each head; or 3, the query, key and value of each head.
    """
    rows, rank = pair.b.shape
    if rows % (parts * heads):
        raise AdapterError(
            f"“{module}” must have a multiple of {parts * heads} rows for {heads} heads; it has {rows}."
        )
    apart = pair.b.reshape(heads, parts, rows // heads // parts, rank)
    ordered = apart.swapaxes(1, 2) if parts == 2 else apart.swapaxes(0, 1)
    return _Pair(pair.a, np.ascontiguousarray(ordered).reshape(rows, rank))


def _first(config: Mapping[str, Any], *names: str) -> Any:
    """What a configuration calls by one of several names."""
    return next(config[name] for name in names if name in config)


def _halve(weights: Weights) -> NDArray[np.float32] | NDArray[np.float16]:
    """Half the bytes at three digits, as llama.cpp's converter does; not where a number would overflow."""
    fits = bool(np.all(np.abs(weights) <= np.finfo(np.float16).max))
    return weights.astype(np.float16) if fits else weights


def _write(out: Path, architecture: str, alpha: float, pairs: Mapping[str, _Pair]) -> None:
    """Write the file beside `out`, then put it in its place."""
    import gguf

    part = out.with_name(f".{out.name}.part")
    writer = gguf.GGUFWriter(part, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    for name, pair in pairs.items():
        writer.add_tensor(f"{name}.lora_a", _halve(pair.a))
        writer.add_tensor(f"{name}.lora_b", _halve(pair.b))
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
