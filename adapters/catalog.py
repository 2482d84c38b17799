"""The base models that Elara knows, and how to recognise one that it doesn't. Loads nothing."""

import re
from collections.abc import Sequence
from pathlib import Path

from adapters.architectures import LINEAR_MODULES, TARGET_MODULES, describe_folder, describe_gguf
from adapters.base_model import EMBEDDED, GGUF_SUFFIX, BaseModel, Shape, Weights
from adapters.catalog_entries import CATALOG
from adapters.errors import ModelError, RecipeError

__all__ = [
    "CATALOG",
    "EMBEDDED",
    "LINEAR_MODULES",
    "TARGET_MODULES",
    "BaseModel",
    "Shape",
    "Weights",
    "check_targets",
    "find",
    "is_hub_id",
]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def is_hub_id(text: str) -> bool:
    """Whether it has the form ``owner/name``."""
    return _HUB_ID.fullmatch(text) is not None


def find(model_id: str) -> BaseModel:
    """The base model of that name.

    Args:
        model_id: a catalogue id, the path of a folder with a saved model or of a GGUF file, or any hub id
            ``owner/name``.

    Returns:
        the catalogue's entry, or one made from the folder's ``config.json`` or the file's header, or a bare
        one for the hub.

    Raises:
        ModelError: it is none of these, or the place doesn't hold a usable model.
    """
    wanted = model_id.strip()
    for entry in CATALOG:
        if entry.id.lower() == wanted.lower():
            return entry
    place = Path(wanted).expanduser()
    if wanted and place.is_dir():
        return describe_folder(place.resolve())
    if place.suffix.lower() == GGUF_SUFFIX and place.is_file():
        return describe_gguf(place.resolve())
    if is_hub_id(wanted):
        return BaseModel(id=wanted, title=wanted, source=wanted)
    known = ", ".join(entry.id for entry in CATALOG)
    raise ModelError(
        f"A base model is a catalogue id, a folder with a saved model, a GGUF file, or a hub id like "
        f"owner/name; “{wanted[:200]}” is none of them. The catalogue has: {known}."
    )


def check_targets(model: BaseModel, names: Sequence[str]) -> None:
    """Refuse modules that a model of a known architecture can't have, before a run is made for them.

    Raises:
        RecipeError: a name that isn't there; the message lists those that are.
    """
    existing = LINEAR_MODULES.get(model.architecture)
    missing = [name for name in names if existing is not None and name not in existing]
    if existing is not None and missing:
        raise RecipeError(
            f"target_modules must name layers of the base model, but {model.id} has no {', '.join(missing)}. "
            f"It has {', '.join(existing)}; leave the field empty to choose by architecture."
        )
