"""What answers: which base model, in which engine, from which files. Loads no torch without a card."""

import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from adapters.errors import ModelError

_DRIVER = Path("/proc/driver/nvidia/version")

DTYPES = ("auto", "bf16", "fp16", "fp32", "8bit", "4bit")
"""What the transformers engine may keep weights in; ``auto`` is bf16 where the hardware computes in it."""
QUANTIZATIONS = ("Q4", "Q8", "F16")
"""What llama.cpp's files hold, as far as people choose among them: about 4, 8 and 16 bits a weight."""


class EngineKind(StrEnum):
    """The engines there are."""

    LLAMACPP = "llamacpp"
    TRANSFORMERS = "transformers"
    REMOTE = "remote"

    @property
    def label(self) -> str:
        """As people read it."""
        return _LABELS[self]


_LABELS = {
    EngineKind.LLAMACPP: "llama.cpp",
    EngineKind.TRANSFORMERS: "transformers",
    EngineKind.REMOTE: "another machine",
}


@dataclass(frozen=True)
class Choice:
    """A base model and what serves it.

    Args:
        kind: the engine.
        base_model: catalogue id, hub id or absolute path, as in adapters' manifests.
        path: its GGUF file for llama.cpp, or its folder for transformers; None where the engine finds it by
            the id: the embedded model, a model of the hub's own cache, another machine's.
        weights: one of `QUANTIZATIONS` for llama.cpp, one of `DTYPES` for transformers; empty for the usual.

    Raises:
        ModelError: the engine knows no such weights.
    """

    kind: EngineKind
    base_model: str
    path: Path | None = None
    weights: str = ""

    def __post_init__(self) -> None:
        known = {EngineKind.LLAMACPP: QUANTIZATIONS, EngineKind.TRANSFORMERS: DTYPES}.get(self.kind, ())
        if self.weights and self.weights not in known:
            raise ModelError(
                f"{self.kind.label} keeps weights as {', '.join(known) or 'it likes'}; {self.weights!r} is "
                "none of them. Choose one, or leave it out for the usual."
            )

    @property
    def dtype(self) -> str:
        """What the transformers engine keeps weights in: one of `DTYPES`."""
        return self.weights or "auto"

    @property
    def title(self) -> str:
        """Model and engine in a few words, a folder by its last name."""
        name = self.base_model
        if Path(name).is_absolute():
            name = Path(name).name
        kept = f" {self.weights}" if self.weights not in ("", "auto") else ""
        return f"{name}{kept} · {self.kind.label}"


def wants_transformers(engine: str) -> bool:
    """Whether the transformers engine is to answer rather than llama.cpp.

    Args:
        engine: ``auto``, ``llamacpp`` or ``transformers``; ``auto`` is transformers where torch sees a
            graphics card. Loading torch takes seconds, so it is asked only where NVIDIA's driver is.
    """
    if engine != "auto":
        return engine == "transformers"
    if not _has_driver():
        return False
    from adapters.engines.transformers.loading import has_graphics_card

    return has_graphics_card()


def _has_driver() -> bool:
    return _DRIVER.exists() or shutil.which("nvidia-smi") is not None
