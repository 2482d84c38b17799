"""A plain LoRA as PEFT saves it, read for the layers of a model that is served.

What PEFT's own loading does for such an adapter, without its modules: they take more memory than a small
adapter's numbers, 120 layers times six objects each, and importing them 46 MB. Which settings are plain,
`folder.check_folder` has told before.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from adapters.manifest import CONFIG, WEIGHTS

_KEY = re.compile(r"base_model\.model\.(?P<path>.+)\.lora_(?P<half>[AB])\.weight")


_DEFAULT = 8  # PEFT's rank and alpha where a configuration names none


class Unfit(ValueError):
    """What keeps an adapter from this model, as a sentence."""


@dataclass(frozen=True, eq=False)
class Lora:
    """What an adapter adds to a layer: y = W·x + scale · B·A·x.

    Args:
        down: A, (rank, inputs).
        up: B, (outputs, rank).
        scale: alpha over the rank, or over its root where the rank is stabilised.
    """

    down: Tensor
    up: Tensor
    scale: float


def read_loras(model: Module, folder: Path) -> dict[Module, Lora]:
    """An adapter's matrices for each layer, beside the layer's own weights and in their type.

    Args:
        model: the base model.
        folder: as PEFT saves it; checked by `check_folder`.

    Raises:
        Unfit: it is cut down, or made for another model.
    """
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    halves = _read_halves(folder / WEIGHTS)
    layers = dict(model.named_modules())
    _check_paths(halves, layers)
    _check_targets(config, set(halves), _linear_paths(model, layers))
    return {layers[path]: _fit(path, layers[path], pair, config) for path, pair in halves.items()}


def _read_halves(file: Path) -> dict[str, dict[str, Tensor]]:
    """Both matrices of each layer by its path: A and B."""
    from safetensors.torch import load_file

    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in load_file(file).items():
        if name.endswith(".base_layer.weight"):
            raise Unfit(f"it brings weights of the base itself ({name}), as for embeddings or output.")
        if not (found := _KEY.fullmatch(name)):
            raise Unfit(f"the base has no place for its {name}.")
        halves.setdefault(found["path"], {})[found["half"]] = tensor
    return halves


def _check_paths(halves: Mapping[str, Mapping[str, Tensor]], layers: Mapping[str, Module]) -> None:
    for path, pair in halves.items():
        if path not in layers:
            raise Unfit(f"the base has no place for its {path}.")
        for half in "AB":
            if half not in pair:
                raise Unfit(f"its file lacks {path}.lora_{half}.")


def _linear_paths(model: Any, layers: Mapping[str, Module]) -> set[str]:
    """The layers that a LoRA may stand on by itself: linear, and not the output."""
    output = model.get_output_embeddings()
    return {path for path, layer in layers.items() if _is_linear(layer) and layer is not output}


def _check_targets(config: Mapping[str, Any], paths: set[str], linear: set[str]) -> None:
    """Hold the layers in the file to those that its configuration names in this model: none is cut off."""
    named = {path for path in linear if _names(config, path)}
    if extra := sorted(paths - named):
        raise Unfit(f"its file has {extra[0]}, which its configuration doesn't name.")
    if missing := sorted(named - paths):
        raise Unfit(f"its file lacks {missing[0]}, which its configuration names.")
    if not paths:
        raise Unfit("it adapts nothing.")


def _names(config: Mapping[str, Any], path: str) -> bool:
    """Whether a configuration names a layer, as PEFT's `check_target_module_exists` tells it."""
    if _fits(config.get("exclude_modules"), path):
        return False
    targets: Any = config.get("target_modules")
    if targets == "all-linear":
        return True
    if not _fits(targets, path):
        return False
    chosen: Any = config.get("layers_to_transform")
    if isinstance(targets, str) or path in targets or chosen in (None, []):
        return True
    number = _layer_number(config.get("layers_pattern"), path)
    return number is not None and number in ([chosen] if isinstance(chosen, int) else chosen)


def _fits(names: Any, path: str) -> bool:
    """Whether a pattern fits a path, or one of several names is its end."""
    if isinstance(names, str):
        return re.fullmatch(names, path) is not None
    return any(path == name or path.endswith(f".{name}") for name in names or ())


def _layer_number(patterns: Any, path: str) -> int | None:
    """The number of a path's layer, behind the list's name."""
    names = [patterns] if isinstance(patterns, str) else patterns or [r"[^.]*"]
    found = next(filter(None, (re.match(rf".*\.{name}\.(\d+)\.", path) for name in names)), None)
    return int(found[1]) if found else None


def _fit(path: str, layer: Module, pair: Mapping[str, Tensor], config: Mapping[str, Any]) -> Lora:
    """One layer's matrices, as large as it is."""
    if ".experts." in path:
        raise Unfit(f"it adapts experts ({path}), which read words of all rows mixed.")
    inputs, outputs = _sizes(layer)
    rank = _of_layer(config, "rank_pattern", path, config.get("r", _DEFAULT))
    if pair["A"].shape != (rank, inputs) or pair["B"].shape != (outputs, rank):
        raise Unfit(
            f"{path} takes {rank} × {inputs} and {outputs} × {rank}, "
            f"and the file has {_shape(pair['A'])} and {_shape(pair['B'])}."
        )
    alpha = _of_layer(config, "alpha_pattern", path, config.get("lora_alpha", _DEFAULT))
    scale = float(alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))
    weight: Any = layer.weight
    # What is kept in fewer bits computes in its input's type; its adapters stay as PEFT has them.
    kept = weight.dtype if weight.is_floating_point() else torch.float32
    device = "cpu" if weight.is_meta else weight.device
    # Copied, for a tensor from a file may be the file itself, which can be replaced.
    down, up = (pair[half].to(device, kept, copy=True) for half in "AB")
    if not (torch.isfinite(down).all() and torch.isfinite(up).all() and math.isfinite(scale)):
        raise Unfit("its weights hold something that isn't a number, or is too large for the base's type.")
    return Lora(down, up, scale)


def _is_linear(layer: Any) -> bool:
    return isinstance(getattr(layer, "in_features", None), int) or _lies_other_way(layer)


def _lies_other_way(layer: Any) -> bool:
    """Whether it is GPT-2's Conv1D, a linear layer with its weights the other way round."""
    return isinstance(getattr(layer, "nf", None), int)


def _sizes(layer: Any) -> tuple[int, int]:
    """Inputs and outputs of a linear layer."""
    if _lies_other_way(layer):
        return layer.weight.shape[0], layer.nf
    return layer.in_features, layer.out_features


def _of_layer(config: Mapping[str, Any], pattern: str, path: str, otherwise: Any) -> Any:
    """A layer's own value where the configuration has a pattern that fits its path; the first that does."""
    for key, value in (config.get(pattern) or {}).items():
        if re.match(rf"(.*\.)?({key})$", path):
            return value
    return otherwise


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape))
