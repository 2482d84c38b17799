"""How evaluations look: pure functions from services' values to HTML."""

from collections.abc import Mapping, Sequence

from db.vocabulary import EvaluationStatus
from elara_ui.services.evaluation_comparison import Change, Comparison, Pair, Verdict
from elara_ui.services.evaluation_measures import find_measure
from elara_ui.services.evaluation_views import AnswerView, EvaluationView, FigureView
from elara_ui.tabs.markup import button, escape, markdown, notice, paragraphs, status_pill

PAGE = 30
"""Questions shown at a time."""
INTRODUCTION = (
    '<p class="el-muted">The same questions to every version, at temperature 0: what changed is then the version. '
    "Figures come with 95 % intervals; rules on words see form, never truth, and none was clinically reviewed.</p>"
)
NOTHING_YET = (
    '<p class="el-muted el-pad">Nothing was evaluated yet. Choose a version and its questions, then press Evaluate.'
    " It goes on in the background, after whoever chats.</p>"
)
_VERDICTS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.BETTER: ("el-better", "better"),
    Verdict.WORSE: ("el-worse-mark", "worse"),
    Verdict.CHANGED: ("el-changed", "changed"),
    Verdict.UNCLEAR: ("el-unclear", "no clear difference"),
}


def render_list(views: Sequence[EvaluationView], shown: str) -> str:
    """Every evaluation, the latest first, with how far it is.

    Args:
        shown: id of the one that is open.
    """
    if not views:
        return NOTHING_YET
    rows = "".join(_render_row(view, current=view.evaluation_id == shown) for view in views)
    return (
        '<div class="el-table-box el-bounded"><table class="el-table"><thead><tr><th scope="col">Version</th>'
        '<th scope="col">Questions</th><th scope="col">State</th><th scope="col">Begun (UTC)</th><th></th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _render_row(view: EvaluationView, *, current: bool) -> str:
    acts = [button("Open", "open", view.evaluation_id, title=f"Figures of {view.label}")]
    if view.is_under_way:
        acts.append(button("Cancel", "cancel", view.evaluation_id, title=f"Stop evaluating {view.label}"))
    else:
        acts.append(button("Remove", "remove", view.evaluation_id, title=f"Delete this of {view.label}"))
    return (
        f"<tr{' aria-current=true' if current else ''}><td><strong>{escape(view.label)}</strong></td>"
        f"<td>{escape(view.suite_label)}</td><td>{_render_state(view)}</td>"
        f"<td>{view.created_at:%Y-%m-%d %H:%M}</td><td class='el-acts'>{''.join(acts)}</td></tr>"
    )


def _render_state(view: EvaluationView) -> str:
    if view.status is not EvaluationStatus.RUNNING:
        return status_pill(view.status)
    share = round(100 * view.done / view.total) if view.total else 0
    return (
        f'<div class="el-evaluating" role="status"><span>{escape(view.stage)}, {view.done} of {view.total}</span>'
        f'<div class="el-progress"><span style="width:{share}%"></span></div></div>'
    )


def render_evaluation(view: EvaluationView | None) -> str:
    """One evaluation: its figures with what they mean."""
    if view is None:
        return ""
    notes = "".join(notice(note, "info") for note in view.notes)
    trouble = notice(view.error) if view.error else ""
    facts = [view.suite_label, view.base_model, f"{view.engine}, temperature 0" if view.engine else ""]
    method = view.methods.get("relevance")
    if method and view.figure("relevance"):
        facts.append(f"relevance by {method}")
    return (
        f'<section class="el-card" aria-label="{escape(view.label)}"><div class="el-head"><h3>{escape(view.label)} '
        f"{status_pill(view.status)}</h3></div>"
        f'<p class="el-muted">{escape(" · ".join(filter(None, facts)))}</p>{trouble}{notes}'
        f"{_render_figures(view)}</section>"
    )


def _render_figures(view: EvaluationView) -> str:
    if not view.figures:
        told = (
            "Figures come when all questions are answered."
            if view.is_under_way
            else "It ended before its figures were reckoned. Start it again above."
        )
        return f'<p class="el-muted">{told}</p>'
    rows = "".join(map(_render_figure, view.figures))
    return (
        '<div class="el-table-box"><table class="el-table el-wrap-first"><thead><tr><th scope="col">Figure</th>'
        '<th scope="col">Value</th><th scope="col">95 % interval</th><th scope="col">Answers</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _render_figure(figure: FigureView) -> str:
    unit = f" <small>{escape(figure.unit)}</small>" if figure.unit else ""
    interval = f"{figure.show(figure.low)} to {figure.show(figure.high)}"
    return (
        f'<tr><th scope="row">{escape(figure.label)}<small class="el-meaning">{escape(figure.meaning)}</small></th>'
        f"{_cell('Value', f'<b>{figure.show(figure.value)}</b>{unit}')}"
        f"{_cell('95 % interval', interval + _render_strip(figure))}{_cell('Answers', str(figure.n))}</tr>"
    )


def _render_strip(figure: FigureView) -> str:
    """Where a share and its interval lie between 0 and 100 %."""
    if not figure.is_share:
        return ""
    width = max(figure.high - figure.low, 0.01)
    return (
        f'<div class="el-box" aria-hidden="true"><span style="left:{figure.low:.1%};width:{width:.1%}"></span>'
        f'<b style="left:{figure.value:.1%}"></b></div>'
    )


def render_comparison(comparison: Comparison | None) -> str:
    """What improved, what fell and what can't be told apart, the clear ones first."""
    if comparison is None:
        return ""
    labels, order = (comparison.before.label, comparison.after.label), list(Verdict)
    changes = sorted(comparison.changes, key=lambda each: order.index(each.verdict))
    rows = "".join(_render_change(change, *labels) for change in changes)
    before, after = map(escape, labels)
    notes = "".join(f'<p class="el-muted">{escape(note)}</p>' for note in comparison.notes)
    return (
        f'<section class="el-card" aria-label="Comparison"><h3>{after} against {before}</h3>'
        f"{_summarise(comparison)}{notes}"
        '<div class="el-table-box"><table class="el-table el-wrap-first"><thead><tr><th scope="col">Figure</th>'
        f'<th scope="col">{before}</th><th scope="col">{after}</th><th scope="col">Change, 95 % interval</th>'
        f'<th scope="col">Meaning</th></tr></thead><tbody>{rows}</tbody></table></div>'
        '<p class="el-muted">Question by question. A change counts as one only where chance hardly explains it '
        "(5 %); of many figures one may still differ by chance.</p></section>"
    )


def _summarise(comparison: Comparison) -> str:
    better, worse = comparison.named(Verdict.BETTER), comparison.named(Verdict.WORSE)
    if not better and not worse:
        return notice("No figure is clearly better or worse on these questions.", "info")
    told = []
    if worse:
        told.append(f"Worse: {', '.join(worse)}.")
    if better:
        told.append(f"Better: {', '.join(better)}.")
    return notice("\n".join(told), "error" if worse else "good")


def _render_change(change: Change, before: str, after: str) -> str:
    kind, label = _VERDICTS[change.verdict]
    found, figure = change.change, change.before
    unit = " points" if figure.is_share else ""
    interval = f"{figure.show_change(found.low)} to {figure.show_change(found.high)}"
    mark = f'<span class="el-verdict-mark {kind}">{label}</span>'
    return (
        f'<tr><th scope="row">{escape(figure.label)}</th>{_cell(before, figure.show(figure.value))}'
        f"{_cell(after, figure.show(change.after.value))}"
        f"{_cell('Change', f'{figure.show_change(found.value)}{unit} <small>{interval}</small>')}"
        f"{_cell('Meaning', mark)}</tr>"
    )


def _cell(label: str, content: str) -> str:
    """A table's cell; where the window is narrow its column's name stands in it.

    Args:
        label: the column's name, plain text.
        content: HTML.
    """
    return f'<td data-label="{escape(label)}">{content}</td>'


def render_answers(answers: Sequence[AnswerView], page: int) -> str:
    """The answers of one evaluation, a page of them; those that fail a check say which."""
    shown = answers[: (page + 1) * PAGE]
    return _wrap([_render_question(answer, _render_answer(answer)) for answer in shown], len(answers))


def render_pairs(comparison: Comparison, page: int) -> str:
    """The answers of two versions side by side, a page of them."""
    shown = comparison.pairs[: (page + 1) * PAGE]
    before, after = comparison.before.label, comparison.after.label
    return _wrap([_render_pair(pair, before, after) for pair in shown], len(comparison.pairs))


def _wrap(items: Sequence[str], total: int) -> str:
    if not items:
        return ""
    count = f"{len(items)} of {total} questions" if len(items) < total else f"{total} questions"
    return (
        f'<section aria-label="Answers"><h4>Answers <small class="el-muted">{count}</small></h4>'
        f'<div class="el-asked">{"".join(items)}</div></section>'
    )


def _render_pair(pair: Pair, before: str, after: str) -> str:
    columns = "".join(
        f'<div><span class="el-muted">{escape(label)}</span>{_render_answer(answer)}</div>'
        for label, answer in ((before, pair.before), (after, pair.after))
    )
    return _render_question(pair.before, f'<div class="el-pairs">{columns}</div>')


def _render_question(answer: AnswerView, body: str) -> str:
    category = f"<small>{escape(answer.category)}</small>" if answer.category else ""
    reference = (
        f"<details><summary>Reference answer</summary><p>{paragraphs(answer.reference)}</p></details>"
        if answer.reference
        else ""
    )
    points = "".join(f"<li>{escape(point.text)}</li>" for point in answer.points)
    rubric = (
        f'<details><summary>Rubric</summary><ul class="el-reasons">{points}</ul></details>' if points else ""
    )
    return (
        f"<details><summary>{escape(answer.question)} {category}</summary>{body}{reference}{rubric}</details>"
    )


def _render_answer(answer: AnswerView) -> str:
    failed = f'<p class="el-gone">Fails: {escape(", ".join(answer.failed))}</p>' if answer.failed else ""
    text = markdown(answer.text) if answer.text else '<p class="el-muted">(nothing)</p>'
    return f'<div class="el-answer">{text}</div>{failed}<p class="el-muted">{_list_measures(answer)}</p>'


def _list_measures(answer: AnswerView) -> str:
    """What was measured on one answer, in short."""
    told = []
    for name, value in answer.measures.items():
        if name in ("words", "reading_grade", "relevance", "heldout_loss"):
            digits = 0 if name == "words" else 2 if name == "heldout_loss" else 1
            told.append(f"{escape(find_measure(name).label.lower())} {value:.{digits}f}")
    return " · ".join(told)
