"""Training the starter adapters from a terminal; the training itself is every run's."""

import json
from pathlib import Path

import pytest
from adapter_factory import EMBEDDED_CONFIG, make_adapter, register_adapter

from adapters import registry
from adapters.errors import RunError
from adapters.recipe import Recipe
from db import adapters as adapter_store
from db.home import Home
from db.models import Adapter
from db.session import Database
from elara_ui.cli import main as cli
from elara_ui.services import starters


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """An adapter comes out of every run but a doctor's; the homes in which they were trained."""
    homes: list[Path] = []

    def train(database: Database, home: Home, recipe: Recipe, report: object) -> Adapter:
        homes.append(home.root)
        if recipe.audience == "doctor":
            raise RunError("The run failed.")
        peft = make_adapter(tmp_path / "peft" / recipe.audience, 1, rank=1, modules=("q_proj",))
        name = register_adapter(database, home, peft, audience=recipe.audience)
        with database.reading() as session:
            return adapter_store.get(session, name)

    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    (unpacked / "config.json").write_text(json.dumps(dict(EMBEDDED_CONFIG)), encoding="utf-8")
    monkeypatch.setattr(starters, "train_starter", train)
    monkeypatch.setattr(starters.embedded, "fetch", lambda models, placed=None: models / "model.gguf")
    monkeypatch.setattr(starters, "ensure_trainable", lambda models, gguf: unpacked)
    return homes


def test_what_is_asked_for_is_trained_packed_and_told(
    pipeline: list[Path], tmp_path: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["train-starters", "--audience", "patient", "--audience", "student", "--out", str(out), "--json"]
    assert cli.main([*words, "--home", str(home.root)]) == 0
    told = json.loads(capsys.readouterr().out)["starters"]
    assert {each["audience"]: each["loss_after"] for each in told} == {"patient": 2.125, "student": 2.125}
    manifest = registry.verify(out / "student")
    assert (manifest.name, manifest.provenance.run_id) == ("student@1", "")
    assert not any(root.exists() for root in pipeline)


def test_a_failed_run_leaves_what_was_there(
    pipeline: list[Path], tmp_path: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "doctor").mkdir()
    words = ["train-starters", "--audience", "doctor", "--out", str(tmp_path), "--home", str(home.root)]
    assert cli.main(words) == 1
    assert "The run failed." in capsys.readouterr().err
    assert (tmp_path / "doctor").is_dir()
    assert cli.main([*words[:2], "nurse", *words[3:]]) == 1
    assert "no audience 'nurse'" in capsys.readouterr().err
