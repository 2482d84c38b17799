"""Counting what becomes of an engine's requests, the same way in every engine."""

import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing

from adapters.engines.base import Completion, EngineStats, Token
from adapters.errors import AdapterError, ContextOverflow, EngineBusy
from db.vocabulary import FinishReason


class Tally:
    """Counts the ends of streams. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._loaded_at: float | None = None

    def start(self) -> None:
        """The base model is loaded; harmless when that was known."""
        self._loaded_at = self._loaded_at or time.monotonic()

    def stop(self) -> None:
        """The base model is freed. The counts stay."""
        self._loaded_at = None

    def follow(self, stream: Generator[Token | Completion, None, None]) -> Iterator[Token | Completion]:
        """The same stream, its end counted: whole, cancelled, left by its reader, or failed."""
        ended = False
        try:
            with closing(stream):
                for item in stream:
                    if isinstance(item, Completion):
                        self._count_completion(item)
                        ended = True
                    yield item
        except GeneratorExit:
            if not ended:
                self._count(cancelled=1)
            raise
        except (AdapterError, ContextOverflow, EngineBusy):
            raise  # refused, with nothing wrong in the engine
        except Exception:
            self._count(failed=1)
            raise

    def read(self, running: int, waiting: int | None, adapters: int, trouble: str = "") -> EngineStats:
        """The counts so far, with what only the engine knows."""
        with self._lock:
            counts = Counter(self._counts)
        return EngineStats(
            running=running,
            waiting=waiting,
            answered=counts["answered"],
            cancelled=counts["cancelled"],
            failed=counts["failed"],
            prompt_tokens=counts["prompt_tokens"],
            cached_tokens=counts["cached_tokens"],
            generated_tokens=counts["generated_tokens"],
            adapters=adapters,
            seconds=time.monotonic() - self._loaded_at if self._loaded_at is not None else 0.0,
            trouble=trouble,
        )

    def _count_completion(self, completion: Completion) -> None:
        cancelled = completion.finish_reason is FinishReason.CANCELLED
        self._count(
            answered=int(not cancelled),
            cancelled=int(cancelled),
            prompt_tokens=completion.prompt_tokens,
            cached_tokens=completion.cached_tokens,
            generated_tokens=completion.completion_tokens,
        )

    def _count(self, **added: int) -> None:
        with self._lock:
            self._counts.update(added)
