"""The voices that come with Elara: an adapter for each audience, trained on its starter examples.

``starter/<audience>.jsonl`` is what they learned from, ``starter/held_out/<audience>.jsonl`` what they were
measured on and nothing is ever trained on, ``starter/trained/<audience>/`` the adapter: weights and GGUF
of half precision, sealed by a manifest as any other. Needs no torch.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from adapters import registry
from adapters.bundle import staged
from adapters.card import write_card
from adapters.export import convert_lora, read_tensors
from adapters.manifest import CARD, CONFIG, GGUF, MANIFEST, WEIGHTS, Form, Manifest

STARTER_FOLDER = Path(__file__).parent / "starter"
HELD_OUT_FOLDER = STARTER_FOLDER / "held_out"
TRAINED_FOLDER = STARTER_FOLDER / "trained"
SOURCE = "starter"
"""What runs and manifests call these rows."""


def starter_file(audience: str) -> Path:
    """The examples that an audience's starter adapter learned from."""
    return STARTER_FOLDER / f"{audience}.jsonl"


def held_out_file(audience: str) -> Path:
    """The examples that it was measured on. No recipe and no choice of data trains on them."""
    return HELD_OUT_FOLDER / f"{audience}.jsonl"


def list_trained(folder: Path = TRAINED_FOLDER) -> tuple[Path, ...]:
    """The folders of the adapters that come with Elara, by audience; none where they weren't trained yet."""
    return tuple(sorted(path.parent for path in folder.glob(f"*/{MANIFEST}")))


def pack(trained: Path, destination: Path, base_config: Mapping[str, Any]) -> Manifest:
    """Make a registered adapter one that comes with Elara: half the size, named as its audience's first.

    Args:
        trained: its folder, as `registry.register` made it.
        destination: the folder to make; one that is there is replaced.
        base_config: the base model's ``config.json``.

    Returns:
        The new manifest.

    Raises:
        AdapterError: the adapter is damaged, or the disk refuses.
    """
    before = registry.verify(trained)
    beside = destination.with_name(f".{destination.name}.before")
    if destination.exists():
        shutil.rmtree(beside, ignore_errors=True)
        destination.rename(beside)
    try:
        with staged(destination) as folder:
            manifest = _write(trained, folder, before, base_config)
    except BaseException:
        if beside.exists():
            beside.rename(destination)
        raise
    shutil.rmtree(beside, ignore_errors=True)
    return manifest


def _write(trained: Path, folder: Path, before: Manifest, base_config: Mapping[str, Any]) -> Manifest:
    """Write the files, the card, and the manifest last."""
    from safetensors.numpy import save_file

    tensors = {name: each.astype(np.float16) for name, each in read_tensors(trained / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    _write_json(folder / CONFIG, _describe_layers(trained, before.provenance.base_model))
    convert_lora(folder, folder / GGUF, base_config)
    files = {name: _sha256(folder / name) for name in sorted((WEIGHTS, CONFIG, GGUF))}
    audience = before.provenance.audience
    manifest = replace(
        before,
        name=f"{audience}@1",
        version=1,
        files=files,
        # The run was in a home that is gone.
        provenance=replace(before.provenance, run_id=""),
    )
    (folder / CARD).write_text(write_card(manifest, Form.PEFT), encoding="utf-8")
    manifest = replace(manifest, files={**files, CARD: _sha256(folder / CARD)})
    _write_json(folder / MANIFEST, asdict(manifest))
    folder.chmod(0o755)
    return manifest


def _describe_layers(trained: Path, base_model: str) -> dict[str, Any]:
    """PEFT's configuration in a fixed order, naming the base model rather than a folder of one machine."""
    config: dict[str, Any] = json.loads((trained / CONFIG).read_text("utf-8"))
    config["base_model_name_or_path"] = base_model
    config["target_modules"] = sorted(config["target_modules"])
    return dict(sorted(config.items()))


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
