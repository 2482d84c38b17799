"""Base model and adapter as one model, checked before it counts as made.

Merging needs the weights, so it is a process of its own, ``python -m adapters.training.merging REQUEST``,
started by `write_merged` only. Nothing here loads torch when it is imported.
"""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from adapters import registry
from adapters.bundle import require_room, staged
from adapters.card import write_card
from adapters.engines.base import Turn
from adapters.errors import AdapterError
from adapters.manifest import CARD, Form
from adapters.scratch import hold
from adapters.templating import fallback_template
from adapters.training import child
from adapters.training.adapted import load_base, load_model, put_on
from adapters.training.child import Document
from adapters.training.rendering import encode
from db.home import Home
from db.vocabulary import Role

# Two computations of the same logits may differ by this, in standard deviations of the logits: rounding of
# the merged weights, one by one, to the type they are kept in (24, 11 and 8 bits of precision).
TOLERANCES = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 1e-1}
QUESTIONS = ("What is asthma?", "Should I see a doctor about a cough?", "How is high blood pressure treated?")


@dataclass(frozen=True)
class Request:
    """What the process is asked.

    Args:
        models: folder of base models.
        adapter: the adapter's folder.
        folder: where the model goes; there and empty.
    """

    models: Path
    adapter: Path
    folder: Path


@dataclass(frozen=True)
class Check:
    """How the merged model, read back from disk, compares with base model and adapter side by side.

    Args:
        dtype: what the weights are kept in.
        difference: the largest between two logits.
        effect: the largest that the adapter makes to a logit of the base model.
        spread: standard deviation of the logits.
    """

    dtype: str
    difference: float
    effect: float
    spread: float

    @property
    def tolerance(self) -> float:
        """Largest difference of logits that rounding explains."""
        return TOLERANCES.get(self.dtype, TOLERANCES["bfloat16"]) * self.spread

    @property
    def passed(self) -> bool:
        """Whether the model says what base and adapter say: a weak adapter must not be lost in rounding."""
        if not math.isfinite(self.difference) or self.difference > self.tolerance:
            return False
        return self.effect <= self.tolerance or self.difference <= self.effect / 2

    @property
    def summary(self) -> str:
        """One sentence for the card."""
        return (
            f"Merged in {self.dtype} and checked: on {len(QUESTIONS)} test questions its logits differ from "
            f"those of base model and adapter by at most {self.difference:.5f}, while the adapter changes "
            f"the base model's by up to {self.effect:.3g}."
        )


def write_merged(
    home: Home, source: Path, destination: Path, report: Callable[[str], None] = lambda stage: None
) -> Check:
    """Write a model that answers as the base model with the adapter does, as safetensors with its tokenizer.

    Args:
        home: where base models are kept.
        source: the adapter's folder.
        destination: the folder to make.
        report: told what is being done.

    Raises:
        AdapterError: the adapter is damaged, the destination exists, there is no room, or the merged model
            doesn't say what base and adapter say.
        ModelError: the base model can't be had, or isn't the one that the adapter was trained on.
        RunError: the process died.
    """
    manifest = registry.verify(source)
    with staged(destination) as folder:
        request = TypeAdapter(Request).dump_json(Request(home.models, source, folder))
        check = None
        with closing(child.ask("adapters.training.merging", request)) as documents:
            for document in documents:
                if "stage" in document:
                    report(document["stage"])
                else:
                    check = Check(**document)
        if check is None or not check.passed:
            raise AdapterError(_refuse(manifest.name, check))
        card = write_card(manifest, Form.MERGED, [check.summary])
        (folder / CARD).write_text(card, encoding="utf-8")
    return check


def _refuse(name: str, check: Check | None) -> str:
    if check is None:
        return f"{name} was not merged: the process ended without checking its work. Try again."
    return (
        f"A merged model must say what base model and adapter say, but for {name} their logits differ by "
        f"{check.difference:.3g} where {min(check.tolerance, max(check.effect / 2, 0.0)):.3g} is allowed "
        f"({check.dtype}). It was not kept; export the adapter as peft instead."
    )


def merge(content: bytes) -> Iterator[Document]:
    """The work of the process; loads torch.

    Raises:
        ModelError: the base model can't be had, or is another.
        AdapterError: the adapter doesn't fit it, or there is no room.
    """
    request: Request = TypeAdapter(Request).validate_json(content)
    with hold(request.folder.parent):  # the one who asked may be killed meanwhile
        yield from _merge_into(request)


def _merge_into(request: Request) -> Iterator[Document]:
    made = registry.verify(request.adapter).provenance
    yield {"stage": "loading the base model"}
    model, tokenizer = load_base(request.models, made)
    rows = [_row(question, str(made.recipe.get("system_prompt") or ""), tokenizer) for question in QUESTIONS]
    plain = _logits(model, rows)
    yield {"stage": "merging"}
    model, adapted = _merge(model, request.adapter, rows)
    require_room(request.folder, sum(weight.nbytes for weight in model.parameters()))
    yield {"stage": "writing the merged model"}
    model.save_pretrained(request.folder)
    dtype = str(model.dtype).removeprefix("torch.")
    del model  # a large one has no room beside the one that is read back
    _give_template(tokenizer)
    tokenizer.save_pretrained(request.folder)
    yield {"stage": "checking it"}
    written, _ = load_model(str(request.folder))
    merged = _logits(written, rows)
    yield asdict(_compare(plain, adapted, merged, dtype))


def _merge(model: Any, adapter: Path, rows: list[list[int]]) -> tuple[Any, list[Any]]:
    """The merged model, and the logits with the adapter beside the base model just before."""
    wrapped = put_on(model, adapter)
    adapted = _logits(wrapped, rows)
    return wrapped.merge_and_unload(safe_merge=True), adapted


def _row(question: str, system_prompt: str, tokenizer: Any) -> list[int]:
    """A question and the beginning of an answer, as the model was trained."""
    turns = [Turn(Role.SYSTEM, system_prompt)] if system_prompt else []
    turns += [Turn(Role.USER, question), Turn(Role.ASSISTANT, "It depends.")]
    return encode(turns, tokenizer).input_ids


def _logits(model: Any, rows: list[list[int]]) -> list[Any]:
    import torch

    with torch.inference_mode():
        return [model(torch.tensor([row])).logits[0].float() for row in rows]


def _compare(plain: list[Any], adapted: list[Any], merged: list[Any], dtype: str) -> Check:
    import torch

    one, other, base = torch.cat(merged), torch.cat(adapted), torch.cat(plain)
    return Check(
        dtype=dtype,
        difference=float((one - other).abs().max()),
        effect=float((other - base).abs().max()),
        spread=float(other.std()),
    )


def _give_template(tokenizer: Any) -> None:
    """A model without a chat template was trained in a format of ours; write that down for others."""
    tokenizer.chat_template = tokenizer.chat_template or fallback_template(tokenizer)


if __name__ == "__main__":
    sys.exit(child.serve(merge, sys.argv[1:]))
