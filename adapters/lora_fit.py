"""Whether a LoRA that somebody brings is a whole, plain one and fits its base model, matrix by matrix.

What is kept of its configuration is written anew from what was checked: PEFT's own may name modules to
import, patterns to match and settings that change other adapters' base model.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adapters.base_layout import BaseLayout
from adapters.errors import AdapterError
from adapters.files import write_whole
from adapters.lora_shapes import FLOATS, StoredTensor, are_zero, find_bad, read_shapes
from adapters.manifest import CONFIG, WEIGHTS

MOST_RANK = 1024
_PARTS = ("self_attn", "self_attention", "attn", "mlp")  # of a layer; GPT-2 has a c_proj in two of them
_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
_LAYER = re.compile(r"\.(\d+)\.")
# Settings of a plain LoRA; whatever else is set makes it something that can't share a base model with others.
_PLAIN = frozenset(
    {
        *("auto_mapping", "base_model_name_or_path", "exclude_modules", "fan_in_fan_out", "inference_mode"),
        *("init_lora_weights", "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout"),
        *("megatron_core", "peft_type", "peft_version", "qalora_group_size", "r", "revision"),
        *("target_modules", "task_type", "use_rslora"),
    }
)
_WHAT: Mapping[str, str] = MappingProxyType(
    {
        "use_dora": "was trained with DoRA, whose magnitudes neither llama.cpp nor a mixed batch can take",
        "lora_bias": "has biases of its own",
        "bias": "changes the base model's biases",
        "modules_to_save": "replaces whole layers of the base model",
        "trainable_token_indices": "changes the base model's word embeddings",
        "rank_pattern": "has a rank for each layer, where llama.cpp takes one for all",
        "alpha_pattern": "has a strength for each layer, where llama.cpp takes one for all",
    }
)
# Beginnings that take their part out of the base model's own weights, which other adapters share.
_STARTS_ALONE = ("pissa", "olora", "corda", "loftq", "lora_ga", "eva")
_PLAIN_AGAIN = "Train it again as a plain LoRA, without that."


@dataclass(frozen=True)
class LoraFacts:
    """What was found in a LoRA that fits.

    Args:
        rank: of every matrix.
        alpha: its strength is alpha / rank, or alpha / √rank with `rank_stabilised`.
        rank_stabilised: whether it was trained as rsLoRA.
        matrices: how many matrices of the base model it changes.
        targets: the kinds of module it changes, such as q_proj.
        parameters: numbers in it.
        dtype: their type, such as F32; several are joined by a plus sign.
        config: the configuration to keep, for PEFT.
    """

    rank: int
    alpha: float
    rank_stabilised: bool
    matrices: int
    targets: tuple[str, ...]
    parameters: int
    dtype: str
    config: Mapping[str, Any]


def read_config(folder: Path) -> dict[str, Any]:
    """PEFT's configuration as it was brought.

    Raises:
        AdapterError: it can't be read.
    """
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterError(
            f"{CONFIG} must be JSON as PEFT writes it; it can't be read ({str(error)[:120]}). "
            "Save the adapter again."
        ) from error
    if not isinstance(config, dict):
        raise AdapterError(f"{CONFIG} must hold PEFT's settings; it holds none. Save the adapter again.")
    return config


def write_config(folder: Path, facts: LoraFacts) -> None:
    """Put the configuration that is kept in the place of the one that was brought."""
    write_whole(folder / CONFIG, f"{json.dumps(facts.config, indent=2)}\n".encode())


def check_fit(folder: Path, layout: BaseLayout) -> LoraFacts:
    """Hold a LoRA's configuration and weights against each other and against the base model.

    Args:
        folder: with ``adapter_config.json`` and ``adapter_model.safetensors``.
        layout: the base model's matrices.

    Raises:
        AdapterError: it isn't a whole plain LoRA, or doesn't fit; the message says where.
    """
    config = read_config(folder)
    rank, alpha = _check_config(config)
    tensors = read_shapes(folder / WEIGHTS)
    sides = _pair(tensors)
    for module, pair in sides.items():
        _check_pair(module, pair, rank, layout)
    _check_numbers(folder / WEIGHTS, tensors, [pair["B"] for pair in sides.values()])
    scaled_by_root = bool(config.get("use_rslora"))
    return LoraFacts(
        rank=rank,
        alpha=alpha,
        rank_stabilised=scaled_by_root,
        matrices=len(sides),
        targets=tuple(dict.fromkeys(module.rpartition(".")[2] for module in sides)),
        parameters=sum(math.prod(tensor.shape) for tensor in tensors.values()),
        dtype="+".join(sorted({tensor.dtype for tensor in tensors.values()})),
        config=_plain_config(rank, alpha, scaled_by_root, list(sides), layout),
    )


def _check_config(config: Mapping[str, Any]) -> tuple[int, float]:
    """Refuse anything but a plain LoRA; its rank and alpha."""
    kind = config.get("peft_type")
    if kind != "LORA":
        raise AdapterError(
            f"An adapter must be a LoRA; {CONFIG} says that this is “{str(kind)[:40]}”. Train a LoRA instead."
        )
    if config.get("task_type") not in (None, "CAUSAL_LM"):
        raise AdapterError(
            f"An adapter must have been trained to write text (task_type CAUSAL_LM); this one's is "
            f"“{str(config['task_type'])[:40]}”. Bring one that was."
        )
    for field, value in config.items():
        if field not in _PLAIN and value not in (None, False, "none", [], {}):
            what = _WHAT.get(field, "is more than a plain LoRA")
            raise AdapterError(
                f"An adapter must be a plain LoRA; this one {what} ({field[:60]}). {_PLAIN_AGAIN}"
            )
    start = str(config.get("init_lora_weights")).lower()
    if start.startswith(_STARTS_ALONE):
        raise AdapterError(
            f"An adapter must leave the base model's own weights alone, which other adapters share; this one "
            f"began as {start[:40]}, which changes them. Convert it to a plain LoRA when saving it "
            "(path_initial_model_for_weight_conversion)."
        )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= MOST_RANK:
        raise AdapterError(
            f"The rank r must be from 1 to {MOST_RANK}; {CONFIG} says {str(rank)[:40]}. Correct it."
        )
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < math.inf:
        raise AdapterError(
            f"lora_alpha must be a number above 0; {CONFIG} says {str(alpha)[:40]}. Correct it there."
        )
    return rank, float(alpha)


def _pair(tensors: Mapping[str, StoredTensor]) -> dict[str, dict[str, StoredTensor]]:
    """Module → side → factor, every module with both."""
    sides: dict[str, dict[str, StoredTensor]] = {}
    for key, tensor in tensors.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise AdapterError(_describe_foreign(key))
        sides.setdefault(match["module"], {})[match["side"]] = tensor
    for module, found in sides.items():
        if set(found) != {"A", "B"}:
            missing = "B" if "A" in found else "A"
            raise AdapterError(
                f"Every adapted matrix must have both its halves, lora_A and lora_B; “{module[:100]}” "
                f"lacks lora_{missing}. The file is damaged or cut down: save the adapter again."
            )
    if not sides:
        raise AdapterError(f"{WEIGHTS} must hold LoRA matrices; it holds none. Save the adapter again.")
    return sides


def _describe_foreign(key: str) -> str:
    if "lora_magnitude_vector" in key:
        what, remedy = "DoRA's magnitudes", _PLAIN_AGAIN
    elif "lora_embedding" in key or "token_adapter" in key:
        what, remedy = "changed word embeddings", _PLAIN_AGAIN
    elif key.endswith(("lora_A.default.weight", "lora_B.default.weight")):
        what = "the names of a model in memory"
        remedy = "Save it with model.save_pretrained(folder), which gives them the names of a file."
    else:
        what, remedy = "something else", _PLAIN_AGAIN
    return f"{WEIGHTS} must hold LoRA matrices only; “{key[:120]}” is {what}. {remedy}"


def _check_pair(module: str, pair: Mapping[str, StoredTensor], rank: int, layout: BaseLayout) -> None:
    """Hold one module's factors against the rank and the base model's matrix."""
    a, b = pair["A"], pair["B"]
    for side, tensor in pair.items():
        if tensor.dtype not in FLOATS or len(tensor.shape) != 2:
            raise AdapterError(
                f"LoRA matrices must be {', '.join(FLOATS)}; lora_{side} of “{module[:100]}” is "
                f"{tensor.dtype} {_spell(tensor.shape)}. Save the adapter again in one of these."
            )
    found = {a.shape[0], b.shape[1]}
    if found != {rank}:
        raise AdapterError(
            f"Every matrix must have the rank that {CONFIG} says, {rank}; “{module[:100]}” has "
            f"{', '.join(map(str, sorted(found)))}. Bring the configuration that belongs to these weights."
        )
    wanted = layout.find(module)
    if wanted is None:
        raise AdapterError(
            f"An adapter may change only matrices that its base model has; {layout.base.title} has no "
            f"“{module[:100]}”. Choose the base model that it was trained on."
        )
    if (b.shape[0], a.shape[1]) != wanted:
        raise AdapterError(
            f"An adapter's matrices must fit its base model's; “{module[:100]}” of {layout.base.title} is "
            f"{_spell(wanted)}, the adapter's is {_spell((b.shape[0], a.shape[1]))}. Choose the base model "
            "that it was trained on."
        )


def _check_numbers(path: Path, tensors: Mapping[str, StoredTensor], outputs: list[StoredTensor]) -> None:
    if bad := find_bad(path, tensors):
        raise AdapterError(
            f"Weights must be numbers; “{bad[:120]}” holds some that are none (NaN or infinite): its "
            "training has failed. Train it again with a lower learning rate, or bring an earlier checkpoint."
        )
    if are_zero(path, outputs):
        raise AdapterError(
            "An adapter must have learned something; every lora_B of this one is zero, as before the first "
            "step of training. Bring the one that was trained."
        )


def _plain_config(
    rank: int, alpha: float, scaled_by_root: bool, modules: list[str], layout: BaseLayout
) -> dict[str, Any]:
    """PEFT's settings, made of what was checked."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": layout.base.hub_id or layout.base.id,
        "r": rank,
        "lora_alpha": int(alpha) if alpha.is_integer() else alpha,
        "lora_dropout": 0.0,
        "use_rslora": scaled_by_root,
        "target_modules": _name_targets(modules, layout),
        "fan_in_fan_out": layout.architecture == "gpt2",
        "bias": "none",
        "inference_mode": True,
    }


def _name_targets(modules: list[str], layout: BaseLayout) -> list[str]:
    """Target modules that mean exactly these: by kind where every layer has it, else each by its full name.

    PEFT takes a name for every module whose path ends in it.
    """
    kinds = Counter(_kind_of(module) for module in modules)
    if any(count != layout.layers for count in kinds.values()):
        return sorted(modules)
    leaves = {kind.rpartition(".")[2] for kind in kinds}
    places = {f"{part}.{leaf}" for part in _PARTS for leaf in leaves}
    whole = all(place in kinds for place in places if _exists(layout, modules, place))
    return sorted({kind.rpartition(".")[2] if whole else kind for kind in kinds})


def _kind_of(module: str) -> str:
    """Where in its layer a module is, such as ``self_attn.q_proj``; its whole name outside of layers."""
    parts = _LAYER.split(module, maxsplit=1)
    return parts[2] if len(parts) == 3 else module


def _exists(layout: BaseLayout, modules: list[str], kind: str) -> bool:
    """Whether the base model's layers have a module of a kind."""
    match = _LAYER.search(modules[0])
    return match is not None and layout.find(f"{modules[0][: match.end()]}{kind}") is not None


def _spell(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{size:,}" for size in shape)
