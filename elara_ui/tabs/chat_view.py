"""How a conversation looks: pure functions from services' values to HTML."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from adapters.recipe import Recipe
from db.vocabulary import LAY_AUDIENCES, Audience, FinishReason, Role
from elara_ui.clinical.redflags import Finding
from elara_ui.services.adapters import Answering
from elara_ui.services.answers import Answer, ConversationSummary, Thread, ThreadMessage
from elara_ui.tabs.answer_marks_view import render_marks
from elara_ui.tabs.markup import button, escape, markdown, notice, paragraphs, thumb
from elara_ui.tabs.readability_meter import mark_hard_words, render_meter
from elara_ui.tabs.red_flag_view import render_banner, render_banners


def render_list(conversations: Iterable[ConversationSummary], current: str | None, kept_days: int = 0) -> str:
    """The side list; the current conversation is marked.

    Args:
        conversations: the newest first.
        current: the open one.
        kept_days: how long they are kept after the last message; 0 for ever.
    """
    rows = [_render_row(conversation, current) for conversation in conversations]
    expiry = f"They are deleted {kept_days} days after the last message." if kept_days else ""
    if not rows:
        text = f"No conversations here yet. They are kept on this machine. {expiry}".strip()
        return f'<p class="el-muted el-pad">{text}</p>'
    note = f'<p class="el-muted el-pad">{expiry}</p>' if expiry else ""
    return f'<nav class="el-list" aria-label="Conversations">{"".join(rows)}</nav>{note}'


def _render_row(conversation: ConversationSummary, current: str | None) -> str:
    mark = ' aria-current="true"' if conversation.conversation_id == current else ""
    return (
        f'<button type="button" class="el-row" data-act="open" data-item="{conversation.conversation_id}"{mark}>'
        f'<span class="el-row-title">{escape(conversation.title)}</span>'
        f'<span class="el-row-sub">{escape(conversation.audience)} · {describe_age(conversation.updated_at)}'
        "</span></button>"
    )


def describe_age(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, in words short enough for a list."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def render_answering(recipe: Recipe, answering: Answering) -> str:
    """Who answers now, said plainly; and who else may, in a conversation that isn't begun."""
    voice = (
        f"adapter <strong>{escape(answering.adapter)}</strong>"
        if answering.adapter
        else "<strong>base model, no adapter yet</strong>"
    )
    trial = answering.trial
    tried = (
        f" · {escape(trial.adapter)} is on trial and answers {trial.share:.0%} of new conversations"
        if trial
        else ""
    )
    return f'<p class="el-muted">{escape(recipe.summary)} · answered by {voice}{tried}</p>'


def render_welcome(recipe: Recipe) -> str:
    """An empty conversation: what it is for, and questions to start from."""
    examples = "".join(
        f'<button type="button" class="el-example" data-act="example" data-item="{escape(question)}">'
        f"{escape(question)}</button>"
        for question in recipe.example_questions
    )
    emergency = recipe.audience == Audience.EMERGENCY
    caution = " In a real emergency call your local emergency number first." if emergency else ""
    return (
        f'<div class="el-welcome"><h2>{escape(recipe.title)}</h2>'
        f'<p class="el-muted">{escape(recipe.summary)}.{caution}</p><div class="el-examples">{examples}</div></div>'
    )


def render_thread(thread: Thread, recipes: Mapping[str, Recipe]) -> str:
    """Every turn of a conversation; only the last exchange can be retried, edited or undone."""
    last_question = max((m.position for m in thread.messages if m.role is Role.USER), default=-1)
    banners = render_banners(thread)
    turns = [
        _render_question(
            message,
            last=message.position == last_question,
            answered=message is not thread.messages[-1],
        )
        + banners.get(message.position, "")
        if message.answer is None
        else render_answer(message.answer, recipes, last=message.position > last_question)
        for message in thread.messages
    ]
    return f'<div class="el-thread" role="log" aria-label="Conversation">{"".join(turns)}</div>'


def _render_question(message: ThreadMessage, *, last: bool, answered: bool) -> str:
    actions = button("Copy", "copy")
    if last:
        actions += "" if answered else button("Retry", "retry", title="Answer this question again")
        place = str(message.position)
        actions += button("Edit", "edit", place, title="Edit this question and ask again")
        actions += button("Undo", "undo", place, title="Take back this question and its answer")
    return (
        f'<div class="el-turn el-user" data-copy="{escape(message.content)}">'
        f'<div class="el-bubble">{paragraphs(message.content)}</div>'
        f'<div class="el-actions">{actions}</div></div>'
    )


