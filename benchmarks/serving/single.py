"""(a) One person: tokens a second and the wait for the first, each way in turn."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.serving.ground import Ground, make_request
from benchmarks.serving.report import Report, median
from benchmarks.serving.ways import Bare, ByEngine, Timed, Tutorial, Way

OF_BARE = 0.95
OF_TUTORIAL = 5.0
FIRST_TOKEN_MS = 300.0
PATIENCE = 3
"""Times as many rounds as elsewhere: of an answer of half a second a shared machine tells little."""
ELARA, BARE, BARE_ITSELF = "Elara, llama.cpp", "xllamacpp, as many threads", "xllamacpp, its own threads"
TORCH, TUTORIAL = "Elara, transformers", "generate with PEFT"


def measure(ground: Ground) -> Report:
    """Every way, round by round."""
    report = Report()
    report.note("llama.cpp: threads that write", ground.llama_threads.writing, "")
    order = random.Random(1)
    with _ways(ground) as ways:
        for way in ways.values():
            way.answer(make_request(0, "patient@1", 4))
        answers: dict[str, list[Timed]] = {name: [] for name in ways}
        for number in range(1, PATIENCE * ground.rounds + 1):
            for name in order.sample(list(ways), len(ways)):  # whoever follows torch finds the caches cold
                answers[name].append(ways[name].answer(make_request(number, "patient@1", ground.tokens)))
        remembered = [
            ways[ELARA].answer(make_request(100 + number, "patient@1", 2, temperature=0.15)).first
            for number in range(ground.rounds + 1)
        ][1:]  # the first of them reads what the others find remembered
    for name, given in answers.items():
        report.note(f"{name}: writing", median(each.rate for each in given), "tokens/s")
        report.note(f"{name}: first token, new prompt", 1000 * median(each.first for each in given), "ms")
    report.note(f"{ELARA}: first token, known prompt, new question", 1000 * median(remembered), "ms")
    for other, aim in ((BARE, OF_BARE), (TUTORIAL, OF_TUTORIAL)):
        times = median(
            ours.rate / theirs.rate for ours, theirs in zip(answers[ELARA], answers[other], strict=True)
        )
        report.hold(f"{ELARA}: writing, times {other}", times, "≥", aim)
    new = 1000 * min(each.first for each in answers[ELARA])
    report.hold("first token, new prompt of 100 tokens", new, "≤", FIRST_TOKEN_MS, "ms")
    report.hold("first token, known prompt", 1000 * median(remembered), "≤", FIRST_TOKEN_MS, "ms")
    return report


@contextmanager
def _ways(ground: Ground) -> Iterator[dict[str, Way]]:
    """All of them, loaded."""
    folders = ground.folders(5)
    files = {name: folder / "adapter.gguf" for name, folder in folders.items()}
    llama, torch = ground.llamacpp(5), ground.transformers(5)
    try:
        yield {
            ELARA: ByEngine(llama),
            BARE: Bare(ground.gguf, files, ground.llama_threads),
            BARE_ITSELF: Bare(ground.gguf, files, None),
            TORCH: ByEngine(torch),
            TUTORIAL: Tutorial(ground.weights, folders),
        }
    finally:
        llama.close()
        torch.close()
