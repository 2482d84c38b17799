"""A finished adapter answering many prompts on a base model that isn't served: with transformers, in a
process of its own, ``python -m adapters.training.teacher REQUEST``, started by `answer_prompts` only.

Nothing here loads torch when it is imported.
"""

import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from adapters import registry
from adapters.engines.base import Completion, Sampling, Turn
from adapters.templating import render_prompt
from adapters.training import child
from adapters.training.adapted import load_base, put_on
from adapters.training.child import Document
from db.home import Home
from db.vocabulary import FinishReason


@dataclass(frozen=True)
class Request:
    """What the process is asked.

    Args:
        models: folder of base models.
        adapter: the adapter's folder.
        sampling: how to draw.
        prompts: each system prompt first, ending with the user's turn.
    """

    models: Path
    adapter: Path
    sampling: Sampling
    prompts: tuple[tuple[Turn, ...], ...]


def answer_prompts(
    home: Home, adapter: Path, sampling: Sampling, prompts: Sequence[tuple[Turn, ...]]
) -> Generator[Completion, None, None]:
    """Answer prompts in their order; closing the iterator ends the process.

    Args:
        home: where base models are kept.
        adapter: the adapter's folder.
        sampling: how to draw; prompt number n takes the seed plus n.
        prompts: each system prompt first, ending with the user's turn.

    Raises:
        AdapterError: the adapter is damaged or doesn't fit.
        ModelError: the base model can't be had, or isn't the one that the adapter was trained on.
        RunError: the process died.
    """
    request = TypeAdapter(Request).dump_json(Request(home.models, adapter, sampling, tuple(prompts)))
    with closing(child.ask("adapters.training.teacher", request)) as documents:
        for document in documents:
            yield TypeAdapter(Completion).validate_python(document)


def answer(content: bytes) -> Iterator[Document]:
    """The work of the process; loads torch.

    Raises:
        AdapterError: the adapter is damaged or doesn't fit.
        ModelError: the base model can't be had, or is another.
    """
    import torch

    request: Request = TypeAdapter(Request).validate_json(content)
    made = registry.verify(request.adapter).provenance
    model, tokenizer = load_base(request.models, made)
    if torch.cuda.is_available():
        model = model.to("cuda")
    teacher = put_on(model, request.adapter)
    for number, turns in enumerate(request.prompts):
        torch.manual_seed((request.sampling.seed or 0) + number)
        yield asdict(_complete(teacher, tokenizer, turns, request.sampling))


def _complete(model: Any, tokenizer: Any, turns: Sequence[Turn], sampling: Sampling) -> Completion:
    import torch

    prompt = render_prompt(turns, tokenizer)
    window = int(getattr(model.config, "max_position_embeddings", None) or sys.maxsize)
    if len(prompt) + sampling.max_new_tokens > window:
        return _overflow(len(prompt))
    ids = torch.tensor([prompt], device=model.device)
    end = tokenizer.eos_token_id
    drawing = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    began = time.perf_counter()
    with torch.inference_mode():
        output = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=sampling.max_new_tokens,
            repetition_penalty=sampling.repetition_penalty,
            do_sample=sampling.temperature > 0,
            eos_token_id=end,
            pad_token_id=end,
            **(drawing if sampling.temperature > 0 else {}),
        )[0, len(prompt) :].tolist()
    seconds = time.perf_counter() - began
    ended = bool(output) and output[-1] == end
    return Completion(
        text=tokenizer.decode(output, skip_special_tokens=True),
        finish_reason=FinishReason.STOP if ended else FinishReason.LENGTH,
        prompt_tokens=len(prompt),
        cached_tokens=0,
        completion_tokens=len(output),
        seconds=seconds,
        first_token_seconds=0.0,  # not measured: an answer comes whole
        tokens_per_second=len(output) / seconds,
    )


def _overflow(prompt_tokens: int) -> Completion:
    """No answer at all: prompt and answer don't fit into what the base model reads."""
    return Completion("", FinishReason.LENGTH, prompt_tokens, 0, 0, 0.0, 0.0, 0.0)


if __name__ == "__main__":
    sys.exit(child.serve(answer, sys.argv[1:]))
