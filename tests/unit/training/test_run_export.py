"""A run's figures, read back by what they were written for."""

import csv
import json

import pytest
from factories import add_run

from adapters.errors import RunError
from adapters.training.run_export import RunFormat, export_run
from db import run_points


@pytest.fixture
def told(database):
    """A run, its dots and its samples."""
    with database.session() as session:
        run = add_run(session, recipe={"lora_r": 8})
        run_points.record_point(session, run.id, 1, train_loss=2.5, grad_norm=0.5, memory_bytes=2**33)
        run_points.record_point(session, run.id, 2, eval_loss=2.25)
        run_points.record_sample(session, run.id, 2, "What is asthma?", "Tight airways.")
        return run, run_points.points(session, run.id), run_points.samples(session, run.id)


def test_csv_has_a_row_a_dot(told, tmp_path):
    path = export_run(*told, RunFormat.CSV, tmp_path / "new" / "run.csv")
    first, second = csv.DictReader(path.read_text().splitlines())
    assert (first["step"], first["train_loss"], first["eval_loss"], first["memory_bytes"]) == (
        "1",
        "2.5",
        "",
        str(2**33),
    )
    assert second["eval_loss"] == "2.25"


def test_json_lines_leave_out_what_was_not_measured(told, tmp_path):
    path = export_run(*told, RunFormat.JSONL, tmp_path / "run.jsonl")
    first, second = map(json.loads, path.read_text().splitlines())
    assert first.keys() == {"step", "train_loss", "grad_norm", "memory_bytes", "time"}
    assert second["eval_loss"] == 2.25


def read_events(folder):
    """tag → [(step, value)] of the one event file in a folder."""
    from tensorboardX.event_file_writer import EventFileWriter  # noqa: F401  # brings the messages
    from tensorboardX.proto.event_pb2 import Event

    (file,) = folder.glob("events.out.tfevents.*")
    content, found = file.read_bytes(), {}
    while content:
        size = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + size])
        content = content[16 + size :]
        for value in event.summary.value:
            shown = value.simple_value if value.HasField("simple_value") else value.tensor.string_val[0]
            found.setdefault(value.tag, []).append((event.step, shown))
    return found


def test_tensorboard_gets_curves_samples_and_the_recipe_once(told, tmp_path):
    for _ in range(2):
        folder = export_run(*told, RunFormat.TENSORBOARD, tmp_path)
    assert folder == tmp_path / f"patient-{told[0].id}"
    events = read_events(folder)
    assert events["loss/training"] == [(1, 2.5)]
    assert events["loss/held-out"] == [(2, 2.25)]
    assert events["memory/bytes"] == [(1, 2**33)]
    assert [
        (step, b"Tight airways." in text) for step, text in events["probe/What is asthma?/text_summary"]
    ] == [(2, True)]
    assert b"lora_r" in events["recipe/text_summary"][0][1]


def test_a_run_without_figures_is_not_exported(told, tmp_path):
    with pytest.raises(RunError, match="no figures yet"):
        export_run(told[0], [], [], RunFormat.CSV, tmp_path / "run.csv")


def test_a_place_that_can_t_be_written_is_named(told, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="can't be exported"):
        export_run(*told, RunFormat.CSV, tmp_path / "file" / "run.csv")
