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

GATHERING_SECONDS = 0.025
"""How long chunks are gathered before their reader is woken: waking it for each takes the processor from the
threads that compute the next ones."""

Arrived = tuple[float, Chunk]
"""When a chunk came, and the chunk."""


@dataclass(eq=False)
class Call:
    """One request on its way: what its worker thread hands to whoever reads the stream."""

    request: GenerationRequest
    started: float = field(default_factory=time.perf_counter)
    cancelled: threading.Event = field(default_factory=threading.Event)
    _gathered: list[Arrived] = field(default_factory=list)
    _handed_at: float = 0.0
    _arrivals: "queue.SimpleQueue[list[Arrived] | Exception | None]" = field(
        default_factory=queue.SimpleQueue
    )

    def receive(self, chunk: Chunk) -> bool:
        """Take a chunk from the server; True tells it to stop."""
        now = time.perf_counter()
        self._gathered.append((now, chunk))
        if _has_text(chunk) and now - self._handed_at >= GATHERING_SECONDS:
            self._hand_over(now)
        return self.cancelled.is_set()

    def receive_seldom(self, chunk: Chunk) -> None:
        """Take a chunk that may be the last for long, and hand it over at once."""
        now = time.perf_counter()
        self._gathered.append((now, chunk))
        self._hand_over(now)

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes.

        Args:
            error: for the reader, who gets it after the chunks that came before.
        """
        self._hand_over(time.perf_counter())
        self._arrivals.put(error)

    def cancel(self) -> None:
        """End the stream now, even when the server hasn't begun with it."""
        self.cancelled.set()
        self._arrivals.put(None)

    def read(self) -> Iterator[Arrived]:
        """Chunks as they arrive, until the end or the cancellation."""
        while (item := self._arrivals.get()) is not None:
            if isinstance(item, Exception):
                raise item
            for arrived in item:
                if self.cancelled.is_set():
                    return
                yield arrived

    def _hand_over(self, now: float) -> None:
        gathered, self._gathered, self._handed_at = self._gathered, [], now
        if gathered:
            self._arrivals.put(gathered)


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
        if "prompt_n" in timings:  # those computed now
            self.prompt_tokens = self.cached_tokens + timings["prompt_n"]
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


def _has_text(chunk: Chunk) -> bool:
    """Whether there is something to read; the first ones tell only how far the prompt is."""
    return any(choice["delta"].get("content") for choice in chunk.get("choices", ()))


def _engine_error(error: dict[str, Any]) -> EngineError:
    """What the server complained of."""
    return EngineError(f"The engine failed to answer: {error.get('message', 'no reason given')}. Try again.")
