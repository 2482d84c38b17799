"""Live adapters, good and bad, on the real engine."""

from pathlib import Path

import pytest
from adapter_factory import EMBEDDED_CONFIG, lora_tensors, make_adapter, make_peft_folder
from engine_threads import BESIDE_OTHERS

from adapters import registry
from adapters.engines.base import Completion, GenerationRequest, Sampling, Turn
from adapters.engines.llamacpp import LlamaCppEngine
from adapters.export import convert_lora
from adapters.registry import Provenance
from db.home import Home
from db.vocabulary import Role
from elara_ui.errors import AdapterError
from elara_ui.services import Services, build_services
from elara_ui.settings import Settings

pytestmark = pytest.mark.slow

OTHER_ARCHITECTURE = {"model_type": "qwen2", "num_hidden_layers": 30}
OTHER_SIZE = {**EMBEDDED_CONFIG, "hidden_size": 512, "num_attention_heads": 8}


@pytest.fixture
def services(home: Home, embedded_gguf: Path):
    services = build_services(
        Settings.read(home=home.root),
        engine_factory=lambda *_: LlamaCppEngine("smollm2-135m", embedded_gguf, 512, 1, BESIDE_OTHERS),
    )
    yield services
    services.close()


def make_live(services: Services, folder: Path, audience: str) -> None:
    provenance = Provenance(audience, "smollm2-135m", "", "", "", 1, {}, None, {})
    with services.database.session() as session:
        adapter = registry.register(session, services.settings.folders, folder, provenance)
        registry.promote(session, services.settings.folders, adapter.name)


def publish(services: Services, names: set[str]) -> None:
    with services.serving.hold() as held:
        held.publish(names)


@pytest.mark.parametrize("config", [OTHER_ARCHITECTURE, OTHER_SIZE], ids=["architecture", "size"])
def test_an_adapter_llama_cpp_refuses_leaves_the_others_theirs(services, tmp_path, config):
    tensors = lora_tensors(3, config=EMBEDDED_CONFIG | config)
    odd = make_peft_folder(tmp_path / "odd", 3, tensors=tensors)
    convert_lora(odd, odd / "adapter.gguf", config)
    make_live(services, odd, "nurse")
    make_live(services, make_adapter(tmp_path / "good", 1), "patient")

    engine = services.serving.engine()
    assert engine.adapters == {"patient@1"}
    turns = (Turn(Role.USER, "What is asthma?"),)
    *_, last = engine.stream(GenerationRequest(turns, "patient@1", Sampling(max_new_tokens=4)))
    assert isinstance(last, Completion)
    assert last.completion_tokens > 0
    assert "nurse@1 can't be loaded" in services.serving.refusal("nurse@1")

    generation = engine._current
    services.serving.engine()
    with pytest.raises(AdapterError, match="nurse@1"):
        publish(services, {"nurse@1"})
    assert engine._current is generation  # the model wasn't loaded again


def test_with_the_transformers_engine_a_bad_adapter_leaves_the_others_theirs(
    home: Home, test_models: Path, embedded_hf: Path, tmp_path: Path
):
    home.models.rmdir()
    home.models.symlink_to(test_models)
    settings = Settings.read(home=home.root, engine="transformers", dtype="fp32", context_tokens=512)
    services = build_services(settings)
    try:
        tensors = lora_tensors(3, config=OTHER_SIZE)
        make_live(services, make_peft_folder(tmp_path / "odd", 3, tensors=tensors), "nurse")
        make_live(services, make_peft_folder(tmp_path / "dora", 4, use_dora=True), "doctor")
        make_live(services, make_peft_folder(tmp_path / "good", 1), "patient")
        engine = services.serving.engine()
        assert engine.adapters == {"patient@1"}
        assert "doesn't fit" in services.serving.refusal("nurse@1")
        assert "DoRA" in services.serving.refusal("doctor@1")
        asked = services.chat.ask_once(
            services.chat.check("patient", "What is asthma?", {"max_new_tokens": 8})
        )
        *_, answer = asked
        assert answer.answer.adapter == "patient@1"
    finally:
        services.close()
