"""A tiny random model with a tiny tokenizer, so that trainer-level behaviour is tested in a second."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_tokenizer(chat_template: str | None = CHAT_TEMPLATE) -> PreTrainedTokenizerFast:
    """A tokenizer of single bytes; with a template its answers end with <|im_end|>."""
    vocabulary = {token: i for i, token in enumerate((*SPECIAL, *sorted(ByteLevel.alphabet())))}
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens(list(SPECIAL))
    end = "<|im_end|>" if chat_template else "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=end, chat_template=chat_template
    )


def tiny_llama(width: int = 32) -> LlamaForCausalLM:
    """Two layers; the width is divisible by 8."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tiny_tokenizer()),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
        )
    )


def tiny_gpt2() -> GPT2LMHeadModel:
    """Two layers of width 32."""
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tiny_tokenizer()), n_embd=32, n_layer=2, n_head=4, n_positions=2048)
    )


_ROTARY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}
# What each architecture's configuration calls its sizes.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": _ROTARY,
    "mistral": _ROTARY,
    "qwen2": _ROTARY,
    "qwen3": _ROTARY | {"head_dim": 16},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512},
    "bloom": {"hidden_size": 64, "n_layer": 2, "n_head": 4},
}


def tiny_model(architecture: str, **changes: Any) -> Any:
    """Two layers of width 64, with weights large enough for the layers to matter."""
    sizes = ARCHITECTURES[architecture] | {"vocab_size": len(tiny_tokenizer()), "initializer_range": 0.1}
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **(sizes | changes)))


def save_tiny(folder: Path, architecture: str, **changes: Any) -> Path:
    """A local base model of an architecture, as a user would point at."""
    tiny_model(architecture, **changes).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def save_tiny_llama(folder: Path) -> Path:
    """A local base model, as a user would point at; wide enough for blocks of 64 quantised weights."""
    tiny_llama(width=64).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
