import json

import datasets
import pytest

from adapters.errors import DatasetError
from adapters.training import dataset_import
from adapters.training.dataset_import import DatasetReference, import_rows, load_rows, parse_hub_reference
from adapters.training.examples import read_columns, read_path

ROWS = [{"question": f"Question {number}?", "answer": f"Answer {number}."} for number in range(6)]


@pytest.fixture
def files(tmp_path):
    """A folder of data files, in two splits."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, rows in (("train.jsonl", ROWS), ("test.jsonl", ROWS[:2])):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture
def saved(tmp_path):
    """One table, saved by the library."""
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner/name", DatasetReference("owner/name")),
        ("owner/name:test", DatasetReference("owner/name", "test")),
        ("owner/name/v2:train[:50]", DatasetReference("owner/name", "train[:50]", "v2")),
        ("name", None),
        ("/a/folder", None),
        ("https://example.org/a", None),
    ],
)
def test_names_of_the_hub_are_told_from_others(text, expected):
    assert parse_hub_reference(text) == expected


def test_a_saved_dataset_is_read_in_a_process_of_its_own(saved):
    examples = read_path(saved).examples
    assert [example.answer for example in examples] == [row["answer"] for row in ROWS]
    assert read_columns(saved) == ["question", "answer"]


def test_what_the_process_refuses_is_told_here(files):
    with pytest.raises(DatasetError, match=r"has no split 'dev'; it has .*train"):
        read_path(files, split="dev")


def test_an_unreachable_hub_is_said_with_what_to_do(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        DatasetError, match=r"hub can't be reached, so owner/name can't be read.*give its folder"
    ):
        list(import_rows(DatasetReference("owner/name")))


@pytest.mark.parametrize(
    ("split", "count"), [("", 6), ("train", 6), ("test", 2), ("train[:4]", 4), ("train[4:]", 2), ("[1:3]", 2)]
)
def test_a_part_can_be_taken(files, split, count):
    assert len(list(load_rows(DatasetReference(str(files), split)))) == count


def test_a_table_without_splits_can_be_cut_but_not_chosen_from(saved):
    assert len(list(load_rows(DatasetReference(str(saved), "train[:3]")))) == 3
    with pytest.raises(DatasetError, match="single table"):
        list(load_rows(DatasetReference(str(saved), "test")))


def test_an_impossible_part_is_refused(files):
    with pytest.raises(DatasetError, match="is no part of a dataset"):
        list(load_rows(DatasetReference(str(files), "train[:10%]")))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="can't be read"):
        list(load_rows(DatasetReference(str(tmp_path))))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (datasets.exceptions.DatasetNotFoundError("Dataset 'o/n' doesn't exist on the Hub."), "set HF_TOKEN"),
        (datasets.exceptions.DatasetNotFoundError("Dataset 'o/n' is a gated dataset."), "Accept its terms"),
        (ValueError("Config name is missing."), "Write owner/name/configuration"),
        (RuntimeError("Dataset scripts are no longer supported, but found n.py"), "Elara doesn't run"),
        (OSError("something else"), r"o/n can't be read \(something else\)"),
    ],
)
def test_every_refusal_of_the_hub_comes_with_a_remedy(monkeypatch, error, said):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DatasetError, match=said):
        list(load_rows(DatasetReference("o/n")))


def test_more_text_than_is_read_is_refused(monkeypatch, saved, tmp_path, capsys):
    monkeypatch.setattr(dataset_import, "MAX_FILE_BYTES", 100)
    given = json.dumps({"place": str(saved), "split": "", "config": "", "limit": None})
    assert dataset_import.main([given, str(tmp_path / "out.jsonl")]) == 1
    assert "Take a part of it" in capsys.readouterr().out
