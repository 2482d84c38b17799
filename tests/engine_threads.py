"""Threads of engines in tests, where several programs compute at once on two cores."""

from adapters.processors import Threads

BESIDE_OTHERS = Threads(reading=2, writing=1)
