"""How a chat feels while a run trains on the same machine, and what the run's thread limit costs and gains.

    python -m benchmarks.chat_during_training --models FOLDER    # holds the embedded model, or receives it
    python -m benchmarks.chat_during_training --json

Questions go through the real llama.cpp engine in this process, one after the other: first with nothing beside
it, then beside a process that trains the embedded model as a worker does (`trainer.fit` at a worker's
priority), on every number of threads asked for. Each line says the median time to the first token and the
median rate of the answer, and how fast the training went meanwhile.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from adapters import catalog, embedded
from adapters.engines.base import Completion, GenerationRequest, Sampling, Turn
from adapters.engines.llamacpp import LlamaCppEngine
from adapters.recipe import Hyperparameters, find_recipe, override
from adapters.training import loading, supervisor, worker
from adapters.training.progress import Silence
from adapters.training.rendering import IGNORED, Encoded
from db.vocabulary import Role

ROOT = Path(__file__).resolve().parent.parent
AUDIENCE = "patient"
ANSWER_TOKENS = 48
ROWS, LENGTH, PROMPT_SHARE = 4, 256, 0.3  # a batch; as in the starter sets
WARM_STEPS = 2


@dataclass(frozen=True)
class Situation:
    """How it went in one situation.

    Args:
        training_threads: of the training process; 0 when there was none.
        first_token_seconds: median from the question to the first token, s.
        tokens_per_second: median rate of an answer, 1/s.
        training_tokens_per_second: meanwhile, 1/s; 0 when there was none.
    """

    training_threads: int
    first_token_seconds: float
    tokens_per_second: float
    training_tokens_per_second: float


def main() -> None:
    """Measure every situation and print the figures."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the training process would go on alone
    parser = argparse.ArgumentParser(description="Measure chat beside training.")
    parser.add_argument("--models", type=Path, default=ROOT / ".elara" / "models", help="base models")
    parser.add_argument("--questions", type=int, default=8, help="asked in each situation")
    parser.add_argument("--threads", type=int, nargs="+", help="of training; default 1, half and all cores")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part is not None:
        train(options.models, options.part)
        return
    options.models.mkdir(parents=True, exist_ok=True)
    cores = os.cpu_count() or 1
    numbers = options.threads or sorted({1, max(1, cores // 2), cores})
    engine = LlamaCppEngine(catalog.EMBEDDED, embedded.fetch(options.models), context_tokens=1024)
    engine.load()
    try:
        ask(engine, "Are you there?")
        situations = [measure(engine, options.questions)]
        for number in numbers:
            print(f"training on {number} threads …", file=sys.stderr, flush=True)
            situations.append(measure_beside(engine, options.questions, options.models, number))
    finally:
        engine.close()
    if options.json:
        print(json.dumps([asdict(one) for one in situations], indent=2))
    else:
        print(format_table(situations))


def ask(engine: LlamaCppEngine, question: str) -> Completion:
    """One answer of fixed length at most, the same whenever it is asked for."""
    turns = (Turn(Role.SYSTEM, find_recipe(AUDIENCE).system_prompt), Turn(Role.USER, question))
    sampling = Sampling(temperature=0, repetition_penalty=1, max_new_tokens=ANSWER_TOKENS)
    *_, last = engine.stream(GenerationRequest(turns, None, sampling))
    assert isinstance(last, Completion)
    return last


def measure(engine: LlamaCppEngine, questions: int) -> Situation:
    """Ask with nothing beside it."""
    answers = [ask(engine, f"What should I know about asthma, part {n}?") for n in range(questions)]
    return Situation(
        training_threads=0,
        first_token_seconds=statistics.median(answer.first_token_seconds for answer in answers),
        tokens_per_second=statistics.median(answer.tokens_per_second for answer in answers),
        training_tokens_per_second=0,
    )


def measure_beside(engine: LlamaCppEngine, questions: int, models: Path, threads: int) -> Situation:
    """Ask while a process trains."""
    with training(models, threads) as moments:
        began = time.time()
        found = measure(engine, questions)
        while not (steps := [moment for moment in moments if moment > began])[1:]:
            time.sleep(0.1)  # two ends of steps at least give a rate
    rate = ROWS * LENGTH * (len(steps) - 1) / (steps[-1] - steps[0])
    return Situation(threads, found.first_token_seconds, found.tokens_per_second, rate)


@contextmanager
def training(models: Path, threads: int) -> Iterator[list[float]]:
    """A process that trains, warmed up; yields the growing list of the ends of its steps, Unix time."""
    command = [sys.executable, __file__, "--models", str(models), "--part", str(threads)]
    moments: list[float] = []
    with tempfile.TemporaryDirectory() as folder:  # the process is killed and can't tidy up
        environment = os.environ | supervisor.QUIET | {"PYTHONPATH": str(ROOT), "TMPDIR": folder}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        reader = threading.Thread(target=collect, args=(process, moments), daemon=True)
        reader.start()
        try:
            while len(moments) < WARM_STEPS:
                if process.poll() is not None:
                    raise RuntimeError(f"The training ended with status {process.returncode}.")
                time.sleep(0.1)
            yield moments
        finally:
            process.kill()
            process.wait()
            reader.join()


def collect(process: "subprocess.Popen[str]", moments: list[float]) -> None:
    """Take in what the process prints, until it ends."""
    assert process.stdout is not None
    for line in process.stdout:
        moments.append(float(line))  # noqa: PERF401  # another thread reads it meanwhile


class _Clock(Silence):
    """Prints when each step ends."""

    def beat(
        self, step: int | None = None, epoch: float | None = None, tokens_per_second: float | None = None
    ) -> None:
        """Called several times a step; only its end has a number."""
        if step is not None:
            print(time.time(), flush=True)


def train(models: Path, threads: int) -> None:
    """Train until killed, as a worker does."""
    import torch

    from adapters.training import trainer

    worker._give_way()
    torch.set_num_threads(threads)
    values = {"num_epochs": 100, "max_steps": 100_000, "batch_size": ROWS, "max_length": LENGTH}
    settings = override(Hyperparameters(), values | {"save_steps": 100_000})
    base = loading.load(loading.locate(models, catalog.EMBEDDED, Silence()), settings)
    prompt = int(PROMPT_SHARE * LENGTH)
    tokens = list(range(1000, 1000 + LENGTH))
    row = Encoded(tokens, [IGNORED] * prompt + tokens[prompt:])
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(base, [row] * 1000 * ROWS, [], settings, folder=Path(folder), progress=_Clock())


def format_table(situations: Sequence[Situation]) -> str:
    """The figures as a small table."""
    lines = [f"{'training threads':>16}{'first token s':>15}{'answer tokens/s':>17}{'training tokens/s':>19}"]
    lines += [
        f"{one.training_threads or 'none':>16}{one.first_token_seconds:>15.2f}"
        f"{one.tokens_per_second:>17.1f}{one.training_tokens_per_second:>19.1f}"
        for one in situations
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
