"""A Hugging Face hub of base models on this machine: what `FileServer` serves, laid out as the hub does."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from file_server import FileServer

COMMIT = "c" * 40


def put_model(
    server: FileServer,
    repository: str,
    files: Mapping[str, bytes],
    *,
    gated: bool = False,
    lets_in: bool = False,
    **told: Any,
) -> None:
    """Publish a model.

    Args:
        server: the hub.
        repository: ``owner/name``.
        files: name → content; those of more than 1,000 bytes are kept as large files, with their SHA-256.
        gated: whether terms have to be accepted.
        lets_in: whether whoever asks has accepted them.
        told: more of what the hub says of it, such as cardData.
    """
    siblings: list[dict[str, Any]] = []
    for name, content in files.items():
        server.files[f"/{repository}/resolve/{COMMIT}/{name}"] = content
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        sibling = {"rfilename": name, "size": len(content), "blobId": blob}
        if len(content) > 1000:
            large = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            sibling["lfs"] = large
        siblings.append(sibling)
    document = {"id": repository, "sha": COMMIT, "gated": "auto" if gated else False, "private": False}
    body = json.dumps(document | {"tags": [], "siblings": siblings} | told).encode()
    server.files[f"/api/models/{repository}?blobs=true"] = body
    if lets_in:
        server.files[f"/api/models/{repository}/auth-check"] = b"{}"
    elif gated:
        server.refusals[f"/api/models/{repository}/auth-check"] = (403, "GatedRepo")
        for name in files:
            server.refusals[f"/{repository}/resolve/{COMMIT}/{name}"] = (403, "GatedRepo")
