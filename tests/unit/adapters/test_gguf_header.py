"""Reading what GGUF files say of themselves."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from adapters import catalog, model_store
from adapters.base_model import Weights
from adapters.errors import ModelError
from adapters.gguf_header import read_header


def write(path: Path, kind: gguf.GGMLQuantizationType, **more: str) -> Path:
    """A model of one tensor of 64 × 64 weights."""
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_block_count(2)
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_key_length(32)
    writer.add_token_list(["a", "b", "c"])
    writer.add_token_scores([0.0, 0.5, 1.0])
    for name, value in more.items():
        writer.add_string(name.replace("__", "."), value)
    data = gguf.quantize(np.ones((64, 64), dtype=np.float32), kind)
    writer.add_tensor("blk.0.attn_q.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (gguf.GGMLQuantizationType.Q4_0, Weights.Q4),
        (gguf.GGMLQuantizationType.Q8_0, Weights.Q8),
        (gguf.GGMLQuantizationType.F16, Weights.F16),
    ],
)
def test_a_file_of_one_s_own_is_a_base_model(
    tmp_path: Path, kind: gguf.GGMLQuantizationType, form: Weights
) -> None:
    path = write(tmp_path / "mine.gguf", kind, tokenizer__chat_template="{{ x }}", general__license="mit")
    model = catalog.find(str(path))
    assert model.local_gguf
    assert (model.id, model.architecture, model.context_tokens) == (str(path), "qwen3", 512)
    assert (model.parameters, model.licence, model.has_chat_template) == (4096, "mit", True)
    assert model.shape is not None
    assert (model.shape.layers, model.shape.kv_heads, model.shape.head_size) == (2, 2, 32)
    assert model.shape.vocabulary == 3
    assert model.target_modules == catalog.TARGET_MODULES["qwen3"]
    (stored,) = model_store.list_weights(tmp_path, model)
    assert (stored.weights, stored.place, stored.own) == (form, path, False)


def test_the_embedded_model_s_header_tells_what_the_catalogue_says(embedded_gguf: Path) -> None:
    header = read_header(embedded_gguf)
    known = catalog.find(catalog.EMBEDDED)
    assert header.parameters == known.parameters
    assert header.quantisation == "Q4_1"
    assert header.number("context_length") == known.context_tokens
    assert 0.95 < header.tensor_bytes / embedded_gguf.stat().st_size < 1


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"GGUF\3\0\0\0", b"GGUF" + b"\xff" * 40])
def test_what_is_no_whole_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.gguf"):
        catalog.find(str(path))


def test_a_file_that_ends_within_its_header_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.gguf", gguf.GGMLQuantizationType.F16)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ModelError, match="whole header"):
        read_header(path)


def test_an_adapter_s_file_is_no_base_model(tmp_path: Path) -> None:
    path = tmp_path / "adapter.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelError, match="may be an adapter"):
        catalog.find(str(path))
