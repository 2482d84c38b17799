"""What an adapter's folder holds, and the manifest that seals it. Plain data; reads and writes no file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

FORMAT_VERSION = 1
WEIGHTS, CONFIG, GGUF, MANIFEST, CARD, LICENCE = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "adapter.gguf",
    "manifest.json",
    "README.md",
    "LICENSE",  # of an adapter that somebody brought; spelt as everywhere
)
UPLOADED = "uploaded"
"""The source of an adapter that somebody brought without saying what it was trained on."""
NOT_REVIEWED = (
    "Not clinically reviewed. Made for trying and studying Elara; not for diagnosis, treatment or any care."
)


class Form(StrEnum):
    """What an adapter can leave Elara as."""

    PEFT = "peft"  # the folder as it is kept
    GGUF = "gguf"  # the file that llama.cpp reads
    MERGED = "merged"  # base model and adapter in one


@dataclass(frozen=True)
class Provenance:
    """What an adapter was made from and by.

    Args:
        audience: for whom it speaks.
        base_model: catalogue id.
        base_revision: commit on the hub; empty for local weights.
        base_sha256: of the local weights; empty for a hub model, which its revision pins.
        snapshot_sha256: of the training set.
        rows: examples in it.
        recipe: every hyperparameter and the system prompt.
        run_id: the run; None when it was brought in.
        metrics: held-out loss before and after (nats per token) and the like.
        source: where the rows came from: ``starter``, ``reviews``, a file's or a dataset's name; empty in
            manifests made before this was noted.
        data: how many rows were kept and left out, and why; empty in manifests made before this was noted.
        upload: of an adapter that was trained elsewhere and brought in: its file, who brought it and when,
            what was found in it. Then rows, recipe and metrics are what its own manifest claims, if anything.
            Empty for one that was trained here.
    """

    audience: str
    base_model: str
    base_revision: str
    base_sha256: str
    snapshot_sha256: str
    rows: int
    recipe: Mapping[str, Any]
    run_id: str | None
    metrics: Mapping[str, Any]
    source: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    upload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """The seal of an adapter folder.

    Args:
        format_version: of this file.
        name: ``audience@version``.
        version: within the audience.
        provenance: what it was made from and by.
        libraries: versions of what made it.
        created_at: ISO 8601, UTC.
        files: file name → SHA-256.
        notice: what it may not be used for.
        probe: what an uploaded adapter said when it was tried, and whether that lets it answer; see
            `adapters.probing`. Empty before.
    """

    format_version: int
    name: str
    version: int
    provenance: Provenance
    libraries: Mapping[str, str]
    created_at: str
    files: Mapping[str, str]
    notice: str = NOT_REVIEWED
    probe: Mapping[str, Any] = field(default_factory=dict)
