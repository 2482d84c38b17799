"""What a base model takes of memory once it is served, from its files alone."""

from pathlib import Path

import pytest
from base_gguf import write_head

from adapters import catalog
from adapters.base_model import Weights
from adapters.engines.choice import Choice, EngineKind
from adapters.engines.serving_memory import reckon_serving
from adapters.errors import ModelError
from adapters.memory_fit import Window, reckon


def test_llama_cpp_takes_file_and_cache_of_a_window_that_the_model_has(tmp_path: Path) -> None:
    file = write_head(tmp_path / "model.gguf", layers=2, heads=4, kv_heads=2, width=64, context=512)
    needed = [
        reckon_serving(Choice(EngineKind.LLAMACPP, str(file), file), context_tokens, slots).needed
        for context_tokens, slots in ((512, 4), (4096, 4), (512, 5))
    ]
    assert None not in needed
    assert needed[0] == needed[1]  # the model's own window is shorter than the one asked for
    assert needed[2] - needed[0] == 512 * 2 * 2 * 2 * 16 * 2  # type: ignore[operator]  # one window more


@pytest.mark.parametrize("dtype", ["", "8bit", "4bit"])
def test_a_switch_is_refused_by_the_figures_that_are_shown(dtype: str) -> None:
    name = "mistralai/Mistral-7B-v0.1"
    choice = Choice(EngineKind.TRANSFORMERS, name, weights=dtype)
    shown = reckon(catalog.find(name), Weights.FULL, Window(4096, 4), dtype=dtype)
    assert shown is not None
    assert reckon_serving(choice, 4096, 4).needed == shown.total


def test_fewer_bits_take_less_and_full_precision_takes_more() -> None:
    name = "mistralai/Mistral-7B-v0.1"
    needed = [
        reckon_serving(Choice(EngineKind.TRANSFORMERS, name, weights=dtype), 4096, 4).needed
        for dtype in ("4bit", "8bit", "bf16", "fp32")
    ]
    assert needed == sorted(needed, key=lambda bytes_needed: bytes_needed or 0)
    assert needed[3] - needed[2] == 2 * catalog.find(name).parameters  # type: ignore[operator]


def test_the_embedded_model_is_reckoned_before_it_is_there() -> None:
    memory = reckon_serving(Choice(EngineKind.LLAMACPP, "smollm2-135m"), context_tokens=4096, slots=4)
    assert memory.needed is not None
    assert 98_362_432 + 4096 * 4 * 23_040 < memory.needed < 600_000_000


def test_what_nobody_can_tell_is_not_refused() -> None:
    memory = reckon_serving(Choice(EngineKind.TRANSFORMERS, "owner/unknown"), 4096, 4)
    assert (memory.needed, memory.fits) == (None, True)


def test_a_file_that_is_no_gguf_is_named(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"PK\3\4 something else")
    with pytest.raises(ModelError, match=r"model\.gguf"):
        reckon_serving(Choice(EngineKind.LLAMACPP, str(file), file), 4096, 4)
