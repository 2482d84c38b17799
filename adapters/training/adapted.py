"""Bringing back the base model of a finished adapter: the very weights it was trained on."""

import warnings
from pathlib import Path
from typing import Any

from adapters.errors import AdapterError, ModelError
from adapters.manifest import Provenance
from adapters.training import loading
from adapters.training.progress import Silence


def load_base(models: Path, made: Provenance) -> tuple[Any, Any]:
    """The base model of an adapter and its tokenizer, in the type that its weights are kept in.

    Args:
        models: folder of base models.
        made: from the adapter's manifest.

    Raises:
        ModelError: it can't be had, or its weights are others now.
    """
    source = loading.locate(models, made.base_model, Silence())
    if made.base_sha256 and source.sha256 != made.base_sha256:
        raise ModelError(
            f"The adapter was trained on other weights than those of {made.base_model} now (SHA-256 "
            f"{made.base_sha256[:12]}…, not {source.sha256[:12]}…). Put the former ones back."
        )
    return load_model(source.location, made.base_revision or None)


def load_model(location: str, revision: str | None = None) -> tuple[Any, Any]:
    """Model, not training, and tokenizer of a folder or a hub id.

    Raises:
        ModelError: they can't be loaded.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(location, revision=revision)
        model = AutoModelForCausalLM.from_pretrained(
            location, revision=revision, dtype="auto", use_safetensors=True
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:300]
        raise ModelError(
            f"The base model {location} can't be loaded: {reason} Check its folder or the connection."
        ) from error
    return model.eval(), tokenizer


def put_on(model: Any, adapter: Path) -> Any:
    """The model with a finished adapter, as peft wraps it.

    Raises:
        AdapterError: the adapter doesn't fit.
    """
    from peft import PeftModel

    with warnings.catch_warnings():
        # A key without its place would be left out with no more than a warning.
        warnings.filterwarnings("error", message=".*missing adapter keys.*")
        try:
            return PeftModel.from_pretrained(model, str(adapter)).eval()
        except (UserWarning, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise AdapterError(f"The adapter doesn't fit its base model: {reason} Train it again.") from error
