"""Giving memory back to the system that the C heap keeps for later."""

import ctypes
import time
from collections.abc import Callable
from threading import Lock

PAUSE_SECONDS = 2.0
"""Between two trims while answers come and go; each takes some milliseconds."""


class Heap:
    """The C heap of this process, trimmed now and then.

    glibc keeps what was freed, in as many arenas as threads came along: reading 20 adapters and writing an
    answer with each left 60 MB that nobody used. Where the C library can't trim, nothing happens.

    Args:
        pause: between two trims that nobody waits for, s.
    """

    def __init__(self, pause: float = PAUSE_SECONDS) -> None:
        self._pause = pause
        self._trimmed_at = float("-inf")
        self._lock = Lock()
        self._trim = _find_trim()

    def trim(self) -> None:
        """Give back now; takes some milliseconds."""
        with self._lock:
            self._trimmed_at = time.monotonic()
        if self._trim is not None:
            self._trim(0)

    def trim_seldom(self) -> None:
        """Give back, unless that was done a moment ago."""
        if time.monotonic() - self._trimmed_at >= self._pause:
            self.trim()


def _find_trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc; Windows takes no None
        return None
