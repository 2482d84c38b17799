"""From judgements in columns to figures: shares by origin and week, agreement, reviewers beside each other.

An answer counts once, however many judged it: three reviews of one answer aren't three independent ones. Its
weight is shared out among what its reviewers said.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from db.pair_figures import PairCount
from db.review_figures import COUNTED, VERDICT, Integers, Judgements
from db.vocabulary import BEST, ORDER, RUBRIC, Axis, Disposition
from elara_ui.services.agreement import Agreement, Counts, Floats, measure_agreement
from elara_ui.services.shares import Share, measure_share

EPOCH = date(1970, 1, 1)
EPOCH_WEEKDAY = 3  # a Thursday; Monday is 0


@dataclass(frozen=True)
class Scale:
    """What is told apart in one figure.

    Args:
        column: an `Axis`, or disposition.
        values: in order, what isn't on the scale left out.
        labels: shown for them.
        best: the value a good answer gets.
    """

    column: str
    title: str
    values: tuple[str, ...]
    labels: tuple[str, ...]
    best: str

    @property
    def best_label(self) -> str:
        """The words for the best value."""
        return self.labels[self.values.index(self.best)]


def _scale(axis: Axis) -> Scale:
    shown = next(scale for scale in RUBRIC if scale.axis is axis)
    labels = {choice.value: choice.label for choice in shown.choices}
    return Scale(axis, shown.title, ORDER[axis], tuple(labels[each] for each in ORDER[axis]), BEST[axis])


SCALES: tuple[Scale, ...] = (
    *(_scale(axis) for axis in Axis),
    Scale(
        VERDICT,
        "Verdict",
        COUNTED[VERDICT],
        ("Accept", "Accept with edit", "Reject"),
        Disposition.ACCEPT.value,
    ),
)


@dataclass(frozen=True)
class OriginFigures:
    """The judgements of the answers of one maker for one audience.

    Args:
        answers: how many were judged.
        shares: column → the share of answers with each value of its `Scale`; empty when none was judged.
    """

    audience: str
    made_by: str
    answers: int
    reviews: int
    shares: dict[str, tuple[Share, ...]]


@dataclass(frozen=True)
class WeekShare:
    """The share of good judgements of one maker in the week that begins on a Monday."""

    week: date
    audience: str
    made_by: str
    share: Share


@dataclass(frozen=True)
class AgreementRow:
    """Agreement on each axis among some answers.

    Args:
        audience: whose answers; None for everybody's.
        made_by: likewise.
    """

    audience: str | None
    made_by: str | None
    axes: dict[str, Agreement]


@dataclass(frozen=True)
class ReviewerFigures:
    """One reviewer beside the others.

    Args:
        seconds: the middle of the times taken, s; None when unknown.
        accepted: the share of answers accepted, with or without an edit.
        harmful: the share of answers in which harm was found.
        alike: the share of choices that are those of others for the same answer; None without such.
        compared: how many choices that is out of.
    """

    name: str
    verified: bool
    reviews: int
    seconds: float | None
    accepted: float
    harmful: float
    alike: float | None
    compared: int


@dataclass(frozen=True)
class PairFigures:
    """Answers of two makers to the same questions, side by side.

    Args:
        pairs: compared.
        judgements: of them, of any number of reviewers.
        rate: how often the first was better, ties counting half; None when all were found unsafe.
        wins: share of judgements for the first, every pair counting once; likewise the next three.
    """

    audience: str
    first: str
    second: str
    pairs: int
    judgements: int
    rate: Share | None
    wins: float
    ties: float
    losses: float
    unsafe: float


def measure_origins(found: Judgements) -> list[OriginFigures]:
    """Shares by audience and maker, in their order."""
    number = len(found.origins)
    reviews = np.bincount(found.origin, minlength=number)
    answers = np.bincount(found.origin[np.unique(found.item, return_index=True)[1]], minlength=number)
    shares = {scale.column: _share_out(found, scale, found.origin, found.item, number) for scale in SCALES}
    return [
        OriginFigures(
            audience,
            made_by,
            int(answers[place]),
            int(reviews[place]),
            {column: by_origin[place] for column, by_origin in shares.items()},
        )
        for place, (audience, made_by) in enumerate(found.origins)
    ]


def measure_weeks(found: Judgements, scale: Scale) -> list[WeekShare]:
    """The share of the best value by week and origin, the earliest week first."""
    monday = found.day - (found.day + EPOCH_WEEKDAY) % 7
    weeks, week = np.unique(monday, return_inverse=True)
    number = len(found.origins)
    answers = found.item.max(initial=0) + 1
    shares = _share_out(
        found, scale, week * number + found.origin, week * answers + found.item, len(weeks) * number
    )
    best = scale.values.index(scale.best)
    return [
        WeekShare(
            EPOCH + timedelta(days=int(weeks[place // number])), *found.origins[place % number], of[best]
        )
        for place, of in enumerate(shares)
        if of
    ]


def measure_rows(found: Judgements) -> list[AgreementRow]:
    """Agreement among all answers, then by audience, then by audience and maker."""
    audiences = sorted({audience for audience, _ in found.origins})
    groups: list[tuple[str | None, str | None]] = [
        (None, None),
        *((audience, None) for audience in audiences),
        *found.origins,
    ]
    axes = [scale for scale in SCALES if scale.column != VERDICT]
    counted = {scale.column: _count(found, scale, found.origin, found.item) for scale in axes}
    rows = []
    for audience, made_by in groups:
        inside = [
            (audience is None or origin[0] == audience) and (made_by is None or origin[1] == made_by)
            for origin in found.origins
        ]
        chosen = np.array(inside, dtype=bool)
        measured = {column: _agree(counts[chosen[of]]) for column, (counts, of) in counted.items()}
        rows.append(AgreementRow(audience, made_by, measured))
    return rows


def measure_reviewers(found: Judgements, names: dict[str, tuple[str, bool]]) -> list[ReviewerFigures]:
    """Each reviewer beside the others, by name.

    Args:
        found: the judgements.
        names: reviewer's id → name and whether it was verified.
    """
    number = len(found.reviewers)
    reviews = np.bincount(found.reviewer, minlength=number)
    accepted = np.bincount(found.reviewer[_at(found, VERDICT) < 2], minlength=number)
    harmful = np.bincount(found.reviewer[_at(found, Axis.HARM) > 0], minlength=number)
    compared, alike = _compare(found)
    rows = []
    for place, key in enumerate(found.reviewers):
        seconds = found.seconds[found.reviewer == place]
        seconds = seconds[~np.isnan(seconds)]
        name, verified = names[key]
        rows.append(
            ReviewerFigures(
                name=name,
                verified=verified,
                reviews=int(reviews[place]),
                seconds=float(np.median(seconds)) if len(seconds) else None,
                accepted=float(accepted[place] / reviews[place]),
                harmful=float(harmful[place] / reviews[place]),
                alike=float(alike[place] / compared[place]) if compared[place] else None,
                compared=int(compared[place]),
            )
        )
    return sorted(rows, key=lambda row: row.name.casefold())


def measure_pairs(counts: list[PairCount]) -> list[PairFigures]:
    """Comparisons by audience and the two makers, whichever was sent first."""
    groups: dict[tuple[str, str, str], list[tuple[int, int, int, int]]] = {}
    for pair in counts:
        first, second, wins, losses = pair.first, pair.second, pair.wins, pair.losses
        if first > second:
            first, second, wins, losses = second, first, losses, wins
        groups.setdefault((pair.audience, first, second), []).append((wins, pair.ties, losses, pair.unsafe))
    return [_measure_pair(key, np.array(counted, dtype=np.int64)) for key, counted in sorted(groups.items())]


def _measure_pair(key: tuple[str, str, str], counted: Counts) -> PairFigures:
    """One row of pairs: wins, ties, losses, unsafe."""
    shares = (counted / counted.sum(axis=1, keepdims=True)).mean(axis=0)
    decided = counted[counted[:, :3].sum(axis=1) > 0]
    rate = None
    if len(decided):
        scores = (decided[:, 0] + decided[:, 1] / 2) / decided[:, :3].sum(axis=1)
        rate = measure_share(float(scores.mean()), len(decided))
    wins, ties, losses, unsafe = (float(share) for share in shares)
    return PairFigures(*key, len(counted), int(counted.sum()), rate, wins, ties, losses, unsafe)


def _at(found: Judgements, column: str) -> Integers:
    """Each judgement's place on the scale of a column; -1 off it."""
    scale = next(each for each in SCALES if each.column == column)
    places = [scale.values.index(value) if value in scale.values else -1 for value in COUNTED[column]]
    return np.array([*places, -1], dtype=np.int64)[found.values(column)]


