"""Where training begins on each base model."""

from pathlib import Path

import pytest

from adapters import catalog
from adapters.errors import RecipeError
from adapters.hints import find_hints
from adapters.hyperparameters import Hyperparameters
from adapters.presets import find_preset, load_presets, settings_for
from adapters.recipe import find_recipe, load_recipes

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.3"


def test_presets_name_models_of_the_catalogue_and_the_others_go_by_their_size() -> None:
    named = {model for preset in load_presets() for model in preset.base_models}
    assert named < {model.id for model in catalog.CATALOG}
    for model in catalog.CATALOG:
        large = find_preset(model.id).name == "mistral-7b"
        assert large == (model.parameters >= 3_000_000_000), model.id


def test_the_preset_goes_beneath_what_the_audience_sets() -> None:
    doctor, patient = (settings_for(find_recipe(name), MISTRAL) for name in ("doctor", "patient"))
    assert (doctor.num_epochs, doctor.batch_size, doctor.gradient_accumulation_steps) == (2, 1, 8)
    assert (doctor.lora_r, doctor.learning_rate) == (16, 1e-4)
    assert (patient.logging_steps, patient.lora_r, patient.learning_rate) == (1, 16, 1e-4)
    assert patient.quantization == "4bit"


def test_the_embedded_model_has_a_preset_of_its_own() -> None:
    for recipe in load_recipes().values():
        settings = settings_for(recipe, catalog.EMBEDDED)
        assert (settings.lora_r, settings.lora_alpha, settings.learning_rate) == (4, 8, 1e-3)
        assert settings.target_modules == catalog.LINEAR_MODULES["llama"]
        assert settings.hints() == []
    assert find_preset(catalog.EMBEDDED).parameters_from is None


@pytest.mark.parametrize("model", ["meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-4B", "owner/med-70b-v2"])
def test_a_large_model_outside_the_catalogue_is_known_by_its_name(model: str) -> None:
    assert find_preset(model).name == "mistral-7b"


def test_a_folder_s_size_is_told_from_its_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "dtype": "bfloat16"}')
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(8_000_000_000)  # sparse: takes no room
    assert find_preset(str(tmp_path)).name == "mistral-7b"


@pytest.mark.parametrize("model", ["someone/unknown-model", "no such thing", "owner/tiny-560m", "x/Q3-0.6B"])
def test_an_unknown_model_begins_with_the_smallest_preset(model: str) -> None:
    assert find_preset(model).name == "small"


def test_a_preset_that_breaks_a_rule_is_refused_with_its_file(tmp_path: Path) -> None:
    content = "title: x\nbase_models: []\nparameters_from: 0\nhyperparameters: {lora_r: 0}\n"
    (tmp_path / "bad.yaml").write_text(content)
    with pytest.raises(RecipeError, match=r"bad\.yaml: lora_r must be"):
        load_presets(tmp_path)


@pytest.mark.parametrize(
    ("values", "rows", "says"),
    [
        ({"lora_r": 32}, 200, "Rank 32 is large for 200"),
        ({"lora_dropout": 0.0}, 200, "No dropout"),
        ({"lora_r": 4, "lora_alpha": 8}, 9000, "Rank 4 is small for 9000"),
        ({"lora_dropout": 0.2}, 9000, "Dropout 0.2 is much"),
        ({"num_epochs": 5}, 9000, "5 epochs are many"),
        ({"batch_size": 16}, 30, "looks at 16 of 30"),
        ({"eval_fraction": 0}, 60, "Nothing is held out"),
    ],
)
def test_what_is_unusual_depends_on_how_much_there_is_to_learn(
    values: dict[str, object], rows: int, says: str
) -> None:
    settings = Hyperparameters(**values)  # type: ignore[arg-type]
    assert any(says in hint for hint in find_hints(settings, rows))
    assert find_hints(settings) == []
