"""One request to llama.cpp on its way: its arrivals, and the answer that grows from them."""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from adapters.engines.base import Completion, GenerationRequest
from adapters.engines.llama_server import Chunk
from adapters.errors import EngineError
from db.vocabulary import FinishReason


@dataclass(eq=False)
class Call:
    """One request on its way: what its worker thread hands to whoever reads the stream.

    Items of `arrivals`: (time, chunk); an exception; None at the end.
    """

    request: GenerationRequest
    started: float = field(default_factory=time.perf_counter)
    cancelled: threading.Event = field(default_factory=threading.Event)
    arrivals: "queue.SimpleQueue[tuple[float, Chunk] | Exception | None]" = field(
        default_factory=queue.SimpleQueue
    )

    def receive(self, chunk: Chunk) -> bool:
        """Take a chunk from the server; True tells it to stop."""
        self.arrivals.put((time.perf_counter(), chunk))
        return self.cancelled.is_set()

    def cancel(self) -> None:
        """End the stream now, even when the server hasn't begun with it."""
        self.cancelled.set()
        self.arrivals.put(None)

    def read(self) -> Iterator[tuple[float, Chunk]]:
        """Chunks as they arrive, until the end or the cancellation."""
        while (item := self.arrivals.get()) is not None and not self.cancelled.is_set():
            if isinstance(item, Exception):
                raise item
            yield item


@dataclass
class Draft:
    """An answer as far as it has come."""

    prompt_tokens: int
    text: str = ""
    finish_reason: FinishReason = FinishReason.CANCELLED
    cached_tokens: int = 0
    completion_tokens: int = 0
    first_token_at: float | None = None
    last_token_at: float = 0.0

    def take(self, arrived: float, chunk: Chunk) -> str:
        """Note what a chunk tells and return the text that it adds."""
        if error := chunk.get("error"):
            raise _engine_error(error)
        timings = chunk.get("timings", {})
        self.cached_tokens = timings.get("cache_n", self.cached_tokens)
        self.completion_tokens = timings.get("predicted_n", self.completion_tokens)
        added = ""
        for choice in chunk.get("choices", ()):
            added += choice["delta"].get("content") or ""
            if reason := choice.get("finish_reason"):
                self.finish_reason = FinishReason.LENGTH if reason == "length" else FinishReason.STOP
        if added:
            self.text += added
            self.first_token_at = self.first_token_at or arrived
            self.last_token_at = arrived
        return added

    def complete(self, call: Call) -> Completion:
        """The figures of the whole answer."""
        now = time.perf_counter()
        decoding = self.last_token_at - self.first_token_at if self.first_token_at else 0.0
        return Completion(
            text=self.text,
            finish_reason=FinishReason.CANCELLED if call.cancelled.is_set() else self.finish_reason,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=self.completion_tokens,
            seconds=now - call.started,
            first_token_seconds=(self.first_token_at or now) - call.started,
            tokens_per_second=(self.completion_tokens - 1) / decoding if decoding > 0 else 0.0,
        )


def _engine_error(error: dict[str, Any]) -> EngineError:
    """What the server complained of."""
    return EngineError(f"The engine failed to answer: {error.get('message', 'no reason given')}. Try again.")
