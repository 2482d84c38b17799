"""How insights look: pure functions from services' values to HTML."""

import json
from collections.abc import Sequence

from elara_ui.services.agreement import LEAST_UNITS, Agreement
from elara_ui.services.insight_figures import (
    SCALES,
    AgreementRow,
    OriginFigures,
    ReviewerFigures,
    Scale,
    WeekShare,
)
from elara_ui.services.insights import AnswerPage, JudgedAnswer, Overview
from elara_ui.services.shares import Share
from elara_ui.tabs.insights_charts import LINES, bar_key, name_origin
from elara_ui.tabs.markup import escape, markdown, paragraphs
from elara_ui.tabs.opinions_view import render_opinions, render_settlement

AXES = tuple(scale for scale in SCALES if scale.column != "disposition")
FEW = 30
"""Answers below which an interval is so wide that a reader should be told."""


def render_overview(overview: Overview) -> str:
    """What was counted, in short."""
    cells = [
        (overview.answers, "answers judged"),
        (overview.reviews, "reviews"),
        (overview.reviewers, "reviewers"),
        (overview.waiting, "answers still waiting"),
        (overview.contested, "to be adjudicated"),
    ]
    figures = "".join(
        f'<div class="el-figure"><b>{number:,}</b><span>{name}</span></div>' for number, name in cells
    )
    return f'<div class="el-figures">{figures}</div>'


def render_nothing(what: str) -> str:
    """Why there is nothing to see."""
    return f'<p class="el-muted el-pad">{escape(what)}</p>'


def render_origins(rows: Sequence[OriginFigures], scale: Scale) -> str:
    """Each maker's shares with their intervals; pressing one lists its answers."""
    if not rows:
        return render_nothing(
            "No review fits. Choose another audience, adapter or period; reviews arrive from the Review tab."
        )
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in scale.labels)
    body = "".join(
        f'<tr><th scope="row">{escape(name_origin(row.audience, row.made_by))}</th>'
        f"{_render_shares(row, scale)}<td>{_units(row, scale)}</td></tr>"
        for row in rows
    )
    few = (
        f'<p class="el-muted">Where fewer than {FEW} answers were judged the intervals are wide: '
        "don't choose between adapters by these figures yet.</p>"
        if any(_units(row, scale) < FEW for row in rows)
        else ""
    )
    return (
        '<div class="el-table-box"><table class="el-table el-shares"><thead><tr><th scope="col">Answered by</th>'
        f'{head}<th scope="col">Answers</th></tr></thead><tbody>{body}</tbody></table></div>'
        '<p class="el-muted">Share of answers with its 95 % interval; each answer counts once, however many '
        f"judged it. Press a share or a bar to see its answers.</p>{few}"
    )


def _render_shares(row: OriginFigures, scale: Scale) -> str:
    shares = row.shares[scale.column]
    if not shares:
        return f'<td colspan="{len(scale.values)}"><span class="el-muted">not judged</span></td>'
    return "".join(
        f"<td>{_render_share(row, scale, value, label, share)}</td>"
        for value, label, share in zip(scale.values, scale.labels, shares, strict=True)
    )


def _render_share(row: OriginFigures, scale: Scale, value: str, label: str, share: Share) -> str:
    if not share.value:
        return f'<span class="el-share">0 % {render_interval(share)}</span>'
    item = json.dumps([row.audience, row.made_by, scale.column, value])
    name = name_origin(row.audience, row.made_by)
    title = f"Answers by {name}: {scale.title}, {label}"
    return (
        f'<button type="button" class="el-share" data-act="answers" data-item="{escape(item)}" '
        f'title="{escape(title)}" data-bar="{escape(bar_key(name, label))}"><span class="el-share-bar"><span style="width:{share.value:.1%}"></span></span>'
        f"{percent(share.value)} {render_interval(share)}</button>"
    )


def _units(row: OriginFigures, scale: Scale) -> int:
    shares = row.shares[scale.column]
    return shares[0].units if shares else 0


