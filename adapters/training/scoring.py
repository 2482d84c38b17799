"""The loss of reference answers: how surprised a model is by what it should have said.

The model reads each reference answer after its question (teacher forcing) and is charged for each token of
it, as `adapters.training.trainer` does with the part held out of a run; a lower loss is better. It needs the
weights, so it is a process of its own, ``python -m adapters.training.scoring REQUEST``, started by
`score_references` only. Nothing here loads torch when it is imported.
"""

import math
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from adapters import registry
from adapters.engines.base import Turn
from adapters.errors import RunError
from adapters.training import child, loading
from adapters.training.adapted import load_base, load_model, put_on
from adapters.training.child import Document
from adapters.training.progress import Silence
from adapters.training.rendering import Encoded, encode
from db.home import Home
from db.vocabulary import Role


@dataclass(frozen=True)
class Reference:
    """A question with the answer that is to be scored.

    Args:
        name: by which its loss comes back.
    """

    name: str
    question: str
    answer: str


@dataclass(frozen=True)
class Loss:
    """The loss of one reference answer.

    Args:
        name: of the reference.
        nats: per token, natural logarithm.
        tokens: of the answer, its end included.
    """

    name: str
    nats: float
    tokens: int


@dataclass(frozen=True)
class Request:
    """What the process is asked.

    Args:
        models: folder of base models.
        base_model: catalogue id, hub id or folder.
        adapter: the adapter's folder; None for the base model alone.
        system_prompt: opens every question, as it does when the model answers.
        references: what is scored.
    """

    models: Path
    base_model: str
    adapter: Path | None
    system_prompt: str
    references: tuple[Reference, ...]


def score_references(
    home: Home,
    base_model: str,
    adapter: Path | None,
    system_prompt: str,
    references: Sequence[Reference],
) -> Generator[Loss, None, None]:
    """The loss of each answer, one by one as they are taken. Closing the iterator ends the process.

    Args:
        home: where base models are kept.
        base_model: catalogue id, hub id or folder.
        adapter: folder of an adapter of it; None for the base model alone.
        system_prompt: the audience's.
        references: answers longer than the model's window are passed over.

    Raises:
        ModelError: the base model can't be had, or isn't the one that the adapter was trained on.
        AdapterError: the adapter is damaged or doesn't fit.
        RunError: the process died.
    """
    request = Request(home.models, base_model, adapter, system_prompt, tuple(references))
    content = TypeAdapter(Request).dump_json(request)
    with closing(child.ask("adapters.training.scoring", content)) as documents:
        for document in documents:
            yield Loss(**document)


def score(content: bytes) -> Iterator[Document]:
    """The work of the process; loads torch.

    Raises:
        ModelError: the base model can't be had, or is another.
        AdapterError: the adapter doesn't fit it.
        RunError: a loss is no number.
    """
    request: Request = TypeAdapter(Request).validate_json(content)
    model, tokenizer = _load(request)
    window = int(getattr(model.config, "max_position_embeddings", None) or sys.maxsize)
    for reference in request.references:
        encoded = _encode(reference, request.system_prompt, tokenizer)
        if len(encoded.input_ids) > window:
            continue
        nats, tokens = _measure(model, encoded)
        if not math.isfinite(nats):
            raise RunError(
                f"The loss of {reference.name[:60]!r} is no number: the model's weights are damaged. Fetch "
                "the base model again, or train the adapter again."
            )
        yield {"name": reference.name, "nats": nats, "tokens": tokens}


def _load(request: Request) -> tuple[Any, Any]:
    if request.adapter is None:
        source = loading.locate(request.models, request.base_model, Silence())
        model, tokenizer = load_model(source.location, source.revision or None)
        return _place(model), tokenizer
    made = registry.verify(request.adapter).provenance
    model, tokenizer = load_base(request.models, made)
    return put_on(_place(model), request.adapter), tokenizer


def _place(model: Any) -> Any:
    """On the graphics card where there is one; else in 32 bits, as many processors reckon slowly with 16."""
    import torch

    return model.to("cuda") if torch.cuda.is_available() else model.float()


def _encode(reference: Reference, system_prompt: str, tokenizer: Any) -> Encoded:
    opening = [Turn(Role.SYSTEM, system_prompt)] if system_prompt else []
    asked, said = Turn(Role.USER, reference.question), Turn(Role.ASSISTANT, reference.answer)
    return encode([*opening, asked, said], tokenizer)


def _measure(model: Any, row: Encoded) -> tuple[float, int]:
    """Mean loss of the answer's tokens, nats, and how many there are; only they are projected and counted."""
    import torch
    from torch.nn.functional import cross_entropy

    from adapters.training.rendering import IGNORED

    labels = torch.tensor(row.labels[1:], device=model.device)
    wanted = labels != IGNORED
    with torch.inference_mode():
        ids = torch.tensor([row.input_ids], device=model.device)
        kept = int(wanted.sum())
        # An answer stands at the end: predictions of its tokens are made at the positions just before them.
        logits = model(ids, use_cache=False, logits_to_keep=kept + 1).logits[0, :-1].float()
        return float(cross_entropy(logits, labels[-kept:])), kept


if __name__ == "__main__":
    sys.exit(child.serve(score, sys.argv[1:]))
