"""The command that starts a server with the adapters that are live."""

import json
import shlex
from pathlib import Path

from adapters import catalog, registry
from db import adapters as adapter_store
from db.home import Home
from db.session import Database
from elara_ui.errors import InvalidInput

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Largest ranks that vLLM has kernels for."""


def vllm_command(database: Database, home: Home, base_model: str, context_tokens: int) -> str:
    """The command line of vLLM, with each model under the name that Elara asks for.

    Args:
        base_model: catalogue id, hub id or folder.
        context_tokens: window of one request, tokens.

    Raises:
        InvalidInput: the base model isn't on the hub nor in a folder, so vLLM can't load it.
        AdapterError: a live adapter is damaged.
    """
    model = catalog.find(base_model)
    source = model.source if model.local else model.hub_id
    if not source:
        raise InvalidInput(f"vLLM loads models from the hub or a folder; {base_model} is in neither.")
    with database.reading() as session:
        live = adapter_store.all_live(session, base_model)
        folders = {each.name: registry.folder(home, each) for each in live}
    for folder in folders.values():
        registry.verify(folder)
    words = ["vllm", "serve", source, "--served-model-name", base_model]
    words += ["--max-model-len", str(context_tokens)]
    if folders:
        rank = max(_rank(folder) for folder in folders.values())
        words += ["--enable-lora", "--max-loras", str(len(folders)), "--max-lora-rank"]
        words += [str(next((allowed for allowed in RANKS if allowed >= rank), rank)), "--lora-modules"]
        words += [f"{name}={folder}" for name, folder in folders.items()]
    return shlex.join(words)


def _rank(folder: Path) -> int:
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    return max([int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())])
