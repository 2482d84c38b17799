"""How much memory a base model takes to answer, and whether this machine has it.

Weights, what is remembered of conversations, and the workspace are counted from the model's build. For the
embedded model the sum was held against llama.cpp: 4 windows of 4,096 tokens took 550 MB and are reckoned at
568, 4 of 8,192 took 929 and are reckoned at 945 (`tests/unit/adapters/test_memory_fit.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from adapters.base_model import BaseModel, Shape, Weights
from adapters.machine import MachineMemory, Memory

# Bits a weight takes in ggml's blocks, from the block sizes in `gguf.GGML_QUANT_SIZES`.
_Q8_BITS = 34 * 8 / 32  # Q8_0: 32 weights in 34 bytes
_Q6_K_BITS = 210 * 8 / 256
_Q4_K_BITS = 144 * 8 / 256
# llama.cpp's Q4_K_M keeps half of the value and MLP-down matrices in Q6_K and the others in Q4_K.
_Q4_K_M_BITS = 4.83
# A width that isn't a multiple of 256 has no room for those blocks; Q5_0 and Q8_0 stand in.
_K_BLOCK = 256
_Q4_NARROW_BITS = 5.7
_CACHE_BYTES = 2  # keys and values are kept in 16 bits by both engines
_LLAMA_BATCH = 128  # tokens of a prompt read at once (`llama_server`), each with float32 logits
_LLAMA_WORKSPACE = 64 << 20
_TORCH_WORKSPACE = 1 << 30  # torch and its libraries, as the transformers engine loads them
_FULL_BITS = 16
# What the transformers engine keeps a weight of a linear layer in, bits; embedding and head stay at 16. NF4
# and its constants quantised twice: Dettmers et al. 2023, QLoRA, section 3.
_DTYPE_BITS: Mapping[str, float] = MappingProxyType({"fp32": 32.0, "8bit": 8.0, "4bit": 4.127})
USUAL = "auto"
_MEDICAL_NUMBER = 2
_COMFORTABLE = 0.9  # of what is available; the rest is for what else happens meanwhile
_CPU_WEIGHTS = 6_000_000_000
"""Largest weights recommended without a graphics card, bytes: every token reads them all, so that memory of
20 to 50 GB/s writes at most 3 to 8 tokens a second, about as fast as people read."""


class Fit(StrEnum):
    """Whether a model goes into the memory there is."""

    FITS = "fits"
    TIGHT = "tight"
    TOO_LARGE = "too large"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Window:
    """What is to be remembered of conversations.

    Args:
        tokens: of one conversation.
        number: conversations at once.
    """

    tokens: int
    number: int


@dataclass(frozen=True)
class MemoryNeed:
    """What a model takes while it answers, bytes.

    Args:
        weights: of the model.
        cache: keys and values of the windows when they are full.
        workspace: of the engine.
    """

    weights: int
    cache: int
    workspace: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.workspace


def reckon(
    model: BaseModel, weights: Weights, window: Window, stored: int = 0, dtype: str = USUAL
) -> MemoryNeed | None:
    """What a model would take.

    Args:
        model: its build decides.
        weights: in which form.
        window: of the conversations.
        stored: bytes of its weights where they are on disk already; 0 reckons them.
        dtype: what the transformers engine keeps them in; 8bit and 4bit take less than is on disk, fp32 more.

    Returns:
        None when too little is known of the model.
    """
    kept = weights is Weights.FULL and dtype in _DTYPE_BITS  # otherwise than in 16 bits
    size = kept_bytes(model, dtype) if kept else stored or weight_bytes(model, weights)
    if not size or model.shape is None:
        return None
    tokens = min(window.tokens, model.context_tokens or window.tokens)
    workspace = _TORCH_WORKSPACE
    if weights.is_gguf:
        workspace = _LLAMA_WORKSPACE + _LLAMA_BATCH * model.shape.vocabulary * 4
    return MemoryNeed(size, cache_bytes(model.shape, tokens) * window.number, workspace)


def weight_bytes(model: BaseModel, weights: Weights) -> int:
    """Size of the weights in a form, bytes; 0 when it can't be told.

    For Q4 that of llama.cpp's Q4_K_M mix, to about 5% of published files.
    """
    if not model.parameters or model.shape is None:
        return 0
    match weights:
        case Weights.FULL | Weights.F16:
            bits = float(model.parameters * _FULL_BITS)
        case Weights.Q8:
            bits = model.parameters * _Q8_BITS
        case Weights.Q4:
            bits = _q4_bits(model.parameters, model.shape)
    return int(bits / 8)


def kept_bytes(model: BaseModel, dtype: str) -> int:
    """Size of the weights kept as ``fp32``, ``8bit`` or ``4bit`` by transformers, bytes; 0 when not told."""
    if not model.parameters or model.shape is None:
        return 0
    if dtype == "fp32":
        return model.parameters * 4
    outside = model.shape.vocabulary * model.shape.width * (1 if model.shape.tied else 2)
    return int((outside * _FULL_BITS + (model.parameters - outside) * _DTYPE_BITS[dtype]) / 8)


def cache_bytes(shape: Shape, tokens: int) -> int:
    """Keys and values of one conversation, bytes: 2 × layers × heads × head size × tokens × 2 bytes."""
    looked_back = min(tokens, shape.window) if shape.window_layers else 0
    cells = (shape.layers - shape.window_layers) * tokens + shape.window_layers * looked_back
    return 2 * cells * shape.kv_heads * shape.head_size * _CACHE_BYTES


def judge(need: MemoryNeed | None, weights: Weights, machine: MachineMemory) -> Fit:
    """Whether the machine has it: now, once other programs are closed, or not at all.

    llama.cpp computes on the processor here; the transformers engine on a graphics card where there is one.
    """
    if need is None:
        return Fit.UNKNOWN
    place: Memory = machine.main
    if machine.card is not None and not weights.is_gguf:
        place = machine.card
    if need.total <= _COMFORTABLE * place.available:
        return Fit.FITS
    return Fit.TIGHT if need.total <= _COMFORTABLE * place.total else Fit.TOO_LARGE


@dataclass(frozen=True)
class Recommendation:
    """A model that fits, and how to have it.

    Args:
        model: which.
        weights: in which form.
        dtype: what the transformers engine should keep them in; ``auto`` for files of llama.cpp.
    """

    model: BaseModel
    weights: Weights
    dtype: str = USUAL


def recommend(
    models: Sequence[BaseModel], window: Window, machine: MachineMemory, number: int = 3
) -> tuple[Recommendation, ...]:
    """The best models that fit, and in which form each should be had.

    Among models trained to answer, larger ones answer better, unless the catalogue prefers one: so the
    largest that fits of each family, the larger ones first, and the best medical ones beside them. On a
    graphics card whole or in 4 bits, on a processor Q8 where that fits, else Q4.

    Args:
        models: to choose from.
        window: of the conversations.
        machine: its memory.
        number: general models; up to two medical ones come on top.
    """
    fitting = [found for model in models if (found := _best_form(model, window, machine)) is not None]
    fitting.sort(key=lambda found: (-found.model.preference, -found.model.parameters))
    general: dict[str, Recommendation] = {}
    for found in fitting:
        if not found.model.medical:
            general.setdefault(found.model.family, found)
    largest = sorted(general.values(), key=lambda found: -found.model.parameters)
    medical = [found for found in fitting if found.model.medical]
    return (*largest[:number], *medical[:_MEDICAL_NUMBER])


def _best_form(model: BaseModel, window: Window, machine: MachineMemory) -> Recommendation | None:
    if not model.instruct:
        return None
    for weights, dtype in _forms(model, machine):
        need = reckon(model, weights, window, dtype=dtype)
        slow = weights.is_gguf and need is not None and need.weights > _CPU_WEIGHTS
        if not slow and judge(need, weights, machine) is Fit.FITS:
            return Recommendation(model, weights, dtype)
    return None


def _forms(model: BaseModel, machine: MachineMemory) -> tuple[tuple[Weights, str], ...]:
    """How a model could be had, the best first."""
    if model.embedded:
        return ((Weights.Q4, USUAL),)
    files = ((Weights.Q8, USUAL), (Weights.Q4, USUAL))
    if machine.card is None or not model.target_modules:  # the transformers engine isn't tried on others
        return files
    return ((Weights.FULL, "bf16"), (Weights.FULL, "4bit"), *files)


def _q4_bits(parameters: int, shape: Shape) -> float:
    matrix = shape.vocabulary * shape.width
    if shape.width % _K_BLOCK:
        return matrix * _Q8_BITS + (parameters - matrix) * _Q4_NARROW_BITS
    if shape.tied:
        return matrix * _Q6_K_BITS + (parameters - matrix) * _Q4_K_M_BITS
    return matrix * (_Q6_K_BITS + _Q4_K_BITS) + (parameters - 2 * matrix) * _Q4_K_M_BITS
