"""Recipes that people keep: a run's settings under a name, as a YAML file to read, change and pass on."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from adapters.errors import RecipeError
from adapters.files import write_whole
from adapters.hyperparameters import HYPERPARAMETERS, Hyperparameters, override

MAX_FILE_BYTES = 64 * 1024
NAME = re.compile(r"[^\W_][\w .-]{0,59}")
NAME_RULE = (
    "1 to 60 letters, digits, spaces, dots, hyphens or underscores, beginning with a letter or digit, "
    "without a file's ending"
)
ENDINGS = (".yaml", ".yml", ".json")
# A run's own recipe.json can be given too; what it holds beside the settings is the audience's.
_PASSED_OVER = frozenset({"system_prompt", "max_explanation_length", "probes", "parent_sha256"})
_FIELDS = frozenset({"audience", "base_model", "hyperparameters"})


@dataclass(frozen=True)
class SavedRecipe:
    """Settings under a name.

    Args:
        name: of the file.
        audience: whom they were made for; empty when the file doesn't say.
        base_model: what they were made on; empty when the file doesn't say.
        values: hyperparameter → checked value; what is missing is left to preset and audience.
    """

    name: str
    audience: str
    base_model: str
    values: Mapping[str, Any]


def read_recipe(path: Path) -> SavedRecipe:
    """Read a recipe file, or the ``recipe.json`` of a run.

    Raises:
        RecipeError: it can't be read, or a field or a value in it is wrong.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RecipeError(f"{path.name} is no recipe: it has more than {MAX_FILE_BYTES // 1024} KiB.")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"The recipe {path} can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"{path.name} can't be read as YAML in UTF-8: {reason}.") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("hyperparameters"), Mapping):
        raise RecipeError(
            f"{path.name} must hold “hyperparameters” with names and values beneath, and may hold “audience” "
            "and “base_model”."
        )
    if unknown := sorted(set(map(str, content)) - _FIELDS - _PASSED_OVER):
        raise RecipeError(f"{path.name} has an unknown field {unknown[0][:60]!r}; known are audience, "
                          "base_model and hyperparameters.")  # fmt: skip
    given = content["hyperparameters"]
    try:
        settings = override(Hyperparameters(), given)
    except RecipeError as error:
        raise RecipeError(f"{path.name}: {error.message}") from error
    checked = settings.to_dict()
    return SavedRecipe(
        name=path.stem,
        audience=str(content.get("audience") or ""),
        base_model=str(content.get("base_model") or ""),
        values={name: checked[name] for name in given},
    )


def list_recipes(folder: Path) -> tuple[SavedRecipe, ...]:
    """The recipes of a folder by name; a file that can't be used is passed over."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            found.append(read_recipe(path))
        except RecipeError:
            continue
    return tuple(found)


def find_saved(folder: Path, name: str) -> Path:
    """The file of a saved recipe.

    Raises:
        RecipeError: there is none of that name.
    """
    path = folder / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        known = ", ".join(recipe.name for recipe in list_recipes(folder)) or "none yet"
        raise RecipeError(f"There is no saved recipe {name[:60]!r}. Saved are: {known}.")
    return path


def save_recipe(
    folder: Path, name: str, *, audience: str, base_model: str, settings: Hyperparameters
) -> SavedRecipe:
    """Keep settings under a name; a recipe of the same name is replaced.

    Args:
        folder: where recipes are kept.
        name: see `NAME_RULE`.
        audience: whom they are for.
        base_model: what they are for.
        settings: checked.

    Raises:
        RecipeError: the name breaks its rule, or the disk refuses.
    """
    name = " ".join(name.split())
    if not NAME.fullmatch(name) or name.endswith(ENDINGS):
        raise RecipeError(f"A recipe's name has {NAME_RULE}, but it is {name[:60]!r}.")
    path = folder / f"{name}.yaml"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, _compose(audience, base_model, settings).encode())
    except OSError as error:
        raise RecipeError(f"The recipe can't be written to {folder}: {error.strerror}.") from error
    return read_recipe(path)


def delete_recipe(folder: Path, name: str) -> None:
    """Forget a saved recipe.

    Raises:
        RecipeError: there is none of that name, or the disk refuses.
    """
    path = find_saved(folder, name)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RecipeError(f"The recipe {name} can't be deleted: {error.strerror}.") from error


def _compose(audience: str, base_model: str, settings: Hyperparameters) -> str:
    """The file's text: every setting, with what it is called on the page."""
    head = yaml.safe_dump({"audience": audience, "base_model": base_model}, allow_unicode=True)
    values = settings.to_dict()
    # JSON's form of a value is YAML's too.
    lines = [f"  {info.name}: {json.dumps(values[info.name])} # {info.label}" for info in HYPERPARAMETERS]
    return f"{head}hyperparameters:\n" + "\n".join(lines) + "\n"
