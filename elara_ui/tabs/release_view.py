"""How releasing looks: pure functions from services' values to HTML."""

from collections.abc import Sequence

from elara_ui.services.canary import Trial, VersionFigures
from elara_ui.services.comparing import Comparison
from elara_ui.services.evaluation_views import EvaluationView
from elara_ui.services.release import Standing
from elara_ui.services.release_gate import Check, CheckState, Gate
from elara_ui.services.release_history import ReleaseRecord
from elara_ui.services.release_words import describe_action, describe_figures, describe_voice
from elara_ui.tabs.markup import command_box, escape, notice, paragraphs, status_pill
from elara_ui.tabs.pair_batches_view import render_comparison

MARKS = {
    CheckState.MET: ("✓", "met"),
    CheckState.NOT_MET: ("✗", "not met"),
    CheckState.NOT_MEASURED: ("–", "not measured"),
}
"""A sign to see and a word to read."""


def render_standing(standing: Standing) -> str:
    """What answers now, what one click goes back to, and what is tried."""
    live = standing.live
    facts = [
        ("Answers now", f"<strong>{escape(describe_voice(live.name if live else None))}</strong>"),
        ("On", escape(standing.base_model)),
    ]
    if live:
        facts.append(("Before it", escape(describe_voice(standing.back_to))))
    if standing.trial:
        tried = standing.trial
        facts.append(
            (
                "On trial",
                f"{escape(tried.adapter)}, on {tried.share:.0%} of conversations begun since "
                f"{tried.started_at:%Y-%m-%d %H:%M} UTC",
            )
        )
    if not standing.candidates:
        facts.append(("Candidates", '<span class="el-muted">none; train one in Fine-tune</span>'))
    items = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in facts)
    return f'<dl class="el-facts">{items}</dl>'


def render_gate(gate: Gate | None, *, strict: bool) -> str:
    """The rules as a checklist with figures, and what follows from them.

    Args:
        gate: of the version looked at; None when there is none.
        strict: whether no reason makes up for what isn't met.
    """
    if gate is None:
        return ""
    rows = "".join(map(_render_check, gate.checks))
    against = escape(describe_voice(gate.opponent))
    return (
        f'<section class="el-card el-gate" aria-label="Gate"><h3>{escape(gate.candidate)} against {against}</h3>'
        f'<ul>{rows}</ul><p class="el-muted">{_conclude(gate, strict=strict)}</p></section>'
    )


def _render_check(check: Check) -> str:
    sign, word = MARKS[check.state]
    blocks = " · blocks" if check.blocks else ""
    remedy = f" <em>{escape(check.remedy)}</em>" if check.remedy else ""
    return (
        f'<li class="el-check el-check-{check.state}"><span class="el-check-sign" aria-hidden="true">{sign}</span><div>'
        f'<b>{escape(check.title)}</b> <span class="el-muted">{word}{blocks}</span>'
        f'<p>{escape(check.value)}{remedy}</p><p class="el-muted">{escape(check.rule)}</p></div></li>'
    )


def _conclude(gate: Gate, *, strict: bool) -> str:
    if gate.blockers:
        return "It may not answer: no reason makes up for this."
    if gate.is_met:
        return "Every check is met: it may answer."
    if strict:
        return "It may not answer until every check is met (ELARA_STRICT_RELEASE)."
    return "It may answer with a written reason, which is kept with these figures."


def render_progress(measured: Sequence[EvaluationView], compared: Comparison | None) -> str:
    """What is being measured or answered.

    Args:
        measured: evaluations that wait or run.
        compared: a comparison under way; None when there is none.
    """
    lines = "".join(
        f"<p>{escape(each.label)} on {escape(each.suite)} {status_pill(each.status)} "
        f'<span class="el-muted">{each.done} of {each.total}</span></p>'
        f'<div class="el-progress"><span style="width:{100 * each.done / max(1, each.total):.0f}%"></span></div>'
        for each in measured
    )
    card = f'<div class="el-card" role="status">{lines}</div>' if lines else ""
    if compared is None or not compared.is_under_way:
        return card
    return card + render_comparison(compared)


def render_trial(trial: Trial | None, figures: Sequence[VersionFigures]) -> str:
    """What came of the trial, version beside version."""
    if trial is None or not figures:
        return ""
    head = "".join(f'<th scope="col">{escape(describe_voice(each.adapter))}</th>' for each in figures)
    columns = [describe_figures(each) for each in figures]
    body = "".join(
        f'<tr><th scope="row">{escape(label)}</th>{"".join(f"<td>{escape(dict(column)[label])}</td>" for column in columns)}</tr>'
        for label, _ in columns[0]
    )
    return (
        f'<h3>Trial of {escape(trial.adapter)}</h3><div class="el-table-box"><table class="el-table el-releases"><thead><tr>'
        f"<th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        '<p class="el-muted">Conversations begun since the trial, each answered by one of the two by chance; in brackets the '
        "95 % interval. Private and deleted conversations aren’t counted.</p>"
    )


def render_history(records: Sequence[ReleaseRecord]) -> str:
    """What was done, by whom, when and why, the latest first."""
    if not records:
        return notice("Nothing was released for this audience yet.", "info")
    rows = "".join(map(_render_record, records))
    return (
        '<h3>History</h3><div class="el-table-box"><table class="el-table el-releases"><thead><tr><th scope="col">What</th>'
        f'<th scope="col">Why</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _render_record(record: ReleaseRecord) -> str:
    why = paragraphs(record.reason) if record.reason else '<span class="el-muted">–</span>'
    return (
        f'<tr><td>{escape(describe_action(record))}<br><span class="el-muted">{record.created_at:%Y-%m-%d %H:%M} UTC '
        f"by {escape(record.by)}</span>{_render_kept(record)}</td><td>{why}</td></tr>"
    )


def _render_kept(record: ReleaseRecord) -> str:
    """The gate as it was, the trial's figures, and how the version is made anew; folded."""
    checks = "".join(
        f"<li>{MARKS[CheckState(check['state'])][0]} {escape(check['title'])}: {escape(check['value'])}</li>"
        for check in record.figures.get("checks", ())
    )
    tried = "".join(
        f"<li>{escape(describe_voice(each['adapter']))}: {each['conversations']:,} conversations, "
        f"{each['answers']:,} answers</li>"
        for each in record.figures.get("canary", ())
    )
    gate = f"<p>The gate then:</p><ul>{checks}</ul>" if checks else ""
    trial = f"<p>The trial then:</p><ul>{tried}</ul>" if tried else ""
    again = f"<p>Made anew by:</p>{command_box(record.again)}" if record.again else ""
    kept = gate + trial + again
    return f"<details><summary>What was known</summary>{kept}</details>" if kept else ""
