"""How a lesson looks: pure functions from services' values to HTML."""

from adapters.training.rejects import count_rejects
from elara_ui.services.teaching import Teaching, TeachingState, Use
from elara_ui.tabs.markup import command_box, escape, notice
from elara_ui.tabs.training_form_view import render_rejects

INTRODUCTION = (
    '<p class="el-muted">A finished adapter answers the questions of a set, and another model, a larger one as a rule, '
    "learns from the answers that pass the rules: ended by itself, within the audience’s words and reading grade, no "
    "echo of the question. The rules see form, never truth; send the answers to review where that matters.</p>"
)


def render_teaching(teaching: Teaching | None) -> str:
    """How far a lesson is, and what came of it."""
    if teaching is None:
        return ""
    done, total = teaching.done, teaching.total
    share = round(100 * done / total) if total else 0
    latest = f'<p class="el-muted">“{escape(teaching.latest)}”</p>' if teaching.latest else ""
    body = {
        TeachingState.ANSWERING: latest,
        TeachingState.STOPPED: notice(
            f"Stopped. {done} of {total} answers are kept; start the same again, and it goes on from there.",
            "info",
        ),
        TeachingState.FAILED: _render_judged(teaching) + notice(teaching.error),
        TeachingState.DONE: _render_judged(teaching) + _render_outcome(teaching),
    }[teaching.state]
    return (
        f'<div class="el-card el-teaching" role="status"><h3>{escape(teaching.plan.teacher)} answers “'
        f'{escape(teaching.plan.prompts.title)}”</h3><p class="el-muted">{done} of {total} answered</p>'
        f'<div class="el-progress"><span style="width:{share}%"></span></div>{body}'
        f'<p class="el-muted el-same">The same from a terminal:</p>{command_box(teaching.plan.command)}</div>'
    )


def _render_judged(teaching: Teaching) -> str:
    """How many answers passed, and why the others didn't."""
    if teaching.accepted is None:
        return ""
    answered = teaching.accepted + count_rejects(teaching.rejects)
    left_out = "".join(map(render_rejects, teaching.rejects))
    return f'<p class="el-judged"><b>{teaching.accepted}</b> of {answered} answers passed the rules.</p>{left_out}'


def _render_outcome(teaching: Teaching) -> str:
    if teaching.plan.use is Use.REVIEW:
        return notice(f"{teaching.accepted} answers wait in the review queue.", "good")
    if teaching.run_id:
        return notice(
            f"Run {teaching.run_id} teaches them to {teaching.plan.base_model}; it is in the list of runs.",
            "good",
        )
    return notice(
        f"Stored as a set, {teaching.snapshot}: choose it under “Learn from”, A stored set.", "good"
    )
