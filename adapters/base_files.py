"""Where the files of a base model are on this machine, for the engine that is to read them. Loads nothing."""

from pathlib import Path

from adapters import model_store
from adapters.base_model import GGUF_SUFFIX, BaseModel
from adapters.engines.choice import EngineKind


def folder_of(models: Path, base_model: str) -> Path:
    """Where a model of the hub lies once it has been downloaded, a folder for each form of its weights.

    Args:
        models: folder of base models.
        base_model: hub id ``owner/name``.
    """
    return models / base_model.replace("/", "--")


def find_base_files(models: Path, base_model: str, kind: EngineKind, weights: str = "") -> Path | None:
    """A GGUF file for llama.cpp, or a folder for transformers; None where there is none here, or not whole.

    Args:
        models: folder of base models.
        base_model: catalogue id, hub id, or the absolute path of a GGUF file or a model's folder.
        kind: the engine that is to read it.
        weights: which GGUF file of several, by `adapters.engines.choice.QUANTIZATIONS`; empty takes the
            smallest. Transformers quantises while it loads, so its folder is the same for all.
    """
    place = Path(base_model)
    if place.is_absolute():
        return _named(place, kind)
    stored = model_store.list_weights(models, BaseModel(base_model, base_model, base_model))
    wanted = [each for each in stored if each.weights.is_gguf is (kind is EngineKind.LLAMACPP)]
    if kind is EngineKind.LLAMACPP and weights:
        wanted = [each for each in wanted if each.weights == weights]
    return min(wanted, key=lambda each: each.size).place if wanted else None


def quantization_of(file: Path) -> str:
    """Which of `adapters.engines.choice.QUANTIZATIONS` a GGUF file is nearest to, by its header.

    Raises:
        ModelError: it isn't a GGUF file.
    """
    return model_store.form_of_file(file).value


def _named(place: Path, kind: EngineKind) -> Path | None:
    """What somebody named, if this engine reads it."""
    if kind is EngineKind.LLAMACPP:
        return place if place.suffix.lower() == GGUF_SUFFIX and place.is_file() else None
    has_all = (place / "config.json").is_file() and any(place.glob("*.safetensors"))
    return place if kind is EngineKind.TRANSFORMERS and has_all else None
