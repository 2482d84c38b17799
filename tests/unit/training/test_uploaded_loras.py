"""LoRAs as PEFT saves them are taken in, and mean the same to it with the configuration that is kept."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from serving_factory import make_base, make_lora
from transformers import AutoModelForCausalLM

from adapters import catalog
from adapters.base_layout import read_layout
from adapters.lora_fit import check_fit, write_config


def logits(base: Path, lora: Path) -> torch.Tensor:
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), lora).eval()
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.arange(4, 12)[None]).logits
    return found


@pytest.mark.filterwarnings("error:Found missing adapter keys")
@pytest.mark.parametrize(
    ("architecture", "targets", "kept"),
    [
        ("llama", ["q_proj", "down_proj"], ["down_proj", "q_proj"]),
        ("qwen3", ["k_proj"], ["k_proj"]),
        ("gpt2", ["c_attn", "c_proj"], ["c_attn", "c_proj"]),
        ("gpt2", ["attn.c_proj"], ["attn.c_proj"]),  # not that of the MLP
        ("bloom", ["query_key_value", "dense"], ["dense", "query_key_value"]),
    ],
)
def test_the_kept_configuration_means_the_same(
    tmp_path: Path, architecture: str, targets: list[str], kept: list[str]
) -> None:
    base = make_base(tmp_path / "base", architecture)
    lora = make_lora(base, tmp_path / "lora", seed=2, target_modules=targets, use_rslora=True)
    before = logits(base, lora)
    facts = check_fit(lora, read_layout(tmp_path, catalog.find(str(base))))
    assert facts.config["target_modules"] == kept
    assert facts.rank_stabilised
    write_config(lora, facts)
    assert torch.equal(logits(base, lora), before)


def test_a_lora_of_some_layers_keeps_to_them(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    lora = make_lora(base, tmp_path / "lora", seed=2, target_modules=["q_proj"], layers_to_transform=[1])
    before = logits(base, lora)
    facts = check_fit(lora, read_layout(tmp_path, catalog.find(str(base))))
    assert facts.config["target_modules"] == ["model.layers.1.self_attn.q_proj"]
    write_config(lora, facts)
    assert torch.equal(logits(base, lora), before)
