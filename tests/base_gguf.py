"""The GGUF of a tiny transformers model, as llama.cpp's own converter would lay it out."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np


def write_base_gguf(model: Any, path: Path, tokenizer: Any = None) -> Path:
    """Write a GPT-2 or BLOOM model; without its tokenizer it can be asked by token ids only."""
    config = model.config
    architecture = config.model_type
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(512)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(4 * config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_attention_heads)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    if tokenizer is None:
        _add_vocabulary(writer, config.vocab_size)
    else:
        _add_tokenizer(writer, tokenizer)
    numbers = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    mapping = gguf.get_tensor_name_map(numbers[architecture], config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":  # tied to the embedding
            continue
        weights = tensor.float().numpy()
        if architecture == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            weights = weights.T
        if "query_key_value" in name:
            weights = _queries_first(weights, config.num_attention_heads)
        short = name.removeprefix("transformer.")
        writer.add_tensor(
            mapping.get_name(short, try_suffixes=(".weight", ".bias")), np.ascontiguousarray(weights)
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_head(
    path: Path, *, layers: int = 2, heads: int = 4, kv_heads: int = 4, width: int = 64, context: int = 512
) -> Path:
    """A file that says what it is, and has no weights: enough to be listed and reckoned with."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_embedding_length(width)
    writer.add_token_list(["a", "bc"])
    writer.add_context_length(context)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    """Tokens called t0, t1 …; llama.cpp gives no figures for those that are part of a character only."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"t{number}" for number in range(size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * size)
    writer.add_token_merges(["Ġ Ġ"])  # an empty list is refused
    writer.add_eos_token_id(0)
    writer.add_bos_token_id(0)
    writer.add_add_bos_token(False)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any) -> None:
    """A tokenizer of single bytes, and its chat template if it has one."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    special = set(tokenizer.all_special_tokens) | {token for token in tokens if token.startswith("<|")}
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges(["Ġ Ġ"])  # an empty list is refused
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_bos_token_id(tokenizer.eos_token_id if tokenizer.bos_token is None else tokenizer.bos_token_id)
    writer.add_add_bos_token(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _queries_first(weights: np.ndarray, heads: int) -> np.ndarray:
    """BLOOM keeps query, key and value of each head together; GGUF has all queries, all keys, all values."""
    apart = weights.reshape(heads, 3, -1, *weights.shape[1:])
    return apart.swapaxes(0, 1).reshape(weights.shape)
