"""Where the form asks what is learned from: a source's columns are read once, shown, and can be changed."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from test_training_form import fill

from adapters.training.columns import ColumnMap
from elara_ui.errors import DatasetError, InvalidInput
from elara_ui.services import Services
from elara_ui.services.training import DataChoice, DataSource, Header
from elara_ui.tabs.column_mapping import Found, Mappings
from elara_ui.tabs.training_form import build_training_form
from elara_ui.tabs.training_form_handlers import FormHandlers
from elara_ui.tabs.training_form_parts import read_form

HEADER = Header(("q", "a", "note"), None)
KNOWN = Header(("question", "answer", "note"), ColumnMap("question", "answer"))


@pytest.fixture
def form(services: Services) -> FormHandlers:
    with gr.Blocks():
        return build_training_form(services, gr.BrowserState(""))


@pytest.fixture
def read(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[DataChoice]:
    """What was opened for its header, which always is `HEADER`."""
    opened: list[DataChoice] = []

    def header(data: DataChoice) -> Header:
        opened.append(data)
        return HEADER

    monkeypatch.setattr(services.training, "header", header)
    return opened


def read_columns(form: FormHandlers, source: str, hub: str = "", folder: str = "") -> dict[Any, Any]:
    """Press the button, and wait for what comes of it."""
    *_, read = form.data.read_columns(source, None, hub, folder)
    return form.data.take(read[form.parts.data.found], source, None, hub, folder, Mappings())


def columns_of(form: FormHandlers, painted: dict[Any, Any]) -> list[Any]:
    return [painted[column]["value"] for column in form.parts.data.columns]


def test_columns_of_an_uploaded_file_are_proposed(form: FormHandlers, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("Question,Answer,Source\nWhat is fever?,Heat.,x\n")
    painted = form.data.choose_file(str(file), Mappings())
    assert columns_of(form, painted) == ["Question", "Answer", "", "", ""]
    assert "told by their names" in painted[form.parts.data.told]


def test_a_file_that_can_t_be_read_says_why(form: FormHandlers, tmp_path: Path) -> None:
    painted = form.data.choose_file(str(tmp_path / "gone.csv"), Mappings())
    assert "gone.csv" in painted[form.parts.data.told]
    assert not any(painted[column]["visible"] for column in form.parts.data.columns)


def test_conversations_have_nothing_to_map(form: FormHandlers, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"messages": []}\n')
    painted = form.data.choose_file(str(file), Mappings())
    assert "nothing to map" in painted[form.parts.data.told]
    assert not any(painted[column]["visible"] for column in form.parts.data.columns)


def test_the_columns_of_a_hub_dataset_are_read_and_used(
    form: FormHandlers, services: Services, read: list[DataChoice]
) -> None:
    waiting, _ = form.data.read_columns("hub", None, " owner/name ", "")
    assert "first row of owner/name" in waiting[form.parts.data.told]
    read.clear()
    painted = read_columns(form, "hub", hub=" owner/name ")
    assert read == [DataChoice(DataSource.HUB, reference="owner/name")]
    assert "pick the one" in painted[form.parts.data.told]
    mappings = painted[form.parts.data.mappings]
    values = fill(form, services, "hub", {"hub": "owner/name"}, ("q", "a", "", "", ""), mappings)
    chosen = read_form(services.training, values).data
    assert chosen == DataChoice(DataSource.HUB, columns=ColumnMap("q", "a"), reference="owner/name")


def test_the_columns_of_a_folder_are_read_and_used(
    form: FormHandlers, services: Services, read: list[DataChoice], tmp_path: Path
) -> None:
    place = f"{tmp_path}:test"
    painted = read_columns(form, "folder", folder=place)
    assert read == [DataChoice(DataSource.FILE, tmp_path, split="test")]
    mappings = painted[form.parts.data.mappings]
    values = fill(form, services, "folder", {"folder": place}, ("q", "a", "note", "", ""), mappings)
    chosen = read_form(services.training, values).data
    assert (chosen.path, chosen.split, chosen.columns) == (tmp_path, "test", ColumnMap("q", "a", "note"))
    command = services.training.command("patient", chosen, {})
    assert f"--dataset {tmp_path}:test --columns prompt=q,answer=a,context=note" in command


def test_a_hub_that_can_t_be_reached_is_said_and_can_be_tried_again(
    form: FormHandlers, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(data: DataChoice) -> Header:
        raise DatasetError("The Hugging Face hub can't be reached.")

    monkeypatch.setattr(services.training, "header", refuse)
    painted = read_columns(form, "hub", hub="owner/name")
    assert "be reached" in painted[form.parts.data.told]
    assert painted[form.parts.data.read]["interactive"] is True


def test_what_is_no_folder_is_said(form: FormHandlers, services: Services) -> None:
    painted = read_columns(form, "folder", folder="/no/such")
    assert "there is no &#x27;/no/such&#x27;" in painted[form.parts.data.told]
    with pytest.raises(InvalidInput, match="dataset folder is one on the machine"):
        read_form(services.training, fill(form, services, "folder"))


def test_a_page_that_others_can_reach_opens_no_folder(
    form: FormHandlers, services: Services, tmp_path: Path
) -> None:
    services.training.opens_folders = False
    painted = read_columns(form, "folder", folder=str(tmp_path))
    assert "serves its own machine alone" in painted[form.parts.data.told]
    with pytest.raises(InvalidInput, match="its own machine alone"):
        read_form(services.training, fill(form, services, "folder", {"folder": str(tmp_path)}))
    with gr.Blocks():
        offered = build_training_form(services, gr.BrowserState("")).parts.data.source.choices
    assert "folder" not in [value for _, value in offered]


def test_leaving_a_source_and_coming_back_keeps_what_was_picked(form: FormHandlers) -> None:
    mappings = Mappings().take(Found("file", "/a.csv", HEADER)).take(Found("hub", "o/n", KNOWN))
    picked = form.data.pick_columns("file", "/a.csv", "o/n", "", mappings, "q", "note", "", None, "")
    mappings = picked[form.parts.data.mappings]
    away = form.data.choose_source("starter", "/a.csv", "o/n", "", mappings)
    assert not any(away[column]["visible"] for column in form.parts.data.columns)
    other = form.data.choose_source("hub", "/a.csv", "o/n", "", mappings)
    assert columns_of(form, other) == ["question", "answer", "", "", ""]
    back = form.data.choose_source("file", "/a.csv", "o/n", "", mappings)
    assert columns_of(form, back) == ["q", "note", "", "", ""]
    assert all(back[column]["visible"] for column in form.parts.data.columns)


def test_what_is_read_late_doesn_t_show_over_another_source(form: FormHandlers) -> None:
    mappings = Mappings().take(Found("folder", "/a", KNOWN))
    late = form.data.take(Found("hub", "o/n", HEADER), "folder", None, "o/n", "/a", mappings)
    assert set(late) == {form.parts.data.mappings, form.parts.data.found}
    assert late[form.parts.data.mappings].find("hub", "o/n").header == HEADER
    assert late[form.parts.data.mappings].find("folder", "/a").header == KNOWN


def test_columns_of_another_place_don_t_count(form: FormHandlers, services: Services) -> None:
    mappings = Mappings().take(Found("hub", "o/n", HEADER))
    shown = form.data.show_columns("hub", None, "o/other", "", mappings)
    assert not any(shown[column]["visible"] for column in form.parts.data.columns)
    values = fill(form, services, "hub", {"hub": "o/other"}, ("q", "a", "", "", ""), mappings)
    assert read_form(services.training, values).data.columns is None


def test_what_was_only_proposed_is_found_by_name_row_by_row(form: FormHandlers, services: Services) -> None:
    mappings = Mappings().take(Found("file", "/a.csv", KNOWN))
    proposed = ("question", "answer", "", "", "")
    values = fill(form, services, "file", {"file": "/a.csv"}, proposed, mappings)
    assert read_form(services.training, values).data.columns is None
    swapped = fill(form, services, "file", {"file": "/a.csv"}, ("answer", "question", "", "", ""), mappings)
    assert read_form(services.training, swapped).data.columns == ColumnMap("answer", "question")


def test_edited_fields_don_t_read_the_file_again(
    form: FormHandlers, services: Services, read: list[DataChoice]
) -> None:
    painted = form.data.choose_file("/a.csv", Mappings())
    mappings = painted[form.parts.data.mappings]
    form.data.choose_file("/a.csv", mappings)
    values = fill(form, services, "file", {"file": "/a.csv"}, ("q", "a", "", "", ""), mappings)
    form.change(painted.get(form.parts.launching.gate, form.parts.launching.gate.value), *values)
    assert len(read) == 1


def test_stored_sets_are_listed_with_what_they_were_made_from(
    form: FormHandlers, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.training.supervisor.start_queued", lambda *_: None)
    run_id = services.training.launch("patient", DataChoice(DataSource.STARTER), {})
    stored = services.runs.show(run_id).snapshot
    ((label, value),) = form.data.choose_source("snapshot", None, "", "", Mappings())[form.parts.data.stored][
        "choices"
    ]
    assert value == stored
    assert label.startswith("starter · 154 rows · ")
    values = fill(form, services, "snapshot", {"stored": stored})
    assert read_form(services.training, values).data == DataChoice(DataSource.SNAPSHOT, reference=stored)