def render_answer(answer: Answer, recipes: Mapping[str, Recipe], *, last: bool) -> str:
    """One answer with its figures and what can be done with it."""
    actions = button("Copy", "copy")
    if last:
        actions += button("Retry", "retry", title="Answer this question again")
    if answer.stored:
        actions += _render_judging(answer)
    recipe = recipes.get(answer.audience)
    simpler = last and answer.text and not answer.is_fixed
    if simpler and recipe is not None and recipe.readability_aim is not None:
        actions += button(
            "Say it more simply",
            "simplify",
            title="Ask once more in plainer words; the easier answer is shown",
        )
    body = (
        mark_hard_words(markdown(answer.text), answer, recipe)
        if answer.text
        else '<p class="el-muted">Stopped before the first word.</p>'
    )
    above, beneath = render_marks(answer)
    return (
        f'<div class="el-turn el-model" data-response="{answer.response_id}" data-copy="{escape(answer.text)}">'
        f'{above}<div class="el-answer">{body}</div>{beneath}'
        f'{"" if answer.is_fixed else render_meter(answer, recipe)}<div class="el-meta">{describe_answer_line(answer, recipes)}</div>'
        f'<div class="el-actions">{actions}</div></div>'
    )


def _render_judging(answer: Answer) -> str:
    """What can be done with an answer that is stored."""
    actions = thumb("up", answer.response_id, pressed=answer.thumb == 1)
    actions += thumb("down", answer.response_id, pressed=answer.thumb == -1)
    if answer.in_review:
        actions += '<span class="el-done">In review</span>'
    elif answer.text:
        actions += button(
            "Send to review", "review", answer.response_id, title="Let a professional rate this answer"
        )
    if answer.adapter:
        actions += button(
            "What shaped this?", "lineage", answer.response_id, title="The training set and reviews behind it"
        )
    return actions


def describe_answer_line(answer: Answer, recipes: Mapping[str, Recipe]) -> str:
    """The quiet line under an answer: who it is for, what made it, how fast."""
    recipe = recipes.get(answer.audience)
    parts = [
        escape(recipe.title if recipe else answer.audience),
        escape(answer.made_by),
    ]
    if answer.cached:
        parts.append("answered before to the same request, and given again")
    elif not answer.is_fixed:
        parts.append(f"{answer.tokens_per_second:.0f} tokens/s")
        parts.append(f"first word after {answer.first_token_seconds:.1f} s")
    if answer.finish_reason is FinishReason.LENGTH:
        parts.append("<em>ended at this audience's length limit</em>")
    if answer.finish_reason is FinishReason.CANCELLED:
        parts.append("<em>stopped</em>")
    if answer.dropped_turns:
        parts.append(
            f"<em>the oldest {answer.dropped_turns} turns no longer fit the model's window and were left out</em>"
        )
    return " · ".join(part for part in parts if part)


def render_live_answer(text: str) -> str:
    """An answer as it grows; dots before its first word."""
    body = (
        markdown(text) if text else '<span class="el-dots" aria-label="Thinking"><i></i><i></i><i></i></span>'
    )
    return f'<div class="el-turn el-model el-streaming"><div class="el-answer">{body}</div></div>'


def render_comparison(
    question: str,
    columns: Mapping[str, Answer | str],
    recipes: Mapping[str, Recipe],
    error: str = "",
    red_flags: Finding | None = None,
) -> str:
    """The same question answered side by side.

    Args:
        columns: audience → the finished answer, or the text so far.
        red_flags: what fired on the question.
    """
    cells = "".join(
        f'<section class="el-column"><h3>{escape(recipes[audience].title)}</h3>'
        + (
            render_answer(found, recipes, last=False)
            if isinstance(found, Answer)
            else f'<div class="el-turn el-model"><div class="el-answer">{markdown(found)}</div></div>'
        )
        + "</section>"
        for audience, found in columns.items()
    )
    trouble = notice(error) if error else ""
    quiet = not any(audience in LAY_AUDIENCES for audience in columns)
    banner = render_banner(red_flags, quiet=quiet) if red_flags else ""
    return f'<div class="el-compare-question">{paragraphs(question)}</div>{banner}{trouble}<div class="el-columns">{cells}</div>'
