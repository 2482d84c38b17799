"""A plain LoRA as PEFT saves it, read for the layers of a model that is served.

What PEFT's own loading does for such an adapter, without its modules: they take more memory than a small
adapter's numbers, 120 layers times six objects each, and importing them 40 MB. Which settings are plain,
`folder.check_folder` has told before.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from adapters.manifest import CONFIG, WEIGHTS

_KEY = re.compile(r"base_model\.model\.(?P<path>.+)\.lora_(?P<half>[AB])\.weight")


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
    _check_targets(config.get("target_modules"), list(halves))
    return {layers[path]: _fit(path, layers[path], pair, config) for path, pair in halves.items()}


def _read_halves(file: Path) -> dict[str, dict[str, Tensor]]:
    """Both matrices of each layer by its path: A and B."""
    from safetensors.torch import load_file

    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in load_file(file).items():
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


def _check_targets(targets: Any, paths: Sequence[str]) -> None:
    """Hold the layers in the file to those that its configuration names, by a pattern or by their ends."""
    if isinstance(targets, str):
        if targets != "all-linear" and any(not re.fullmatch(targets, path) for path in paths):
            raise Unfit(f"its file has layers that its configuration doesn't name ({targets}).")
        return
    named = [str(each) for each in targets or ()]
    for path in paths:
        if not any(_ends_with(path, name) for name in named):
            raise Unfit(f"its file has {path}, which its configuration doesn't name.")
    for name in named:
        if not any(_ends_with(path, name) for path in paths):
            raise Unfit(f"its file lacks {name}, which its configuration names.")


def _ends_with(path: str, name: str) -> bool:
    return path == name or path.endswith(f".{name}")


def _fit(path: str, layer: Module, pair: Mapping[str, Tensor], config: Mapping[str, Any]) -> Lora:
    """One layer's matrices, as large as it is."""
    down, up = pair["A"], pair["B"]
    inputs, outputs = _sizes(path, layer)
    rank = _of_layer(config, "rank_pattern", path, config["r"])
    if down.shape != (rank, inputs) or up.shape != (outputs, rank):
        raise Unfit(
            f"{path} takes {rank} × {inputs} and {outputs} × {rank}, "
            f"and the file has {_shape(down)} and {_shape(up)}."
        )
    if not (torch.isfinite(down).all() and torch.isfinite(up).all()):
        raise Unfit("its weights hold something that isn't a number.")
    alpha = _of_layer(config, "alpha_pattern", path, config["lora_alpha"])
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    weight: Any = layer.weight
    # What is kept in fewer bits computes in its input's type; its adapters stay as PEFT has them.
    kept = weight.dtype if weight.is_floating_point() else torch.float32
    device = "cpu" if weight.is_meta else weight.device
    # Copied, for a tensor from a file may be the file itself, which can be replaced.
    return Lora(down.to(device, kept, copy=True), up.to(device, kept, copy=True), float(scale))


def _sizes(path: str, layer: Any) -> tuple[int, int]:
    """Inputs and outputs of a linear layer."""
    if isinstance(getattr(layer, "in_features", None), int):
        return layer.in_features, layer.out_features
    if isinstance(getattr(layer, "nf", None), int):  # GPT-2's Conv1D, a linear layer that lies the other way
        return layer.weight.shape[0], layer.nf
    raise Unfit(f"it adapts other than linear layers ({path}).")


def _of_layer(config: Mapping[str, Any], pattern: str, path: str, otherwise: Any) -> Any:
    """A layer's own value where the configuration has a pattern that fits its path; the first that does."""
    for key, value in (config.get(pattern) or {}).items():
        if re.match(rf"(.*\.)?({key})$", path):
            return value
    return otherwise


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape))
