import json

import numpy as np
import pytest
from adapter_factory import ATTENTION, EMBEDDED_CONFIG, MLP, make_peft_folder
from engine_threads import BESIDE_OTHERS

from adapters.engines.base import GenerationRequest, Sampling, Turn
from adapters.engines.llamacpp import LlamaCppEngine
from adapters.errors import AdapterError
from adapters.export import can_convert, convert_lora
from db.vocabulary import Role

TINY = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}


def tiny_tensors(module="self_attn.q_proj", rows=16, rank=2):
    path = f"base_model.model.model.layers.0.{module}"
    return {
        f"{path}.lora_A.weight": np.ones((rank, 16), np.float32),
        f"{path}.lora_B.weight": np.arange(rows * rank, dtype=np.float32).reshape(rows, rank),
    }


def read_gguf(path):
    from gguf import GGUFReader

    reader = GGUFReader(path)
    return {key: field.contents() for key, field in reader.fields.items()}, {
        tensor.name: np.array(tensor.data) for tensor in reader.tensors
    }


def test_the_file_says_what_it_is(tmp_path):
    folder = make_peft_folder(tmp_path, 0, rank=2, alpha=6, tensors=tiny_tensors())
    convert_lora(folder, tmp_path / "a.gguf", TINY)
    fields, tensors = read_gguf(tmp_path / "a.gguf")
    assert fields["general.type"] == "adapter"
    assert fields["adapter.type"] == "lora"
    assert fields["general.architecture"] == "llama"
    assert fields["adapter.lora.alpha"] == 6
    assert set(tensors) == {"blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"}


def test_query_rows_of_each_head_are_interleaved(tmp_path):
    folder = make_peft_folder(tmp_path, 0, rank=2, tensors=tiny_tensors())
    convert_lora(folder, tmp_path / "a.gguf", TINY)
    rows = read_gguf(tmp_path / "a.gguf")[1]["blk.0.attn_q.weight.lora_b"][:, 0] / 2
    assert rows.tolist() == [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]


def test_key_rows_follow_the_number_of_key_value_heads(tmp_path):
    folder = make_peft_folder(tmp_path, 0, rank=2, tensors=tiny_tensors("self_attn.k_proj", rows=8))
    convert_lora(folder, tmp_path / "a.gguf", TINY)
    rows = read_gguf(tmp_path / "a.gguf")[1]["blk.0.attn_k.weight.lora_b"][:, 0] / 2
    assert rows.tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


@pytest.mark.parametrize(
    ("module", "model_type"),
    [("self_attn.v_proj", "llama"), ("mlp.up_proj", "llama"), ("self_attn.q_proj", "qwen2")],
)
def test_rows_without_llamas_rotation_stay_in_order(tmp_path, module, model_type):
    folder = make_peft_folder(tmp_path, 0, rank=2, tensors=tiny_tensors(module))
    convert_lora(folder, tmp_path / "a.gguf", TINY | {"model_type": model_type})
    [rows] = [t for name, t in read_gguf(tmp_path / "a.gguf")[1].items() if name.endswith("lora_b")]
    assert rows[:, 0].tolist() == list(range(0, 32, 2))


def test_rank_stabilised_alpha_gives_the_same_scale(tmp_path):
    folder = make_peft_folder(tmp_path, 0, rank=4, alpha=6, tensors=tiny_tensors(rank=4), use_rslora=True)
    convert_lora(folder, tmp_path / "a.gguf", TINY)
    assert read_gguf(tmp_path / "a.gguf")[0]["adapter.lora.alpha"] / 4 == pytest.approx(6 / 4**0.5)


@pytest.mark.parametrize(
    "extra",
    [
        {"rank_pattern": {"q_proj": 4}},
        {"alpha_pattern": {"q_proj": 4}},
        {"modules_to_save": ["lm_head"]},
        {"use_dora": True},
        {"bias": "all"},
        {"peft_type": "IA3"},
        {"lora_alpha": 0},
    ],
)
def test_what_gguf_has_no_place_for_is_refused_and_leaves_no_file(tmp_path, extra):
    folder = make_peft_folder(tmp_path, 0, rank=2, tensors=tiny_tensors(), **extra)
    with pytest.raises(AdapterError):
        convert_lora(folder, tmp_path / "a.gguf", TINY)
    assert not list(tmp_path.glob("*.gguf*"))


def test_an_unknown_architecture_is_refused_by_name(tmp_path):
    folder = make_peft_folder(tmp_path, 0, rank=2, tensors=tiny_tensors())
    with pytest.raises(AdapterError, match="not yet for “mamba”"):
        convert_lora(folder, tmp_path / "a.gguf", {"model_type": "mamba"})
    assert can_convert("mistral")
    assert not can_convert("mamba")


