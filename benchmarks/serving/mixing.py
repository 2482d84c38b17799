"""(f) Many requests of all voices at once: each answer must be the one that its voice gives alone."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from adapters.engines.base import Engine, GenerationRequest
from benchmarks.serving.ground import Ground, make_request
from benchmarks.serving.report import Report
from benchmarks.serving.ways import ByEngine

REQUESTS, QUICK_REQUESTS = 2000, 100
QUESTIONS = 8
LEAST_QUESTIONS = 4
"""Those that all voices answer differently; in so few words two may agree, and a mistake wouldn't be seen."""
TOKENS = 8
AT_ONCE = 16
VOICES = 5
"""Adapters; the base model speaks too."""

Asked = tuple[str | None, int]
"""A voice and its question."""


@dataclass
class _Counts:
    """How the answers compare.

    Args:
        wrong: what another voice says alone.
        other: what no voice says alone: two tokens all but equally likely, chosen otherwise.
    """

    wrong: int = 0
    other: int = 0


def measure(ground: Ground) -> Report:
    """Both engines; transformers in fp32, where an answer doesn't depend on who else is answered."""
    report = Report()
    for name in ("llama.cpp", "transformers"):
        alone = _answers_alone(ground, name)
        engine = _make(ground, name, VOICES)
        try:
            number = QUICK_REQUESTS if ground.quick else REQUESTS
            counts = _mix(engine, alone, number)
        finally:
            engine.close()
        report.note(f"{name}: requests mixed", number)
        report.note(f"{name}: answers that no voice gives alone", counts.other)
        report.hold(f"{name}: answers of another voice", counts.wrong, "≤", 0)
    return report


def _make(ground: Ground, name: str, count: int) -> Engine:
    return ground.llamacpp(count) if name == "llama.cpp" else ground.transformers(count, dtype="fp32")


def _answers_alone(ground: Ground, name: str) -> dict[Asked, str]:
    """What each voice says on an engine that has no other adapter, to questions that tell all voices apart.

    Raises:
        RuntimeError: there are too few of these.
    """
    found: dict[Asked, str] = {}
    for voice in (None, *ground.folders(VOICES)):
        engine = _make(ground, name, 0)
        if voice is not None:
            engine.publish({voice: ground.folders(VOICES)[voice]})
        try:
            for question in range(QUESTIONS):
                found[voice, question] = ByEngine(engine).answer(_ask((voice, question))).text
        finally:
            engine.close()
    telling = [question for question in range(QUESTIONS) if _tells_apart(found, question)]
    if len(telling) < LEAST_QUESTIONS:
        raise RuntimeError(
            f"Only {len(telling)} questions tell all voices apart; make the adapters stronger."
        )
    return {asked: text for asked, text in found.items() if asked[1] in telling}


def _tells_apart(found: dict[Asked, str], question: int) -> bool:
    said = [text for (_, asked), text in found.items() if asked == question]
    return len(set(said)) == len(said)


def _mix(engine: Engine, alone: dict[Asked, str], number: int) -> _Counts:
    draw = random.Random(1)
    asked = [draw.choice(list(alone)) for _ in range(number)]
    counts = _Counts()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = pool.map(lambda each: ByEngine(engine).answer(_ask(each)).text, asked)
        for (voice, question), text in zip(asked, said, strict=True):
            if text == alone[voice, question]:
                continue
            if text in [words for (_, other), words in alone.items() if other == question]:
                counts.wrong += 1
            else:
                counts.other += 1
    return counts


def _ask(asked: Asked) -> GenerationRequest:
    """Short, without an audience's prompt: two thousand of them shall not take a night."""
    voice, question = asked
    return make_request(question, voice, TOKENS, system=False)
