import json

import pytest

from adapters.catalog import CATALOG, EMBEDDED, TARGET_MODULES, check_targets, find
from adapters.errors import ModelError, RecipeError


def save_model(folder, weights="model.safetensors", **config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / weights).touch()
    return folder


def test_every_entry_is_complete_and_found_by_its_id():
    for entry in CATALOG:
        assert find(entry.id) is entry
        assert entry.target_modules == TARGET_MODULES.get(entry.architecture, ())
        assert entry.shape is not None
        assert entry.parameters > 0
        assert all(
            (entry.title, entry.licence, entry.context_tokens, entry.languages, entry.family, entry.notes)
        )


def test_the_named_base_models_are_there():
    assert {entry.id for entry in CATALOG} >= {
        EMBEDDED,
        "microsoft/DialoGPT-medium",
        "mistralai/Mistral-7B-v0.1",
        "mistralai/Mistral-7B-Instruct-v0.3",
        "bigscience/bloom-560m",
        "google/medgemma-4b-it",
        "BioMistral/BioMistral-7B",
        "epfl-llm/meditron-7b",
    }


@pytest.mark.parametrize("family", ["SmolLM2", "Qwen3", "Llama", "Mistral", "Medical"])
def test_each_family_is_there_in_several_sizes(family):
    sizes = [entry.parameters for entry in CATALOG if entry.family == family]
    assert len(sizes) >= 3
    assert max(sizes) > 3 * min(sizes)


def test_a_model_that_has_to_be_accepted_says_what():
    gated = [entry for entry in CATALOG if entry.gated]
    assert gated
    assert all("accepted" in entry.use_limits for entry in gated)
    assert all(entry.use_limits for entry in CATALOG if entry.medical)


def test_ids_are_unique_whatever_their_case():
    assert len({entry.id.lower() for entry in CATALOG}) == len(CATALOG)


def test_ids_are_found_whatever_their_case():
    assert find(" MISTRALAI/mistral-7b-v0.1 ").id == "mistralai/Mistral-7B-v0.1"


def test_only_the_embedded_model_is_embedded():
    assert [entry.id for entry in CATALOG if entry.embedded] == [EMBEDDED]


def test_weights_take_their_bits():
    mistral = find("mistralai/Mistral-7B-v0.1")
    assert mistral.weight_bytes(4) * 8 == mistral.weight_bytes(32)
    assert 14e9 < mistral.weight_bytes(16) < 15e9


def test_a_folder_tells_its_architecture(tmp_path):
    folder = save_model(tmp_path / "mine", model_type="gpt2", n_positions=1024)
    model = find(str(folder))
    assert model.architecture == "gpt2"
    assert model.target_modules == ("c_attn", "c_proj")
    assert model.context_tokens == 1024
    assert model.local


def test_a_folder_of_an_unknown_architecture_leaves_its_modules_open(tmp_path):
    assert find(str(save_model(tmp_path / "new", model_type="brand_new"))).target_modules == ()


def test_any_hub_id_is_accepted():
    model = find("Qwen/Qwen2.5-0.5B-Instruct")
    assert model.source == model.id == "Qwen/Qwen2.5-0.5B-Instruct"
    assert model.target_modules == ()
    assert not model.local


@pytest.mark.parametrize("nonsense", ["", "smollm", "a/b/c", "../../nowhere", "-x/y", "owner/na me"])
def test_anything_else_is_refused_with_the_known_ids(nonsense):
    with pytest.raises(ModelError, match=EMBEDDED):
        find(nonsense)


def test_a_folder_without_safetensors_is_refused(tmp_path):
    with pytest.raises(ModelError, match="safetensors"):
        find(str(save_model(tmp_path / "old", weights="pytorch_model.bin", model_type="gpt2")))


@pytest.mark.parametrize("config", [None, "{", "[]", "{}"])
def test_a_folder_without_a_usable_configuration_is_refused(tmp_path, config):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match=r"config\.json"):
        find(str(tmp_path))


def test_target_modules_are_held_against_the_architecture():
    embedded = find(EMBEDDED)
    check_targets(embedded, ["q_proj", "down_proj"])
    with pytest.raises(RecipeError, match=r"has no nope, lm_head.*gate_proj"):
        check_targets(embedded, ["q_proj", "nope", "lm_head"])
    check_targets(find("someone/unknown"), ["anything"])  # only loading it can tell
