"""Where a reviewer stands, and what came of a judgement: pure functions from services' values to HTML."""

from collections.abc import Mapping, Sequence
from typing import Any

from db.review_progress import WAITING_COUNTED, ReviewProgress
from db.vocabulary import HARM_LIKELIHOOD, RUBRIC, PairChoice, ReviewAction
from elara_ui.services.calibration import CalibrationResult, Standing
from elara_ui.services.own_reviews import HistoryEntry
from elara_ui.services.pairs import SubmittedPair
from elara_ui.services.reviewers import ReviewerProfile
from elara_ui.services.reviewing import SubmittedReview
from elara_ui.tabs.chat_view import describe_age
from elara_ui.tabs.markup import escape
from elara_ui.tabs.review_form import VERDICTS

VERDICT_LABELS = {str(verdict): label for verdict, label, _ in VERDICTS} | {
    "a": "A is better",
    "b": "B is better",
    str(PairChoice.FIRST): "One answer is better",
    str(PairChoice.SECOND): "The other answer is better",
    str(PairChoice.TIE): "Tie",
    str(PairChoice.BOTH_UNSAFE): "Both unsafe",
}
_TITLES = {str(scale.axis): scale.title for scale in RUBRIC} | {
    "harm_likelihood": "Likelihood of harm",
    "disposition": "Verdict",
}
_LABELS = {str(scale.axis): {choice.value: choice.label for choice in scale.choices} for scale in RUBRIC} | {
    "harm_likelihood": {choice.value: choice.label for choice in HARM_LIKELIHOOD},
    "disposition": VERDICT_LABELS,
}
_TEXTS = {"correction": "correction", "comment": "comment", "flags": "flags", "reason": "reason"}
_ACTIONS = {
    ReviewAction.SUBMITTED: "Submitted",
    ReviewAction.EDITED: "Changed",
    ReviewAction.UNDONE: "Taken back",
}


def describe_verdict(disposition: str) -> str:
    """A verdict or a choice in words."""
    return escape(VERDICT_LABELS.get(disposition, disposition))


def describe_value(field: str, value: str | None) -> str:
    """An answer of the rubric in the words that the form shows."""
    if value is None:
        return "–"
    return escape(_LABELS.get(field, {}).get(value, value))


def describe_field(field: str) -> str:
    """An axis, or the verdict, as the form calls it."""
    return escape(_TITLES.get(field, field))


def describe_maker(adapter: str | None, base_model: str) -> str:
    """What made an answer."""
    return f"{escape(adapter) if adapter else 'the base model alone'} on {escape(base_model)}"


def render_standing(profile: ReviewerProfile, progress: ReviewProgress, standing: Standing) -> str:
    """Who reviews, how far they and their batches are, and how far they agree with what is known."""
    mark = '<span class="el-verified">✓ verified</span>' if profile.verified else ""
    profession = " · ".join(word for word in (profile.profession, profile.specialty) if word)
    share = round(100 * progress.done_by_me / progress.total) if progress.total else 0
    known = (
        f'<span title="Your answers on items whose right judgement is known"><b>{standing.share:.0%}</b> agreed with {standing.compared} known answers</span>'
        if standing.share is not None
        else ""
    )
    return (
        f'<div class="el-standing"><span><b>{escape(profile.name)}</b>{mark}</span>{f"<span>{escape(profession)}</span>" if profession else ""}'
        f'<span role="status"><span class="el-progress" aria-hidden="true"><span style="width:{share}%"></span></span>'
        f"<b>{progress.done_by_me:,}</b> reviewed · <b>{_describe_waiting(progress.waiting_for_me)}</b> waiting for you</span>"
        f"{_render_batches(progress)}{known}</div>"
    )


def _describe_waiting(waiting: int) -> str:
    return f"{waiting:,} or more" if waiting >= WAITING_COUNTED else str(waiting)


