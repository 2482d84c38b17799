"""An engine without weights: it answers from a script, so that tests of what is above it are fast."""

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from adapters.engines.base import Completion, EngineStats, GenerationRequest, Token, Turn
from adapters.engines.tally import Tally
from adapters.errors import AdapterError
from db.vocabulary import FinishReason


class FakeEngine:
    """Speaks `reply` word by word; counts a token a word.

    Args:
        reply: what to say; ``{adapter}`` in it becomes the adapter's name.
        pause: between two words, s.
    """

    base_model = "smollm2-135m"
    is_remote = False

    def __init__(self, reply: str = "Rest and drink water.", pause: float = 0.0, context_tokens: int = 4096):
        self.reply = reply
        self.pause = pause
        self.context_tokens = context_tokens
        self.adapters: frozenset[str] = frozenset()
        self.requests: list[GenerationRequest] = []
        self.cancelled: set[str] = set()
        self.refuses: set[str] = set()
        """Adapters that can't be loaded, whatever else is published with them."""
        self.publications: list[frozenset[str]] = []
        self.closed = False
        self.trouble = ""
        """What `stats` tells."""
        self._tally = Tally()
        self._lock = threading.Lock()

    def load(self) -> None:
        self._tally.start()

    def publish(self, adapters: dict[str, Path]) -> None:
        self.publications.append(frozenset(adapters))
        if bad := self.refuses & adapters.keys():
            raise AdapterError(f"{min(bad)} can't be loaded on this base model.")
        self.adapters = frozenset(adapters)

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        return sum(len(turn.content.split()) + 4 for turn in turns)

    def stream(self, request: GenerationRequest) -> Iterator[Token | Completion]:
        return self._tally.follow(self._stream(request))

    def stats(self) -> EngineStats:
        return self._tally.read(0, 0, len(self.adapters), self.trouble)

    def _stream(self, request: GenerationRequest) -> Generator[Token | Completion, None, None]:
        if request.adapter is not None and request.adapter not in self.adapters:
            raise AdapterError(f"{request.adapter} is not published.")
        with self._lock:
            self.requests.append(request)
        said: list[str] = []
        for word in self.reply.format(adapter=request.adapter).split(" "):
            if request.request_id in self.cancelled or len(said) >= request.sampling.max_new_tokens:
                break
            piece = word if not said else f" {word}"
            said.append(piece)
            yield Token(piece)
            time.sleep(self.pause)
        cancelled = request.request_id in self.cancelled
        yield Completion(
            text="".join(said),
            finish_reason=FinishReason.CANCELLED if cancelled else FinishReason.STOP,
            prompt_tokens=self.count_tokens(request.turns),
            cached_tokens=0,
            completion_tokens=len(said),
            seconds=0.5,
            first_token_seconds=0.1,
            tokens_per_second=100.0,
        )

    def cancel(self, request_id: str) -> None:
        self.cancelled.add(request_id)

    def close(self) -> None:
        self.closed = True
