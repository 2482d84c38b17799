"""How a reviewer's own reviews look: pure functions from services' values to HTML."""

from collections.abc import Sequence

from db.vocabulary import PairChoice
from elara_ui.services.own_reviews import OwnReview
from elara_ui.tabs.chat_view import describe_age
from elara_ui.tabs.markup import button, escape
from elara_ui.tabs.standing_view import describe_maker, describe_verdict

EXCERPT = 140
"""Characters of a question in the list."""


def render_own(reviews: Sequence[OwnReview], offset: int = 0, *, more: bool = False) -> str:
    """The reviews, newest first, and the ways to older and newer ones.

    Args:
        reviews: one page.
        offset: how many newer ones there are.
        more: whether there are older ones.
    """
    if not reviews:
        return '<p class="el-muted">You have judged nothing yet. What you judge is listed here, to look at or change.</p>'
    rows = "".join(_render_row(review) for review in reviews)
    ways = (button("Newer", "newer") if offset else "") + (button("Older", "older") if more else "")
    return (
        '<div class="el-table-box"><table class="el-table el-own"><thead><tr><th>When</th><th>Question</th><th>Your verdict</th>'
        f'<th>Answered by</th><th></th></tr></thead><tbody>{rows}</tbody></table></div><div class="el-moves">{ways}</div>'
    )


def _render_row(review: OwnReview) -> str:
    question = " ".join(review.question.split())
    excerpt = question if len(question) <= EXCERPT else f"{question[:EXCERPT]}…"
    edited = (
        f'<br><span class="el-muted">changed {describe_age(review.edited_at)}</span>'
        if review.edited_at
        else ""
    )
    return (
        f"<tr><td>{describe_age(review.judged_at)}</td><td>{escape(excerpt)}</td><td>{_describe_judgement(review)}{edited}</td>"
        f'<td>{_describe_makers(review)}</td><td class="el-acts">{button("Look or change", "open", review.item_id)}</td></tr>'
    )


def _describe_judgement(review: OwnReview) -> str:
    """The verdict; of a comparison, which answer won, by what made it."""
    makers = {PairChoice.FIRST: review.adapter, PairChoice.SECOND: review.other_adapter}
    if review.is_pair and review.disposition in makers:
        return f"{escape(makers[PairChoice(review.disposition)] or 'base model')} is better"
    return describe_verdict(review.disposition)


def _describe_makers(review: OwnReview) -> str:
    maker = describe_maker(review.adapter, review.base_model)
    if not review.is_pair:
        return maker
    return f"{maker}<br>{describe_maker(review.other_adapter, review.other_base_model or review.base_model)}"
