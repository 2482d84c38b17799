"""How a task of the review queue looks: pure functions from services' values to HTML."""

from collections.abc import Mapping, Sequence
from uuid import uuid4

from adapters.recipe import Recipe
from elara_ui.services.review_drafts import TEXT_LIMIT
from elara_ui.services.review_tasks import REASON_SHOWN, ContextTurn, Glance, PairTask, ReviewTask
from elara_ui.tabs.difference import render_difference
from elara_ui.tabs.markup import escape, markdown, notice, paragraphs
from elara_ui.tabs.review_form import RATING_KEYS, render_keys, render_moves

UNVERIFIED_SHOWN = 3  # references named beside an answer


def render_task(task: ReviewTask, recipes: Mapping[str, Recipe]) -> str:
    """The answer to judge, with its question and what came before. Names nothing that made it."""
    return (
        f'<article class="el-exam">{render_aim(task, recipes)}{render_question(task.question, task.context)}'
        f'<div class="el-answer-head"><h3 class="el-label">Answer</h3><span class="el-muted">{_describe_glance(task.glance)}</span>'
        '<button type="button" class="el-act" data-act="correct" aria-keyshortcuts="x">Correct the text<kbd aria-hidden="true">x</kbd></button>'
        '<button type="button" class="el-act el-restore" data-act="restore">Restore the original</button></div>'
        f'<div class="el-answer">{markdown(task.answer)}</div>'
        '<label class="el-correct"><span class="el-muted">Change the text in place. Esc leaves it; then “Accept with edit” (e).</span>'
        f'<textarea name="correction" aria-label="Corrected answer" maxlength="{TEXT_LIMIT}" data-original="{escape(task.answer)}"></textarea>'
        "</label></article>"
    )


def render_aim(task: ReviewTask | PairTask, recipes: Mapping[str, Recipe]) -> str:
    """For whom the answer was written and what it should keep to, and what else is worth knowing first."""
    recipe = recipes.get(task.audience)
    parts = [f"Written for: <strong>{escape(recipe.title if recipe else task.audience)}</strong>"]
    if recipe and recipe.readability_aim is not None:
        parts.append(f"reading grade ≤ {recipe.readability_aim:g}")
    if recipe:
        parts.append(f"at most {recipe.max_explanation_length} words")
    if isinstance(task, ReviewTask) and task.reason_shown != REASON_SHOWN:
        parts.append(f"<em>{escape(task.reason_shown)}</em>")
    if task.judged:
        parts.append("<em>you have judged this; submitting changes your judgement</em>")
    return f'<div class="el-muted el-aim">{" · ".join(parts)}</div>'


def _describe_glance(glance: Glance) -> str:
    """Length and reading grade, whether the answer ends too early, and the references that nobody checked."""
    grade = "" if glance.reading_grade is None else f" · reading grade {glance.reading_grade:.1f}"
    cut = " · <em>breaks off: it was stopped or met its length limit</em>" if glance.cut_off else ""
    sources = (
        f" · <em>unverified: {escape(', '.join(glance.unverified[:UNVERIFIED_SHOWN]))}</em>"
        if glance.unverified
        else ""
    )
    return f"{glance.words} words{grade}{cut}{sources}"


def render_question(question: str, context: Sequence[ContextTurn]) -> str:
    """The question; the turns before it folded in."""
    turns = "".join(
        f"<p><strong>{escape(str(turn.role)).capitalize()}:</strong> {paragraphs(turn.content)}</p>"
        for turn in context
    )
    count = f"{len(context)} turn{'' if len(context) == 1 else 's'}"
    before = (
        f'<details class="el-context"><summary>The conversation before ({count})</summary>{turns}</details>'
        if turns
        else ""
    )
    return f'{before}<h3 class="el-label">Question</h3><div class="el-question">{paragraphs(question)}</div>'


def render_changes(original: str, corrected: str, number: str = "") -> str:
    """What the correction changes, if anything.

    Args:
        original: the answer as it was given.
        corrected: the text as it stands in the form; empty counts as unchanged.
        number: of the draft that is stored with it, for the desk.
    """
    difference = render_difference(original, corrected) if corrected.strip() else ""
    body = (
        f'<div class="el-changes"><h3 class="el-label">Your correction</h3>{difference}</div>'
        if difference
        else ""
    )
    return f'<div data-saved="{escape(number)}">{body}</div>'


def render_trouble(message: str = "") -> str:
    """Why something wasn't taken; the same again counts as new. Empty clears it."""
    return f'<div data-nonce="{uuid4().hex}">{notice(message) if message else ""}</div>'


def render_nothing(reason: str) -> str:
    """No task for this reviewer now, and why."""
    return (
        f'<div class="el-nothing el-card" role="status"><p>{paragraphs(reason)}</p>'
        '<button type="button" class="el-act" data-act="look">Look again</button>'
        f"{render_moves(('undo', 'back', 'keys'))}</div>{render_keys(RATING_KEYS)}"
    )
