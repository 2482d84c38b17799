"""Whether an adapter's folder can be loaded beside others, found before the model is touched. No torch."""

import json
from pathlib import Path
from typing import Any

from adapters.errors import AdapterError
from adapters.manifest import CONFIG, MANIFEST, WEIGHTS

# What a plain LoRA may be set to; everything else must be off, known today or not.
_PLAIN = frozenset(
    {
        *("alpha_pattern", "auto_mapping", "base_model_name_or_path", "exclude_modules", "fan_in_fan_out"),
        *("inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform", "lora_alpha"),
        *("lora_dropout", "megatron_core", "peft_type", "peft_version", "qalora_group_size", "r"),
        *("rank_pattern", "revision", "target_modules", "task_type", "use_rslora"),
    }
)
# Beginnings that change the base model's own weights when the adapter is loaded: everybody else's too.
_STARTS_ALONE = ("pissa", "olora", "corda", "loftq", "lora_ga")
_WHAT = {
    "use_dora": "was trained with DoRA",
    "bias": "changes the base model's biases",
    "modules_to_save": "replaces whole layers of the base model",
}


def check_folder(name: str, folder: Path, base_model: str, base_sha256: str) -> None:
    """Refuse what is damaged, made for another base model, or can't share a batch.

    Args:
        name: for messages.
        folder: as PEFT saves it, with a manifest if Elara made it.
        base_model: catalogue id of the base model served.
        base_sha256: hash of its weights; empty where not known.

    Raises:
        AdapterError: with the reason.
    """
    config = _read(name, folder / CONFIG)
    if config.get("peft_type") != "LORA":
        raise AdapterError(
            f"{name} must be a LoRA, and is “{config.get('peft_type')}”. Train a LoRA instead."
        )
    for field, value in config.items():
        if field not in _PLAIN and value not in (None, False, "none", [], {}):
            raise AdapterError(
                f"{name} {_WHAT.get(field, 'is more than a plain LoRA')} ({field}), and can't share a batch "
                "with others, as adapters do in this engine. Train it without, or export it as “merged” and "
                "serve that as the base."
            )
    if str(config.get("init_lora_weights")).startswith(_STARTS_ALONE):
        raise AdapterError(
            f"{name} begins as {config['init_lora_weights']}, which changes the base model's own weights, "
            "and other adapters share those. Convert it to a plain LoRA when saving it, or train it without."
        )
    if (folder / MANIFEST).is_file():
        _check_base(name, _read(name, folder / MANIFEST), base_model, base_sha256)
    _check_weights(name, folder / WEIGHTS)


def _check_base(name: str, manifest: dict[str, Any], base_model: str, base_sha256: str) -> None:
    made = manifest.get("provenance")
    made = made if isinstance(made, dict) else {}
    if made.get("base_model") not in (None, base_model):
        raise AdapterError(
            f"{name} was trained on {made['base_model']}, but {base_model} answers here, and an adapter only "
            "fits its own base model. Train it again on this one."
        )
    sha256 = str(made.get("base_sha256") or "")
    if sha256 and base_sha256 and sha256 != base_sha256:
        raise AdapterError(
            f"{name} was trained on other weights than those of {base_model} now (SHA-256 {sha256[:12]}…, "
            f"not {base_sha256[:12]}…). Put the former ones back, or train it again."
        )


def _check_weights(name: str, path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy"):  # reads where each tensor lies, and that the file reaches so far
            pass
    except (OSError, SafetensorError) as error:
        raise AdapterError(_DAMAGED.format(name=name, what=f"{path} can't be read ({error})")) from error


def _read(name: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterError(_DAMAGED.format(name=name, what=f"{path} can't be read ({error})")) from error
    if not isinstance(content, dict):
        raise AdapterError(_DAMAGED.format(name=name, what=f"{path} isn't a JSON object"))
    return content


_DAMAGED = "{name} is damaged: {what}. Restore the file, or train the adapter again."
