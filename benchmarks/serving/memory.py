"""(d) Memory of an engine as it is deployed, after each voice has answered; a process for every number."""

import time
from pathlib import Path

import psutil

from adapters.engines.heap import PAUSE_SECONDS
from benchmarks.serving.ground import Ground, make_request
from benchmarks.serving.report import Report
from benchmarks.serving.ways import ByEngine
from elara_ui.settings import Settings

COUNTS = (0, 1, 5, 20)
MOST = 1.15
ENGINES = ("llama.cpp", "transformers")
ANSWERS = COUNTS[-1] + 1


def measure(ground: Ground, engine_name: str, count: int) -> Report:
    """One engine with so many adapters, in this process.

    However many adapters, as many answers are written, so that what an answer leaves behind counts alike.
    """
    make = ground.llamacpp if engine_name == ENGINES[0] else ground.transformers
    engine = make(count, window=int(Settings.model_fields["context_tokens"].default))
    way = ByEngine(engine)
    voices = [None, *ground.folders(count)]
    try:
        for number in range(ANSWERS):
            way.answer(make_request(number, voices[number % len(voices)], 4))
        # At rest: what was freed goes back with the next answer, not while many come.
        time.sleep(PAUSE_SECONDS)
        way.answer(make_request(ANSWERS, None, 4))
        time.sleep(0.5)
        report = Report()
        resident = psutil.Process().memory_info().rss
        report.note(f"{engine_name}, {count} adapters: resident", resident / 1e6, "MB")
        return report
    finally:
        engine.close()


def combine(parts: dict[tuple[str, int], Report], adapters: Path) -> Report:
    """The processes' figures as one, with what they are held to."""
    report = Report()
    size = (adapters / "0" / "adapter.gguf").stat().st_size / 1e6
    report.note("one adapter's GGUF", size, "MB")
    for engine in ENGINES:
        resident = {count: parts[engine, count].figures[0].value for count in COUNTS}
        for count in COUNTS:
            report.note(f"{engine}, {count} adapters: resident", resident[count], "MB")
        report.hold(f"{engine}: 20 adapters, of none", resident[20] / resident[0], "≤", MOST)
    return report