def _render_batches(progress: ReviewProgress) -> str:
    lines = "".join(
        f"<li><span>{escape(batch.batch)}</span><span>{batch.done_by_me} by you · {batch.finished} of {batch.total} finished</span></li>"
        for batch in progress.batches
    )
    return (
        f'<details><summary>Batches</summary><ul class="el-batches">{lines}</ul></details>' if lines else ""
    )


def describe_submitted(review: SubmittedReview, disposition: str) -> str:
    """What is told once a judgement is stored: what made the answer, and the known judgement if there is one."""
    verb = "Changed" if review.changed else "Stored"
    return _wrap_last(
        f"<p>{verb}: <strong>{describe_verdict(disposition)}</strong>. That answer was made by {describe_maker(review.adapter, review.base_model)}.</p>"
        + (render_calibration(review.calibration) if review.calibration else "")
    )


def describe_compared(pair: SubmittedPair, choice: str) -> str:
    """What is told once a choice is stored: what made both answers, or when that is told."""
    verb = "Changed" if pair.changed else "Stored"
    if not pair.told:
        return _wrap_last(
            f"<p>{verb}: <strong>{describe_verdict(choice)}</strong>. This comparison is blind: what made the answers is "
            "told when all its pairs are judged.</p>"
        )
    return _wrap_last(
        f"<p>{verb}: <strong>{describe_verdict(choice)}</strong>. A was made by {describe_maker(pair.adapter_a, pair.base_model_a)}, "
        f"B by {describe_maker(pair.adapter_b, pair.base_model_b)}.</p>"
    )


def _wrap_last(body: str) -> str:
    return f'<div class="el-last" role="status"><h3 class="el-label">Your last judgement</h3>{body}</div>'


def render_calibration(result: CalibrationResult) -> str:
    """The known judgement beside the given one; where they differ is said in words."""
    rows = "".join(
        f"<tr><td>{describe_field(axis.axis)}</td><td>{describe_value(axis.axis, axis.expected)}</td>"
        f"<td>{describe_value(axis.axis, axis.given)}</td>"
        f"<td>{'same' if axis.agrees else '<span class=el-mismatch>differs</span>'}</td></tr>"
        for axis in result.axes
    )
    counted = "" if result.counts else " This doesn't count: only what you submit first does."
    return (
        f"<p>The right judgement of this one was known: you agreed on <strong>{result.agreed} of {len(result.axes)}</strong>.{counted}</p>"
        '<div class="el-table-box"><table class="el-table el-known"><thead><tr><th></th><th>Known</th><th>Yours</th><th></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def render_history(entries: Sequence[HistoryEntry]) -> str:
    """What this reviewer did with the item before, oldest first; nothing when they did nothing."""
    lines: list[str] = []
    before: Mapping[str, Any] = {}
    for entry in entries:
        now = _flatten(entry.content)
        changes = _describe_changes(before, now) if entry.action == ReviewAction.EDITED else ""
        verdict = describe_verdict(str(now.get("disposition") or now.get("choice") or ""))
        lines.append(f"<li>{_ACTIONS[entry.action]} {describe_age(entry.at)}: {verdict}{changes}</li>")
        before = now
    if not lines:
        return ""
    count = f"{len(lines)} step{'' if len(lines) == 1 else 's'}"
    return f'<details class="el-history"><summary>History of your judgement ({count})</summary><ol>{"".join(lines)}</ol></details>'


def _describe_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Which answers a change changed."""
    changed = [
        f"{escape(title)}: {describe_value(field, before.get(field))} → {describe_value(field, now.get(field))}"
        for field, title in _TITLES.items()
        if before.get(field) != now.get(field)
    ]
    changed += [f"{title} changed" for field, title in _TEXTS.items() if before.get(field) != now.get(field)]
    return f" ({'; '.join(changed)})" if changed else ""


def _flatten(content: Mapping[str, Any]) -> dict[str, Any]:
    """A stored judgement with its axes beside the other fields."""
    return {**content, **(content.get("answers") or {})}
