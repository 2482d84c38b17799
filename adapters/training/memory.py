"""The peak memory of a run, by part, before it is launched.

Weights, adapter, gradients and optimizer follow from counting; what is kept between the forward and the
backward pass is counted by `adapters.training.activations`. `benchmarks/memory_estimate.py` holds the sum
against what runs really take. No torch is loaded by importing this.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import psutil

from adapters.machine import left_in_container
from adapters.recipe import Hyperparameters, override

ADAMW_BYTES = 8  # two float32 moments a trainable weight: Loshchilov & Hutter 2019, algorithm 2
GRADIENT_BYTES = 4  # peft keeps the adapter, and so its gradient, in float32
INT8_BYTES = 1.0  # Dettmers et al. 2022, LLM.int8(); one float32 scale a row is lost in rounding
# NF4: half a byte, and 0.127 bits for the constants quantised twice. Dettmers et al. 2023, QLoRA, section 3.
NF4_BYTES = (4 + 0.127) / 8
# On a processor: what the libraries take between import and first step (tables, tokenizer, threads).
PROCESSOR_WORKSPACE = 80 * 2**20
# On a graphics card: its context, and the workspaces of the matrix library.
CARD_WORKSPACE = 600 * 2**20
# What a heap keeps in holes between tensors that come and go, as shares of the activations. Measured on a
# processor under glibc, by `benchmarks/memory_estimate.py`: layers computed again leave as much as they need.
HOLES, HOLES_WITH_CHECKPOINTING = 0.2, 1.0
_LINEAR = ("Linear", "Conv1D")
SHORTEST_HALVED = 256  # examples at or under it are not worth halving


@dataclass(frozen=True)
class BatchShape:
    """The largest batch of a run.

    Args:
        rows: examples.
        length: of the longest, tokens; the others are padded to it.
        supervised: tokens learned from, over all rows.
        answers: to each example's prompt, each a sequence of its own: 2 for dpo.
        compared: whether the answers are scored by the model before training too, as for dpo and kto.
        shared: tokens with which all rows begin and which are read once.
    """

    rows: int
    length: int
    supervised: int
    answers: int = 1
    compared: bool = False
    shared: int = 0


@dataclass(frozen=True)
class Machine:
    """Where a run would go.

    Args:
        device: ``cpu`` or ``cuda``.
        available: memory it could take, bytes.
        process: what a process with the libraries loaded takes by itself, bytes.
    """

    device: str
    available: int
    process: int


@dataclass(frozen=True)
class MemoryChange:
    """Settings that would need less.

    Args:
        values: hyperparameter → value.
        total: the peak then, bytes.
        fits: whether that is available.
    """

    values: Mapping[str, str | int | bool]
    total: int
    fits: bool


@dataclass(frozen=True)
class MemoryEstimate:
    """Peak memory of a run by part, bytes.

    Args:
        weights: the frozen base model.
        adapter: the LoRA; for dpo and kto also the one before training, which it is compared with.
        optimizer: AdamW's moments.
        gradients: of the LoRA.
        activations: the most that is alive at once of what one batch makes: what the backward pass needs,
            the logits, and passing results.
        overhead: the process, its libraries and the holes in its heap.
        available: what the machine has to give now.
        device: ``cpu`` or ``cuda``.
        advice: what to change when it doesn't fit; empty when it does.
    """

    weights: int
    adapter: int
    optimizer: int
    gradients: int
    activations: int
    overhead: int
    available: int
    device: str
    advice: tuple[MemoryChange, ...] = ()

    @property
    def total(self) -> int:
        """The peak, bytes."""
        parts = (self.weights, self.adapter, self.optimizer, self.gradients, self.activations, self.overhead)
        return sum(parts)

    @property
    def fits(self) -> bool:
        """Whether the machine has as much to give."""
        return self.total <= self.available


def look_at_machine() -> Machine:
    """The machine as it is now, seen from a process that has loaded the training libraries and no model.

    What this process takes itself counts as available: it ends before the run begins.
    """
    import torch

    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return Machine("cuda", int(free), CARD_WORKSPACE)
    resident = int(psutil.Process().memory_info().rss)
    available = min(int(psutil.virtual_memory().available), left_in_container())
    return Machine("cpu", available + resident, resident + PROCESSOR_WORKSPACE)


def estimate_memory(
    model: Any, shape: BatchShape, hyperparameters: Hyperparameters, precision: str, machine: Machine
) -> MemoryEstimate:
    """Reckon the peak of a run, and what to change when it doesn't fit.

    Args:
        model: the base model's outline with its LoRA.
        shape: the largest batch.
        hyperparameters: the checked settings.
        precision: bf16, fp16 or fp32.
        machine: where it would run.
    """
    estimate = _reckon(model, shape, hyperparameters, precision, machine)
    if estimate.fits:
        return estimate
    changes = []
    for values, smaller in _alternatives(hyperparameters, shape):
        changed = _reckon(model, smaller, override(hyperparameters, values), precision, machine)
        if changed.total < estimate.total:
            changes.append(MemoryChange(values, changed.total, changed.fits))
    return replace(estimate, advice=tuple(changes))


def weight_bytes(model: Any, quantization: str) -> int:
    """The frozen weights, bytes.

    Parameters × bytes of their type. When quantised, the linear layers but for the head take 1 byte (8-bit)
    or 0.516 bytes (NF4) a weight, and peft holds the rest in float32. On a processor the pages of the
    weights' file stay mapped beside them; the system takes those back when it likes, so they don't count.

    Args:
        model: a model, with or without LoRA.
        quantization: ``none``, ``8bit`` or ``4bit``.
    """
    frozen = [weight for weight in model.parameters() if not weight.requires_grad]
    if quantization == "none":
        return sum(weight.numel() * weight.element_size() for weight in frozen)
    linear = sum(weight.numel() for weight in linear_weights(model).values())
    rest = sum(weight.numel() for weight in frozen) - linear
    return int(linear * (INT8_BYTES if quantization == "8bit" else NF4_BYTES) + rest * 4)


def linear_weights(model: Any) -> dict[str, Any]:
    """Name → weight of the frozen linear layers, which quantisation changes; never the head's."""
    head = model.get_output_embeddings()
    return {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if type(module).__name__ in _LINEAR and not hasattr(module, "base_layer")  # that is peft's own
        if module is not head and not module.weight.requires_grad
    }


