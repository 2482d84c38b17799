"""How much memory one training step's passing results take, found without taking it.

The very forward and backward pass of training runs on torch's fake tensors, which have shapes, types and
lifetimes but no content, while every storage that is made is counted until it is freed. So the count is right
for any architecture, for autocast and for checkpointing alike; closed formulas, such as those of
Korthikanti et al. 2022 ("Reducing activation recomputation"), are each made for one architecture's layers.
"""

import copy
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from adapters.training.loss import PLAIN_HEADS, sum_loss
from adapters.training.memory import BatchShape
from adapters.training.quantised import stand_in

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def peak_activations(
    model: Any, shape: BatchShape, precision: str, *, device: str, checkpointing: bool, quantization: str
) -> int:
    """The most memory that one step's results take at the same time, gradients included, bytes.

    Args:
        model: an outline (weights on the meta device) with its LoRA, as peft wraps it.
        shape: the batch.
        precision: bf16, fp16 or fp32.
        device: ``cpu`` or ``cuda``.
        checkpointing: whether layers forget their results and compute them again.
        quantization: ``none``, ``8bit`` or ``4bit``; of quantised weights no copies are kept for the
            backward pass, but more of what goes through them is.
    """
    if device != "cpu":  # there trl's own loss reads every row by itself
        shape = replace(shape, shared=0)
    core = copy.deepcopy(model.get_base_model()).train()
    if shape.compared:  # then nothing is hidden at random
        for module in core.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0
    if checkpointing:
        core.activation_checkpointing_enable()  # can't be taken back: hence the copy, which weighs nothing
    stand_in(core, quantization, _DTYPES[precision])
    with FakeTensorMode(), torch.device(device):
        state = {
            f"core.{name}": torch.empty(tensor.shape, dtype=tensor.dtype, requires_grad=tensor.requires_grad)
            for name, tensor in [*core.named_parameters(), *core.named_buffers()]
        }
        counter = _LiveBytes(state.values())
        autocast = torch.autocast(device, dtype=_DTYPES[precision], enabled=precision != "fp32")
        with counter, autocast:
            functional_call(_Step(core), state, (shape,))
    return counter.peak


class _Step(torch.nn.Module):  # type: ignore[misc]  # torch is not checked
    """One step as a module, so that its weights can be put in from outside."""

    def __init__(self, core: Any) -> None:
        super().__init__()
        self.core = core

    def forward(self, shape: BatchShape) -> None:
        """Forward and backward; both here, as checkpointing needs the weights again.

        What dpo and kto compare with is scored in between, while all that the policy made is still there.
        """
        inputs = {
            name: torch.zeros(shape.rows * shape.answers, shape.length, dtype=torch.long)
            for name in ("input_ids", "attention_mask")
        }
        loss = self._lose(inputs, shape)
        if shape.compared:
            with torch.no_grad():
                reference = self._lose(inputs, shape)
            loss = loss - reference
        loss.backward()

    def _lose(self, inputs: Mapping[str, Tensor], shape: BatchShape) -> Tensor:
        if self.core.config.model_type in PLAIN_HEADS:
            positions = torch.zeros(shape.supervised, dtype=torch.long)
            return sum_loss(self.core, inputs, positions + shape.shared, positions, shape.shared)
        logits = self.core(**inputs, use_cache=False).logits[:, :-1].flatten(0, 1)
        targets = torch.zeros(logits.shape[0], dtype=torch.long)
        return cross_entropy(logits.float(), targets, reduction="sum")


class _LiveBytes(TorchDispatchMode):  # type: ignore[misc]  # torch is not checked
    """Counts the bytes of every tensor made under it, until it is freed.

    Args:
        known: tensors that were there before; not counted.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()
        self.peak = 0
        self._now = 0
        self._live = {tensor.untyped_storage()._cdata: 0 for tensor in known}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run one operation and count what it makes."""
        out = func(*args, **(kwargs or {}))
        for made in tree_iter(out):
            if isinstance(made, Tensor):
                self._add(made.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._live:  # a view of what is counted already
            return
        self._live[key] = storage.nbytes()
        self._now += storage.nbytes()
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._free, key)

    def _free(self, key: int) -> None:
        self._now -= self._live.pop(key)