def test_blooms_fused_rows_are_sorted_into_queries_keys_and_values(tmp_path):
    path = "base_model.model.transformer.h.0.self_attention.query_key_value"
    numbers = np.arange(12, dtype=np.float32)[:, None]  # two heads of two rows: q q k k v v, twice
    tensors = {f"{path}.lora_A.weight": np.ones((1, 4), np.float32), f"{path}.lora_B.weight": numbers}
    folder = make_peft_folder(tmp_path, 0, rank=1, tensors=tensors)
    convert_lora(folder, tmp_path / "a.gguf", {"model_type": "bloom", "n_layer": 1, "n_head": 2})
    rows = read_gguf(tmp_path / "a.gguf")[1]["blk.0.attn_qkv.weight.lora_b"][:, 0]
    assert rows.tolist() == [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]
    with pytest.raises(AdapterError, match="multiple of 15 rows"):
        convert_lora(folder, tmp_path / "b.gguf", {"model_type": "bloom", "n_layer": 1, "n_head": 5})


def test_a_module_that_the_base_lacks_is_refused_by_name(tmp_path):
    folder = make_peft_folder(tmp_path, 0, rank=2, tensors=tiny_tensors("self_attn.z_proj"))
    with pytest.raises(AdapterError, match="z_proj"):
        convert_lora(folder, tmp_path / "a.gguf", TINY)


def test_half_a_pair_is_refused(tmp_path):
    tensors = tiny_tensors()
    tensors.popitem()
    folder = make_peft_folder(tmp_path, 0, rank=2, tensors=tensors)
    with pytest.raises(AdapterError, match="q_proj"):
        convert_lora(folder, tmp_path / "a.gguf", TINY)


@pytest.mark.parametrize("damaged", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_damaged_folder_is_refused(tmp_path, damaged):
    folder = make_peft_folder(tmp_path, 0, rank=2, tensors=tiny_tensors())
    (folder / damaged).write_bytes(b"\x00nothing")
    with pytest.raises(AdapterError, match=damaged):
        convert_lora(folder, tmp_path / "a.gguf", TINY)


def as_bfloat16(path):
    """Rewrite a safetensors file in bfloat16: 8 bytes of length, a JSON header, then the data."""
    from safetensors.numpy import load_file

    header, data = {}, b""
    for name, tensor in load_file(path).items():
        bits = (tensor.view(np.uint32) >> 16).astype("<u2").tobytes()
        span = [len(data), len(data) + len(bits)]
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": span}
        data += bits
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_bfloat16_weights_keep_their_values(tmp_path):
    folder = make_peft_folder(tmp_path, 0, rank=2, tensors=tiny_tensors())
    as_bfloat16(folder / "adapter_model.safetensors")
    convert_lora(folder, tmp_path / "a.gguf", TINY)
    rows = read_gguf(tmp_path / "a.gguf")[1]["blk.0.attn_q.weight.lora_b"]
    assert sorted(rows.ravel().tolist()) == list(range(32))


def test_weights_take_16_bits_unless_one_would_overflow(tmp_path):
    tensors = tiny_tensors()
    large = next(name for name in tensors if "lora_B" in name)
    tensors[large] = np.full_like(tensors[large], 1e6)
    folder = make_peft_folder(tmp_path, 0, rank=2, tensors=tensors)
    convert_lora(folder, tmp_path / "a.gguf", TINY)
    kinds = {name: tensor.dtype for name, tensor in read_gguf(tmp_path / "a.gguf")[1].items()}
    assert kinds == {
        "blk.0.attn_q.weight.lora_a": np.float16,
        "blk.0.attn_q.weight.lora_b": np.float32,
    }


@pytest.mark.slow
@pytest.mark.parametrize(("modules", "rslora"), [(ATTENTION, False), (ATTENTION + MLP, True)])
def test_llama_cpp_says_what_peft_says(tmp_path, embedded_gguf, embedded_hf, modules, rslora):
    folder = make_peft_folder(tmp_path, 1, modules=modules, use_rslora=rslora, alpha=3 if rslora else 16)
    config = json.loads((embedded_hf / "config.json").read_text())
    assert config | EMBEDDED_CONFIG == config
    convert_lora(folder, folder / "adapter.gguf", config)

    turns = (Turn(Role.SYSTEM, "You are a careful nurse."), Turn(Role.USER, "What is asthma?"))
    engine = LlamaCppEngine("smollm2-135m", embedded_gguf, context_tokens=512, slots=1, threads=BESIDE_OTHERS)
    engine.publish({"a@1": folder})
    greedy = Sampling(temperature=0, repetition_penalty=1, top_p=1, max_new_tokens=32)
    served = list(engine.stream(GenerationRequest(turns, "a@1", greedy)))[-1].text
    engine.close()

    with_adapter, without = regrets(embedded_hf, folder, turns, served)
    # llama.cpp rounds activations to 8 bits: tokens that are all but equally likely may change places.
    assert with_adapter.max() < 0.2
    assert (with_adapter == 0).mean() > 0.9
    assert without.max() > 1


def regrets(base, folder, turns, served):
    """By how much PEFT prefers another token, at each one served: with the adapter, and without."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, folder).eval()
    messages = [{"role": turn.role.value, "content": turn.content} for turn in turns]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    start = len(tokenizer(prompt)["input_ids"])
    ids = torch.tensor([tokenizer(prompt + served)["input_ids"]])

    def regret():
        with torch.no_grad():
            logits = model(ids).logits[0, start - 1 : -1]
        return (logits.max(-1).values - logits.gather(-1, ids[0, start:, None])[:, 0]).numpy()

    with_adapter = regret()
    with model.disable_adapter():
        return with_adapter, regret()
