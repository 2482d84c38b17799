"""Where training begins on a base model: presets by model, beneath each audience's own settings.

A preset is a YAML file of ``recipes/base-models/``. What applies to a run is the preset of its base model,
then what the audience's recipe sets, then what a person set.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from adapters import catalog
from adapters.errors import ModelError, RecipeError
from adapters.hyperparameters import Hyperparameters, override
from adapters.recipe import RECIPES_FOLDER, Recipe

PRESETS_FOLDER = RECIPES_FOLDER / "base-models"
_SIZE = re.compile(r"(?<![\w.])(?P<number>\d+(?:\.\d+)?)(?P<unit>[bBmM])(?![a-zA-Z])")
_FIELDS = frozenset({"title", "base_models", "parameters_from", "hyperparameters"})


@dataclass(frozen=True)
class Preset:
    """The settings to begin with on some base models.

    Args:
        name: of its file.
        title: shown to people.
        base_models: catalogue ids it was made for.
        parameters_from: it also goes for other models of at least so many weights; None, for no other.
        values: hyperparameter → value.
    """

    name: str
    title: str
    base_models: tuple[str, ...]
    parameters_from: int | None
    values: Mapping[str, object]


def load_presets(folder: Path = PRESETS_FOLDER) -> tuple[Preset, ...]:
    """Every preset, those for the largest models first.

    Raises:
        RecipeError: a file is not a preset; the message names the file and the field.
    """
    presets = (_read(path) for path in sorted(folder.glob("*.yaml")))
    return tuple(sorted(presets, key=lambda preset: -(preset.parameters_from or 0)))


def find_preset(base_model: str, presets: tuple[Preset, ...] | None = None) -> Preset:
    """The preset of a base model: the one that names it, else the one for its size, else the smallest.

    Args:
        base_model: catalogue id, hub id or folder.
        presets: from `load_presets`; None reads them.
    """
    presets = presets or load_presets()
    for preset in presets:
        if base_model in preset.base_models:
            return preset
    parameters = _count_parameters(base_model)
    return next(
        preset
        for preset in presets
        if preset.parameters_from is not None and parameters >= preset.parameters_from
    )


def _count_parameters(base_model: str) -> int:
    """Weights of a base model, as far as can be told without loading it; 0 when it can't.

    A name mostly says it: ``Llama-3.1-8B`` has 8 billion, ``bloom-560m`` 560 million.
    """
    try:
        known = catalog.find(base_model).parameters
    except ModelError:  # named wrongly, which a launch will say
        return 0
    if known or not (said := _SIZE.search(base_model.rpartition("/")[2])):
        return known
    return int(float(said["number"]) * (1e9 if said["unit"].lower() == "b" else 1e6))


def settings_for(recipe: Recipe, base_model: str) -> Hyperparameters:
    """What an audience is trained with on a base model, unless a person says otherwise."""
    return override(override(Hyperparameters(), find_preset(base_model).values), recipe.overrides)


def _read(path: Path) -> Preset:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"{path.name} can't be read as YAML in UTF-8: {reason}.") from error
    if not isinstance(content, Mapping) or set(content) != _FIELDS:
        raise RecipeError(f"{path.name} must have exactly the fields {', '.join(sorted(_FIELDS))}.")
    return Preset(
        name=path.stem,
        title=str(content["title"]),
        base_models=tuple(map(str, content["base_models"] or ())),
        parameters_from=None if (least := content["parameters_from"]) is None else int(least),
        values=_check(path, content["hyperparameters"] or {}),
    )


def _check(path: Path, values: Mapping[str, Any]) -> Mapping[str, object]:
    try:
        override(Hyperparameters(), values)
    except RecipeError as error:
        raise RecipeError(f"{path.name}: {error.message}") from error
    return dict(values)
