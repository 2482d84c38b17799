"""The charts of runs as tables: a row for every dot, step and value and which line it is on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from elara_ui.services.run_views import Dot, RunView

TEAL, ORANGE, VIOLET, BLUE = "#2b9488", "#c2702f", "#8b6bb8", "#4f7fc4"
LETTERS = ("A", "B", "C", "D")
LETTER_COLOURS = dict(zip(LETTERS, (TEAL, ORANGE, VIOLET, BLUE), strict=True))
MIB = 2**20

Value = Callable[[Dot], float | None]


@dataclass(frozen=True)
class Chart:
    """One of a run's charts.

    Args:
        name: chosen by it.
        unit: what stands at its side.
        lines: name of each → its value in a dot.
        colours: of each line.
        rare: whether only some runs have it; it is then offered for those alone.
    """

    name: str
    unit: str
    lines: dict[str, Value]
    colours: dict[str, str]
    rare: bool = False


def _memory(dot: Dot) -> float | None:
    return None if dot.memory_bytes is None else dot.memory_bytes / MIB


LOSS = "Loss of the objective"  # sft: nats per token; those of dpo and kto are of preferences
CHARTS: tuple[Chart, ...] = (
    Chart(
        "Loss",
        LOSS,
        {"training": lambda dot: dot.train_loss, "held-out": lambda dot: dot.eval_loss},
        {"training": TEAL, "held-out": ORANGE},
    ),
    Chart("Learning rate", "Learning rate", {"rate": lambda dot: dot.learning_rate}, {"rate": TEAL}),
    Chart("Gradient norm", "Norm before clipping", {"norm": lambda dot: dot.grad_norm}, {"norm": TEAL}),
    Chart(
        "Speed",
        "Tokens per second",
        {
            "useful": lambda dot: dot.tokens_per_second,
            "with padding": lambda dot: dot.padded_tokens_per_second,
        },
        {"useful": TEAL, "with padding": ORANGE},
    ),
    Chart("Memory", "MiB", {"memory": _memory}, {"memory": TEAL}),
    Chart(
        "Reward margin",
        "Margin in nats",
        {"training": lambda dot: dot.reward_margin, "held-out": lambda dot: dot.eval_reward_margin},
        {"training": TEAL, "held-out": ORANGE},
        rare=True,
    ),
    Chart(
        "Reward accuracy",
        "Share of pairs",
        {"training": lambda dot: dot.reward_accuracy, "held-out": lambda dot: dot.eval_reward_accuracy},
        {"training": TEAL, "held-out": ORANGE},
        rare=True,
    ),
)
CHART_NAMES = tuple(chart.name for chart in CHARTS if not chart.rare)

COMPARED: dict[str, tuple[str, Value]] = {
    "Held-out loss": (LOSS, lambda dot: dot.eval_loss),
    "Training loss": (LOSS, lambda dot: dot.train_loss),
    "Learning rate": ("Learning rate", lambda dot: dot.learning_rate),
    "Gradient norm": ("Norm before clipping", lambda dot: dot.grad_norm),
    "Held-out reward margin": ("Margin in nats", lambda dot: dot.eval_reward_margin),
    "Held-out reward accuracy": ("Share of pairs", lambda dot: dot.eval_reward_accuracy),
}
"""What can be laid over each other: name → unit and value."""
COMPARED_REWARDS = ("Held-out reward margin", "Held-out reward accuracy")  # only some runs have them
COMPARED_NAMES = tuple(name for name in COMPARED if name not in COMPARED_REWARDS)


def name_charts(dots: Sequence[Dot]) -> list[str]:
    """The charts that a run has: those that every run has, and the rare ones of which it has a dot."""
    return [chart.name for chart in CHARTS if not chart.rare or _is_known(chart, dots)]


def _is_known(chart: Chart, dots: Sequence[Dot]) -> bool:
    return any(value(dot) is not None for value in chart.lines.values() for dot in dots)


def tabulate(chart: Chart, dots: Sequence[Dot]) -> pd.DataFrame:
    """A chart's rows."""
    return _table(
        [(dot.step, value(dot), line) for line, value in chart.lines.items() for dot in dots], chart.lines
    )


def name_compared(runs: Sequence[RunView]) -> list[str]:
    """What of these runs can be laid over each other: rewards only where one of them has any."""
    dots = [dot for run in runs for dot in run.points]
    found = [name for name in COMPARED_REWARDS if any(COMPARED[name][1](dot) is not None for dot in dots)]
    return [*COMPARED_NAMES, *found]


def tabulate_compared(name: str, runs: Sequence[RunView]) -> pd.DataFrame:
    """One figure of several runs, a line each, named by letter."""
    _, value = COMPARED[name]
    rows = [
        (dot.step, value(dot), letter)
        for letter, run in zip(LETTERS, runs, strict=False)
        for dot in run.points
    ]
    return _table(rows, LETTERS)


def _table(
    rows: Sequence[tuple[int, float | None, str]], lines: Sequence[str] | dict[str, Value]
) -> pd.DataFrame:
    """Rows with a value. A chart keeps the lines of its first painting: all are in it, even without a dot."""
    known = [row for row in rows if row[1] is not None]
    missing = [line for line in lines if line not in {row[2] for row in known}]
    empty = [(0, float("nan"), line) for line in missing]
    return pd.DataFrame([*known, *empty], columns=["step", "value", "line"])
