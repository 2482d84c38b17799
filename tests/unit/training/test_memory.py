"""The count of a step's memory, held against the same step done for real on tiny models."""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

torch = pytest.importorskip("torch")
from tiny_models import tiny_gpt2, tiny_llama, tiny_tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM, BloomConfig, BloomForCausalLM, GPTNeoXConfig  # noqa: E402

from adapters.catalog import BaseModel  # noqa: E402
from adapters.recipe import Hyperparameters, override  # noqa: E402
from adapters.training import loading, preferences, trainer  # noqa: E402
from adapters.training.activations import _LiveBytes, _Step, peak_activations  # noqa: E402
from adapters.training.loading import LoadedBase, Source  # noqa: E402
from adapters.training.lora import add_lora, outline_lora  # noqa: E402
from adapters.training.memory import (  # noqa: E402
    BatchShape,
    Machine,
    estimate_memory,
    left_in_container,
    weight_bytes,
)
from adapters.training.preferences import PairTrainer  # noqa: E402
from adapters.training.progress import Silence  # noqa: E402
from adapters.training.rendering import IGNORED, Encoded  # noqa: E402

SHAPE = BatchShape(rows=3, length=40, supervised=60)
SETTINGS = override(Hyperparameters(), {"precision": "fp32", "lora_r": 4})
LARGE = Machine("cpu", available=2**40, process=100)


def tiny_bloom():
    return BloomForCausalLM(BloomConfig(vocab_size=99, hidden_size=32, n_layer=2, n_head=4))


def tiny_neox():
    """Of an architecture that the training has no special treatment for."""
    config = GPTNeoXConfig(
        vocab_size=99, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    return AutoModelForCausalLM.from_config(config)


def outlined(make, settings=SETTINGS):
    with torch.device("meta"):
        model = make()
    return outline_lora(model, settings)


def count(model, shape=SHAPE, precision="fp32", checkpointing=False, quantization="none"):
    return peak_activations(
        model, shape, precision, device="cpu", checkpointing=checkpointing, quantization=quantization
    )


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_count_is_that_of_a_real_step(make, precision):
    model = add_lora(make(), SETTINGS)
    core = model.get_base_model().train()
    counter = _LiveBytes([*core.parameters(), *core.buffers()])
    with counter, torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        _Step(core)(SHAPE)
    assert count(outlined(make), precision=precision) == pytest.approx(counter.peak, rel=0.02)


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_the_count_is_that_of_a_real_step_on_a_quantised_model(make, bits, tmp_path):
    """With bitsandbytes' own layers, which unpack weights into passing copies."""
    make().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    settings = override(SETTINGS, {"precision": "bf16", "quantization": bits})
    base = BaseModel("tiny", "Tiny", str(tmp_path))
    model = add_lora(loading.load(Source(base, str(tmp_path), "x"), settings).model, settings)
    core = model.get_base_model().train()
    counter = _LiveBytes([*core.parameters(), *core.buffers()])
    with counter, torch.autocast("cpu", dtype=torch.bfloat16):
        _Step(core)(SHAPE)
    assert count(outlined(make), precision="bf16", quantization=bits) == pytest.approx(counter.peak, rel=0.1)


def test_what_is_not_quantised_does_not_keep_the_file_of_the_weights_mapped(tmp_path):
    tiny_llama().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    settings = override(SETTINGS, {"quantization": "8bit"})
    base = BaseModel("tiny", "Tiny", str(tmp_path))
    model = loading.load(Source(base, str(tmp_path), "x"), settings).model
    if (maps := Path("/proc/self/maps")).exists():
        assert str(tmp_path) not in maps.read_text()
    assert model.get_input_embeddings().weight.data_ptr() == model.get_output_embeddings().weight.data_ptr()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_count_is_that_of_a_real_step_of_dpo(precision):
    """With trl's own loss, on two pairs."""
    pair = Encoded([1] * 40, [IGNORED] * 20 + [1] * 20, Encoded([1] * 40, [IGNORED] * 20 + [1] * 20))
    settings = override(SETTINGS, {"objective": "dpo", "batch_size": 2})
    loaded = LoadedBase(
        Source(BaseModel("tiny", "Tiny", "/tiny"), "/tiny", ""), tiny_llama(), tiny_tokenizer(), "", precision
    )
    peaks = []

    class Counted(PairTrainer):
        def training_step(self, model, inputs, *others):
            known = [*model.parameters(), *model.buffers(), *inputs.values()]
            with _LiveBytes(known) as counter:
                loss = super().training_step(model, inputs, *others)
            peaks.append(counter.peak)
            return loss

    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(preferences, "PairTrainer", Counted)
        trainer.fit(loaded, [pair] * 2, [], settings, folder=Path(folder), progress=Silence())
    shape = BatchShape(rows=2, length=40, supervised=80, answers=2, compared=True)
    assert peaks[0] <= count(outlined(tiny_llama), shape, precision) < 1.15 * peaks[0]


def test_comparing_takes_little_more_and_a_second_answer_twice():
    model = outlined(tiny_llama, override(SETTINGS, {"lora_dropout": 0}))
    single = count(model, replace(SHAPE, supervised=120))
    compared = count(model, replace(SHAPE, supervised=120, compared=True))
    assert single <= compared < 1.6 * single
    assert count(model, replace(SHAPE, supervised=120, answers=2)) > 1.3 * single
    assert count(outlined(tiny_neox), replace(SHAPE, compared=True)) > 0


def test_the_adapter_it_is_compared_with_is_counted_and_kto_keeps_two_examples():
    model = outlined(tiny_llama)
    small = replace(LARGE, available=1)
    settings = override(SETTINGS, {"objective": "kto", "batch_size": 4, "gradient_accumulation_steps": 2})
    one, two = (
        estimate_memory(model, replace(SHAPE, compared=compared), settings, "fp32", small)
        for compared in (False, True)
    )
    assert two.adapter == 2 * one.adapter
    assert two.advice[0].values == {"batch_size": 2, "gradient_accumulation_steps": 4}


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2, tiny_bloom, tiny_neox])
def test_any_architecture_is_counted_and_checkpointing_saves(make):
    model = outlined(make)
    plain = count(model)
    assert 0 < count(model, checkpointing=True) < plain
    assert count(model) == plain  # nothing was left switched on
    assert count(model, BatchShape(6, 40, 120)) > 1.8 * plain


