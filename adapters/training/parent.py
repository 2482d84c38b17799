"""The adapter that a run continues from: found, checked, and asked for what its weights fix. Loads no torch.

Continuing is not resuming. A resumed run goes on with its own data, optimizer and plan where it was broken
off; a continued one is a new run, with data and a plan of its own, that starts from weights already trained.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapters import registry
from adapters.errors import AdapterError, RecipeError
from adapters.manifest import Manifest
from adapters.recipe import Hyperparameters, override
from adapters.training.loading import Source
from db import adapters
from db.home import Home
from db.session import Database

# Hyperparameter → its name in peft's configuration. The weights are of this shape and scale, and of no other.
FIXED = {
    "lora_r": "r",
    "lora_alpha": "lora_alpha",
    "target_modules": "target_modules",
    "use_rslora": "use_rslora",
}


@dataclass(frozen=True)
class Parent:
    """A registered adapter to continue from.

    Args:
        name: ``audience@version``.
        folder: with its files, found intact.
        sha256: of its weights' file.
        base_model: catalogue id, hub id or folder.
        base_sha256: of the base model's local weights; empty for a hub model.
        base_revision: the hub model's commit; empty for local weights.
    """

    name: str
    folder: Path
    sha256: str
    base_model: str
    base_sha256: str
    base_revision: str = ""


def find_parent(database: Database, home: Home, name: str) -> Parent | None:
    """The adapter of that name, its files found as they were when it was registered.

    Args:
        database: of this home; a folder that it doesn't record is no adapter.
        home: where adapters are kept.
        name: as `Hyperparameters.continue_from` has it; empty for none.

    Returns:
        The adapter; None for an empty name.

    Raises:
        AdapterError: there is none, or its files were changed.
    """
    if not name:
        return None
    with database.reading() as session:
        known = {adapter.name: adapter for adapter in adapters.list_all(session)}
    if name not in known:
        raise AdapterError(
            f"continue_from must name an adapter that is there, but there is no {name}. "
            f"There are: {', '.join(sorted(known)) or 'none yet'}. Leave the field empty to start afresh."
        )
    folder = registry.folder(home, known[name])
    manifest = registry.verify(folder)
    sha256 = manifest.files[registry.WEIGHTS]
    if manifest.name != name or sha256 != known[name].sha256:
        raise AdapterError(
            f"The folder {folder} should hold {name}, but holds {_describe(manifest, name)}. Restore it, or "
            "leave continue_from empty to start afresh."
        )
    made = manifest.provenance
    return Parent(name, folder, sha256, made.base_model, made.base_sha256, made.base_revision)


def _describe(manifest: Manifest, name: str) -> str:
    return "other weights of that name" if manifest.name == name else manifest.name


def inherit(
    parent: Parent | None, base_model: str, hyperparameters: Hyperparameters, usual: Hyperparameters
) -> Hyperparameters:
    """The settings of a run with what the adapter it continues from has fixed already.

    Args:
        parent: what it continues from, if anything.
        base_model: catalogue id of the run's base model.
        hyperparameters: as asked for.
        usual: the audience's; what is as usual was not chosen, and gives way.

    Returns:
        `hyperparameters` with rank, alpha, target modules and kind of scaling of the parent.

    Raises:
        RecipeError: one of these was chosen and is another, or the base model is another.
        AdapterError: the parent's configuration can't be read.
    """
    if parent is None:
        return hyperparameters
    if parent.base_model != base_model:
        raise RecipeError(
            f"An adapter goes on only on its own base model: {parent.name} was trained on "
            f"{parent.base_model}, but the run is for {base_model}. Choose that base model, or leave "
            "continue_from empty."
        )
    fixed = _read_fixed(parent)
    for name, value in fixed.items():
        chosen = getattr(hyperparameters, name)
        if chosen != getattr(usual, name) and not _same(chosen, value):
            raise RecipeError(
                f"{name} comes from the adapter that a run continues from: {parent.name} has {_show(value)}, "
                f"but {_show(chosen)} was set. Take that setting back, or leave continue_from empty."
            )
    return override(hyperparameters, fixed)


def take_same_weights(parent: Parent, source: Source) -> Source:
    """The base model with the very weights that the adapter was trained on.

    Returns:
        `source`; a hub model, which may have moved on since, at the commit of then.

    Raises:
        AdapterError: local weights are others now.
    """
    if parent.base_sha256 != source.sha256:
        raise AdapterError(
            f"{parent.name} was trained on other weights than {source.entry.id} has now. Put the weights of "
            "then back, or leave continue_from empty to start afresh."
        )
    return replace(source, revision=parent.base_revision)


def _read_fixed(parent: Parent) -> dict[str, Any]:
    path = parent.folder / registry.CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        values = {name: config[theirs] for name, theirs in FIXED.items()}
    except (OSError, ValueError, KeyError) as error:
        raise AdapterError(
            f"{path} can't be read as peft's configuration. Train the adapter again."
        ) from error
    return values | {"target_modules": tuple(sorted(values["target_modules"]))}


def _same(one: Any, other: Any) -> bool:
    return set(one) == set(other) if isinstance(one, tuple) else bool(one == other)


def _show(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value).lower()
