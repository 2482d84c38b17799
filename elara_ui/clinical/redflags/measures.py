"""Figures in a message: ages, temperatures, oxygen, glucose, ketones, blood pressure, durations, amounts.

Each kind has its own words near which, and its own limits within which, a number is taken for it. Units are
made one: °C, %, mmol/l, mmHg, minutes, days of age, weeks of pregnancy.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from elara_ui.clinical.redflags.phrases import Hit
from elara_ui.clinical.redflags.text import Word

MG_DL_PER_MMOL = 18.0
DAYS = {"day": 1.0, "week": 7.0, "month": 30.4, "year": 365.25}
MINUTES = {"second": 1 / 60, "minute": 1.0, "hour": 60.0, "day": 1440.0, "week": 10080.0}
KINDS = frozenset(
    {
        "temp",
        "sats",
        "glucose",
        "ketones",
        "systolic",
        "pulse",
        "minutes",
        "age",
        "gestation",
        "pills",
        "times",
    }
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure found.

    Args:
        kind: one of KINDS.
        value: in the kind's unit.
        start: its first word, counted from 0.
        end: the word after its last.
    """

    kind: str
    value: float
    start: int
    end: int


def find_measures(words: Sequence[Word], hits: Sequence[Hit]) -> list[Measure]:
    """Every figure in the words. `hits` say where the words for units and kinds stand (``unit_temp`` …)."""
    places: dict[str, list[Hit]] = {}
    for hit in hits:
        if hit.concept.startswith("unit_"):
            places.setdefault(hit.concept.removeprefix("unit_"), []).append(hit)
    found: list[Measure] = []
    for at, word in enumerate(words):
        if "/" in word.raw and word.raw[0].isdigit():
            found.extend(_blood_pressure(at, word))
        elif word.number is not None:
            for read in _READERS:
                found.extend(read(at, words, places))
    return found


Places = dict[str, list[Hit]]


def _near(at: int, words: Sequence[Word], places: Places, kind: str, before: int, after: int) -> bool:
    """Whether the word for a kind stands at most so many words before or after a number."""
    return any(
        words[hit.start].sentence == words[at].sentence and -before <= hit.start - at <= after
        for hit in places.get(kind, ())
    )


def _value(word: Word) -> float:
    return word.number if word.number is not None else 0.0


def _temperature(at: int, words: Sequence[Word], places: Places) -> Iterator[Measure]:
    value = _value(words[at])
    if _unit(at, words) in MINUTES.keys() | DAYS.keys():
        return
    decimal = not value.is_integer() and not words[at].raw.isalpha()
    reach = 12 if decimal else 5
    if not (_near(at, words, places, "temp", reach, 3) or (decimal and words[at].number is not None)):
        return
    if 33 <= value < 43 and not (decimal and _near(at, words, places, "not_temp", 4, 2)):
        yield Measure("temp", value, at, at + 1)
    elif 93 <= value <= 108 and not _near(at, words, places, "not_temp", 4, 2):
        yield Measure("temp", (value - 32) / 1.8, at, at + 1)


def _oxygen(at: int, words: Sequence[Word], places: Places) -> Iterator[Measure]:
    if 40 <= _value(words[at]) <= 100 and _near(at, words, places, "sats", 6, 3):
        yield Measure("sats", _value(words[at]), at, at + 1)


def _ketones(at: int, words: Sequence[Word], places: Places) -> Iterator[Measure]:
    if 0 <= _value(words[at]) <= 15 and _near(at, words, places, "ketones", 4, 1):
        yield Measure("ketones", _value(words[at]), at, at + 1)


def _glucose(at: int, words: Sequence[Word], places: Places) -> Iterator[Measure]:
    value = _value(words[at])
    if not _near(at, words, places, "glucose", 6, 3) or _near(at, words, places, "not_glucose", 2, 1):
        return
    if _near(at, words, places, "ketones", 2, 0):
        return
    if 0.5 <= value <= 35:
        yield Measure("glucose", value, at, at + 1)
    elif 35 < value <= 1000:
        yield Measure("glucose", value / MG_DL_PER_MMOL, at, at + 1)


