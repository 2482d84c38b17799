"""Whether a LoRA is plain, whole and made for its base model, told from headers and bits."""

import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from adapter_factory import (
    TINY_CONFIG,
    lora_tensors,
    make_base_folder,
    make_peft_folder,
    make_tiny_peft,
    shapes,
)
from safetensors.numpy import save_file

from adapters import catalog
from adapters.base_layout import BaseLayout, read_layout
from adapters.errors import AdapterError
from adapters.export import convert_lora
from adapters.lora_fit import check_fit
from adapters.lora_shapes import read_shapes

WEIGHTS = "adapter_model.safetensors"
Q = "base_model.model.model.layers.1.self_attn.q_proj"


@pytest.fixture
def layout(tmp_path: Path) -> BaseLayout:
    base = make_base_folder(tmp_path / "base")
    return read_layout(tmp_path / "models", catalog.find(str(base)))


@pytest.fixture
def peft(tmp_path: Path) -> Path:
    return make_tiny_peft(tmp_path / "peft")


def refusal(folder: Path, layout: BaseLayout) -> str:
    with pytest.raises(AdapterError) as refused:
        check_fit(folder, layout)
    return refused.value.message


def change(folder: Path, edit: Callable[[dict[str, np.ndarray]], None]) -> None:
    """Save the weights anew with something else in them."""
    tensors = lora_tensors(1, 2, ("q_proj", "v_proj"), config=TINY_CONFIG)
    edit(tensors)
    save_file(tensors, folder / WEIGHTS)


def test_a_lora_that_fits_is_described(peft: Path, layout: BaseLayout) -> None:
    facts = check_fit(peft, layout)
    assert (facts.rank, facts.alpha, facts.matrices, facts.dtype) == (2, 16, 4, "F32")
    assert facts.targets == ("q_proj", "v_proj")
    assert facts.parameters == 2 * (2 * (16 + 16) + 2 * (16 + 8))


def test_the_kept_configuration_holds_nothing_that_was_not_checked(
    tmp_path: Path, layout: BaseLayout
) -> None:
    peft = make_tiny_peft(
        tmp_path / "odd",
        target_modules="(a+)+$",
        auto_mapping={"parent_library": "os"},
        megatron_core="os",
        base_model_name_or_path="/home/somebody/model",
    )
    config = check_fit(peft, layout).config
    assert config["target_modules"] == ["q_proj", "v_proj"]
    assert not {"auto_mapping", "megatron_core"} & config.keys()
    assert "somebody" not in json.dumps(config)


def test_a_part_of_the_layers_is_named_module_by_module(tmp_path: Path, layout: BaseLayout) -> None:
    peft = make_tiny_peft(tmp_path / "part")
    change(peft, lambda tensors: [tensors.pop(f"{Q}.lora_{side}.weight") for side in "AB"])
    targets = check_fit(peft, layout).config["target_modules"]
    assert "model.layers.0.self_attn.q_proj" in targets
    assert "model.layers.1.self_attn.q_proj" not in targets


def test_a_base_in_one_gguf_file_is_held_against_as_well(tmp_path: Path, peft: Path) -> None:
    names = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output"}
    names |= {"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
    writer = gguf.GGUFWriter(tmp_path / "base.gguf", "llama")
    writer.add_block_count(2)
    writer.add_embedding_length(16)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    for layer in range(2):
        for module, (_, inputs, outputs) in shapes(TINY_CONFIG).items():
            writer.add_tensor(f"blk.{layer}.{names[module]}.weight", np.zeros((outputs, inputs), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    layout = read_layout(tmp_path / "models", catalog.find(str(tmp_path / "base.gguf")))
    assert check_fit(peft, layout).config["target_modules"] == ["q_proj", "v_proj"]
    convert_lora(peft, tmp_path / "lora.gguf", layout.config)
    assert len(gguf.GGUFReader(tmp_path / "lora.gguf").tensors) == 8
    assert "must fit its base" in refusal(make_peft_folder(tmp_path / "large", 1), layout)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"peft_type": "IA3"}, "must be a LoRA"),
        ({"task_type": "SEQ_CLS"}, "write text"),
        ({"use_dora": True}, "DoRA"),
        ({"lora_bias": True}, "biases of its own"),
        ({"bias": "all"}, "biases"),
        ({"modules_to_save": ["lm_head"]}, "whole layers"),
        ({"trainable_token_indices": [1]}, "word embeddings"),
        ({"rank_pattern": {"q_proj": 4}}, "rank for each layer"),
        ({"some_future_setting": {"a": 1}}, "some_future_setting"),
        ({"init_lora_weights": "pissa"}, "own weights alone"),
        ({"r": 4}, "has 2"),
        ({"r": "2"}, "must be from 1"),
        ({"r": 10**9}, "must be from 1"),
        ({"lora_alpha": 0}, "above 0"),
        ({"lora_alpha": float("nan")}, "above 0"),
    ],
)
def test_anything_but_a_plain_lora_is_refused(
    tmp_path: Path, layout: BaseLayout, config: dict[str, object], said: str
) -> None:
    assert said in refusal(make_tiny_peft(tmp_path / "odd", **config), layout)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (f"{Q}.lora_magnitude_vector", "DoRA"),
        ("base_model.model.model.embed_tokens.lora_embedding_A", "embeddings"),
        (f"{Q}.lora_A.default.weight", "save_pretrained"),
        ("base_model.model.lm_head.weight", "something else"),
    ],
)
def test_weights_of_another_kind_are_refused(peft: Path, layout: BaseLayout, key: str, said: str) -> None:
    change(peft, lambda tensors: tensors.update({key: np.ones((2, 2), np.float32)}))
    assert said in refusal(peft, layout)


