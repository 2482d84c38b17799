import json
from pathlib import Path

import pytest

from adapters.recipe import load_recipes
from db.home import Home
from db.session import Database
from elara_ui.errors import DatasetError, NotFound
from elara_ui.services.runs import RunService
from elara_ui.services.training import DataChoice, DataSource, TrainingService, parse_data
from elara_ui.services.training_data import read_data


@pytest.fixture
def training(database: Database, home: Home) -> TrainingService:
    return TrainingService(database, home, load_recipes())


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Twelve good rows and a bad one."""
    path = tmp_path / "rows.jsonl"
    good = [{"question": f"Question {number}?", "answer": f"Answer {number}."} for number in range(12)]
    path.write_text("\n".join(map(json.dumps, [*good, {"question": "x", "answer": ""}])), encoding="utf-8")
    return path


def test_a_word_names_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data/set").mkdir(parents=True)
    assert parse_data("starter") == DataChoice(DataSource.STARTER)
    assert parse_data("reviews") == DataChoice(DataSource.REVIEWS)
    assert parse_data("snapshot:ab12") == DataChoice(DataSource.SNAPSHOT, reference="ab12")
    assert parse_data("data/set") == DataChoice(DataSource.FILE, Path("data/set"))
    assert parse_data("data/set:test") == DataChoice(DataSource.FILE, Path("data/set"), split="test")
    assert parse_data("owner/name:test") == DataChoice(DataSource.HUB, reference="owner/name:test")
    assert parse_data("data/gone.jsonl") == DataChoice(DataSource.FILE, Path("data/gone.jsonl"))
    assert parse_data("owner/name", skip_bad_rows=True).skip_bad_rows


def test_bad_rows_are_refused_unless_they_are_to_be_skipped(training: TrainingService, rows: Path) -> None:
    with pytest.raises(DatasetError, match="row 13 has an empty answer"):
        training.preview("patient", DataChoice(DataSource.FILE, rows), {})
    preview = training.preview("patient", DataChoice(DataSource.FILE, rows, skip_bad_rows=True), {})
    assert preview.train == 11
    assert "1 bad rows left out" in preview.summary
    assert [(group.reason, group.examples[0].row) for group in preview.rejects] == [("empty answer", 13)]


def test_a_run_can_be_repeated_on_its_stored_set(
    training: TrainingService, rows: Path, database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.training.supervisor.start_queued", lambda *_: None)
    runs = RunService(database, home)
    first = runs.show(training.launch("patient", DataChoice(DataSource.FILE, rows, skip_bad_rows=True), {}))
    stored = parse_data(f"snapshot:{first.snapshot}")
    assert len(read_data(database, home, "patient", stored).examples) == first.rows == 12
    again = runs.show(training.launch("patient", stored, {"seed": 7, "eval_fraction": 0.5}))
    assert again.snapshot == first.snapshot


def test_an_unknown_stored_set_is_named(training: TrainingService) -> None:
    with pytest.raises(NotFound, match="no training set 'ab12'"):
        training.preview("patient", parse_data("snapshot:ab12"), {})


def test_what_is_no_name_of_the_hub_is_refused(training: TrainingService) -> None:
    with pytest.raises(DatasetError, match="no dataset of the hub"):
        training.preview("patient", DataChoice(DataSource.HUB, reference="nonsense"), {})