def _pulse(at: int, words: Sequence[Word], places: Places) -> Iterator[Measure]:
    if 20 <= _value(words[at]) <= 260 and _near(at, words, places, "pulse", 4, 2):
        yield Measure("pulse", _value(words[at]), at, at + 1)


def _duration(at: int, words: Sequence[Word], places: Places) -> Iterator[Measure]:
    unit = _unit(at, words)
    if unit in MINUTES:
        yield Measure("minutes", _value(words[at]) * MINUTES[unit], at, at + 2)


def _age(at: int, words: Sequence[Word], places: Places) -> Iterator[Measure]:
    """As in "3 week old", "2yo", "10 weeks old", "aged 3", "my son is 20 days", "child 5 years"."""
    value, unit = _value(words[at]), _unit(at, words)
    following = [word.raw for word in words[at + 1 : at + 4]]
    if following and following[0] in _SHORT_AGES:
        yield Measure("age", value * DAYS[_SHORT_AGES[following[0]]], at, at + 2)
    elif unit in DAYS:
        after = following[1] if len(following) > 1 else ""
        named = after in {"old", "olds"} or (after in {"baby", "infant", "newborn", "boy", "girl"})
        said = _near(at, words, places, "child", 3, 0) and after not in _NOT_AGES and not named
        if named or (said and words[at - 1].raw not in _NOT_BEFORE_AGE and unit != "hour"):
            yield Measure("age", value * DAYS[unit], at, at + 3)
    elif (at and words[at - 1].raw in {"aged", "age"} and value < 120) or (
        18 <= value < 105 and _near(at, words, places, "adult", 2, 0) and not unit
    ):
        yield Measure("age", value * DAYS["year"], at, at + 1)


def _gestation(at: int, words: Sequence[Word], places: Places) -> Iterator[Measure]:
    value, unit = _value(words[at]), _unit(at, words)
    after = words[at + 2].raw if at + 2 < len(words) else ""
    if after in _NOT_AGES - {"pregnant"} or after == "old":
        return
    if unit == "week" and 3 <= value <= 43:
        yield Measure("gestation", value, at, at + 2)
    elif unit == "month" and 1 <= value <= 9.5 and _near(at, words, places, "pregnant", 3, 3):
        yield Measure("gestation", value * 4.35, at, at + 2)


def _pills(at: int, words: Sequence[Word], places: Places) -> Iterator[Measure]:
    if _value(words[at]) < 1000 and _near(at, words, places, "pills", 0, 3):
        yield Measure("pills", _value(words[at]), at, at + 1)


def _times(at: int, words: Sequence[Word], places: Places) -> Iterator[Measure]:
    if _near(at, words, places, "times", 0, 1) and _value(words[at]) < 100:
        yield Measure("times", _value(words[at]), at, at + 2)


def _blood_pressure(at: int, word: Word) -> Iterator[Measure]:
    upper, lower = (int(part) for part in word.raw.split("/"))
    if 40 <= upper <= 260 and 20 <= lower <= 150 and upper > lower:
        yield Measure("systolic", float(upper), at, at + 1)


def _unit(at: int, words: Sequence[Word]) -> str:
    """The unit of time behind a number, in its base form; none if there is none."""
    if at + 1 >= len(words) or words[at + 1].sentence != words[at].sentence:
        return ""
    return words[at + 1].base


_SHORT_AGES = {"yo": "year", "wo": "week", "mo": "month", "yrold": "year", "wkold": "week", "m/o": "month"}
_NOT_AGES = frozenset(
    {"ago", "pregnant", "postpartum", "gone", "gestation", "later", "after", "since", "now", "along", "preg"}
)
_NOT_BEFORE_AGE = frozenset({"for", "last", "past", "after", "over", "about", "every", "since", "in"})
_READERS: tuple[Callable[[int, Sequence[Word], Places], Iterator[Measure]], ...] = (
    _temperature,
    _oxygen,
    _ketones,
    _glucose,
    _pulse,
    _duration,
    _age,
    _gestation,
    _pills,
    _times,
)
