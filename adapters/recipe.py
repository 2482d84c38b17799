"""Recipes: for each audience, how answers are asked for, drawn, bounded and trained.

They are YAML files, so that a clinician can read and change them without touching code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from adapters.engines.base import Sampling
from adapters.errors import RecipeError
from adapters.hyperparameters import (
    GROUP_TITLES,
    HYPERPARAMETERS,
    HyperparameterInfo,
    Hyperparameters,
    override,
)
from db.vocabulary import Audience

__all__ = [
    "GROUP_TITLES",
    "HYPERPARAMETERS",
    "RECIPES_FOLDER",
    "HyperparameterInfo",
    "Hyperparameters",
    "Recipe",
    "find_recipe",
    "load_recipes",
    "override",
]

RECIPES_FOLDER = Path(__file__).parent / "recipes"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is several times as fast


@dataclass(frozen=True)
class Recipe:
    """What Elara knows about one audience.

    Args:
        audience: its word, e.g. ``patient``.
        title: shown in the selector.
        summary: one line beside the title.
        system_prompt: opens every conversation and every training example.
        max_explanation_length: most words in an answer, asked for at generation, enforced in training data.
        sampling: defaults for drawing an answer.
        readability_aim: Flesch-Kincaid grade to stay at or under; None only reports.
        readability_warn: grade above which the page warns; None never warns.
        example_questions: offered on an empty conversation.
        hyperparameters: defaults for a training run on a small base model.
        overrides: those of them that this audience sets itself; on another base model they go on top of its
            preset, see `adapters.presets`.
        readability_floor: grade under which an answer is simpler than this audience wants; None, also when
            the file leaves it out, never says so.
    """

    audience: str
    title: str
    summary: str
    system_prompt: str
    max_explanation_length: int
    sampling: Sampling
    readability_aim: float | None
    readability_warn: float | None
    example_questions: tuple[str, ...]
    hyperparameters: Hyperparameters
    overrides: Mapping[str, object] = field(default_factory=dict)
    readability_floor: float | None = None


def load_recipes(folder: Path = RECIPES_FOLDER) -> dict[str, Recipe]:
    """Every recipe of a folder, the built-in audiences first and in their own order.

    Raises:
        RecipeError: a file is not a recipe; the message names the file and the field.
    """
    recipes = {path.stem: _read(path) for path in sorted(folder.glob("*.yaml"))}
    order = [audience.value for audience in Audience]
    names = sorted(recipes, key=lambda name: (order.index(name) if name in order else len(order), name))
    return {name: recipes[name] for name in names}


def find_recipe(audience: str, folder: Path = RECIPES_FOLDER) -> Recipe:
    """The recipe of one audience.

    Raises:
        RecipeError: there is no such audience; the message names those there are.
    """
    recipes = load_recipes(folder)
    if audience not in recipes:
        raise RecipeError(f"There is no audience {audience[:60]!r}. Choose one of {', '.join(recipes)}.")
    return recipes[audience]


def _read(path: Path) -> Recipe:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506
        return _build(path.stem, content)
    except RecipeError as error:
        raise RecipeError(f"{path.name}: {error.message}") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RecipeError(f"{path.name} can't be read as YAML in UTF-8: {reason}.") from error


def _build(audience: str, content: object) -> Recipe:
    if not isinstance(content, Mapping):
        raise RecipeError("A recipe must be a list of fields and values.")
    known = {item.name for item in fields(Recipe)} - {"audience", "overrides"}
    given = set(map(str, content))
    for state, names in (("unknown", given - known), ("missing", known - given - {"readability_floor"})):
        if names:
            raise RecipeError(f"The field {min(names)} is {state}; a recipe has {', '.join(sorted(known))}.")
    overrides = content["hyperparameters"] or {}
    return Recipe(
        audience=audience,
        title=_text(content, "title"),
        summary=_text(content, "summary"),
        system_prompt=_text(content, "system_prompt"),
        max_explanation_length=_whole_number(content, "max_explanation_length"),
        sampling=_sampling(content["sampling"]),
        readability_aim=_grade(content, "readability_aim"),
        readability_warn=_grade(content, "readability_warn"),
        example_questions=tuple(str(question) for question in content["example_questions"] or ()),
        hyperparameters=override(Hyperparameters(), overrides),
        overrides=overrides,
        readability_floor=_grade(content, "readability_floor") if "readability_floor" in content else None,
    )


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content[name]
    if not isinstance(value, str) or not value.strip():
        raise RecipeError(f"{name} must be text, but it is {str(value)[:60]!r}.")
    return " ".join(value.split())


def _whole_number(content: Mapping[str, Any], name: str) -> int:
    value = content[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RecipeError(f"{name} must be a whole number of at least 1, but it is {str(value)[:60]!r}.")
    return value


def _grade(content: Mapping[str, Any], name: str) -> float | None:
    value = content[name]
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 < value <= 30:
        raise RecipeError(
            f"{name} must be a school grade from 0 to 30 or empty, but it is {str(value)[:60]!r}."
        )
    return float(value)


def _sampling(values: object) -> Sampling:
    try:
        sampling = Sampling(**values)  # type: ignore[arg-type]  # a TypeError is the check
    except TypeError as error:
        known = ", ".join(item.name for item in fields(Sampling))
        raise RecipeError(f"sampling must give only {known}, but it is {str(values)[:60]!r}.") from error
    numbers = (sampling.temperature, sampling.repetition_penalty, sampling.top_p, sampling.max_new_tokens)
    if not all(isinstance(number, int | float) for number in numbers):
        raise RecipeError(f"sampling must give numbers, but it is {str(values)[:60]!r}.")
    return sampling
