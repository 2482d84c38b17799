"""How adjudication looks: pure functions from services' values to HTML."""

from collections.abc import Mapping

from adapters.recipe import Recipe
from elara_ui.services.adjudication import AdjudicationList, AdjudicationTask, Settled, SettledPage
from elara_ui.tabs.markup import button, escape, markdown, paragraphs
from elara_ui.tabs.opinions_view import VERDICTS, render_opinions, render_settlement

TRIGGERS = {
    "severe_harm": "severe harm",
    "under_triage": "under-triage",
    "accuracy_conflict": "aligned against opposed",
    "harm_gap": "harm two steps apart",
}
EXPLANATION = (
    "Answers come here when somebody found severe harm or under-triage, when one found an answer aligned and "
    "another opposed to consensus, or when judgements of harm lie two steps apart."
)


def render_who(adjudicator: str) -> str:
    """Under which name decisions are stored; nothing when nobody has said who they are."""
    if not adjudicator:
        return ""
    return (
        f'<p class="el-muted">You settle as <b>{escape(adjudicator)}</b>, the name under which you review. Another '
        "one: Review, “About me”.</p>"
    )


def render_waiting(waiting: AdjudicationList, shown_id: str | None) -> str:
    """What this person may settle.

    Args:
        waiting: the list.
        shown_id: the answer looked at.
    """
    own = (
        f'<p class="el-muted">{waiting.own} more {"waits" if waiting.own == 1 else "wait"} for somebody else: '
        "you have judged them yourself.</p>"
        if waiting.own
        else ""
    )
    if not waiting.items:
        return f'<p class="el-muted">Nothing waits for you to settle. {EXPLANATION}</p>{own}'
    rows = "".join(
        f'<button type="button" class="el-row" data-act="open" data-item="{item.item_id}"'
        f"{' aria-current=true' if item.item_id == shown_id else ''}>"
        f'<span class="el-row-title">{escape(item.question or "Still waits for a reviewer")}</span>'
        f'<span class="el-row-sub">{escape(item.audience)} · {_triggers(tuple(item.triggers))} · '
        f"{item.reviews} {'review' if item.reviews == 1 else 'reviews'} · {item.sent_at:%Y-%m-%d}</span></button>"
        for item in waiting.items
    )
    more = waiting.total - len(waiting.items)
    rest = f'<p class="el-muted">{more} more wait behind these.</p>' if more else ""
    return f'<div class="el-list el-list-box">{rows}</div>{rest}{own}'


def render_task(task: AdjudicationTask, recipes: Mapping[str, Recipe]) -> str:
    """One answer with all its reviews. Names nothing that made it."""
    recipe = recipes.get(task.audience)
    audience = recipe.title if recipe else task.audience
    context = "".join(
        f"<p><strong>{escape(str(turn.role)).capitalize()}:</strong> {paragraphs(turn.content)}</p>"
        for turn in task.context
    )
    before = (
        f'<div><div class="el-label">Before</div><div class="el-context">{context}</div></div>'
        if context
        else ""
    )
    asked = (
        f'<p class="el-muted">{task.places_left} more '
        f"{'review is' if task.places_left == 1 else 'reviews are'} still asked for; a decision ends that.</p>"
        if task.places_left
        else ""
    )
    return (
        f'<div class="el-exam"><div class="el-muted">Written for: <strong>{escape(audience)}</strong> · '
        f"called for by {_triggers(tuple(task.triggers))}</div>{before}"
        f'<div><div class="el-label">Question</div><div>{paragraphs(task.question)}</div></div>'
        f'<div><div class="el-label">Answer</div><div class="el-answer">{markdown(task.answer)}</div></div>'
        f'<div><div class="el-label">Reviews</div>{render_opinions(task.opinions, usable=True)}</div>{asked}</div>'
    )


def render_settled(page: SettledPage) -> str:
    """The decisions that stand."""
    if not page.decisions:
        return '<p class="el-muted">Nothing was settled yet.</p>'
    return f'<div class="el-judged">{"".join(_render_settled(each) for each in page.decisions)}</div>'


def _render_settled(done: Settled) -> str:
    return (
        f'<div class="el-card"><div class="el-head"><b>{escape(done.question)}</b>'
        f"{button('Reopen', 'reopen', done.item_id, title='This decision should no longer stand')}</div>"
        f'<p class="el-muted">{escape(done.audience)} · {escape(done.made_by)} · called for by '
        f"{_triggers(done.triggers)}</p>{render_settlement(done.settlement)}</div>"
    )


def describe_decision(done: Settled) -> str:
    """What is revealed once the decision is stored."""
    verdict = VERDICTS[done.settlement.disposition].lower()
    return f"Settled: {verdict}. That answer was made by {done.made_by}."


def _triggers(triggers: tuple[str, ...]) -> str:
    return escape(
        ", ".join(TRIGGERS.get(str(trigger), str(trigger)) for trigger in triggers) or "nothing now"
    )
