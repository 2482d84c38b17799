"""A GGUF file without a chat template reads as the same model does in the transformers engine."""

import string
from pathlib import Path
from typing import Any

import pytest
import torch
from base_gguf import write_base_gguf
from tiny_models import tiny_model, tiny_tokenizer

from adapters.engines.base import Completion, Engine, GenerationRequest, Sampling, Turn
from adapters.engines.gguf_template import read_fallback_template
from adapters.engines.llamacpp import LlamaCppEngine
from adapters.engines.transformers.engine import TransformersEngine
from adapters.processors import Threads
from adapters.templating import JOINED, LABELLED
from db.vocabulary import Role

TURNS = (
    Turn(Role.SYSTEM, "Be kind."),
    Turn(Role.USER, "What is asthma? "),
    Turn(Role.ASSISTANT, "Narrow airways."),
    Turn(Role.USER, "Is it <|endoftext|> dangerous?"),
)


def save(folder: Path, architecture: str, begin: str | None) -> tuple[Path, Path]:
    """A model whose answers are letters, as a folder and as a GGUF file; neither has a chat template."""
    torch.manual_seed(3)
    tokenizer = tiny_tokenizer(chat_template=None)
    tokenizer.bos_token = begin
    model = tiny_model(architecture, initializer_range=0.3)
    say_letters(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, write_base_gguf(model, folder / "model.gguf", tokenizer)


def say_letters(model: Any, tokenizer: Any) -> None:
    """Other bytes aren't whole characters, and engines show them each in their way."""
    letters = tokenizer.convert_tokens_to_ids(list(string.ascii_letters))
    weights = model.get_output_embeddings().weight
    others = [number for number in range(weights.shape[0]) if number not in letters]
    with torch.no_grad():
        weights[others] *= 0.02


def answer(engine: Engine) -> tuple[int, str]:
    """Tokens of the prompt, and the greedy answer."""
    sampling = Sampling(temperature=0, repetition_penalty=1.0, max_new_tokens=16)
    engine.load()
    try:
        *_, last = engine.stream(GenerationRequest(TURNS, None, sampling))
        assert isinstance(last, Completion)
        return last.prompt_tokens, last.text
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("architecture", "begin", "template"),
    [("gpt2", None, JOINED), ("bloom", "<|im_start|>", LABELLED)],
    ids=["as DialoGPT", "as BLOOM"],
)
def test_both_engines_read_the_same_and_answer_the_same(tmp_path, architecture, begin, template):
    folder, gguf = save(tmp_path / "base", architecture, begin)
    assert read_fallback_template(gguf) == template
    here = LlamaCppEngine(str(folder), gguf, context_tokens=512, slots=1, threads=Threads(1, 1))
    there = TransformersEngine(str(folder), tmp_path, context_tokens=512, dtype="fp32", threads=1)
    mine, theirs = answer(here), answer(there)
    assert mine == theirs
    assert len(mine[1]) == 16
