"""The format of prompts for a GGUF file without a chat template of its own."""

from collections.abc import Mapping
from pathlib import Path

from adapters.gguf_header import read_header
from adapters.templating import fallback_format

TEMPLATE = "tokenizer.chat_template"
# What llama.cpp takes where a file doesn't say: begin, end, and whether the first is put before every text.
_USUAL: Mapping[str, tuple[int | None, int | None, bool]] = {
    "llama": (1, 2, True),
    "gpt2": (11, 11, False),
    "bert": (101, 102, True),
    "t5": (None, 1, False),
}


def read_fallback_template(gguf: Path) -> str | None:
    """The template that stands in for one that isn't there; None where the file has its own.

    llama.cpp itself would take ChatML, whose marks such a model has never seen; training and the transformers
    engine use `adapters.templating`'s formats, and so does this.

    Args:
        gguf: a base model's file.

    Raises:
        ModelError: it isn't a whole GGUF file.
    """
    metadata = read_header(gguf).values
    if metadata.get(TEMPLATE):
        return None
    usual = _USUAL.get(str(metadata.get("tokenizer.ggml.model")), (None, None, False))
    begin = metadata.get("tokenizer.ggml.bos_token_id", usual[0])
    end = metadata.get("tokenizer.ggml.eos_token_id", usual[1])
    opened = bool(metadata.get("tokenizer.ggml.add_bos_token", usual[2]))
    return fallback_format(begin, end, opened=opened)
