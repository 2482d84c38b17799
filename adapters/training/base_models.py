"""The embedded model in a form that can be trained.

transformers can't train on a GGUF as it is, so its weights are unpacked once into an ordinary model folder.
They are the very weights that llama.cpp serves: an adapter trained on them fits what is served.
"""

import shutil
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from adapters.errors import ModelError


def ensure_trainable(models: Path, gguf: Path) -> Path:
    """The folder with the unpacked weights of a GGUF base model; made at the first call (about 20 s).

    Safe to call from several processes at once.

    Args:
        models: the folder of base models.
        gguf: a verified GGUF file.

    Returns:
        a folder that ``from_pretrained`` loads, model and tokenizer, 4 bytes a weight.

    Raises:
        ModelError: the file can't be unpacked.
    """
    folder = models / f"{_name(models, gguf)}.trainable"
    if not folder.is_dir():
        with FileLock(models / ".unpack.lock"):
            if not folder.is_dir():
                dequantise(gguf, folder)
    return folder


def _name(models: Path, gguf: Path) -> str:
    """A name that no other file has: files of other folders may be called alike."""
    if gguf.parent == models:
        return gguf.stem
    return f"{gguf.stem}-{sha256(str(gguf.resolve()).encode()).hexdigest()[:8]}"


def dequantise(gguf: Path, folder: Path) -> None:
    """Unpack a GGUF model into float32 safetensors with its tokenizer. `folder` appears whole or not at all.

    Args:
        gguf: the file.
        folder: the folder to make; must not exist.

    Raises:
        ModelError: transformers can't read the file, or there is no room.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # left by a process that was killed
    try:
        _unpack(gguf, part)
        part.replace(folder)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"The base model has to be unpacked once for training, and that failed: {error}. It takes about "
            f"ten times the size of {gguf} on disk; free some space, or remove that file to fetch it again."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unpack(gguf: Path, folder: Path) -> None:
    """Load, drop the note of having been quantised (saving is refused with it), save."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
