import json
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from adapters import registry
from adapters.errors import AdapterError
from adapters.registry import Provenance
from db import adapters
from db.vocabulary import AdapterStatus

PROVENANCE = Provenance(
    audience="patient",
    base_model="smollm2-135m",
    base_revision="",
    base_sha256="b" * 64,
    snapshot_sha256="5" * 64,
    rows=12,
    recipe={"hyperparameters": {"lora_r": 8}},
    run_id=None,
    metrics={"eval_loss_before": 2.5, "eval_loss_after": 2.1},
)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """What peft leaves, with a checkpoint file that has no business in an adapter."""
    folder = tmp_path / "trained"
    folder.mkdir()
    save_file({"lora_A": numpy.ones((2, 2), numpy.float32)}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"r": 8}')
    (folder / "adapter.gguf").write_bytes(b"GGUF")
    (folder / "optimizer.pt").write_bytes(b"pickled")
    return folder


@pytest.fixture
def registered(database, home, trained):
    with database.session() as session:
        return registry.register(session, home, trained, PROVENANCE)


def test_registering_gives_the_first_version_as_a_candidate(home, registered):
    assert (registered.name, registered.status) == ("patient@1", AdapterStatus.CANDIDATE)
    folder = registry.folder(home, registered)
    assert folder == home.adapters / "patient" / "1"
    assert {item.name for item in folder.iterdir()} == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "adapter.gguf",
        "manifest.json",
        "README.md",
    }


def test_what_a_killed_process_left_is_removed_and_adapters_stay(database, home, registered):
    left = home.adapters / "patient" / ".staged-abc"
    left.mkdir()
    (left / registry.WEIGHTS).write_bytes(b"half")
    with database.session() as session:
        registry.remove_unfinished(session, home)
    assert not left.exists()
    registry.verify(registry.folder(home, registered))


def test_the_manifest_tells_where_the_adapter_came_from(home, registered):
    manifest = registry.verify(registry.folder(home, registered))
    assert manifest.provenance == PROVENANCE
    assert manifest.name == "patient@1"
    assert manifest.files["adapter_model.safetensors"] == registered.sha256
    assert "Not clinically reviewed" in manifest.notice
    assert manifest.libraries["peft"]


def test_the_card_warns_that_nobody_reviewed_it(home, registered):
    card = (registry.folder(home, registered) / "README.md").read_text()
    assert "Not clinically reviewed" in card
    assert "- Catalogue id: smollm2-135m" in card


def test_versions_count_up(database, home, trained, registered):
    with database.session() as session:
        assert registry.register(session, home, trained, PROVENANCE).name == "patient@2"


def test_a_registration_that_was_never_committed_is_passed_over(database, home, trained):
    def register_and_fail():
        with database.session() as session:
            registry.register(session, home, trained, PROVENANCE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        register_and_fail()
    with database.session() as session:
        assert adapters.list_all(session) == []
        assert registry.register(session, home, trained, PROVENANCE).name == "patient@2"


def test_an_incomplete_source_leaves_nothing(database, home, trained):
    (trained / "adapter_config.json").unlink()
    with database.session() as session, pytest.raises(AdapterError, match=r"needs adapter_config\.json"):
        registry.register(session, home, trained, PROVENANCE)
    assert list((home.adapters / "patient").iterdir()) == []


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "adapter.gguf"])
def test_a_changed_file_is_found(home, registered, name):
    path = registry.folder(home, registered) / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(AdapterError, match=f"{name} was changed"):
        registry.verify(path.parent)


def test_a_missing_file_is_found(home, registered):
    folder = registry.folder(home, registered)
    (folder / "adapter.gguf").unlink()
    with pytest.raises(AdapterError, match=r"lacks adapter\.gguf"):
        registry.verify(folder)


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter.pt", "notes.txt"])
def test_a_foreign_file_is_refused(home, registered, name):
    folder = registry.folder(home, registered)
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(AdapterError, match=f"holds {name}"):
        registry.verify(folder)


@pytest.mark.parametrize("content", ["", "[]", '{"format_version": 1}', "{"])
def test_an_unreadable_manifest_is_refused(home, registered, content):
    folder = registry.folder(home, registered)
    (folder / "manifest.json").write_text(content)
    with pytest.raises(AdapterError, match=r"no readable manifest\.json"):
        registry.verify(folder)


def test_a_manifest_that_leaves_out_the_weights_is_refused(home, registered):
    folder = registry.folder(home, registered)
    content = json.loads((folder / "manifest.json").read_text())
    del content["files"]["adapter_model.safetensors"]
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(AdapterError, match="doesn't name adapter_model"):
        registry.verify(folder)


def test_a_recorded_path_outside_the_adapters_folder_is_refused(home, registered):
    registered.path = "../elsewhere"
    with pytest.raises(AdapterError, match="is outside"):
        registry.folder(home, registered)


def test_promoting_checks_the_files_first(database, home, registered):
    (registry.folder(home, registered) / "adapter.gguf").write_bytes(b"other")
    with database.session() as session:
        with pytest.raises(AdapterError, match="was changed"):
            registry.promote(session, home, "patient@1")
        assert adapters.live(session, "patient", "smollm2-135m") is None


def test_promoting_makes_it_live(database, home, registered):
    with database.session() as session:
        registry.promote(session, home, "patient@1")
        assert adapters.live(session, "patient", "smollm2-135m").name == "patient@1"
