"""Recipes kept under a name are files that can be read, changed, passed on and compared."""

import json
from pathlib import Path

import pytest

from adapters.errors import RecipeError
from adapters.hyperparameters import Hyperparameters, compare, override
from adapters.recipe_files import delete_recipe, find_saved, list_recipes, read_recipe, save_recipe
from adapters.training.record import FrozenRecipe

SETTINGS = override(Hyperparameters(), {"lora_r": 4, "target_modules": "q_proj,v_proj", "use_rslora": True})


def save(folder: Path, name: str = "gentle tone") -> None:
    save_recipe(folder, name, audience="patient", base_model="smollm2-135m", settings=SETTINGS)


def test_what_is_saved_comes_back_the_same(tmp_path: Path) -> None:
    save(tmp_path)
    (recipe,) = list_recipes(tmp_path)
    assert (recipe.name, recipe.audience, recipe.base_model) == ("gentle tone", "patient", "smollm2-135m")
    assert override(Hyperparameters(), recipe.values) == SETTINGS
    assert "# Rank (r)" in (tmp_path / "gentle tone.yaml").read_text()


def test_the_same_name_replaces_and_deleting_forgets(tmp_path: Path) -> None:
    save(tmp_path)
    save(tmp_path)
    assert len(list_recipes(tmp_path)) == 1
    delete_recipe(tmp_path, "gentle tone")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", " ", "../x", "a/b", ".hidden", "x" * 61, "a\nb\x00", "v1.yaml"])
def test_a_name_that_is_no_file_s_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="name has 1 to 60"):
        save(tmp_path, name)
    with pytest.raises(RecipeError, match="no saved recipe"):
        find_saved(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_partial_file_leaves_the_rest_open(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("hyperparameters:\n  learning_rate: 1e-4\n")
    recipe = read_recipe(tmp_path / "a.yaml")
    assert (recipe.audience, recipe.base_model, recipe.values) == ("", "", {"learning_rate": 1e-4})


def test_the_frozen_recipe_of_a_run_is_a_recipe(tmp_path: Path) -> None:
    frozen = FrozenRecipe("doctor", "smollm2-135m", "Be exact.", 400, SETTINGS, ("Why?",))
    (tmp_path / "recipe.json").write_text(json.dumps(frozen.to_dict()))
    assert override(Hyperparameters(), read_recipe(tmp_path / "recipe.json").values) == SETTINGS


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a", "must hold"),
        ("hyperparameters: 3", "must hold"),
        ("hyperparameters: {lora_r: 0}", "lora_r must be"),
        ("hyperparameters: {lora_rr: 8}", "Did you mean lora_r"),
        ("hyperparameters: {}\nprompt: x", "unknown field 'prompt'"),
        ("a: [", "can't be read as YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason_and_left_out_of_the_list(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=says):
        read_recipe(path)
    assert list_recipes(tmp_path) == ()


def test_settings_are_compared_in_the_words_in_which_they_are_typed() -> None:
    found = compare(Hyperparameters(), SETTINGS)
    assert [(item.name, item.before, item.after) for item in found] == [
        ("lora_r", "16", "4"),
        ("target_modules", "", "q_proj,v_proj"),
        ("use_rslora", "false", "true"),
    ]
