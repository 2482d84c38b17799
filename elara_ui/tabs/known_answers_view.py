"""How known answers look: pure functions from services' values to HTML."""

from collections.abc import Sequence

from elara_ui.services.calibration import KnownItem, MarkableItem
from elara_ui.tabs.markup import button, escape, paragraphs
from elara_ui.tabs.standing_view import describe_field, describe_value

INTRODUCTION = (
    '<p class="el-muted">About one task in ten has a judgement that is known already; a reviewer sees it once theirs is '
    "submitted, and how often the two agree stands beside their name. Whoever marks an answer here shouldn’t review it.</p>"
)
QUESTION, ANSWER = 140, 180  # characters shown


def render_markable(items: Sequence[MarkableItem], *, searched: bool) -> str:
    """Answers of the queue that could be marked."""
    if not items:
        text = (
            "Nothing in the queue fits. Try other words."
            if searched
            else "The queue has no answer to mark yet."
        )
        return f'<p class="el-muted el-pad">{text}</p>'
    return f'<div class="el-rows el-bounded">{"".join(map(_render_markable, items))}</div>'


def _render_markable(item: MarkableItem) -> str:
    judged = "nobody has judged it" if not item.judged else f"judged by {item.judged}"
    mark = "settled by an adjudicator" if item.settled else judged
    return (
        f'<article class="el-row-card"><div class="el-row-head"><span>{mark}</span>'
        f"{button('Mark …', 'choose', item.item_id, title='Say what the right judgement is')}</div>"
        f'<p class="el-row-question">{escape(_cut(item.question, QUESTION))}</p>'
        f'<div class="el-row-answer"><p>{escape(_cut(item.answer, ANSWER))}</p></div>'
        f'<p class="el-meta">{escape(item.audience)} · {escape(item.response_id)}</p></article>'
    )


def render_chosen(item: MarkableItem, *, settled: bool) -> str:
    """The answer being marked, whole."""
    told = (
        "Filled in: the adjudicator’s verdict, and the axes on which the reviews with that verdict agree. Change what isn’t right."
        if settled
        else "Say what is right. An axis that is left out isn’t compared."
    )
    return (
        f'<h3>What is the right judgement?</h3><p class="el-row-question">{paragraphs(item.question)}</p>'
        f'<div class="el-row-answer el-bounded"><p>{paragraphs(item.answer)}</p></div><p class="el-muted">{told}</p>'
    )


def render_known(items: Sequence[KnownItem]) -> str:
    """The known answers, with how far reviewers have agreed on each."""
    if not items:
        return '<h3>Known answers</h3><p class="el-muted">None yet. Find an answer and mark it; a dozen are a good start.</p>'
    return f'<h3>Known answers</h3><div class="el-rows">{"".join(map(_render_known, items))}</div>'


def _render_known(item: KnownItem) -> str:
    chips = "".join(
        f"<li>{describe_field(axis)}: <b>{describe_value(axis, value)}</b></li>"
        for axis, value in item.expected.items()
    )
    agreed = (
        f"judged by {item.judged}, {item.agreed / item.compared:.0%} of choices agree"
        if item.compared
        else "nobody has judged it since"
    )
    return (
        f'<article class="el-row-card"><div class="el-row-head"><span>{agreed}</span>'
        f"{button('Unmark', 'unmark', item.item_id, title='Make it an ordinary answer again')}</div>"
        f'<p class="el-row-question">{escape(_cut(item.question, QUESTION))}</p><ul class="el-chips">{chips}</ul>'
        f'<p class="el-meta">{escape(item.audience)} · {escape(item.response_id)}</p></article>'
    )


def _cut(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"
