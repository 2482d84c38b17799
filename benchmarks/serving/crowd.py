"""(b) Several people over five audiences at once, against one after the other with `set_adapter`."""

import time
from dataclasses import dataclass

from adapters import catalog
from adapters.engines.base import Engine, GenerationRequest
from benchmarks.serving.ground import AUDIENCES, Ground, at_once, make_request
from benchmarks.serving.report import Report, fairness, percentile
from benchmarks.serving.ways import ByEngine, Timed, Tutorial, Way

USERS = (1, 4, 16)
OF_SEQUENTIAL = 3.0
LLAMA, TORCH, SEQUENTIAL = "llama.cpp", "transformers", "set_adapter, one by one"


@dataclass(frozen=True)
class _Crowd:
    """How a crowd was answered.

    Args:
        answers: one a person.
        seconds: until the last was done, s.
    """

    answers: list[Timed]
    seconds: float

    @property
    def rate(self) -> float:
        """Tokens a second in all, prompts included."""
        return sum(each.tokens for each in self.answers) / self.seconds


def measure(ground: Ground) -> Report:
    """Every number of people, every way, round by round; the best round of each counts."""
    report = Report()
    folders = ground.folders(len(AUDIENCES))
    engines: dict[str, Engine] = {
        LLAMA: ground.llamacpp(len(folders)),
        TORCH: ground.transformers(len(folders)),
    }
    tutorial = Tutorial(ground.weights, folders, _same_type(ground))
    try:
        for users in USERS:
            rounds: dict[str, list[_Crowd]] = {LLAMA: [], TORCH: [], SEQUENTIAL: []}
            for number in range(ground.rounds - 1):
                for name, engine in engines.items():
                    rounds[name].append(_together(ByEngine(engine), ground, users, number))
                rounds[SEQUENTIAL].append(_one_by_one(tutorial, ground, users, number))
            best = {name: max(crowds, key=lambda crowd: crowd.rate) for name, crowds in rounds.items()}
            for name, crowd in best.items():
                _note(report, f"{users:>2} people, {name}", crowd)
    finally:
        for engine in engines.values():
            engine.close()
    report.hold(
        f"transformers engine, {USERS[-1]} people, of {SEQUENTIAL}",
        best[TORCH].rate / best[SEQUENTIAL].rate,
        "≥",
        OF_SEQUENTIAL,
    )
    return report


def _same_type(ground: Ground) -> object:
    """The base model in the type that the engine computes in, so that only the way differs."""
    from adapters.engines.transformers import loading

    return loading.load(ground.models, catalog.EMBEDDED, ground.dtype, 1024).model


def _together(way: Way, ground: Ground, users: int, number: int) -> _Crowd:
    began = time.perf_counter()
    answers = at_once(way.answer, [_ask(ground, user, number) for user in range(users)])
    return _Crowd(answers, time.perf_counter() - began)


def _one_by_one(way: Way, ground: Ground, users: int, number: int) -> _Crowd:
    """Whoever comes later also waits for those before."""
    began, answers = time.perf_counter(), []
    for user in range(users):
        waited = time.perf_counter() - began
        one = way.answer(_ask(ground, user, number))
        answers.append(Timed(one.text, one.tokens, waited + one.first, waited + one.seconds))
    return _Crowd(answers, time.perf_counter() - began)


def _ask(ground: Ground, user: int, number: int) -> GenerationRequest:
    """A person's question: its audience in turn, another one each round."""
    adapter = f"{AUDIENCES[user % len(AUDIENCES)]}@1"
    return make_request(16 * number + user, adapter, ground.tokens)


def _note(report: Report, name: str, crowd: _Crowd) -> None:
    firsts = [each.first for each in crowd.answers]
    report.note(f"{name}: in all", crowd.rate, "tokens/s")
    report.note(f"{name}: first token, half within", percentile(firsts, 0.5), "s")
    report.note(f"{name}: first token, 95% within", percentile(firsts, 0.95), "s")
    report.note(f"{name}: fairness", fairness([each.tokens / each.seconds for each in crowd.answers]))
