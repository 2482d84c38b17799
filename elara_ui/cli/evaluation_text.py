"""Evaluations as the command line writes them: tables for people, documents for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from elara_ui.cli.text import format_table
from elara_ui.services.evaluation_comparison import Change, Comparison
from elara_ui.services.evaluation_views import EvaluationView, FigureView
from elara_ui.services.suites import Suite, to_row

CHANCE = (
    "Intervals are of 95 %; a difference is called one only where chance hardly explains it. Of many "
    "figures, one may still differ by chance."
)


def describe_evaluation(view: EvaluationView) -> dict[str, Any]:
    """An evaluation as a document; what answered is named as in tables, too."""
    return {"label": view.label} | asdict(view)


def describe_comparison(comparison: Comparison) -> dict[str, Any]:
    """Two evaluations as a document: what became of each figure, and the answers side by side."""
    return {
        "before": describe_evaluation(comparison.before),
        "after": describe_evaluation(comparison.after),
        "changes": [
            {
                "name": change.before.name,
                "label": change.before.label,
                "before": change.before.value,
                "after": change.after.value,
                "change": change.change.value,
                "low": change.change.low,
                "high": change.change.high,
                "n": change.change.n,
                "verdict": str(change.verdict),
            }
            for change in comparison.changes
        ],
        "answers": [
            {
                "id": pair.before.question_id,
                "question": pair.before.question,
                "reference": pair.before.reference,
                "before": pair.before.text,
                "after": pair.after.text,
            }
            for pair in comparison.pairs
        ],
        "notes": list(comparison.notes),
    }


def describe_suite(suite: Suite) -> dict[str, Any]:
    """A suite as a document, with its questions."""
    return {
        "name": suite.name,
        "version": suite.version,
        "sha256": suite.sha256,
        "audience": suite.audience,
        "source": suite.source,
        "own": suite.own,
        "created_at": suite.created_at,
        "questions": [to_row(question) for question in suite.questions],
    }


def format_view(view: EvaluationView) -> str:
    """An evaluation for people: how it stands, its figures and what could not be measured."""
    state = f"{view.status}, {view.done} of {view.total}"
    lines = [
        f"{view.label} on {view.suite_label} ({view.suite_sha256[:12]}) · {state} · {view.evaluation_id}"
    ]
    if view.figures:
        head = ["Figure", "Value", "95% interval", "Answers"]
        lines += ["", format_table([head, *map(_figure_row, view.figures)])]
    lines += [f"Note: {note}" for note in view.notes]
    return "\n".join([*lines, *([f"Error: {view.error}"] if view.error else [])])


def format_comparison(comparison: Comparison) -> str:
    """What improved, fell and stayed, a row each."""
    head = ["Figure", comparison.before.label, comparison.after.label, "Change (95% interval)", ""]
    rows = [head, *map(_change_row, comparison.changes)]
    lines = [f"{comparison.before.suite_label}: {len(comparison.pairs)} questions answered by both", ""]
    return "\n".join([*lines, format_table(rows), *comparison.notes, CHANCE])


def format_suites(suites: Sequence[Suite]) -> str:
    """A line for each version of each suite."""
    head = ["Suite", "Questions", "References", "With points", "Audience", "From", "SHA-256"]
    rows = [
        [
            suite.label,
            str(len(suite.questions)),
            str(len(suite.references)),
            str(sum(bool(question.points) for question in suite.questions)),
            suite.audience or "any",
            suite.source,
            suite.sha256[:12],
        ]
        for suite in suites
    ]
    return format_table([head, *rows])


def _figure_row(figure: FigureView) -> list[str]:
    label = f"{figure.label} ({figure.unit})" if figure.unit else figure.label
    low, high = figure.show(figure.low), figure.show(figure.high)
    return [label, figure.show(figure.value), f"{low} to {high}", str(figure.n)]


def _change_row(change: Change) -> list[str]:
    figure = change.before

    unit = " points" if figure.is_share else ""
    interval = (
        f"{figure.show_change(change.change.value)}{unit} ({figure.show_change(change.change.low)} to "
        f"{figure.show_change(change.change.high)})"
    )
    return [
        figure.label,
        figure.show(change.before.value),
        figure.show(change.after.value),
        interval,
        str(change.verdict),
    ]
