"""What was set up on the page is said as a command that does the same."""

import shlex
from pathlib import Path

import pytest

from adapters.hyperparameters import Hyperparameters, compare, override
from adapters.training.columns import ColumnMap, read_parts, write_parts
from elara_ui.services.commands import train_command
from elara_ui.services.training_data import DataChoice, DataSource, parse_data


@pytest.mark.parametrize("dataset", ["starter", "snapshot:ab12", "owner/name:test[:5]", "mine.csv"])
def test_the_command_names_the_rows_as_the_command_line_reads_them(dataset: str) -> None:
    words = shlex.split(train_command("patient", parse_data(dataset), (), "smollm2-135m"))
    assert words == ["python", "-m", "elara_ui", "train", "--audience", "patient", "--dataset", dataset]


def test_what_differs_is_set_and_odd_names_are_quoted() -> None:
    changed = compare(Hyperparameters(), override(Hyperparameters(), {"target_modules": "q_proj, v_proj"}))
    data = DataChoice(
        DataSource.FILE,
        Path("/tmp/x/my rows.csv"),
        ColumnMap("the q", "a"),
        "my rows.csv",
        skip_bad_rows=True,
    )
    command = train_command("doctor", data, changed, "owner/model")
    assert command.endswith(
        "--dataset 'my rows.csv' --base owner/model --skip-bad-rows --columns 'prompt=the q,answer=a' "
        "--set target_modules=q_proj,v_proj"
    )


@pytest.mark.parametrize(
    "name", ["Q", "the q", "Q, as asked", 'the "real" q', '"q"', " q", "a=b", "Frage (kurz)"]
)
def test_a_column_of_any_name_is_read_as_it_was_written(name: str) -> None:
    columns = ColumnMap(name, "A", rejected=name)
    assert read_parts(write_parts(columns)) == {"prompt": name, "answer": "A", "rejected": name}


@pytest.mark.parametrize("text", ["", "prompt", "prompt=Q;answer", "prompt=Q, as asked"])
def test_what_is_no_list_of_columns_has_no_parts(text: str) -> None:
    assert not {"prompt", "answer"} <= read_parts(text).keys()
