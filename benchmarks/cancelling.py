"""How long after Stop an answer ends, and the next of the same voice begins, on the embedded model.

    python -m benchmarks.cancelling [ROUNDS]

Prints for each engine the median and the worst of: Stop → end of the stream (aim: within 100 ms), and Stop →
first token of the next request to the same voice, beside that request's time on an idle engine. The other
server is llama.cpp's own, on this machine, so the figures for `remote` hold no network.
"""

import os
import statistics
import sys
import time
from pathlib import Path

from adapters import embedded
from adapters.engines.base import Completion, Engine, GenerationRequest, Sampling, Turn
from db.vocabulary import Role

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from engine_kinds import KINDS, Ground

STORY = Turn(Role.USER, "Tell a very long story.")
NEXT = Turn(Role.USER, "What is asthma?")
AIM_MS = 100.0


def main(rounds: int) -> None:
    """Measure every engine."""
    models = Path(os.environ.get("ELARA_TEST_MODELS", "~/.cache/elara-test-models")).expanduser()
    ground = Ground(embedded.fetch(models), models, {})
    for name, kind in KINDS.items():
        with kind(ground) as make:
            engine = make()
            engine.load()
            try:
                report(name, engine, rounds)
            finally:
                engine.close()


def report(name: str, engine: Engine, rounds: int) -> None:
    """Print one engine's figures."""
    idle = [ask_next(engine) for _ in range(rounds)]
    ends, begins = zip(*(stop_and_go_on(engine) for _ in range(rounds)), strict=True)
    within = sum(each < AIM_MS for each in ends)
    print(
        f"{name}: Stop → end {describe(ends)}, {within} of {rounds} within {AIM_MS:g} ms; "
        f"Stop → next first token {describe(begins)}, idle {describe(idle)}"
    )


def stop_and_go_on(engine: Engine) -> tuple[float, float]:
    """Stop a story at its fifth piece: ms until its stream ended, and until the next answer began."""
    request = GenerationRequest((STORY,), None, Sampling(max_new_tokens=800))
    stream = iter(engine.stream(request))
    for _ in range(5):
        next(stream)
    pressed = time.perf_counter()
    engine.cancel(request.request_id)
    for _ in stream:
        pass
    ended = time.perf_counter()
    return 1000 * (ended - pressed), 1000 * (ended - pressed) + ask_next(engine)


def ask_next(engine: Engine) -> float:
    """Time to the first token of a short answer, ms."""
    *_, last = engine.stream(GenerationRequest((NEXT,), None, Sampling(max_new_tokens=2)))
    assert isinstance(last, Completion)
    return 1000 * last.first_token_seconds


def describe(values: "list[float] | tuple[float, ...]") -> str:
    """Median and worst, ms."""
    return f"{statistics.median(values):.1f} ms (worst {max(values):.1f})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
