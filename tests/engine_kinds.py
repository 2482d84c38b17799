"""The engines that `test_engine_behaviour.py` holds to one protocol: a new one joins in `KINDS`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from openai_server import LlamaRouter, running

from adapters.engines.base import Engine
from adapters.engines.llamacpp import LlamaCppEngine
from adapters.engines.remote import RemoteEngine
from adapters.engines.transformers.engine import TransformersEngine
from adapters.processors import Threads

BASE = "smollm2-135m"
WINDOW = 1024


@dataclass(frozen=True)
class Ground:
    """What an engine may stand on.

    Args:
        gguf: the embedded model's file.
        models: the folder of base models that it lies in.
        adapters: everything that tests publish; a server that can't take adapters in starts with all.
    """

    gguf: Path
    models: Path
    adapters: Mapping[str, Path]


MakeEngine = Callable[[], Engine]
"""Makes one more engine, not loaded yet."""
Kind = Callable[[Ground], AbstractContextManager[MakeEngine]]
"""Brings up whatever the engines need besides themselves."""


@contextmanager
def llamacpp(ground: Ground) -> Iterator[MakeEngine]:
    yield lambda: LlamaCppEngine(BASE, ground.gguf, context_tokens=WINDOW, slots=2, threads=Threads(1, 1))


@contextmanager
def remote(ground: Ground) -> Iterator[MakeEngine]:
    files = {name: folder / "adapter.gguf" for name, folder in ground.adapters.items()}
    with running(LlamaRouter(ground.gguf, files, BASE, WINDOW)) as server:
        yield lambda: RemoteEngine(BASE, server.url, context_tokens=WINDOW)


@contextmanager
def transformers(ground: Ground) -> Iterator[MakeEngine]:
    yield lambda: TransformersEngine(BASE, ground.models, context_tokens=WINDOW, dtype="fp32", threads=1)


KINDS: dict[str, Kind] = {
    "llama.cpp": llamacpp,
    "remote": remote,
    "transformers": transformers,
}
