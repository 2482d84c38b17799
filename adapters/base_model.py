"""What is known of a base model before it is loaded."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

EMBEDDED = "smollm2-135m"
GGUF_SUFFIX = ".gguf"


class Weights(StrEnum):
    """In which form the weights of a base model are kept.

    The first three are GGUF files, which llama.cpp serves; the last is a folder of safetensors, which the
    transformers engine serves and which training needs.
    """

    Q4 = "Q4"
    Q8 = "Q8"
    F16 = "F16"
    FULL = "full"

    @property
    def is_gguf(self) -> bool:
        """Whether it is a file for llama.cpp."""
        return self is not Weights.FULL


@dataclass(frozen=True)
class Shape:
    """What of a model's build decides how much memory it takes.

    Args:
        layers: blocks that attend.
        kv_heads: heads of keys and values in each.
        head_size: numbers in each head.
        width: of the embedding.
        vocabulary: tokens.
        tied: whether embedding and output head are one matrix.
        window_layers: of the layers, those that look back over a window only.
        window: how far those look back, tokens.
    """

    layers: int
    kv_heads: int
    head_size: int
    width: int
    vocabulary: int
    tied: bool = False
    window_layers: int = 0
    window: int = 0


@dataclass(frozen=True)
class BaseModel:
    """A model on which adapters are trained and which answers when none is chosen.

    Args:
        id: the name used in recipes, runs and manifests.
        title: the name shown.
        source: where the weights come from: a hub id, an absolute folder or GGUF file, or a package
            requirement.
        family: under which it is listed, such as Qwen3.
        architecture: transformers' ``model_type``; empty when only loading it can tell.
        parameters: number of weights; 0 when not known.
        shape: of its layers; None when not known.
        licence: SPDX id or the licence's own name; empty when not known.
        use_limits: what licence or makers forbid or advise against, and what has to be accepted first; empty
            when there is nothing beyond the licence's usual terms.
        gated: whether the hub hands it out only to those who have accepted its terms.
        context_tokens: context window it was trained for, tokens; 0 when not known.
        target_modules: modules that take a LoRA by default; empty when the architecture isn't known.
        has_chat_template: whether its tokenizer brings a chat template; else `adapters.templating` has a
            format for it. None when not known.
        instruct: whether it was trained to answer, rather than to continue text; None when not known.
        medical: whether it was trained for medicine.
        preference: over others of its kind when one is recommended; the higher goes first, whatever the size.
        languages: what it reads and writes, in words.
        notes: what a person choosing it should know.
        upstream: hub id of the same model at its maker's, where the source isn't one.
        gguf: hub ids of repositories with its GGUF files, to be looked through in this order; empty where the
            model's own is.
    """

    id: str
    title: str
    source: str
    family: str = ""
    architecture: str = ""
    parameters: int = 0
    shape: Shape | None = None
    licence: str = ""
    use_limits: str = ""
    gated: bool = False
    context_tokens: int = 0
    target_modules: tuple[str, ...] = ()
    has_chat_template: bool | None = None
    instruct: bool | None = None
    medical: bool = False
    preference: int = 0
    languages: str = ""
    notes: str = ""
    upstream: str = ""
    gguf: tuple[str, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether it is the model that Elara fetches by itself and serves through llama.cpp."""
        return self.id == EMBEDDED

    @property
    def local(self) -> bool:
        """Whether its weights are in a place of this machine that somebody named."""
        return Path(self.source).is_absolute()

    @property
    def local_gguf(self) -> bool:
        """Whether it is one GGUF file of this machine."""
        return self.local and self.source.lower().endswith(GGUF_SUFFIX)

    @property
    def hub_id(self) -> str:
        """Its id on the Hugging Face hub; empty when it isn't there as far as is known."""
        return self.upstream or ("" if self.embedded or self.local else self.source)

    @property
    def trainable(self) -> bool:
        """Whether adapters can be trained on it, as far as is known before it is loaded."""
        return bool(self.target_modules) or not self.architecture

    def weight_bytes(self, bits: int) -> int:
        """Size of the weights alone, bytes.

        Args:
            bits: per weight: 32, 16, 8 or 4.

        Returns:
            parameters × bits / 8; 0 when the number of parameters isn't known.
        """
        return self.parameters * bits // 8


def to_document(model: BaseModel) -> dict[str, Any]:
    """A model as JSON takes it, without its id, under which it is kept."""
    return {name: value for name, value in asdict(model).items() if name != "id"}


def from_document(model_id: str, document: Mapping[str, Any]) -> BaseModel:
    """The same back; what another version of Elara wrote beside it is passed over."""
    names = {field.name for field in fields(BaseModel)} - {"id"}
    told = {name: value for name, value in document.items() if name in names}
    shape = told.get("shape")
    if isinstance(shape, Mapping):
        known = {field.name for field in fields(Shape)}
        told["shape"] = Shape(**{name: value for name, value in shape.items() if name in known})
    for name in ("target_modules", "gguf"):
        told[name] = tuple(told.get(name) or ())
    return BaseModel(id=model_id, **told)
