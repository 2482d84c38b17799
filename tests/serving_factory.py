"""Tiny base models with adapters of clearly different voices, and what each says on its own."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny_models import save_tiny
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapters.catalog import TARGET_MODULES
from adapters.engines.base import GenerationRequest, Sampling, Turn
from adapters.engines.transformers.drawing import Drawing
from adapters.engines.transformers.pieces import Pieces
from adapters.engines.transformers.prompt import count_system_tokens
from adapters.engines.transformers.request import Answer
from adapters.templating import render_prompt
from db.vocabulary import Role

SYSTEM = Turn(Role.SYSTEM, "You are a careful nurse.")


def make_base(folder: Path, architecture: str = "llama", **changes: Any) -> Path:
    """A saved random model whose next token is seldom in doubt."""
    torch.manual_seed(1)
    return save_tiny(folder, architecture, initializer_range=0.3, **changes)


def make_lora(base: Path, folder: Path, seed: int, **settings: Any) -> Path:
    """A saved LoRA with random weights on both sides."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base)
    architecture = model.config.model_type
    options = {
        "r": 4,
        "lora_alpha": 6,
        "target_modules": list(TARGET_MODULES[architecture]),
        "fan_in_fan_out": architecture == "gpt2",
        "task_type": "CAUSAL_LM",
        "init_lora_weights": False,
    }
    get_peft_model(model, LoraConfig(**(options | settings))).save_pretrained(folder)
    return folder


def ask(question: str = "What is asthma?", adapter: str | None = None, **sampling: Any) -> GenerationRequest:
    """A greedy question, unless the sampling says otherwise."""
    settings = {"temperature": 0.0, "repetition_penalty": 1.0, "top_p": 1.0, "max_new_tokens": 16} | sampling
    return GenerationRequest((SYSTEM, Turn(Role.USER, question)), adapter, Sampling(**settings))


def answer_to(request: GenerationRequest, tokenizer: Any, voice: str | None) -> Answer:
    """As the engine makes it of a request."""
    prompt = render_prompt(request.turns, tokenizer)
    return Answer(
        request=request,
        prompt_tokens=len(prompt),
        system_tokens=count_system_tokens(prompt, request.turns, tokenizer),
        voice=voice,
        drawing=Drawing(request.sampling, prompt),
        pieces=Pieces(tokenizer),
        started=time.perf_counter(),
    )


def ends_of(tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer of a tiny model, as the engine finds them."""
    return frozenset(tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"]))


def solo(base: Path, adapter: Path | None, requests: Sequence[GenerationRequest]) -> list[list[int]]:
    """The tokens of greedy answers by transformers' own `generate`, with nobody else on the model."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    model.eval()
    answers = []
    for request in requests:
        prompt = torch.tensor([render_prompt(request.turns, tokenizer)])
        written = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=request.sampling.max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(ends_of(tokenizer)),
            pad_token_id=tokenizer.pad_token_id,
        )
        answers.append(written[0, prompt.shape[1] :].tolist())
    return answers
