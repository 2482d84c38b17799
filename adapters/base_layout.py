"""The matrices that a base model really has, read from its headers: what an adapter must fit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from adapters import embedded, model_store
from adapters.base_model import BaseModel, Weights
from adapters.errors import AdapterError, ModelError
from adapters.gguf_header import GgufHeader, read_header
from adapters.lora_shapes import read_shapes

Shape = tuple[int, int]
_PREFIXES = ("transformer.", "model.")


@dataclass(frozen=True)
class BaseLayout:
    """A base model's matrices.

    Args:
        base: the model.
        architecture: transformers' ``model_type``.
        config: as much of ``config.json`` as is known; what `adapters.export.convert_lora` takes.
        shapes: module as transformers calls it, or tensor as the GGUF does → outputs × inputs.
        gguf_names: whether `shapes` goes by the GGUF's names.
    """

    base: BaseModel
    architecture: str
    config: Mapping[str, Any]
    shapes: Mapping[str, Shape]
    gguf_names: bool = False

    @property
    def layers(self) -> int:
        """How many blocks it has; 0 when that isn't told."""
        known = (self.config.get(key) for key in ("num_hidden_layers", "n_layer"))
        return next((number for number in known if isinstance(number, int)), 0)

    def find(self, module: str) -> Shape | None:
        """Outputs × inputs of a module; None when the model has none of that name.

        Args:
            module: as transformers calls it, such as ``model.layers.0.self_attn.q_proj``.
        """
        if self.gguf_names:
            name = self._names.get_name(module) if self._names is not None else None
            return self.shapes.get(f"{name}.weight") if name else None
        return next((self.shapes[name] for name in _spellings(module) if name in self.shapes), None)

    @cached_property
    def _names(self) -> Any:
        """What gguf makes of transformers' names; None where it doesn't know the architecture."""
        import gguf

        numbers = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
        architecture = numbers.get(str(self.config["gguf_architecture"]))
        return None if architecture is None else gguf.get_tensor_name_map(architecture, self.layers)


def read_layout(models: Path, base: BaseModel) -> BaseLayout:
    """What a base model on this machine is made of.

    Args:
        models: the folder of base models.
        base: from the catalogue, the hub or a path.

    Raises:
        AdapterError: it isn't on this machine, so that nothing can be held against it.
        ModelError: its files are damaged.
    """
    stored = model_store.list_weights(models, base)
    full = next((each.place for each in stored if each.weights is Weights.FULL), None) or _in_hub_cache(base)
    if full is not None:
        return _of_folder(base, full)
    if stored:
        return _of_gguf(base, stored[0].place)
    remedy = "Start Elara once, which fetches it" if base.embedded else "Download it in the Models tab"
    raise AdapterError(
        f"An adapter is held against its base model's own matrices, and {base.title} isn't on this machine. "
        f"{remedy}, then bring the adapter again."
    )


def sha256_of(base: BaseModel) -> str:
    """Hash of the weights; empty where it isn't known without reading them."""
    return embedded.SHA256 if base.embedded else ""


def _of_folder(base: BaseModel, folder: Path) -> BaseLayout:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        architecture = str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"A base model's folder must have a config.json; that of {folder} can't be read ({error}). "
            "Bring the model anew."
        ) from error
    shapes: dict[str, Shape] = {}
    for path in sorted(folder.glob("*.safetensors")):
        shapes |= {
            name.removesuffix(".weight"): _turn(name, tensor.shape, architecture)
            for name, tensor in read_shapes(path).items()
            if name.endswith(".weight") and len(tensor.shape) == 2
        }
    return BaseLayout(base, architecture, config, shapes)


def _turn(name: str, shape: tuple[int, ...], architecture: str) -> Shape:
    """Outputs × inputs; GPT-2's layers are kept the other way round, its embeddings aren't."""
    first, second = shape
    turned = architecture == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
    return (second, first) if turned else (first, second)


def _of_gguf(base: BaseModel, path: Path) -> BaseLayout:
    header = read_header(path)
    architecture = base.architecture or header.architecture
    shapes = {name: (sizes[1], sizes[0]) for name, sizes in header.shapes.items() if len(sizes) == 2}
    return BaseLayout(base, architecture, _config_of(header, architecture), shapes, gguf_names=True)


def _config_of(header: GgufHeader, architecture: str) -> dict[str, Any]:
    heads = header.number("attention.head_count")
    return {
        "model_type": architecture,
        "gguf_architecture": header.architecture,
        "hidden_size": header.number("embedding_length"),
        "num_hidden_layers": header.number("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": header.number("attention.head_count_kv") or heads,
        "tie_word_embeddings": "output.weight" not in header.shapes,
    }


def _in_hub_cache(base: BaseModel) -> Path | None:
    """Where the hub's own library keeps a model that it has downloaded."""
    if base.embedded or base.local:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(base.source, "config.json")
    folder = Path(found).parent if isinstance(found, str) else None
    return folder if folder is not None and any(folder.glob("*.safetensors")) else None


def _spellings(module: str) -> list[str]:
    """A module's names with and without the model's own in front: savers differ."""
    bare = next((module.removeprefix(each) for each in _PREFIXES if module.startswith(each)), module)
    return [module, bare, *(f"{prefix}{bare}" for prefix in _PREFIXES)]
