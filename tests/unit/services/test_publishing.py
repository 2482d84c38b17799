"""Live and tried adapters, real files and an engine without weights: one that is bad harms no other."""

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from fake_engine import FakeEngine
from safetensors.numpy import save_file

from adapters import registry
from adapters.registry import Provenance
from elara_ui.errors import AdapterError, NotFound
from elara_ui.services import Services

Register = Callable[..., Path]


@pytest.fixture
def register(services: Services, tmp_path: Path) -> Register:
    """Registers an adapter of an audience, live unless told otherwise, and gives its folder."""
    home = services.settings.folders
    trained = tmp_path / "trained"
    trained.mkdir()
    save_file({"lora_A": numpy.ones((2, 2), numpy.float32)}, trained / "adapter_model.safetensors")
    (trained / "adapter_config.json").write_text("{}", "utf-8")
    (trained / "adapter.gguf").write_bytes(b"GGUF")

    def register(audience: str, *, live: bool = True, base_model: str = "smollm2-135m") -> Path:
        provenance = Provenance(
            audience=audience,
            base_model=base_model,
            base_revision="",
            base_sha256="",
            snapshot_sha256="",
            rows=1,
            recipe={},
            run_id=None,
            metrics={},
        )
        with services.database.session() as session:
            adapter = registry.register(session, home, trained, provenance)
            if live:
                registry.promote(session, home, adapter.name)
            return registry.folder(home, adapter)

    return register


def publish(services: Services, names: set[str]) -> None:
    with services.serving.hold() as held:
        held.publish(names)


def damage(folder: Path) -> None:
    (folder / "adapter.gguf").write_bytes(b"GGUF, but another")


def restore(folder: Path) -> None:
    (folder / "adapter.gguf").write_bytes(b"GGUF")


def test_live_adapters_are_published_once(services: Services, engine: FakeEngine, register: Register) -> None:
    register("patient")
    register("nurse")
    register("doctor", live=False)
    for _ in range(3):
        services.serving.engine()
    assert engine.publications == [{"patient@1", "nurse@1"}]


def test_an_adapter_the_engine_refuses_leaves_the_others_theirs(
    services: Services, engine: FakeEngine, register: Register
) -> None:
    for audience in ("doctor", "nurse", "patient"):
        register(audience)
    engine.refuses = {"nurse@1"}
    services.serving.engine()
    assert engine.adapters == {"doctor@1", "patient@1"}


def test_an_adapter_that_was_refused_is_not_offered_again(
    services: Services, engine: FakeEngine, register: Register
) -> None:
    register("nurse")
    register("patient")
    engine.refuses = {"nurse@1"}
    services.serving.engine()
    engine.publications.clear()
    services.serving.engine()
    with pytest.raises(AdapterError, match="can't be loaded"):
        publish(services, {"nurse@1"})
    assert engine.publications == []


def test_a_refusal_tells_the_reason_and_the_way_back(
    services: Services, engine: FakeEngine, register: Register
) -> None:
    register("nurse")
    register("patient")
    engine.refuses = {"nurse@1"}
    services.serving.engine()
    refusal = services.serving.refusal("nurse@1")
    assert refusal is not None
    for part in ("live adapter nurse@1", "can't be loaded on this base model", "roll back", "Release tab"):
        assert part in refusal
    assert services.serving.refusal("patient@1") is None
    with pytest.raises(NotFound):
        services.serving.refusal("nurse@7")


def test_the_version_after_a_refused_one_is_served(
    services: Services, engine: FakeEngine, register: Register
) -> None:
    register("nurse")
    engine.refuses = {"nurse@1"}
    services.serving.engine()
    register("nurse")
    services.serving.engine()
    assert engine.adapters == {"nurse@2"}


def test_a_damaged_adapter_leaves_the_others_theirs_and_is_served_once_restored(
    services: Services, engine: FakeEngine, register: Register
) -> None:
    folder = register("nurse")
    register("patient")
    damage(folder)
    services.serving.engine()
    assert engine.adapters == {"patient@1"}
    assert "changed after training" in (services.serving.refusal("nurse@1") or "")
    restore(folder)
    services.serving.engine()
    assert engine.adapters == {"nurse@1", "patient@1"}


def test_a_file_lost_after_publishing_is_not_blamed_on_the_next_adapter(
    services: Services, engine: FakeEngine, register: Register
) -> None:
    folder = register("nurse")
    services.serving.engine()
    (folder / "adapter.gguf").unlink()
    engine.refuses = {"nurse@1"}
    register("patient")
    services.serving.engine()
    assert engine.adapters == {"patient@1"}
    assert services.serving.refusal("patient@1") is None


def test_a_tried_adapter_is_published_beside_the_live_ones(
    services: Services, engine: FakeEngine, register: Register
) -> None:
    register("nurse")
    register("patient", live=False)
    publish(services, {"patient@1"})
    assert engine.adapters == {"nurse@1", "patient@1"}


def test_a_tried_adapter_that_was_changed_is_refused(
    services: Services, engine: FakeEngine, register: Register
) -> None:
    damage(register("patient", live=False))
    with pytest.raises(AdapterError, match="changed after training"):
        publish(services, {"patient@1"})
    assert engine.publications == []


def test_a_tried_adapter_of_another_base_model_is_refused(
    services: Services, engine: FakeEngine, register: Register
) -> None:
    register("patient", live=False, base_model="distilgpt2")
    with pytest.raises(AdapterError, match="distilgpt2"):
        publish(services, {"patient@1"})
    assert engine.publications == []


def test_a_version_is_hashed_once(
    services: Services, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("patient")
    hashed = []
    verify = registry.verify
    monkeypatch.setattr(registry, "verify", lambda folder: hashed.append(folder) or verify(folder))
    services.serving.engine()
    publish(services, {"patient@1"})
    services.serving.engine()
    assert len(hashed) == 1
