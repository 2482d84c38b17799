"""How comparisons look in insights: the table of makers, and the pairs behind a figure."""

import json
from collections.abc import Sequence

from db.vocabulary import PairChoice
from elara_ui.services.compared_pairs import JudgedPair, PairVote
from elara_ui.services.insight_figures import PairFigures
from elara_ui.services.insights import PairPage
from elara_ui.services.shares import Share
from elara_ui.tabs.insights_charts import OUTCOME_CHOICES, OUTCOMES, bar_key, name_origin, name_pair
from elara_ui.tabs.insights_view import percent, render_interval, render_nothing
from elara_ui.tabs.markup import escape, markdown, paragraphs


def render_pairs(rows: Sequence[PairFigures]) -> str:
    """Each pair of makers: how often the first was better; pressing a figure lists its pairs."""
    if not rows:
        return render_nothing(
            "No answers were compared yet. Send comparisons from Review, “Organise”; they are judged in the queue."
        )
    body = "".join(map(_render_row, rows))
    return (
        '<div class="el-table-box"><table class="el-table el-shares"><thead><tr><th scope="col">Compared</th>'
        '<th scope="col">First wins</th><th scope="col">First better</th><th scope="col">Tie</th>'
        '<th scope="col">Second better</th><th scope="col">Both unsafe</th><th scope="col">Pairs</th>'
        f'<th scope="col">Judgements</th></tr></thead><tbody>{body}</tbody></table></div>'
        '<p class="el-muted">“First wins” counts a tie as half and leaves out pairs found unsafe; with its 95 % '
        "interval. When the interval holds 50 %, neither is shown to be better. Press a figure or a bar to see its pairs.</p>"
    )


def _render_row(row: PairFigures) -> str:
    shares = zip(OUTCOMES, (row.wins, row.ties, row.losses, row.unsafe), strict=True)
    cells = "".join(f"<td>{_render_outcome(row, outcome, share)}</td>" for outcome, share in shares)
    every = _button(row, "", f"All pairs: {name_pair(row)}", f"{row.pairs:,}")
    return (
        f'<tr><th scope="row">{escape(name_pair(row))}</th><td>{_rate(row.rate)}</td>{cells}'
        f"<td>{every}</td><td>{row.judgements:,}</td></tr>"
    )


def _render_outcome(row: PairFigures, outcome: str, share: float) -> str:
    if not share:
        return '<span class="el-share">0 %</span>'
    bar = f' data-bar="{escape(bar_key(name_pair(row), outcome))}"'
    title = f"Pairs: {name_pair(row)}, {outcome}"
    return _button(row, OUTCOME_CHOICES[outcome], title, percent(share), bar)


def _button(row: PairFigures, choice: str, title: str, shown: str, bar: str = "") -> str:
    item = json.dumps([row.audience, row.first, row.second, choice])
    return (
        f'<button type="button" class="el-share" data-act="pairs" data-item="{escape(item)}" title="{escape(title)}"{bar}>'
        f"{shown}</button>"
    )


def _rate(rate: Share | None) -> str:
    return "–" if rate is None else f"{percent(rate.value)} {render_interval(rate)}"


def render_compared(page: PairPage, title: str) -> str:
    """The pairs behind a figure, both answers side by side with what was chosen."""
    heading = f'<h4 id="el-answers-title">{escape(title)}</h4>'
    if not page.pairs:
        return heading + render_nothing(
            "None can be shown: a pair that still waits for a reviewer is judged blind, and is listed once all its judgements are in."
        )
    return f'{heading}<div class="el-judged">{"".join(map(_render_pair, page.pairs))}</div>'


def _render_pair(pair: JudgedPair) -> str:
    sides, withdrawn = pair.sides, " · <b>withdrawn</b>" if pair.withdrawn else ""
    batch = f" · batch “{escape(pair.batch)}”" if pair.batch else ""
    names = (name_origin(sides.audience, sides.first), name_origin(sides.audience, sides.second))
    columns = "".join(
        f'<div class="el-column"><h3>{escape(name)}</h3><div class="el-answer">{markdown(text)}</div>'
        f'<p class="el-meta">answer <code>{escape(answer)}</code></p></div>'
        for name, text, answer in zip(
            names, (pair.first_text, pair.second_text), (pair.first_id, pair.second_id), strict=True
        )
    )
    votes = "".join(_render_vote(vote, names) for vote in pair.votes)
    return (
        f'<div class="el-card"><b>{paragraphs(pair.question)}</b><p class="el-muted">{escape(sides.audience)}{batch}{withdrawn}</p>'
        f'<ul class="el-votes">{votes}</ul><div class="el-columns">{columns}</div></div>'
    )


def _render_vote(vote: PairVote, names: tuple[str, str]) -> str:
    said = {
        PairChoice.FIRST: f"{escape(names[0])} is better",
        PairChoice.SECOND: f"{escape(names[1])} is better",
        PairChoice.TIE: "tie",
        PairChoice.BOTH_UNSAFE: "both unsafe",
    }[vote.choice]
    verified = " ✓ verified" if vote.verified else ""
    reason = f": {paragraphs(vote.reason)}" if vote.reason else ""
    return f"<li>{escape(vote.reviewer)}{verified} · <b>{said}</b>{reason}</li>"
