"""Which adapter a run may continue from, and what it takes over from it."""

import shutil
from dataclasses import replace

import pytest
from adapter_factory import make_peft_folder

from adapters import registry
from adapters.catalog import BaseModel
from adapters.engines.base import Turn
from adapters.errors import AdapterError, RecipeError
from adapters.presets import settings_for
from adapters.recipe import Hyperparameters, find_recipe, override
from adapters.registry import Provenance
from adapters.training import supervisor
from adapters.training.examples import Example
from adapters.training.loading import Source
from adapters.training.parent import find_parent, inherit, take_same_weights
from adapters.training.preview import preview_run
from adapters.training.record import read_recipe
from db.vocabulary import Role

USUAL = Hyperparameters()
PROVENANCE = Provenance("patient", "smollm2-135m", "", "b" * 64, "c" * 64, 5, {}, None, {})
EXAMPLES = [
    Example((Turn(Role.USER, f"Question {number}?"), Turn(Role.ASSISTANT, f"Answer {number}.")))
    for number in range(12)
]


@pytest.fixture
def parent(home, database, tmp_path):
    """patient@1 of the embedded model, rank 8, alpha 16, on queries and values."""
    source = make_peft_folder(tmp_path / "made", 1, modules=("v_proj", "q_proj"), use_rslora=False)
    with database.session() as session:
        registry.register(session, home, source, PROVENANCE)
    return find_parent(database, home, "patient@1")


def test_it_is_found_with_its_hash(database, home, parent):
    assert parent.folder == home.adapters / "patient" / "1"
    assert parent.sha256 == registry.verify(parent.folder).files[registry.WEIGHTS]
    assert find_parent(database, home, "") is None


def test_one_that_is_not_there_is_refused_and_those_that_are_are_named(database, home, parent):
    with pytest.raises(AdapterError, match=r"there is no patient@2\. There are: patient@1\."):
        find_parent(database, home, "patient@2")


def test_one_that_was_changed_is_refused(database, home, parent):
    with (parent.folder / registry.WEIGHTS).open("ab") as file:
        file.write(b"x")
    with pytest.raises(AdapterError, match="changed after training"):
        find_parent(database, home, "patient@1")


def test_a_folder_that_nobody_recorded_is_no_adapter(database, home, parent):
    shutil.copytree(parent.folder, parent.folder.with_name("7"))
    with pytest.raises(AdapterError, match=r"there is no patient@7\. There are: patient@1\."):
        find_parent(database, home, "patient@7")


def test_a_folder_that_holds_another_than_was_recorded_is_refused(database, home, parent, tmp_path):
    shutil.rmtree(parent.folder)
    other = make_peft_folder(tmp_path / "other", 2)
    with database.session() as session:
        made = registry.register(session, home, other, PROVENANCE)
        source = registry.folder(home, made)
    shutil.copytree(source, parent.folder)
    with pytest.raises(AdapterError, match=f"should hold patient@1, but holds {made.name}"):
        find_parent(database, home, "patient@1")


def test_what_was_not_chosen_is_taken_over(parent):
    wanted = override(USUAL, {"continue_from": "patient@1", "learning_rate": 1e-3})
    taken = inherit(parent, "smollm2-135m", wanted, USUAL)
    assert (taken.lora_r, taken.lora_alpha, taken.target_modules) == (8, 16, ("q_proj", "v_proj"))
    assert (taken.learning_rate, taken.continue_from) == (1e-3, "patient@1")
    assert inherit(None, "smollm2-135m", wanted, USUAL) == wanted


def test_choosing_the_same_is_no_contradiction(parent):
    wanted = override(USUAL, {"lora_r": 8, "target_modules": "q_proj,v_proj"})
    assert inherit(parent, "smollm2-135m", wanted, USUAL).lora_r == 8


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lora_r": 32}, "lora_r comes from .*patient@1 has 8, but 32 was set"),
        ({"lora_alpha": 64}, "patient@1 has 16, but 64 was set"),
        ({"target_modules": "q_proj"}, "has q_proj, v_proj, but q_proj was set. Take that setting back"),
        ({"use_rslora": True}, "has false, but true was set"),
    ],
)
def test_choosing_something_else_is_refused_with_the_remedy(parent, values, said):
    with pytest.raises(RecipeError, match=said):
        inherit(parent, "smollm2-135m", override(USUAL, values), USUAL)


def test_another_base_model_is_refused(parent):
    with pytest.raises(RecipeError, match="trained on smollm2-135m, but the run is for microsoft/DialoGPT"):
        inherit(parent, "microsoft/DialoGPT-medium", USUAL, USUAL)


def test_other_weights_of_the_same_base_model_are_refused(parent):
    source = Source(BaseModel("smollm2-135m", "", ""), "", "b" * 64)
    assert take_same_weights(parent, source) == source
    with pytest.raises(AdapterError, match="trained on other weights than smollm2-135m has now"):
        take_same_weights(parent, replace(source, sha256="d" * 64))


def test_a_hub_model_that_has_moved_on_is_taken_at_the_commit_of_then(parent):
    then = replace(parent, base_sha256="", base_revision="a" * 40)
    newest = Source(BaseModel("clinic/model", "", ""), "clinic/model", "")
    assert take_same_weights(then, newest).revision == "a" * 40


def order(**values):
    return {
        "audience": "patient",
        "base_model": "smollm2-135m",
        "hyperparameters": override(settings_for(find_recipe("patient"), "smollm2-135m"), values),
        "examples": EXAMPLES,
    }


def test_launch_freezes_what_is_taken_over_and_from_what(database, home, parent, monkeypatch):
    monkeypatch.setattr(supervisor, "start_queued", lambda *_: None)
    run_id = supervisor.launch(database, home, source="starter", **order(continue_from="patient@1"))
    frozen = read_recipe(home, run_id)
    assert frozen.hyperparameters.target_modules == ("q_proj", "v_proj")
    assert frozen.parent_sha256 == parent.sha256


def test_launch_and_preview_refuse_alike(database, home, parent):
    bad = order(continue_from="patient@1", lora_r=64)
    with pytest.raises(RecipeError, match="lora_r comes from"):
        supervisor.launch(database, home, source="starter", **bad)
    with pytest.raises(RecipeError, match="lora_r comes from"):
        preview_run(database, home, **bad)
    with pytest.raises(AdapterError, match="there is no doctor@1"):
        preview_run(database, home, **order(continue_from="doctor@1"))


@pytest.mark.parametrize("name", ["patient", "patient@0", "../patient@1", "patient@1/..", "@1"])
def test_what_cannot_be_a_name_is_refused(name):
    with pytest.raises(RecipeError, match="continue_from must be the name of an adapter"):
        override(USUAL, {"continue_from": name})