def test_the_parts_add_up():
    model = outlined(tiny_llama)
    trainable = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    estimate = estimate_memory(model, SHAPE, SETTINGS, "fp32", LARGE)
    assert (estimate.adapter, estimate.gradients, estimate.optimizer) == (
        4 * trainable,
        4 * trainable,
        8 * trainable,
    )
    assert estimate.weights == 4 * sum(weight.numel() for weight in tiny_llama().parameters())
    assert estimate.overhead == 100 + int(0.2 * estimate.activations)
    assert estimate.total == 16 * trainable + estimate.weights + estimate.activations + estimate.overhead
    assert estimate.fits
    assert estimate.advice == ()


def test_quantised_weights_take_a_quarter_and_an_eighth():
    model = outlined(lambda: tiny_llama(width=64))
    linear = sum(
        weight.numel()
        for name, weight in model.named_parameters()
        if name.endswith("_proj.base_layer.weight") or name.endswith("_proj.weight")
    )
    whole, eight, four = (weight_bytes(model, bits) for bits in ("none", "8bit", "4bit"))
    assert whole - eight == 3 * linear
    assert whole - four == pytest.approx(3.484 * linear, rel=0.001)
    settings = override(SETTINGS, {"quantization": "4bit"})
    assert estimate_memory(model, SHAPE, settings, "bf16", LARGE).weights == four


@pytest.mark.parametrize(
    ("files", "left"),
    [
        (
            {"memory.max": "4000", "memory.current": "1500", "memory.stat": "anon 9\ninactive_file 500\n"},
            3000,
        ),
        ({"memory.max": "max", "memory.current": "1500", "memory.stat": "anon 9\n"}, sys.maxsize),
        ({}, sys.maxsize),
        (
            {
                "memory/memory.limit_in_bytes": "4000",
                "memory/memory.usage_in_bytes": "5000",
                "memory/memory.stat": "total_inactive_file 0\n",
            },
            0,
        ),
    ],
)
def test_a_container_s_limit_is_heeded(tmp_path, files, left):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert left_in_container(tmp_path) == left
