"""Evaluations as values to show: no ORM objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.models import Evaluation, EvaluationAnswer, EvaluationFigure
from db.vocabulary import EvaluationStatus
from elara_ui.services.evaluation_measures import MEASURES, SAFETY_PREFIX, Better, Kind, find_measure
from elara_ui.services.suites import Point

_ORDER = {measure.name: place for place, measure in enumerate(MEASURES)}


@dataclass(frozen=True)
class FigureView:
    """One figure with its 95% interval.

    Args:
        value: in its unit, or a share from 0 to 1.
        low: lower bound.
        high: upper bound.
        n: answers that it is of.
        is_share: whether it is a share of answers.
        digits: behind the point, as shown.
        better: which way is better.
        meaning: one plain sentence.
    """

    name: str
    label: str
    unit: str
    value: float
    low: float
    high: float
    n: int
    is_share: bool
    better: Better
    meaning: str
    digits: int = 2

    def show(self, value: float) -> str:
        """A number in this figure's unit: a share in percent."""
        return f"{100 * value:.0f} %" if self.is_share else f"{value:.{self.digits}f}"

    def show_change(self, value: float) -> str:
        """A difference of two such numbers, with its sign: of shares in percentage points."""
        text = f"{100 * value:+.0f}" if self.is_share else f"{value:+.{self.digits}f}"
        return text.replace("-", "−") if text.strip("+-0.") else "0"


@dataclass(frozen=True)
class EvaluationView:
    """One evaluation as it stands.

    Args:
        adapter: versioned name; None for the base model alone.
        weights_sha256: of the adapter's weights; empty for the base model.
        audience: whose prompt and targets hold.
        suite_sha256: only evaluations of equal ones compare.
        engine: what answered: llamacpp, transformers or remote.
        methods: measure → how it was told, where there is more than one way.
        notes: what could not be measured, and why.
        done: steps done, of `total`.
        error: why it failed.
        figures: in the order of `MEASURES`, then those of safety categories.
    """

    evaluation_id: str
    adapter: str | None
    weights_sha256: str
    base_model: str
    audience: str
    suite: str
    suite_version: str
    suite_sha256: str
    engine: str
    sampling: Mapping[str, Any]
    methods: Mapping[str, str]
    notes: tuple[str, ...]
    status: EvaluationStatus
    stage: str
    done: int
    total: int
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    figures: tuple[FigureView, ...]

    @property
    def label(self) -> str:
        """What answered."""
        return self.adapter or f"{self.base_model} for {self.audience}"

    @property
    def suite_label(self) -> str:
        """Name and version of the questions."""
        return f"{self.suite}@{self.suite_version}"

    @property
    def is_under_way(self) -> bool:
        """Whether it waits or runs."""
        return not self.status.ended

    def figure(self, name: str) -> FigureView | None:
        """One figure by its measure's name; None when it wasn't measured."""
        return next((figure for figure in self.figures if figure.name == name), None)


@dataclass(frozen=True)
class AnswerView:
    """One question with its answer.

    Args:
        reference: the suite's own answer; empty for none.
        failed: names of the safety checks that it fails.
        measures: measure → number; 1 and 0 for yes and no.
        points: what reviewers look for.
    """

    answer_id: str
    question_id: str
    category: str
    question: str
    reference: str
    text: str
    failed: tuple[str, ...]
    measures: Mapping[str, float]
    points: tuple[Point, ...]


def describe(stored: Evaluation) -> EvaluationView:
    """An evaluation, its figures loaded, as a value."""
    figures = sorted(map(describe_figure, stored.figures), key=_place)
    return EvaluationView(
        evaluation_id=stored.id,
        adapter=stored.adapter,
        weights_sha256=stored.weights_sha256,
        base_model=stored.base_model,
        audience=stored.audience,
        suite=stored.suite,
        suite_version=stored.suite_version,
        suite_sha256=stored.suite_sha256,
        engine=stored.engine,
        sampling=stored.sampling,
        methods=stored.methods,
        notes=tuple(stored.notes),
        status=EvaluationStatus(stored.status),
        stage=stored.stage,
        done=stored.done,
        total=stored.total,
        error=stored.error,
        created_at=stored.created_at,
        started_at=stored.started_at,
        finished_at=stored.finished_at,
        figures=tuple(figures),
    )


def describe_figure(stored: EvaluationFigure) -> FigureView:
    """A figure as a value."""
    measure = find_measure(stored.name)
    return FigureView(
        name=stored.name,
        label=measure.label,
        unit=measure.unit,
        value=stored.value,
        low=stored.low,
        high=stored.high,
        n=stored.n,
        is_share=measure.kind is Kind.SHARE,
        better=measure.better,
        meaning=measure.meaning,
        digits=measure.digits,
    )


def describe_answer(stored: EvaluationAnswer) -> AnswerView:
    """An answer as a value."""
    return AnswerView(
        answer_id=stored.id,
        question_id=stored.question_id,
        category=stored.category,
        question=stored.question,
        reference=stored.reference,
        text=stored.text,
        failed=tuple(stored.failed),
        measures=stored.measures,
        points=tuple(Point(point["text"], point["weight"]) for point in stored.points),
    )


def _place(figure: FigureView) -> tuple[int, str]:
    """Where a figure stands among the others: those of safety categories at the end, by name."""
    if figure.name.startswith(SAFETY_PREFIX):
        return len(_ORDER), figure.name
    return _ORDER[figure.name], ""
