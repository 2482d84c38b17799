"""How the review tab looks: pure functions from services' values to HTML."""

from collections.abc import Mapping

from adapters.recipe import Recipe
from db.review_progress import ReviewProgress
from elara_ui.services.reviewing import ReviewTask, SubmittedReview
from elara_ui.tabs.markup import escape, markdown, paragraphs


def render_task(task: ReviewTask, recipes: Mapping[str, Recipe]) -> str:
    """The answer to judge, with its question and what came before. Names nothing that made it."""
    recipe = recipes.get(task.audience)
    audience = recipe.title if recipe else task.audience
    aim = (
        f" · reading grade ≤ {recipe.readability_aim:g}, at most {recipe.max_explanation_length} words"
        if recipe and recipe.readability_aim
        else f" · at most {recipe.max_explanation_length} words"
        if recipe
        else ""
    )
    context = "".join(
        f"<p><strong>{escape(str(turn.role)).capitalize()}:</strong> {paragraphs(turn.content)}</p>"
        for turn in task.context
    )
    before = (
        f'<div><div class="el-label">Before</div><div class="el-context">{context}</div></div>'
        if context
        else ""
    )
    return (
        f'<div class="el-exam"><div class="el-muted">Written for: <strong>{escape(audience)}</strong>{aim}</div>'
        f'{before}<div><div class="el-label">Question</div><div>{paragraphs(task.question)}</div></div>'
        f'<div><div class="el-label">Answer</div><div class="el-answer">{markdown(task.answer)}</div></div></div>'
    )


def render_progress(progress: ReviewProgress) -> str:
    """How far this reviewer is."""
    total = progress.done_by_me + progress.waiting_for_me
    if total == 0:
        return (
            '<p class="el-muted">Nothing waits for review. Answers arrive here when someone presses '
            "“Send to review” under them in the chat.</p>"
        )
    share = round(100 * progress.done_by_me / total)
    state = (
        "all reviewed, thank you"
        if progress.waiting_for_me == 0
        else f"{progress.waiting_for_me} waiting for you"
    )
    return (
        f'<div role="status"><p class="el-muted">{progress.done_by_me} of {total} reviewed · {state}</p>'
        f'<div class="el-progress"><span style="width:{share}%"></span></div></div>'
    )


def describe_submitted(review: SubmittedReview) -> str:
    """What is revealed once the judgement is stored."""
    maker = review.adapter or "the base model alone, without an adapter"
    return f"Saved. That answer was made by {maker} on {review.base_model}."
