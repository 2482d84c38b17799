"""Where the files of a base model are on this machine, found by its id. Loads nothing.

A downloaded model is in ``models/owner--name/``: its GGUF files, one for each quantisation, and what
transformers takes (config.json, safetensors, tokenizer), either or both.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from adapters.engines.choice import EngineKind

_SPLIT = re.compile(r"-(\d{5})-of-\d{5}\.gguf$", re.IGNORECASE)
# In a file's name; where it says nothing else, Q4_K_M, Q4_1, Q8_0, F16 and BF16 are what makers write.
_NAMED = {"Q4": re.compile(r"[-_.](I?Q4)", re.IGNORECASE), "Q8": re.compile(r"[-_.]Q8", re.IGNORECASE),
          "F16": re.compile(r"[-_.]B?F16", re.IGNORECASE)}  # fmt: skip


def folder_of(models: Path, base_model: str) -> Path:
    """Where a model of the hub lies once it has been downloaded.

    Args:
        models: folder of base models.
        base_model: hub id ``owner/name``.
    """
    return models / base_model.replace("/", "--")


def find_base_files(models: Path, base_model: str, kind: EngineKind, weights: str = "") -> Path | None:
    """A GGUF file for llama.cpp, or a folder for transformers; None where there is none here.

    Args:
        models: folder of base models.
        base_model: catalogue id, hub id, or the absolute path of a GGUF file or a model's folder.
        kind: the engine that is to read it.
        weights: which GGUF file of several, by `adapters.engines.choice.QUANTIZATIONS`; empty takes the
            smallest. Transformers quantises while it loads, so its folder is the same for all.
    """
    place = Path(base_model)
    if not place.is_absolute():
        place = folder_of(models, base_model)
    if kind is EngineKind.LLAMACPP:
        if place.suffix.lower() == ".gguf":
            return place if place.is_file() else None
        return _choose(place.glob("*.gguf"), weights) if place.is_dir() else None
    has_all = (place / "config.json").is_file() and any(place.glob("*.safetensors"))
    return place if kind is EngineKind.TRANSFORMERS and has_all else None


def quantization_of(file: Path) -> str:
    """Which of `adapters.engines.choice.QUANTIZATIONS` a GGUF file holds, by its name; empty for others."""
    return next((name for name, pattern in _NAMED.items() if pattern.search(file.name)), "")


def _choose(files: Iterable[Path], weights: str) -> Path | None:
    """The file wanted; of a model in several parts the first, from which llama.cpp finds the others."""
    found = [file for file in files if (part := _SPLIT.search(file.name)) is None or int(part[1]) == 1]
    wanted = [file for file in found if not weights or quantization_of(file) == weights]
    return min(wanted, key=lambda file: (file.stat().st_size, file.name), default=None)
