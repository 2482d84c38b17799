from dataclasses import fields
from pathlib import Path

import pytest

from adapters.errors import RecipeError
from adapters.recipe import (
    GROUP_TITLES,
    HYPERPARAMETERS,
    RECIPES_FOLDER,
    Hyperparameters,
    find_recipe,
    load_recipes,
    override,
)
from db.vocabulary import Audience

DEFAULTS = Hyperparameters()


def test_recipes_come_in_the_order_of_the_audiences():
    assert list(load_recipes()) == [audience.value for audience in Audience]


@pytest.mark.parametrize(
    ("audience", "words", "aim", "warn"),
    [
        ("patient", 300, 6, 8),
        ("student", 500, 12, 14),
        ("doctor", 400, None, None),
        ("researcher", 600, None, None),
        ("emergency", 80, 5, 6),
    ],
)
def test_each_audience_has_its_length_and_readability(audience, words, aim, warn):
    recipe = find_recipe(audience)
    assert (recipe.max_explanation_length, recipe.readability_aim, recipe.readability_warn) == (
        words,
        aim,
        warn,
    )
    assert len(recipe.example_questions) == 4
    assert recipe.sampling.temperature == 0.15
    assert recipe.sampling.repetition_penalty == 1.15
    assert recipe.sampling.max_new_tokens >= words


def test_a_student_s_answer_may_be_too_simple_and_other_files_may_leave_that_out():
    assert find_recipe("student").readability_floor == 10
    assert find_recipe("patient").readability_floor is None


def test_a_recipe_sets_what_its_audience_needs_and_leaves_the_rest_to_the_base_model():
    recipe = find_recipe("emergency")
    assert recipe.overrides == {"num_epochs": 3, "logging_steps": 1}
    assert recipe.hyperparameters == override(DEFAULTS, recipe.overrides)


@pytest.mark.parametrize(
    ("rank", "alpha", "stabilised", "said"),
    [
        (16, 8, False, "Alpha 8 is 0.5 × rank 16, where 1 to 2 × is usual: 16 to 32. The adapter may hardly"),
        (8, 64, False, "Alpha 64 is 8 × rank 8, where 1 to 2 × is usual: 8 to 16. The adapter may drown"),
        (64, 128, True, "Alpha 128 is 16 × the root of rank 64, where 1 to 2 × is usual: 8 to 16."),
        (64, 4, True, "Alpha 4 is 0.5 × the root of rank 64"),
        (16, 16, False, None),
        (16, 32, False, None),
        (64, 16, True, None),
    ],
)
def test_an_alpha_that_is_unusual_for_the_rank_is_hinted_at(rank, alpha, stabilised, said):
    values = {"lora_r": rank, "lora_alpha": alpha, "use_rslora": stabilised}
    hints = override(DEFAULTS, values).hints()
    assert bool(hints) == bool(said)
    assert (said or "") in "".join(hints)
    assert not override(DEFAULTS, values | {"continue_from": "patient@1"}).hints()


def test_shipped_recipes_give_no_hints():
    assert [recipe.hyperparameters.hints() for recipe in load_recipes().values()] == [[]] * 5


def test_an_unknown_audience_is_refused_with_the_known_ones():
    with pytest.raises(RecipeError, match=r"no audience 'pirate'.*patient, student"):
        find_recipe("pirate")


def test_the_table_describes_every_field_with_its_default():
    assert [info.name for info in HYPERPARAMETERS] == [field.name for field in fields(Hyperparameters)]
    for info in HYPERPARAMETERS:
        assert getattr(DEFAULTS, info.name) == info.default
        assert len(info.explanation.split()) > 5
        assert info.group in GROUP_TITLES
        assert info.parse(info.default) == info.default


