"""How a reviewer's own reviews look: pure functions from services' values to HTML."""

from collections.abc import Mapping, Sequence

from db.vocabulary import PairChoice
from elara_ui.services.lineage import Destinations
from elara_ui.services.own_reviews import OwnReview
from elara_ui.tabs.chat_view import describe_age
from elara_ui.tabs.markup import button, escape
from elara_ui.tabs.standing_view import describe_maker, describe_verdict

EXCERPT = 140
"""Characters of a question in the list."""
ONE_BETTER = (PairChoice.FIRST, PairChoice.SECOND)
SETS = 3
"""Training sets named for each review, the newest of them."""


def render_own(
    reviews: Sequence[OwnReview], went: Mapping[str, Destinations], offset: int = 0, *, more: bool = False
) -> str:
    """The reviews, newest first, where each went, and the ways to older and newer ones.

    Args:
        reviews: one page.
        went: review's id → the sets and adapters it came into.
        offset: how many newer ones there are.
        more: whether there are older ones.
    """
    if not reviews:
        return '<p class="el-muted">You have judged nothing yet. What you judge is listed here, to look at or change.</p>'
    rows = "".join(_render_row(review, went.get(review.review_id)) for review in reviews)
    ways = (button("Newer", "newer") if offset else "") + (button("Older", "older") if more else "")
    return (
        '<div class="el-table-box"><table class="el-table el-own"><thead><tr><th>When</th><th>Question</th><th>Your verdict</th>'
        f'<th>Answered by</th><th>Where it went</th><th></th></tr></thead><tbody>{rows}</tbody></table></div><div class="el-moves">{ways}</div>'
    )


def _render_row(review: OwnReview, went: Destinations | None) -> str:
    question = " ".join(review.question.split())
    excerpt = question if len(question) <= EXCERPT else f"{question[:EXCERPT]}…"
    edited = (
        f'<br><span class="el-muted">changed {describe_age(review.edited_at)}</span>'
        if review.edited_at
        else ""
    )
    return (
        f"<tr><td>{describe_age(review.judged_at)}</td><td>{escape(excerpt)}</td><td>{_describe_judgement(review)}{edited}</td>"
        f'<td>{_describe_makers(review)}</td><td>{_describe_way(went)}</td><td class="el-acts">{button("Look or change", "open", review.item_id)}</td></tr>'
    )


def _describe_way(went: Destinations | None) -> str:
    """The sets that a judgement came into, and what learned from them; the whole of it on pointing."""
    if went is None or not went.snapshots:
        return '<span class="el-muted" title="It is in no training set yet">no set yet</span>'
    sets = ", ".join(escape(each.label) for each in went.snapshots[-SETS:])
    older = len(went.snapshots) - SETS
    sets += f" and {older} more" if older > 0 else ""
    adapters = ", ".join(f"{escape(each.name)}{' (live)' if each.live else ''}" for each in went.adapters)
    learned = f'<br><span class="el-muted">→ {adapters}</span>' if adapters else ""
    return f'<span title="{escape(went.summary)}">{sets}</span>{learned}'


def _describe_judgement(review: OwnReview) -> str:
    """The verdict; of a comparison, which answer won, by what made it."""
    if not review.told:
        return "one is better" if review.disposition in ONE_BETTER else describe_verdict(review.disposition)
    makers = {PairChoice.FIRST: review.adapter, PairChoice.SECOND: review.other_adapter}
    if review.is_pair and review.disposition in makers:
        return f"{escape(makers[PairChoice(review.disposition)] or 'base model')} is better"
    return describe_verdict(review.disposition)


def _describe_makers(review: OwnReview) -> str:
    if not review.told:
        return '<span class="el-muted">told when the blind comparison is finished</span>'
    maker = describe_maker(review.adapter, review.base_model)
    if not review.is_pair:
        return maker
    return f"{maker}<br>{describe_maker(review.other_adapter, review.other_base_model or review.base_model)}"
