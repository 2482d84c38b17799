"""(c) How long it takes to have another adapter speak, and to take a new one in."""

from adapters.engines.base import Engine
from benchmarks.serving.ground import Ground, make_request
from benchmarks.serving.report import Report, median
from benchmarks.serving.ways import ByEngine, Tutorial, Way, timed

PUBLISHED = 5


def measure(ground: Ground) -> Report:
    """Both engines, and `set_adapter`."""
    report = Report()
    for name, engine in (("llama.cpp", ground.llamacpp(PUBLISHED)), ("transformers", ground.transformers(5))):
        try:
            _switch(report, name, ByEngine(engine), ground)
            _publish(report, name, engine, ground)
        finally:
            engine.close()
    folders = ground.folders(PUBLISHED + 1)
    *first, (name, folder) = folders.items()
    tutorial = Tutorial(ground.weights, dict(first))
    _switch(report, "generate with PEFT", tutorial, ground)
    report.note("generate with PEFT: one adapter more", timed(lambda: tutorial.load(name, folder)), "s")
    return report


def _switch(report: Report, name: str, way: Way, ground: Ground) -> None:
    """First token where the same voice spoke before, and where another did.

    The questions are new and the draw is free, as from the page, so that what is remembered may be used.
    """
    same, other = [], []
    voices = list(ground.folders(PUBLISHED))
    for number in range(4 * ground.rounds):
        voice = voices[number // 2 % len(voices)]
        first = way.answer(make_request(number, voice, 2, temperature=0.15)).first
        (same if number % 2 else other).append(1000 * first)
    report.note(f"{name}: first token, same voice before", median(same), "ms")
    report.note(f"{name}: first token, another voice before", median(other), "ms")
    report.note(f"{name}: a switch", median(other) - median(same), "ms")


def _publish(report: Report, name: str, engine: Engine, ground: Ground) -> None:
    """One adapter more, and away again."""
    few, more = ground.folders(PUBLISHED), ground.folders(PUBLISHED + 1)
    came, went = [], []
    for _ in range(ground.rounds):
        came.append(timed(lambda: engine.publish(more)))
        went.append(timed(lambda: engine.publish(few)))
    report.note(f"{name}: one adapter more", median(came), "s")
    report.note(f"{name}: one adapter less", median(went), "s")