def test_overrides_read_text_as_typed_on_the_command_line():
    settings = override(
        DEFAULTS,
        {
            "lora_r": "8",
            "learning_rate": "1e-4",
            "target_modules": " q_proj, v_proj ,q_proj",
            "use_rslora": "true",
            "scheduler": "Linear",
        },
    )
    assert settings.lora_r == 8
    assert settings.learning_rate == 1e-4
    assert settings.target_modules == ("q_proj", "v_proj")
    assert settings.use_rslora is True
    assert settings.scheduler == "linear"
    assert DEFAULTS.lora_r == 16


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lora_r", 0),
        ("lora_r", "2.5"),
        ("lora_r", True),
        ("learning_rate", "-1e-4"),
        ("learning_rate", "nan"),
        ("learning_rate", float("inf")),
        ("lora_dropout", 1.5),
        ("max_samples", "0"),
        ("scheduler", "zigzag"),
        ("use_rslora", "perhaps"),
        ("num_epochs", None),
        ("target_modules", 7),
        ("batch_size", ""),
    ],
)
def test_a_value_outside_its_rule_is_refused_with_rule_and_value(name, value):
    with pytest.raises(RecipeError, match=f"^{name} must be") as caught:
        override(DEFAULTS, {name: value})
    assert str(value)[:20] in caught.value.message


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("learnin_rate", "learning_rate"), ("rank", "lora_r"), ("dropout", "lora_dropout")],
)
def test_an_unknown_name_is_refused_with_the_closest(name, suggestion):
    with pytest.raises(RecipeError, match=f"Did you mean {suggestion}"):
        override(DEFAULTS, {name: 1})


def test_early_stopping_without_a_held_out_part_is_refused():
    with pytest.raises(RecipeError, match="eval_fraction is 0"):
        override(DEFAULTS, {"early_stopping_patience": 2, "eval_fraction": 0})


def test_kto_with_single_examples_is_refused():
    with pytest.raises(RecipeError, match="batch_size must be at least 2, but it is 1"):
        override(DEFAULTS, {"objective": "kto", "batch_size": 1})
    assert override(DEFAULTS, {"objective": "dpo", "batch_size": 1}).smallest_batch == 1


def test_what_is_unusual_for_preferences_alone_is_hinted():
    hints = " ".join(override(DEFAULTS, {"objective": "dpo"}).hints())
    assert "Learning rate 0.0002 is fast for dpo, which usually takes 5e-6 to 5e-05" in hints
    assert "lora_dropout 0.1 is ignored" in hints
    assert not override(DEFAULTS, {"objective": "kto", "learning_rate": 2e-5, "lora_dropout": 0}).hints()


def test_an_unusual_value_is_allowed_with_a_hint():
    assert "outside the usual" in override(DEFAULTS, {"learning_rate": 0.01}).hints()[0]


def test_settings_survive_json():
    settings = override(DEFAULTS, {"target_modules": "q_proj", "max_steps": 3})
    assert override(Hyperparameters(), settings.to_dict()) == settings


@pytest.mark.parametrize(
    ("find", "replace", "message"),
    [
        ("max_explanation_length: 300", "max_explanation_length: none", "max_explanation_length must be"),
        ("title: Patient", "titel: Patient", "titel is unknown"),
        ("title: Patient\n", "", "title is missing"),
        ("temperature: 0.15", "heat: 0.15", "sampling must give only"),
        ("logging_steps: 1", "logging_steps: 0", "logging_steps must be"),
        ("readability_aim: 6", "readability_aim: low", "readability_aim must be"),
        ("readability_aim: 6", "readability_aim: 6\nreadability_floor: low", "readability_floor must be"),
        ("title: Patient", "title: [", "can't be read as YAML"),
    ],
)
def test_a_wrong_recipe_file_is_named_with_what_is_wrong(tmp_path: Path, find, replace, message):
    text = (RECIPES_FOLDER / "patient.yaml").read_text()
    assert find in text
    (tmp_path / "mine.yaml").write_text(text.replace(find, replace))
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipes(tmp_path)
    assert "mine.yaml" in caught.value.message
