"""What a base model takes of memory once it is served, from its files alone."""

from pathlib import Path

import pytest
from base_gguf import write_head

from adapters import catalog
from adapters.engines.choice import Choice, EngineKind
from adapters.engines.gguf_metadata import read_context_tokens, read_metadata
from adapters.engines.serving_memory import LIBRARIES, LLAMACPP_WORKSPACE, cache_bytes_a_token, reckon_serving
from adapters.errors import ModelError

WEIGHTS = catalog.find("mistralai/Mistral-7B-v0.1").parameters


def test_llama_cpp_takes_file_cache_and_workspace(tmp_path: Path) -> None:
    file = write_head(tmp_path / "model.gguf", layers=2, heads=4, kv_heads=2, width=64, context=512)
    metadata = read_metadata(file)
    assert read_context_tokens(file) == 512
    assert cache_bytes_a_token(metadata) == 2 * 2 * 2 * 16 * 2  # keys and values, layers, heads, width, bytes
    memory = reckon_serving(Choice(EngineKind.LLAMACPP, str(file), file), context_tokens=4096, slots=4)
    # The model's own window is shorter than the one asked for.
    assert memory.needed == file.stat().st_size + 512 * 4 * 256 + LLAMACPP_WORKSPACE
    assert memory.fits


def test_the_embedded_model_is_reckoned_before_it_is_there() -> None:
    memory = reckon_serving(Choice(EngineKind.LLAMACPP, "smollm2-135m"), context_tokens=4096, slots=4)
    assert memory.needed == 98_362_432 + 4096 * 4 * 23_040 + LLAMACPP_WORKSPACE


@pytest.mark.parametrize(("dtype", "bytes_each"), [("", 2), ("fp32", 4), ("8bit", 1), ("4bit", 0.515875)])
def test_transformers_takes_its_weights_as_they_are_kept(dtype: str, bytes_each: float) -> None:
    choice = Choice(EngineKind.TRANSFORMERS, "mistralai/Mistral-7B-v0.1", weights=dtype)
    needed = reckon_serving(choice, 4096, 4).needed
    assert needed == pytest.approx(WEIGHTS * bytes_each * 1.2 + LIBRARIES, rel=1e-6)


def test_what_nobody_can_tell_is_not_refused() -> None:
    memory = reckon_serving(Choice(EngineKind.TRANSFORMERS, "owner/unknown"), 4096, 4)
    assert (memory.needed, memory.fits) == (None, True)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 something else", b"GGUF\3\0\0\0" + b"\0" * 8 + b"\5"])
def test_a_file_that_is_no_gguf_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"whole GGUF file; .*model\.gguf can't be read"):
        read_metadata(file)
