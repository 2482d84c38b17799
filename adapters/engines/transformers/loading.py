"""The model of the transformers engine, as it is served. Loads torch only when asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.errors import ModelError
from adapters.processors import count_cores
from adapters.training import loading
from adapters.training.progress import Silence

# Besides what model and tokenizer name themselves: the ends of a turn that chat templates write.
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>")


@dataclass(frozen=True)
class Served:
    """A model ready to answer.

    Args:
        model: a transformers causal language model.
        tokenizer: its tokenizer.
        sha256: hash of its weights; empty for a hub model.
        ends: tokens that end an answer.
        on_card: whether it computes on a graphics card.
    """

    model: Any
    tokenizer: Any
    sha256: str
    ends: frozenset[int]
    on_card: bool


def load(models: Path, base_model: str, dtype: str, context_tokens: int) -> Served:
    """Bring a base model into memory, on the graphics card where there is one.

    Args:
        models: folder of base models.
        base_model: catalogue id, hub id or folder.
        dtype: one of `adapters.engines.choice.DTYPES`.
        context_tokens: window that will be promised, tokens.

    Raises:
        ModelError: it can't be had, or can't be served so.
    """
    import torch

    quantization = dtype if dtype in ("8bit", "4bit") else "none"
    precision = "auto" if quantization != "none" else dtype
    if precision == "fp16" and not has_graphics_card():
        raise ModelError("fp16 needs a graphics card, and there is none. Choose auto, bf16 or fp32.")
    precision = loading.choose_precision(precision)
    kept = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    source = loading.locate(models, base_model, Silence())
    base = loading.load_as(source, precision, kept, quantization)
    _check_window(base.context_tokens, context_tokens)
    _check_layers(base.model, base_model)
    return Served(
        base.model, base.tokenizer, source.sha256, _ends(base.model, base.tokenizer), has_graphics_card()
    )


def set_threads(threads: int | None) -> None:
    """Have torch compute with so many threads in this process; None takes half of the cores.

    Threads wait for each other in every layer. On two cores that somebody else used too, two threads wrote 3
    tokens a second where one wrote 28, and on idle ones no more than one did.
    """
    import torch

    torch.set_num_threads(threads or max(1, count_cores() // 2))


def has_graphics_card() -> bool:
    """Whether torch can compute on one."""
    import torch

    return bool(torch.cuda.is_available())


def _check_window(longest: int, context_tokens: int) -> None:
    if longest < context_tokens:
        raise ModelError(
            f"The context window must be within what the base model was trained for, {longest} tokens; "
            f"{context_tokens} were asked for. Set a smaller one."
        )


def _check_layers(model: Any, base_model: str) -> None:
    """Rows are joined by their keys and values, so there must be nothing else that layers remember."""
    kinds = set(getattr(model.config, "layer_types", None) or ()) - {
        "full_attention",
        "sliding_attention",
        "chunked_attention",
    }
    if kinds or getattr(model, "_is_stateful", False):
        raise ModelError(
            f"This engine serves models whose layers all attend; {base_model} has others "
            f"({', '.join(sorted(kinds)) or 'recurrent'}). Serve it with llama.cpp, or choose another."
        )


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    configured = getattr(model.generation_config, "eos_token_id", None)
    ends = {tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])}
    vocabulary = tokenizer.get_vocab()
    special = set(tokenizer.all_special_ids) | set(getattr(tokenizer, "added_tokens_decoder", ()))
    ends |= {vocabulary[name] for name in _TURN_ENDS if vocabulary.get(name) in special}
    return frozenset(ends - {None})