def test_half_a_matrix_is_refused(peft: Path, layout: BaseLayout) -> None:
    change(peft, lambda tensors: tensors.pop(f"{Q}.lora_B.weight"))
    assert "lacks lora_B" in refusal(peft, layout)


def test_modules_that_the_base_has_not_are_refused(peft: Path, layout: BaseLayout) -> None:
    extra = {
        "base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight": np.ones((2, 16), np.float32),
        "base_model.model.model.layers.7.self_attn.q_proj.lora_B.weight": np.ones((16, 2), np.float32),
    }
    change(peft, lambda tensors: tensors.update(extra))
    assert "has no “model.layers.7" in refusal(peft, layout)


def test_matrices_of_another_size_are_refused(peft: Path, layout: BaseLayout) -> None:
    change(peft, lambda tensors: tensors.update({f"{Q}.lora_A.weight": np.ones((2, 24), np.float32)}))
    assert "is 16 × 16, the adapter's is 16 × 24" in refusal(peft, layout)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(peft: Path, layout: BaseLayout, kind: type, value: float) -> None:
    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors[f"{Q}.lora_A.weight"] = tensors[f"{Q}.lora_A.weight"].astype(kind)
        tensors[f"{Q}.lora_A.weight"][1, 3] = value

    change(peft, spoil)
    assert "NaN" in refusal(peft, layout)


def test_an_infinity_in_sixteen_bits_of_the_other_kind_is_found(peft: Path, layout: BaseLayout) -> None:
    """numpy has no bfloat16, so the file is written by hand."""
    change(peft, lambda tensors: None)
    entries, data = {}, b""
    for name, tensor in lora_tensors(1, 2, ("q_proj",), config=TINY_CONFIG).items():
        bits = (tensor.view(np.uint32) >> 16).astype(np.uint16)
        if name == f"{Q}.lora_B.weight":
            bits[0, 0] = 0xFF80  # minus infinity
        entries[name] = {
            "dtype": "BF16",
            "shape": list(bits.shape),
            "data_offsets": [len(data), len(data) + bits.nbytes],
        }
        data += bits.tobytes()
    header = json.dumps(entries).encode()
    (peft / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header + data)
    assert "NaN" in refusal(peft, layout)


def test_a_lora_that_has_learned_nothing_is_refused(peft: Path, layout: BaseLayout) -> None:
    change(peft, lambda tensors: [tensors[name].fill(0) for name in tensors if "lora_B" in name])
    assert "learned something" in refusal(peft, layout)


def test_numbers_of_other_types_are_refused(peft: Path, layout: BaseLayout) -> None:
    change(peft, lambda tensors: tensors.update({f"{Q}.lora_A.weight": np.ones((2, 16), np.int32)}))
    assert "I32" in refusal(peft, layout)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04pickle",
        (2**60).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}rest",
        (4).to_bytes(8, "little") + b"[[]]",
        (9).to_bytes(8, "little") + b'{"a":{}  }',
    ],
)
def test_files_that_are_no_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / WEIGHTS
    path.write_bytes(content)
    with pytest.raises(AdapterError, match="whole safetensors file"):
        read_shapes(path)


def test_tensors_that_overlap_or_end_elsewhere_are_refused(tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS
    for places, size in (((0, 4), (0, 4)), 8), (((0, 4), (4, 8)), 6), (((0, 4), (8, 12)), 12):
        entries = {
            f"t{number}": {"dtype": "F32", "shape": [1], "data_offsets": list(place)}
            for number, place in enumerate(places)
        }
        header = json.dumps(entries).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
        with pytest.raises(AdapterError, match=r"overlap|end at byte"):
            read_shapes(path)


def test_a_base_that_is_not_here_is_said(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="isn't on this machine"):
        read_layout(tmp_path, catalog.find("smollm2-135m"))
