"""The form of the fine-tune tab: nothing starts that was not previewed as it stands."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from adapter_factory import make_adapter, register_adapter
from curation_factory import TOPICS, add_accepted, reject
from factories import add_response, add_review

from adapters.hyperparameters import HYPERPARAMETERS
from adapters.training.memory import MemoryChange, MemoryEstimate
from adapters.training.report import LengthBin, Lengths, Plan, Preview, RenderedRow, TextPiece
from db.curation_rules import CurationRules, Objective
from db.home import Home
from db.session import Database
from elara_ui.errors import DatasetError
from elara_ui.services import Services
from elara_ui.tabs.column_mapping import Mappings
from elara_ui.tabs.training_form import build_training_form
from elara_ui.tabs.training_form_handlers import CHANGED, FormHandlers
from elara_ui.tabs.training_form_parts import Gate

NAMES = [info.name for info in HYPERPARAMETERS]
MIB = 2**20
NOTHING_READ = Mappings()


def make_preview(available: int = 8000 * MIB, advice: tuple[MemoryChange, ...] = ()) -> Preview:
    memory = MemoryEstimate(500 * MIB, MIB, MIB, MIB, 900 * MIB, 300 * MIB, available, "cpu", advice)
    lengths = Lengths((LengthBin(40, 48, 20), LengthBin(48, 56, 7)), 40, 45, 52, 48, 3, "drop", 3, 0)
    row = RenderedRow((TextPiece("<s>What is <b>fever</b>?", False), TextPiece("Heat.</s>", True)), 9, 2)
    plan = Plan(21, 7, 4, 1200, 0.4, 0.01, 66.0, 480.0)
    return Preview("patient", "smollm2-135m", "bf16", ("q_proj",), 27, 3, (row,), lengths, plan, memory, ())


@pytest.fixture
def form(services: Services, monkeypatch: pytest.MonkeyPatch) -> FormHandlers:
    monkeypatch.setattr("adapters.training.supervisor.start_queued", lambda *_: None)
    monkeypatch.setattr(services.training, "preview_run", lambda *_, **__: make_preview())
    with gr.Blocks():
        return build_training_form(services, gr.BrowserState(""))


def fill(
    form: FormHandlers,
    services: Services,
    source: str = "starter",
    place: Mapping[str, str] | None = None,
    columns: Sequence[str | None] = (None, None, "", "", ""),
    mappings: Mappings = NOTHING_READ,
    **changed: object,
) -> list[Any]:
    recipe = services.recipe_book.preset("patient", "smollm2-135m")
    settings = {name: getattr(recipe, name) for name in NAMES} | {"target_modules": ""} | changed
    places = {"file": None, "hub": "", "folder": "", "stored": ""} | dict(place or {})
    data = ["patient", "smollm2-135m", source, *places.values()]
    return [*data, *columns, False, mappings, *settings.values()]


def last(updates: Iterator[dict[Any, Any]]) -> dict[Any, Any]:
    return list(updates)[-1]


def preview(form: FormHandlers, values: list[Any]) -> dict[Any, Any]:
    return last(form.preview("", *values))


def test_the_form_hands_over_as_many_values_as_it_has_fields(form: FormHandlers, services: Services) -> None:
    assert len(form.parts.inputs) == len(fill(form, services))


def test_a_start_without_a_preview_is_refused(form: FormHandlers, services: Services) -> None:
    painted = form.launch(Gate(), *fill(form, services))
    assert CHANGED in painted[form.parts.launching.message]
    assert services.runs.recent() == ()


def test_what_was_previewed_starts_once(form: FormHandlers, services: Services) -> None:
    values = fill(form, services)
    painted = preview(form, values)
    assert painted[form.parts.launching.launch]["interactive"] is True
    gate = painted[form.parts.launching.gate]
    started = form.launch(gate, *values)
    (run,) = services.runs.recent()
    assert started[form.parts.launching.launched] == run.run_id
    again = form.launch(started[form.parts.launching.gate], *values)
    assert CHANGED in again[form.parts.launching.message]


def test_a_change_shuts_the_gate_and_changing_back_opens_it(form: FormHandlers, services: Services) -> None:
    values = fill(form, services)
    gate = preview(form, values)[form.parts.launching.gate]
    launch = form.parts.launching.launch
    assert form.change(gate, *fill(form, services, lora_r=8))[launch]["interactive"] is False
    assert form.change(gate, *values)[launch]["interactive"] is True


def test_a_refused_preview_says_why_and_keeps_the_gate_shut(
    form: FormHandlers, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Preview:
        raise DatasetError("Nothing would be learned.")

    monkeypatch.setattr(services.training, "preview_run", refuse)
    painted = preview(form, fill(form, services))
    assert "Nothing would be learned." in painted[form.parts.launching.report]
    assert painted[form.parts.launching.gate] == Gate()
    assert form.parts.launching.launch not in painted


def test_what_does_not_fit_says_so_and_its_advice_can_be_taken(
    form: FormHandlers, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = MemoryChange({"batch_size": 1, "gradient_checkpointing": True}, 600 * MIB, True)
    tight = make_preview(1000 * MIB, (advice,))
    monkeypatch.setattr(services.training, "preview_run", lambda *_, **__: tight)
    values = fill(form, services)
    painted = preview(form, values)
    assert "is more than the" in painted[form.parts.launching.report]
    assert "memory may run out" in painted[form.parts.launching.launch]["value"]
    event = SimpleNamespace(item=json.dumps(dict(advice.values)))
    applied = form.apply(event, painted[form.parts.launching.gate], *values)  # type: ignore[arg-type]
    fields = dict(zip(NAMES, form.parts.recipe.fields, strict=True))
    assert applied[fields["batch_size"]] == 1
    assert applied[fields["gradient_checkpointing"]] is True
    assert applied[form.parts.launching.launch]["interactive"] is False


def test_the_preview_colours_what_is_learned_and_shows_markup_as_text(
    form: FormHandlers, services: Services
) -> None:
    report = preview(form, fill(form, services))[form.parts.launching.report]
    assert "&lt;b&gt;fever&lt;/b&gt;?<mark" in report
    assert '<mark class="el-learned">Heat.&lt;/s&gt;</mark>' in report
    assert "<b>3</b> are over the limit of 48: 3 are left out" in report
    assert "python -m elara_ui train --audience patient --dataset starter" in report


def test_changes_from_the_preset_and_hints_are_said_as_one_types(
    form: FormHandlers, services: Services
) -> None:
    said = form.change(Gate(None, 200), *fill(form, services, lora_r=32))[form.parts.recipe.changes]
    assert "<s>4</s> <b>32</b>" in said
    assert "Rank 32 is large for 200 examples" in said


def test_a_value_that_breaks_its_rule_is_said_and_starts_nothing(
    form: FormHandlers, services: Services
) -> None:
    values = fill(form, services, lora_dropout=1.5)
    assert "lora_dropout must be" in form.change(Gate(), *values)[form.parts.recipe.changes]
    assert "lora_dropout must be" in preview(form, values)[form.parts.launching.report]


def test_a_recipe_is_saved_loaded_and_deleted(form: FormHandlers, services: Services) -> None:
    saved = form.save_recipe("Gentle", *fill(form, services, lora_r=8))
    assert saved[form.parts.recipe.saved]["value"] == "Gentle"
    loaded = form.choose_recipe("Gentle", "patient", "smollm2-135m")
    fields = dict(zip(NAMES, form.parts.recipe.fields, strict=True))
    assert loaded[fields["lora_r"]] == 8
    elsewhere = form.choose_recipe("Gentle", "doctor", "smollm2-135m")
    assert "was made for patient on smollm2-135m" in elsewhere[form.parts.recipe.changes]
    assert form.choose_base("doctor", "smollm2-135m", "starter", "")[form.parts.recipe.saved] == ""
    assert form.reset("patient", "smollm2-135m")[fields["lora_r"]] == 4
    form.delete_recipe("Gentle")
    assert [value for _, value in form.list_recipes()] == [""]
    assert "no saved recipe" in form.choose_recipe("Gentle", "patient", "x")[form.parts.recipe.changes]


def test_another_base_model_brings_its_preset(form: FormHandlers, services: Services) -> None:
    filled = form.choose_base("doctor", "mistralai/Mistral-7B-v0.1", "starter", "")
    fields = dict(zip(NAMES, form.parts.recipe.fields, strict=True))
    assert (filled[fields["batch_size"]], filled[fields["gradient_accumulation_steps"]]) == (1, 8)
    assert "Mistral 7B class" in filled[form.parts.recipe.changes]


def test_the_menus_follow_what_is_saved_and_trained(
    form: FormHandlers, services: Services, database: Database, home: Home, tmp_path: Path
) -> None:
    register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))
    form.save_recipe("Gentle", *fill(form, services))
    menus = form.refresh()
    assert [value for _, value in menus[form.parts.recipe.saved]["choices"]] == ["", "Gentle"]
    fields = dict(zip(NAMES, form.parts.recipe.fields, strict=True))
    assert menus[fields["continue_from"]]["choices"][1:] == ["patient@1"]


def test_the_data_check_counts_for_the_hints(form: FormHandlers, services: Services) -> None:
    painted = form.check("", Gate(), *fill(form, services, batch_size=64))
    assert painted[form.parts.launching.gate].rows == 139
    assert "looks at 64 of 139" in painted[form.parts.recipe.changes]


def test_stored_sets_are_offered_by_name(form: FormHandlers, services: Services) -> None:
    with services.database.session() as session:
        add_accepted(session, 12)
    made = services.curation.freeze(CurationRules(), "plain")
    ((label, value),) = form.data.list_stored()
    assert label.startswith("plain@1 · 12 rows")
    checked = form.check("", Gate(), *fill(form, services, "snapshot", {"stored": value}))
    assert (
        f"{made.train} examples to learn from, {made.evaluation} held out" in checked[form.parts.data.preview]
    )


def objective_of(form: FormHandlers) -> gr.components.Component:
    return dict(zip(NAMES, form.parts.recipe.fields, strict=True))["objective"]


def test_a_set_of_pairs_brings_its_objective_and_keeps_it_for_another_audience(
    form: FormHandlers, services: Services
) -> None:
    with services.database.session() as session:
        for topic in TOPICS[:12]:
            asked = {"question": f"What about {topic}?"}
            add_review(session, add_response(session, text=f"Good on {topic}.", **asked))
            reject(session, add_response(session, text=f"Bad on {topic}.", **asked))
    services.curation.freeze(CurationRules(objective=Objective.DPO), "pairs")
    values = fill(form, services, "snapshot", {"stored": "pairs@1"})
    chosen = form.choose_stored(Gate(), *values)
    assert chosen[objective_of(form)] == "dpo"
    assert "the objective below is set to dpo" in chosen[form.parts.data.told]
    assert "Objective" in chosen[form.parts.recipe.changes]
    again = form.choose_base("patient", "smollm2-135m", "snapshot", "pairs@1")
    assert again[objective_of(form)] == "dpo"
    assert form.choose_base("patient", "smollm2-135m", "starter", "pairs@1")[objective_of(form)] == "sft"
    unknown = form.choose_stored(Gate(), *fill(form, services, "snapshot", {"stored": "gone"}))
    assert "no training set" in unknown[form.parts.data.told]
    assert objective_of(form) not in unknown


def test_of_a_set_for_several_audiences_only_the_chosen_one_is_learned(
    form: FormHandlers, services: Services
) -> None:
    with services.database.session() as session:
        add_accepted(session, 12)
        add_accepted(session, 5, audience="doctor", text="For doctors.")
    services.curation.freeze(CurationRules(), "mixed")
    values = fill(form, services, "snapshot", {"stored": "mixed@1"})
    told = form.choose_stored(Gate(), *values)[form.parts.data.told]
    assert "Only the 12 for patient are learned from; 5 for doctor are left out" in told
    checked = form.check("", Gate(), *values)[form.parts.data.preview]
    assert "5 rows for doctor left out" in checked
    assert "For doctors." not in checked
    painted = preview(form, values)
    form.launch(painted[form.parts.launching.gate], *values)
    (run,) = services.runs.recent()
    learned = services.snapshots.show(services.runs.show(run.run_id).snapshot)
    assert learned.rows == 12
    none = form.check("", Gate(), "student", *values[1:])[form.parts.data.preview]
    assert "has no row for student; it has" in none


@pytest.mark.parametrize("source", ["reviews", "snapshot"])
def test_rows_that_are_still_judged_blind_are_counted_and_not_shown(
    form: FormHandlers, services: Services, source: str
) -> None:
    with services.database.session() as session:
        add_accepted(session, 12)
        add_review(session, add_response(session, question="Whom to ask?", text="A nurse."))
        twice = add_response(session, question="Whom to ask?", text="A nurse.")
        add_review(session, twice)
    services.curation.freeze(CurationRules(), "plain")
    values = fill(form, services, source, {"stored": "plain@1"})
    for looking in ("", "Rater B"):
        checked = form.check(looking, Gate(), *values)[form.parts.data.preview]
        assert "rows count but" in checked
        assert not any(word in checked for word in ("What should I know", "All about", "Whom", "A nurse"))
    seen = form.check("Rater A", Gate(), *values)[form.parts.data.preview]
    assert "What should I know" in seen
    assert "rows count but" not in seen
    if source == "reviews":
        assert "1 left out" in seen
        assert "Whom to ask?" in seen