def _reckon(
    model: Any, shape: BatchShape, settings: Hyperparameters, precision: str, machine: Machine
) -> MemoryEstimate:
    from adapters.training.activations import peak_activations

    activations = peak_activations(
        model,
        shape,
        precision,
        device=machine.device,
        checkpointing=settings.gradient_checkpointing,
        quantization=settings.quantization,
    )
    shattered = settings.gradient_checkpointing and machine.device == "cpu"
    holes = int(activations * (HOLES_WITH_CHECKPOINTING if shattered else HOLES))
    trainable = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    return MemoryEstimate(
        weights=weight_bytes(model, settings.quantization),
        adapter=(2 if shape.compared else 1)
        * sum(w.numel() * w.element_size() for w in model.parameters() if w.requires_grad),
        optimizer=trainable * ADAMW_BYTES,
        gradients=trainable * GRADIENT_BYTES,
        activations=activations,
        overhead=machine.process + holes,
        available=machine.available,
        device=machine.device,
    )


def _alternatives(
    settings: Hyperparameters, shape: BatchShape
) -> Iterator[tuple[dict[str, str | int | bool], BatchShape]]:
    """Changes that save memory, each on top of those before, those that change the result least first."""
    values: dict[str, str | int | bool] = {}
    smallest = settings.smallest_batch
    if settings.batch_size > smallest:
        effective = settings.batch_size * settings.gradient_accumulation_steps
        values = {
            "batch_size": smallest,
            "gradient_accumulation_steps": min(-(-effective // smallest), 1024),
        }
        size = min(smallest, shape.rows)
        shape = replace(
            shape,
            rows=size,
            supervised=-(-shape.supervised * size // shape.rows),
            shared=shape.shared if size > 1 else 0,
        )
        yield values, shape
    if not settings.gradient_checkpointing:
        values = {**values, "gradient_checkpointing": True}
        shape = replace(shape, shared=0)
        yield values, shape
    if settings.quantization == "none":
        values = {**values, "quantization": "4bit"}
        yield values, shape
    if shape.length > SHORTEST_HALVED:
        values = {**values, "max_length": shape.length // 2}
        yield values, replace(shape, length=shape.length // 2, supervised=-(-shape.supervised // 2), shared=0)
