"""Memory that was freed goes back to the system."""

import sys

import psutil
import pytest

from adapters.engines.heap import Heap


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc can trim its heap")
def test_what_was_freed_goes_back_to_the_system() -> None:
    process, heap = psutil.Process(), Heap()
    held = [bytes(100_000) for _ in range(600)]  # below the size from which each block has pages of its own
    last = bytes(100_000)  # stands behind them, so that the heap can't shrink from its end
    full = process.memory_info().rss
    del held
    heap.trim()
    assert process.memory_info().rss < full - 40_000_000
    assert len(last) == 100_000


def test_between_two_trims_some_time_passes() -> None:
    calls: list[int] = []
    heap = Heap(pause=60)
    heap._trim = lambda keep: calls.append(keep) or 0
    for _ in range(3):
        heap.trim_seldom()
    assert calls == [0]
    heap.trim()
    assert calls == [0, 0]
