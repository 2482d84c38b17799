"""The card says all that the manifest says, in a form that hubs can read."""

import ast
from dataclasses import replace

import pytest
import yaml

from adapters.card import show, write_card
from adapters.hyperparameters import HYPERPARAMETERS
from adapters.manifest import Form, Manifest, Provenance
from adapters.recipe import find_recipe
from adapters.usage import write_program

RECIPE = find_recipe("patient")
PROVENANCE = Provenance(
    audience="patient",
    base_model="smollm2-135m",
    base_revision="",
    base_sha256="b" * 64,
    snapshot_sha256="5" * 64,
    rows=8123,
    recipe={
        "audience": "patient",
        "base_model": "smollm2-135m",
        "system_prompt": RECIPE.system_prompt,
        "max_explanation_length": 307,
        "hyperparameters": RECIPE.hyperparameters.to_dict() | {"learning_rate": 0.000317, "new_field": "odd"},
    },
    run_id="ab12cd34ef56",
    metrics={"eval_loss_before": 2.5123, "eval_loss_after": 2.1457, "train_tokens": 91234.0, "new": 7.25},
    source="starter",
    data={
        "given": 9001, "train": 8123, "evaluation": 877, "duplicates": 1, "near_duplicates": 0, "too_long": 0,
        "bad_rows": 0, "over_cap": 0, "max_words": 307, "repeated": False, "reasons": {"duplicate": 1},
    },
)  # fmt: skip
MANIFEST = Manifest(
    format_version=1,
    name="patient@3",
    version=3,
    provenance=PROVENANCE,
    libraries={"torch": "2.13.0", "peft": "0.21.2"},
    created_at="2026-03-04T05:06:07+00:00",
    files={"adapter_model.safetensors": "a" * 64, "adapter_config.json": "d" * 64, "adapter.gguf": "c" * 64},
)


def front_matter(card: str) -> dict:
    start, text, _ = card.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(text)


def card_of(form: Form = Form.PEFT, **changes: object) -> str:
    return write_card(replace(MANIFEST, provenance=replace(PROVENANCE, **changes)), form)


@pytest.mark.parametrize("form", Form)
def test_every_figure_of_the_manifest_stands_in_the_card(form: Form) -> None:
    card = write_card(MANIFEST, form)
    made = PROVENANCE
    figures = [
        *made.metrics.values(), *made.recipe["hyperparameters"].values(), *made.data["reasons"].values(),
        *(value for value in made.data.values() if not isinstance(value, dict | bool)),
        made.rows, made.snapshot_sha256, made.base_sha256, made.run_id, made.source, made.base_model,
        made.recipe["system_prompt"], MANIFEST.created_at, MANIFEST.notice, MANIFEST.name,
        *MANIFEST.libraries.values(), "a" * 64, "c" * 64,
    ]  # fmt: skip
    missing = [figure for figure in figures if show(figure) not in card]
    assert not missing


def test_the_front_matter_is_what_hubs_read() -> None:
    assert front_matter(write_card(MANIFEST, Form.PEFT)) == {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "elara", "medical", "patient", "not-clinically-reviewed"],
        "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "base_model_relation": "adapter",
        "license": "apache-2.0",
        "language": ["en"],
    }
    merged = front_matter(write_card(MANIFEST, Form.MERGED))
    assert (merged["library_name"], merged["base_model_relation"]) == ("transformers", "finetune")


@pytest.mark.parametrize("source", ["owner/name", "owner/name:train[:50]", "owner/name/config:test"])
def test_a_dataset_of_the_hub_is_named(source: str) -> None:
    assert front_matter(card_of(source=source))["datasets"] == ["owner/name"]


@pytest.mark.parametrize("source", ["starter", "reviews", "snapshot:ab12", "mine.jsonl", ""])
def test_other_sources_are_not_taken_for_datasets_of_the_hub(source: str) -> None:
    assert "datasets" not in front_matter(card_of(source=source))


def test_a_folder_of_this_machine_goes_by_its_name_alone(tmp_path) -> None:
    card = card_of(base_model=str(tmp_path / "my-model"))
    assert "my-model" in card
    assert str(tmp_path) not in card
    assert {"base_model", "license"}.isdisjoint(front_matter(card))
    assert "not known to Elara" in card


def test_the_restrictions_of_the_base_model_are_passed_on() -> None:
    card = card_of(base_model="bigscience/bloom-560m")
    assert "restricts some uses, medical advice among them" in card
    assert front_matter(card)["license"] == "bigscience-bloom-rail-1.0"


def test_what_someone_wrote_breaks_neither_a_table_nor_the_front_matter() -> None:
    card = card_of(source="a|b\n---\nlicense: none", audience="my: audience")
    assert front_matter(card)["license"] == "apache-2.0"
    assert "- Source: a\\|b --- license: none" in card


def test_a_manifest_made_before_sources_were_noted_still_gives_a_card() -> None:
    card = card_of(source="", data={}, metrics={}, recipe={"hyperparameters": {"lora_r": 8}})
    assert "Nothing was measured." in card
    assert "5" * 64 in card


@pytest.mark.parametrize("base", ["smollm2-135m", "microsoft/DialoGPT-medium", "owner/unknown"])
@pytest.mark.parametrize("form", [Form.PEFT, Form.MERGED])
def test_the_program_shown_is_python_whatever_the_prompt(base: str, form: Form) -> None:
    from adapters.card import find_base

    recipe = {"system_prompt": "Say \"it's {plain}\".\n'''"}
    manifest = replace(MANIFEST, provenance=replace(PROVENANCE, recipe=recipe))
    program = write_program(manifest, find_base(base), form)
    constants = [node.value for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Constant)]
    assert recipe["system_prompt"] in constants
    assert '{{"role"' not in program


def test_ways_to_use_it_are_those_that_the_files_allow() -> None:
    assert "llama-cli" in write_card(MANIFEST, Form.PEFT)
    assert "llama-cli" not in write_card(replace(MANIFEST, files={}), Form.PEFT)
    assert "PeftModel" not in write_card(MANIFEST, Form.GGUF)
    assert "PeftModel" not in write_card(MANIFEST, Form.MERGED)


def test_settings_have_the_labels_of_the_form() -> None:
    card = write_card(MANIFEST, Form.PEFT)
    for info in HYPERPARAMETERS:
        assert f"| {info.label} | `{info.name}` |" in card
