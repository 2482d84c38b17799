"""What leaves Elara: whole or not at all, never over anything, and never without its card."""

import shutil
from collections import namedtuple
from collections.abc import Iterator

import pytest
from adapter_factory import make_adapter, make_peft_folder, register_adapter
from fake_hub import FakeHub, serving_hub

from adapters import bundle, hub, registry
from elara_ui.errors import AdapterError, InvalidInput, NotFound
from elara_ui.services.exporting import Target


@pytest.fixture
def adapter(database, home, tmp_path) -> str:
    return register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))


def test_the_peft_export_is_the_sealed_folder(services, home, adapter):
    exported = services.exports.export(adapter, Target.PEFT)
    place = home.exports / "patient-1-peft"
    assert exported.place == str(place)
    assert registry.verify(place).name == "patient@1"
    assert {file.name for file in exported.files} == {
        "adapter_model.safetensors", "adapter_config.json", "adapter.gguf", "README.md", "manifest.json",
    }  # fmt: skip
    weights = next(file for file in exported.files if file.name == registry.WEIGHTS)
    assert weights.sha256 == registry.verify(place).files[registry.WEIGHTS]
    assert weights.size == (place / registry.WEIGHTS).stat().st_size


def test_the_gguf_export_is_one_file_with_its_card(services, home, adapter, tmp_path):
    exported = services.exports.export(adapter, Target.GGUF, str(tmp_path / "deep" / "out"))
    assert [file.name for file in exported.files] == ["README.md", "adapter.gguf"]
    assert "llama-cli" in (tmp_path / "deep" / "out" / "README.md").read_text()
    kept = home.adapters / "patient" / "1" / "adapter.gguf"
    assert (tmp_path / "deep" / "out" / "adapter.gguf").read_bytes() == kept.read_bytes()


def test_an_adapter_without_gguf_says_what_to_export_instead(services, database, home, tmp_path):
    name = register_adapter(database, home, make_peft_folder(tmp_path / "plain", 1, rank=2))
    with pytest.raises(AdapterError, match=r"has no GGUF.*Export it as merged"):
        services.exports.export(name, Target.GGUF)


def test_nothing_is_written_over(services, adapter, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(AdapterError, match="exists already"):
        services.exports.export(adapter, Target.PEFT, str(tmp_path / "out"))
    services.exports.export(adapter, Target.PEFT)
    with pytest.raises(AdapterError, match="exists already"):
        services.exports.export(adapter, Target.PEFT)


@pytest.mark.parametrize("target", [Target.PEFT, Target.GGUF, Target.MERGED])
def test_a_damaged_adapter_does_not_leave(services, home, adapter, target):
    weights = home.adapters / "patient" / "1" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(AdapterError, match="was changed after training"):
        services.exports.export(adapter, target)
    assert list(home.exports.iterdir()) == []


@pytest.mark.parametrize("target", [Target.PEFT, Target.GGUF])
def test_a_full_disk_is_told_before_anything_is_written(services, home, adapter, target, monkeypatch):
    usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, bundle.SPARE_BYTES))
    with pytest.raises(AdapterError, match=r"takes .* GiB, but .* has only"):
        services.exports.export(adapter, target)
    assert list(home.exports.iterdir()) == []


def test_an_export_that_breaks_off_leaves_nothing(home):
    place = home.exports / "x"

    def write_half():
        with bundle.staged(place) as folder:
            (folder / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(home.exports.iterdir()) == []


def test_of_two_exports_at_once_one_is_refused(home):
    place = home.exports / "x"
    with pytest.raises(AdapterError, match="exists already"), bundle.staged(place) as late:
        (late / "late").write_text("late")
        with bundle.staged(place) as quick:
            (quick / "quick").write_text("quick")
    assert [path.name for path in home.exports.rglob("*")] == ["x", "quick"]


def test_an_unknown_adapter_is_refused(services):
    with pytest.raises(NotFound, match="no adapter 'patient@9'"):
        services.exports.export("patient@9", Target.PEFT)


def test_the_hub_needs_a_token_and_a_repository(services, adapter, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(InvalidInput, match=r"needs a token .* in HF_TOKEN, and there is none"):
        services.exports.export(adapter, Target.HUB, "clinic/patient")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(InvalidInput, match="needs a repository"):
        services.exports.export(adapter, Target.HUB)
    with pytest.raises(AdapterError, match="is written owner/name"):
        services.exports.export(adapter, Target.HUB, "no-owner")
    with pytest.raises(InvalidInput, match="Only what goes to the hub can be public"):
        services.exports.export(adapter, Target.PEFT, public=True)


def test_a_base_model_of_this_machine_is_not_named_on_the_hub(
    services, database, home, tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    folder = make_peft_folder(tmp_path / "plain", 1, rank=2)
    name = register_adapter(database, home, folder, base_model=str(tmp_path))
    with pytest.raises(AdapterError, match="must name a base model that others can get"):
        services.exports.export(name, Target.HUB, "clinic/patient")


@pytest.fixture
def fake_hub() -> Iterator[FakeHub]:
    with serving_hub() as server:
        yield server


@pytest.fixture
def exports_to_fake_hub(services, fake_hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    push = hub.push
    monkeypatch.setattr(hub, "push", lambda *given, **named: push(*given, **named, endpoint=fake_hub.address))
    return services.exports


def test_pushing_commits_every_file_to_a_private_repository(exports_to_fake_hub, fake_hub, adapter, home):
    exported = exports_to_fake_hub.export(adapter, Target.HUB, "clinic/patient")
    assert exported.place == f"{fake_hub.address}/clinic/patient/commit/1"
    wanted = {"name": "patient", "organization": "clinic", "visibility": "private"}
    assert wanted.items() <= fake_hub.created[0].items()
    assert set(fake_hub.committed) == {file.name for file in exported.files} >= {"README.md", "manifest.json"}
    assert len(fake_hub.validated) == 1
    assert fake_hub.tokens == {"Bearer hf_secret"}
    assert list(home.exports.iterdir()) == []


def test_a_repository_that_is_public_is_not_pushed_to_unasked(exports_to_fake_hub, fake_hub, adapter):
    fake_hub.private = False
    with pytest.raises(AdapterError, match="is public, and everybody would see"):
        exports_to_fake_hub.export(adapter, Target.HUB, "clinic/patient")
    assert fake_hub.committed == {}
    exports_to_fake_hub.export(adapter, Target.HUB, "clinic/patient", public=True)
    assert fake_hub.created[-1]["visibility"] == "public"
    assert fake_hub.committed


def test_what_the_hub_refuses_is_told_without_the_token(exports_to_fake_hub, fake_hub, adapter):
    fake_hub.refuses = True
    with pytest.raises(AdapterError, match="The hub did not take the adapter") as caught:
        exports_to_fake_hub.export(adapter, Target.HUB, "clinic/patient")
    assert "hf_secret" not in caught.value.message


def test_a_hub_that_cannot_be_reached_is_told(tmp_path):
    with pytest.raises(AdapterError, match="The hub did not take the adapter"):
        hub.push(tmp_path, "clinic/patient", "hf_secret", endpoint="http://127.0.0.1:9")
