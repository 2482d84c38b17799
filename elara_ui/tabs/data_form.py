"""The part of the form that says what is learned from. Builds and wires; decides nothing."""

from typing import Any

import gradio as gr

from adapters.training.sources import KNOWN_SUFFIXES
from elara_ui.services import Services
from elara_ui.services.training import DataSource
from elara_ui.tabs.column_mapping import FOLDER, Mappings
from elara_ui.tabs.data_form_handlers import DataHandlers
from elara_ui.tabs.parts import settled
from elara_ui.tabs.training_form_parts import DataParts

LOCAL = ("A dataset folder", FOLDER)
COLUMNS = {
    "prompt": "Column of questions",
    "answer": "Column of answers",
    "context": "Context of questions",
    "rejected": "Rejected answers",
    "label": "Wanted or not",
}


def list_base_models(services: Services) -> list[tuple[str, str]]:
    """The menu of base models: those on this machine say so."""
    return [
        (f"{model.title} · on this machine" if services.models.is_here(model) else model.title, model.id)
        for model in services.training.base_models()
    ]


def build_data(services: Services) -> DataParts:
    """Build audience, base model and source, with what each source asks for."""
    recipes, training = services.recipes, services.training
    audience = gr.Radio(
        [(recipe.title, recipe.audience) for recipe in recipes.values()],
        value=next(iter(recipes)),
        label="Audience",
        info="Whose voice the adapter learns.",
        elem_id="train-audience",
    )
    base_model = gr.Dropdown(
        list_base_models(services),
        value=training.base_models()[0].id,
        label="Base model",
        info="One of these, a Hugging Face id, or the path of a local model folder or GGUF file.",
        allow_custom_value=True,
        filterable=True,
    )
    source = gr.Radio(
        [
            ("Starter examples", DataSource.STARTER.value),
            ("Accepted reviews", DataSource.REVIEWS.value),
            ("A file of mine", DataSource.FILE.value),
            ("Hugging Face dataset", DataSource.HUB.value),
            *([LOCAL] if training.opens_folders else []),
            ("A stored set", DataSource.SNAPSHOT.value),
        ],
        value=DataSource.STARTER.value,
        label="Learn from",
        elem_id="train-source",
    )
    file = gr.File(
        label="JSONL, JSON, CSV, TSV, Parquet, MedQuAD XML",
        file_types=sorted(KNOWN_SUFFIXES),
        visible=False,
        height=120,
        elem_id="train-file",
    )
    hub, folder, stored = _build_places()
    read = gr.Button("Read its columns", size="sm", visible=False, elem_id="read-columns")
    told = gr.HTML(elem_id="columns-told")
    with gr.Row(elem_classes="el-columns-row"):
        question, answer, context, rejected, wanted = (
            gr.Dropdown([], label=label, visible=False, min_width=150, elem_id=f"column-{name}")
            for name, label in COLUMNS.items()
        )
    skip = gr.Checkbox(
        label="Leave bad rows out", info="Otherwise one bad row refuses the whole set.", visible=False
    )
    check = gr.Button("Check the data", size="sm", elem_id="check-data")
    return DataParts(
        *(audience, base_model, source, file, hub, folder, stored, read, told),
        *(question, answer, context, rejected, wanted),
        *(skip, gr.State(Mappings()), gr.State(None), check, gr.HTML(elem_id="data-report")),
    )


def _build_places() -> tuple[gr.Textbox, gr.Textbox, gr.Dropdown]:
    """Where the hub's dataset, the folder and the stored set are named."""
    hub = gr.Textbox(
        label="Dataset on the Hugging Face hub",
        info="owner/name, or a part of it: owner/name:test, owner/name:train[:5000]. Needs the internet.",
        placeholder="owner/name",
        max_lines=1,
        visible=False,
        elem_id="train-hub",
    )
    folder = gr.Textbox(
        label="Folder on this machine",
        info="What datasets saved with save_to_disk, a folder of data files, or MedQuAD's XML. "
        "A part of it: /data/set:test.",
        placeholder="/data/set",
        max_lines=1,
        visible=False,
        elem_id="train-folder",
    )
    stored = gr.Dropdown(
        [],
        value="",
        label="Stored set",
        info="The very rows that an earlier run learned from, or that an adapter's answers made.",
        allow_custom_value=True,
        visible=False,
        elem_id="train-stored",
    )
    return hub, folder, stored


def wire_data(handlers: DataHandlers, data: DataParts, common: dict[str, Any]) -> list[Any]:
    """Let the part follow what is chosen in it.

    Args:
        handlers: its behaviour.
        data: its components.
        common: what events of the form share.

    Returns:
        The events after which the form is another one.
    """
    places = [data.source, data.file, data.hub, data.folder]
    known = [*places, data.mappings]
    gr.on(
        [column.input for column in data.columns],
        handlers.pick_columns,
        [*known, *data.columns],
        trigger_mode="always_last",
        **common,
    )
    reading = gr.on(
        [data.read.click, data.hub.submit, data.folder.submit],
        settled(handlers.read_columns, data.found),
        places,
        trigger_mode="multiple",  # while one that can't be reached is waited for, another can be read
        **common,
    )
    return [
        data.source.change(handlers.choose_source, known, **common),
        data.file.change(handlers.choose_file, [data.file, data.mappings], **common),
        reading.then(handlers.take, [data.found, *known], **common),
        gr.on(
            [data.hub.input, data.folder.input],
            handlers.show_columns,
            known,
            trigger_mode="always_last",
            **common,
        ),
    ]
