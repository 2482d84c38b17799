"""How batches of comparisons look: pure functions from services' values to HTML."""

from collections.abc import Sequence

from db.pairs import BatchOfPairs
from elara_ui.services.comparing import Comparison, ComparisonState
from elara_ui.services.pairs import PairBatch
from elara_ui.services.questions import BASE_ALONE
from elara_ui.tabs.markup import escape, notice

BASE = ("base model", BASE_ALONE)

INTRODUCTION = (
    '<p class="el-muted">Two answers to the same question, shown side by side and unnamed: of two adapters, of an adapter and '
    "the base model, or of one at two temperatures. Take answers that are there, or let both answer anew.</p>"
)


def describe_sent(sent: PairBatch) -> str:
    """What became of answers that were there."""
    parts = [f"{_pairs(sent.sent)} sent to review as “{sent.batch}”"]
    if sent.known:
        parts.append(f"{_pairs(sent.known)} had been sent before")
    if sent.equal:
        parts.append(
            f"{sent.equal} {'question was' if sent.equal == 1 else 'questions were'} answered with the same words"
        )
    return f"{'; '.join(parts)}."


def render_comparison(now: Comparison | None) -> str:
    """How far the voices are."""
    if now is None:
        return ""
    plan, total = now.plan, len(now.plan.questions)
    share = round(100 * now.done / total) if total else 0
    equal = f" · {now.equal} answered with the same words" if now.equal else ""
    outcome = {
        ComparisonState.ANSWERING: "",
        ComparisonState.STOPPED: notice(
            f"Stopped. {_pairs(now.sent)} sent; start the same batch again, and it goes on from there.",
            "info",
        ),
        ComparisonState.FAILED: notice(now.error),
        ComparisonState.DONE: notice(f"{_pairs(now.sent).capitalize()} sent to review.", "good"),
    }[now.state]
    return (
        f'<div class="el-card" role="status"><h3>{escape(plan.batch)}: {escape(plan.first.title)} against '
        f'{escape(plan.second.title)}</h3><p class="el-muted">{now.done} of {total} questions answered by both{equal}</p>'
        f'<div class="el-progress"><span style="width:{share}%"></span></div>{outcome}</div>'
    )


def render_batches(batches: Sequence[BatchOfPairs]) -> str:
    """The batches there are, and how far reviewers are with each."""
    if not batches:
        return '<h3>Batches</h3><p class="el-muted">None yet.</p>'
    rows = "".join(map(_render_batch, batches))
    return (
        '<h3>Batches</h3><div class="el-table-box"><table class="el-table el-wrap"><thead><tr><th scope="col">Batch</th><th scope="col">Judgements</th>'
        f'<th scope="col">Pairs</th><th scope="col">Finished</th></tr></thead><tbody>{rows}</tbody></table></div>'
        '<p class="el-muted">What came of them: Insights, “Side by side”.</p>'
    )


def _render_batch(batch: BatchOfPairs) -> str:
    share = min(100, round(100 * batch.judgements / batch.wanted)) if batch.wanted else 0
    return (
        f'<tr><th scope="row">{escape(batch.batch)}</th><td>{batch.judgements:,} of {batch.wanted:,}'
        f'<div class="el-progress" aria-hidden="true"><span style="width:{share}%"></span></div></td>'
        f"<td>{batch.pairs:,}</td><td>{batch.finished:,}</td></tr>"
    )


def _pairs(number: int) -> str:
    return {0: "no pair", 1: "1 pair"}.get(number, f"{number:,} pairs")
