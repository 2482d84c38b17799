"""The adapters in `adapters/starter/trained` are what the examples and recipes beside them give."""

from pathlib import Path

import pytest

from adapters import catalog, registry
from adapters.manifest import CARD, GGUF, WEIGHTS
from adapters.recipe import load_recipes
from adapters.starters import TRAINED_FOLDER, list_trained
from adapters.training.preparation import fingerprint
from adapters.training.starters import prepare_starter, starter_examples, starter_recipe
from db.vocabulary import Audience

RETRAIN = "Run: python -m elara_ui train-starters --audience {}"
MOST_BYTES = 25_000_000
LEAST_GAIN = 0.1  # of the held-out loss: less would be no voice

each_adapter = pytest.mark.parametrize("folder", list_trained(), ids=lambda path: path.name)


def test_every_audience_has_one_and_together_they_are_small() -> None:
    assert {path.name for path in list_trained()} == {audience.value for audience in Audience}
    assert sum(path.stat().st_size for path in TRAINED_FOLDER.rglob("*")) < MOST_BYTES


@each_adapter
def test_its_files_are_those_of_its_manifest(folder: Path) -> None:
    manifest = registry.verify(folder)
    assert set(manifest.files) == {WEIGHTS, "adapter_config.json", GGUF, CARD}
    assert manifest.name == f"{folder.name}@1"
    assert "Not clinically reviewed" in (folder / CARD).read_text(encoding="utf-8")


@each_adapter
def test_it_was_trained_on_today_s_examples_by_today_s_recipe(folder: Path) -> None:
    recipe, made = load_recipes()[folder.name], registry.verify(folder).provenance
    assert made.base_model == catalog.EMBEDDED
    assert made.recipe == starter_recipe(recipe).to_dict(), RETRAIN.format(folder.name)
    assert made.snapshot_sha256 == fingerprint(prepare_starter(recipe)), RETRAIN.format(folder.name)


@each_adapter
def test_it_learned_from_every_example_and_none_that_is_held_out(folder: Path) -> None:
    made = registry.verify(folder).provenance
    examples = starter_examples(folder.name)
    assert made.rows == sum(each.part == "train" for each in examples)
    assert made.metrics["held_out_rows"] == sum(each.part == "evaluation" for each in examples)
    assert made.metrics["left_out_rows"] == 0
    assert made.metrics["eval_loss_after"] < (1 - LEAST_GAIN) * made.metrics["eval_loss_before"]


def test_no_path_of_a_machine_is_in_them() -> None:
    for folder in list_trained():
        for path in folder.glob("*.[jm]*"):
            assert str(Path.home()) not in path.read_text(encoding="utf-8")
            assert "/tmp/" not in path.read_text(encoding="utf-8")