def render_weeks(weeks: Sequence[WeekShare], scale: Scale, drawn: Sequence[str], makers: int) -> str:
    """What the chart of weeks shows, or why it doesn't; and its dots as figures, the latest week first.

    Args:
        weeks: a dot each.
        scale: judged on it.
        drawn: the makers whose lines are drawn.
        makers: how many there are.
    """
    dates = {week.week for week in weeks}
    if not dates:
        return render_nothing("No review fits. Choose another audience, adapter or period.")
    lead = (
        f"Share of answers judged “{scale.best_label}” on {scale.title.lower()}, by the week of the review."
    )
    if len(dates) == 1:
        lead += " All reviews are of one week so far; a line needs two."
    if makers > len(LINES):
        lead += f" The {len(LINES)} most judged of {makers} are drawn; choose an adapter to see another."
    dots = {(week.week, name_origin(week.audience, week.made_by)): week for week in weeks}
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in drawn)
    body = "".join(
        f'<tr><th scope="row">{day:%d %b %Y}</th>'
        f"{''.join(f'<td>{_render_dot(dots.get((day, name)), scale)}</td>' for name in drawn)}</tr>"
        for day in sorted(dates, reverse=True)
    )
    return (
        f'<p class="el-muted">{escape(lead)} Press a share to see the answers of that week.</p>'
        '<div class="el-table-box"><table class="el-table el-shares"><thead><tr><th scope="col">Week from</th>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _render_dot(week: WeekShare | None, scale: Scale) -> str:
    """One dot of the chart, to be pressed; nothing was judged without one."""
    if week is None:
        return '<span class="el-muted">–</span>'
    item = json.dumps([week.audience, week.made_by, scale.column, week.week.isoformat()])
    name, units = name_origin(week.audience, week.made_by), week.share.units
    title = f"{units} {'answer' if units == 1 else 'answers'} by {name}, judged in the week from {week.week:%d %b %Y}"
    return (
        f'<button type="button" class="el-share" data-act="week" data-item="{escape(item)}" '
        f'title="{escape(title)}"><span class="el-share-bar"><span style="width:{week.share.value:.1%}"></span></span>'
        f"{percent(week.share.value)} {render_interval(week.share)}</button>"
    )


def render_agreement(rows: Sequence[AgreementRow]) -> str:
    """Agreement among all answers chosen, axis by axis, and alpha by audience and maker."""
    whole, *groups = rows
    body = "".join(
        f'<tr><th scope="row">{escape(scale.title)}</th>{_render_measured(whole.axes[scale.column])}</tr>'
        for scale in AXES
    )
    return (
        '<div class="el-table-box"><table class="el-table"><thead><tr><th scope="col">Axis</th>'
        '<th scope="col">Alpha</th><th scope="col">95 % interval</th><th scope="col">Same choice</th>'
        f'<th scope="col">Judged twice</th></tr></thead><tbody>{body}</tbody></table></div>'
        '<p class="el-muted">Krippendorff’s ordinal alpha: 1 is full agreement, 0 what chance gives; 0.8 is customary '
        "for firm conclusions and 0.67 for tentative ones. Where nearly all judgements are the same, as harm "
        "often is, alpha is low though people agree: read the share of the same choice beside it.</p>"
        f"{_render_groups(groups)}"
    )


def _render_measured(measured: Agreement) -> str:
    if measured.missing:
        return (
            f'<td colspan="3"><span class="el-muted">shown from {LEAST_UNITS} answers that two people judged; '
            f"{measured.missing} more to go</span></td><td>{measured.units}</td>"
        )
    if measured.alpha is None or measured.low is None or measured.high is None:
        return (
            '<td colspan="2"><span class="el-muted">not defined: everybody chose the same</span></td>'
            f"<td>{percent(measured.raw or 0)}</td><td>{measured.units:,}</td>"
        )
    return (
        f"<td><b>{_signed(measured.alpha)}</b></td><td>{_signed(measured.low)} to {_signed(measured.high)}</td>"
        f"<td>{percent(measured.raw or 0)}</td><td>{measured.units:,}</td>"
    )


def _render_groups(groups: Sequence[AgreementRow]) -> str:
    """Alpha of each group in a row; nothing when there is but one group."""
    if len(groups) < 2:
        return ""
    head = "".join(f'<th scope="col">{escape(scale.title)}</th>' for scale in AXES)
    body = "".join(
        f'<tr><th scope="row">{escape(_name_group(row))}</th>'
        f"{''.join(f'<td>{_short(row.axes[scale.column])}</td>' for scale in AXES)}</tr>"
        for row in groups
    )
    return (
        '<h4>Alpha by audience and adapter</h4><div class="el-table-box"><table class="el-table el-alphas">'
        f'<thead><tr><th scope="col">Answers</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        '<p class="el-muted">With its interval. A dash: everybody chose the same. A number of answers: so many '
        "more must be judged twice.</p>"
    )


def _name_group(row: AgreementRow) -> str:
    if row.made_by is None:
        return f"all for {row.audience}"
    return name_origin(row.audience or "", row.made_by)


def _short(measured: Agreement) -> str:
    if measured.missing:
        return f'<span class="el-muted">{measured.missing} more</span>'
    if measured.alpha is None or measured.low is None or measured.high is None:
        return "–"
    low, high = _signed(measured.low), _signed(measured.high)
    return f"{_signed(measured.alpha)} <small>{low} to {high}</small>"


def _signed(number: float) -> str:
    """Two digits and a true minus; nothing that rounds to none has a sign."""
    return f"{number:z.2f}".replace("-", "−")


def render_reviewers(rows: Sequence[ReviewerFigures]) -> str:
    """Each reviewer beside the others."""
    if not rows:
        return render_nothing(
            "Nobody has judged anything that fits. Choose another audience, adapter or period."
        )
    body = "".join(
        f'<tr><th scope="row">{escape(row.name)}{" ✓ verified" if row.verified else ""}</th>'
        f"<td>{row.reviews:,}</td><td>{'–' if row.seconds is None else f'{row.seconds:.0f} s'}</td>"
        f"<td>{percent(row.accepted)}</td><td>{percent(row.harmful)}</td><td>{_alike(row)}</td></tr>"
        for row in rows
    )
    return (
        '<div class="el-table-box"><table class="el-table"><thead><tr><th scope="col">Reviewer</th>'
        '<th scope="col">Reviews</th><th scope="col">Usual time</th><th scope="col">Accepted</th>'
        '<th scope="col">Found harm</th><th scope="col">Same choice as others</th></tr></thead>'
        f'<tbody>{body}</tbody></table></div><p class="el-muted">The usual time is the middle one of all. The last '
        "column compares each choice on the seven axes with others’ for the same answer. Who differs isn’t "
        "thereby wrong: different answers, or a sharper eye, look the same here.</p>"
    )


def _alike(row: ReviewerFigures) -> str:
    if row.alike is None:
        return '<span class="el-muted">nobody else judged these</span>'
    return f"{percent(row.alike)} of {row.compared:,}"


def render_answers(page: AnswerPage, title: str) -> str:
    """The answers behind a share."""
    if not page.answers:
        return f"<h4>{escape(title)}</h4>" + render_nothing(
            "None can be shown: an answer that still waits for a reviewer is judged blind, and is listed once all "
            "its reviews are in."
        )
    cards = "".join(_render_answer(answer) for answer in page.answers)
    return f'<h4 id="el-answers-title">{escape(title)}</h4><div class="el-judged">{cards}</div>'


def _render_answer(answer: JudgedAnswer) -> str:
    base = "" if answer.made_by == answer.base_model else f" on {escape(answer.base_model)}"
    withdrawn = " · <b>withdrawn</b>" if answer.withdrawn else ""
    settled = render_settlement(answer.settlement) if answer.settlement else ""
    return (
        f'<div class="el-card"><b>{paragraphs(answer.question)}</b>'
        f'<p class="el-muted">{escape(answer.audience)} · {escape(answer.made_by)}{base} · judged '
        f"{answer.judged_at:%Y-%m-%d} · answer <code>{escape(answer.response_id)}</code>{withdrawn}</p>"
        f'<div class="el-answer">{markdown(answer.text)}</div>{settled}'
        f"<details><summary>{len(answer.opinions)} {'review' if len(answer.opinions) == 1 else 'reviews'}</summary>"
        f"{render_opinions(answer.opinions)}</details></div>"
    )


def percent(share: float) -> str:
    """A share, never rounded to none or all when it is neither."""
    if 0 < share < 0.005:
        return "&lt;1 %"
    if 0.995 < share < 1:
        return "&gt;99 %"
    return f"{share:.0%}".replace("%", " %")


def render_interval(share: Share) -> str:
    """The ends of a share's interval, in percent."""
    return f"<small>{100 * share.low:.0f}–{100 * share.high:.0f}</small>"
