"""The HTTP API on a real server, and clients of it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from openai import OpenAI
from starlette.applications import Starlette

from elara_ui.api import api_routes
from elara_ui.services import Services


@contextmanager
def serving(services: Services) -> Iterator[str]:
    """Serve /v1; yields its address."""
    app = Starlette(routes=api_routes(services))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    give_up = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/v1"
    server.should_exit = True
    thread.join(5)


def client_of(address: str, key: str = "none-needed") -> OpenAI:
    """A client that gives up at the first refusal."""
    return OpenAI(base_url=address, api_key=key, max_retries=0, timeout=30)