def _count(found: Judgements, scale: Scale, group: Integers, unit: Integers) -> tuple[Counts, Integers]:
    """How often each value was given to each unit that was judged on the scale, and the unit's group."""
    value = _at(found, scale.column)
    known = value >= 0
    _, first, place = np.unique(unit[known], return_index=True, return_inverse=True)
    size = len(scale.values)
    counts = np.bincount(place * size + value[known], minlength=len(first) * size)
    return counts.reshape(len(first), size), group[known][first]


def _share_out(
    found: Judgements, scale: Scale, group: Integers, unit: Integers, groups: int
) -> list[tuple[Share, ...]]:
    """The share of each value in each group, every unit counting once; nothing for a group without units."""
    counts, of = _count(found, scale, group, unit)
    units = np.bincount(of, minlength=groups)
    parts: Floats = counts / counts.sum(axis=1, keepdims=True)
    sums = [np.bincount(of, weights=parts[:, value], minlength=groups) for value in range(len(scale.values))]
    return [
        tuple(measure_share(min(1.0, float(total[place] / number)), int(number)) for total in sums)
        if number
        else ()
        for place, number in enumerate(units)
    ]


def _agree(counts: Counts) -> Agreement:
    """Agreement among units, those rated alike taken together."""
    kinds, units = np.unique(counts, axis=0, return_counts=True)
    return measure_agreement(kinds, units)


def _compare(found: Judgements) -> tuple[Integers, Integers]:
    """By reviewer: choices that meet another reviewer's for the same answer, and how many are the same."""
    order = np.argsort(found.item, kind="stable")
    item, reviewer = found.item[order], found.reviewer[order]
    places = [_at(found, axis)[order] for axis in Axis]
    number = len(found.reviewers)
    compared, alike = np.zeros(number, np.int64), np.zeros(number, np.int64)
    for distance in range(1, int(np.bincount(item).max(initial=1))):
        same_item = item[distance:] == item[:-distance]
        one, other = reviewer[distance:][same_item], reviewer[:-distance][same_item]
        for place in places:
            mine, theirs = place[distance:][same_item], place[:-distance][same_item]
            both, same = (mine >= 0) & (theirs >= 0), (mine >= 0) & (mine == theirs)
            for who in (one, other):
                compared += np.bincount(who[both], minlength=number)
                alike += np.bincount(who[same], minlength=number)
    return compared, alike
