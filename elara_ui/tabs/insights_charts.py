"""The charts of insights as tables: a row for every bar or dot, and the colours of what is told apart."""

import json
from collections.abc import Sequence

import pandas as pd

from db.pair_figures import Sides
from db.vocabulary import PairChoice
from elara_ui.services.insight_figures import OriginFigures, PairFigures, Scale, WeekShare
from elara_ui.tabs.run_charts import BLUE, ORANGE, TEAL, VIOLET

RED, YELLOW, GREY = "#b4483f", "#c9a227", "#8a94a0"

_HARMLESS = (TEAL, YELLOW, ORANGE, RED)
_SHADES: dict[str, tuple[str, ...]] = {
    "accuracy": (RED, YELLOW, TEAL),
    "wrong_content": (TEAL, YELLOW, RED),
    "omission": (TEAL, YELLOW, RED),
    "harm": _HARMLESS,
    "urgency": (RED, TEAL, YELLOW),
    "readability": (ORANGE, YELLOW, TEAL, BLUE),
    "relevance": (RED, YELLOW, TEAL),
    "disposition": (TEAL, BLUE, RED),
}
"""Of each scale's values, in order: good ones teal, grave ones red."""

LINES = (TEAL, ORANGE, VIOLET, BLUE, YELLOW, RED)
"""Of the makers in a chart of weeks; more than these aren't told apart."""

OUTCOMES = {"first better": TEAL, "tie": GREY, "second better": ORANGE, "both unsafe": RED}

OUTCOME_CHOICES = dict(
    zip(OUTCOMES, (PairChoice.FIRST, PairChoice.TIE, PairChoice.SECOND, PairChoice.BOTH_UNSAFE), strict=True)
)

PERCENT = 100

# gradio's charts tell Python of a selected range and of no bar. They are drawn by Vega as SVG, where each bar
# carries the row it stands for: a pressed bar presses the figure in the table that stands for the same.
BAR_SCRIPT = """
document.addEventListener('click', (event) => {
  if (!element.isConnected) return;
  const datum = event.target.closest?.('#shares-chart path, #pairs-chart path')?.__data__?.datum;
  if (!datum) return;
  const key = JSON.stringify([datum.maker ?? datum.pair, datum.value ?? datum.outcome]);
  [...element.querySelectorAll('[data-bar]')].find((share) => share.dataset.bar === key)?.click();
});
"""


def colours_of(scale: Scale) -> dict[str, str]:
    """Label → colour."""
    return dict(zip(scale.labels, _SHADES[scale.column], strict=True))


def name_origin(audience: str, made_by: str) -> str:
    """A maker as charts name it: an adapter's name tells its audience, a base model answers for all."""
    return made_by if made_by.startswith(f"{audience}@") else f"{made_by} for {audience}"


def bar_key(name: str, part: str) -> str:
    """Names a bar, as `BAR_SCRIPT` does."""
    return json.dumps([name, part], separators=(",", ":"), ensure_ascii=False)


def tabulate_origins(rows: Sequence[OriginFigures], scale: Scale) -> pd.DataFrame:
    """A bar for each maker, parted by value."""
    parts = [
        (name_origin(row.audience, row.made_by), round(PERCENT * share.value, 1), label)
        for row in rows
        for label, share in zip(scale.labels, row.shares[scale.column], strict=False)
    ]
    return pd.DataFrame(parts, columns=["maker", "share", "value"])


def tabulate_weeks(weeks: Sequence[WeekShare], makers: Sequence[str]) -> pd.DataFrame:
    """A line for each of these makers."""
    dots = [
        (pd.Timestamp(week.week), round(PERCENT * week.share.value, 1), name)
        for week in weeks
        if (name := name_origin(week.audience, week.made_by)) in makers
    ]
    return pd.DataFrame(dots, columns=["week", "share", "maker"])


def choose_makers(weeks: Sequence[WeekShare]) -> list[str]:
    """The makers with the most judged answers, as many as can be told apart, by name."""
    answers: dict[str, int] = {}
    for week in weeks:
        name = name_origin(week.audience, week.made_by)
        answers[name] = answers.get(name, 0) + week.share.units
    return sorted(sorted(answers, key=lambda name: (-answers[name], name))[: len(LINES)])


def tabulate_pairs(rows: Sequence[PairFigures]) -> pd.DataFrame:
    """A bar for each pair of makers, parted by outcome."""
    parts = [
        (name_pair(row), round(PERCENT * share, 1), outcome)
        for row in rows
        for outcome, share in zip(OUTCOMES, (row.wins, row.ties, row.losses, row.unsafe), strict=True)
    ]
    return pd.DataFrame(parts, columns=["pair", "share", "outcome"])


def name_pair(row: PairFigures | Sides) -> str:
    """Two makers, the first named first."""
    return f"{name_origin(row.audience, row.first)} against {name_origin(row.audience, row.second)}"
