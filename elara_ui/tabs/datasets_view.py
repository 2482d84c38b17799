"""How the datasets look: pure functions from services' values to HTML."""

import shlex
from collections.abc import Mapping, Sequence

from elara_ui.services.curation_check import CheckReport
from elara_ui.services.selection_view import RowCount, RowPreview
from elara_ui.services.snapshots import RowChange, SnapshotDiff, SnapshotView
from elara_ui.tabs.markup import button, escape, notice, paragraphs

NOT_CHECKED = (
    '<p class="el-muted el-pad">Before a set is frozen, its duplicates, likely identifiers and overlap with '
    "evaluation sets are shown here.</p>"
)
CHECKING = '<p class="el-muted el-pad" role="status">Checking …</p>'
EXCERPT = 280  # characters of an answer before it is folded
FORMS = (("jsonl", "JSONL"), ("parquet", "Parquet"), ("folder", "Dataset folder"))


def render_count(count: RowCount) -> str:
    """How many rows there are, why they are in, and why other answers are not."""
    kinds = "".join(
        f"<li>{number:,} {escape(reason)}</li>" for reason, number in count.kinds.items() if number
    )
    out = "".join(f"<li>{number:,} {escape(reason)}</li>" for reason, number in count.left_out.items())
    total = sum(count.left_out.values())
    left = (
        f"<details><summary>{total:,} judged answers left out</summary><ul class='el-reasons'>{out}</ul></details>"
        if out
        else ""
    )
    word = "row" if count.rows == 1 else "rows"
    return (
        f'<div class="el-count" role="status"><b>{count.rows:,}</b> {word}'
        f"<ul class='el-chips'>{kinds}</ul>{left}</div>"
    )


def render_rows(rows: Sequence[RowPreview], show: str) -> str:
    """One page of answers, each with why it is in or out and a button to decide otherwise."""
    if not rows:
        text = {
            "in": "Nothing fits these rules yet. Loosen them, or review more answers.",
            "out": "Nothing is left out.",
        }.get(show, "Nothing here has been judged yet. Review some answers first.")
        return f'<p class="el-muted el-pad">{text}</p>'
    return f'<div class="el-rows">{"".join(map(_render_row, rows))}</div>'


def _render_row(row: RowPreview) -> str:
    if row.hidden:
        return (
            '<article class="el-row-card el-muted">Hidden: someone is still to judge this answer, without knowing '
            "what made it or what others said. It counts, and is shown once all its reviews are in.</article>"
        )
    mark = "in" if row.taken else "out"
    sign = "✓ in" if row.taken else "✕ out"
    if row.picked:
        act = button("Leave it to the rules", "reset", row.response_id)
    elif row.taken:
        act = button("Exclude", "exclude", row.response_id, title="Keep this answer out, with a reason")
    else:
        act = button("Include", "include", row.response_id, title="Take this answer in, with a reason")
    voice = escape(row.adapter or f"{row.base_model}, no adapter")
    label = "" if row.label is None else f" · {'wanted' if row.label else 'not wanted'}"
    worse = f'<div class="el-worse"><span>Worse</span>{_fold(row.rejected)}</div>' if row.rejected else ""
    return (
        f'<article class="el-row-card el-{mark}"><div class="el-row-head"><span><b class="el-mark">{sign}</b> '
        f'{escape(row.why)}</span>{act}</div><p class="el-row-question">{paragraphs(row.question)}</p>'
        f'<div class="el-row-answer">{_fold(row.answer)}</div>{worse}'
        f'<p class="el-meta">{escape(row.audience)} · {voice}{label} · {escape(row.response_id)}</p></article>'
    )


def _fold(text: str) -> str:
    """A long text opens on request."""
    if len(text) <= EXCERPT:
        return f"<p>{paragraphs(text)}</p>"
    head = text[:EXCERPT].rsplit(" ", 1)[0]
    return f"<details><summary>{paragraphs(head)} …</summary><p>{paragraphs(text[len(head) :])}</p></details>"


def render_check(report: CheckReport) -> str:
    """What freezing would keep, and what speaks against it."""
    if report.problem:
        return notice(report.problem)
    figures = "".join(
        f'<div class="el-figure"><b>{number:,}</b><span>{label}</span></div>'
        for label, number in (
            ("to learn from", report.train),
            ("held out", report.evaluation),
            ("duplicates left out", report.duplicates),
            ("near-duplicates left out", report.near_duplicates),
        )
    )
    again = (
        f'<p class="el-muted">{report.held_again:,} rows are held out again: an earlier set that was trained on '
        "held their prompts out.</p>"
        if report.held_again
        else ""
    )
    return (
        f'<section class="el-card" aria-label="Checks"><div class="el-figures">{figures}</div>{again}'
        f"{_render_leaks(report)}{_render_findings(report)}</section>"
    )


def _render_leaks(report: CheckReport) -> str:
    if not report.leak_count:
        return '<p class="el-checked">No prompt is in an evaluation set.</p>'
    said = notice(
        f"{_rows(report.leak_count)} a prompt with an evaluation set, or one like it: not to be learned."
    )
    if not report.leaks:
        return said + _render_hidden(report.leaks_hidden)
    rows = "".join(
        f"<tr><td>{escape(leak.question[:160])}</td><td>{escape(leak.set_name)}</td>"
        f"<td>{escape(leak.known[:160])}</td></tr>"
        for leak in report.leaks
    )
    return (
        f"{said}{_render_hidden(report.leaks_hidden)}"
        '<div class="el-table-box"><table class="el-table el-wrap"><thead><tr><th>Question</th><th>Set</th>'
        f"<th>Its prompt</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _rows(number: int) -> str:
    return "1 row shares" if number == 1 else f"{number:,} rows share"


def _render_findings(report: CheckReport) -> str:
    if not report.identifiers:
        return (
            '<p class="el-checked">No likely identifiers found. Names and addresses are not looked for.</p>'
        )
    kinds = ", ".join(f"{number} × {escape(kind)}" for kind, number in report.identifiers.items())
    said = notice(f"Likely identifiers: {kinds}.") + _render_hidden(report.findings_hidden)
    if not report.findings:
        return said
    rows = "".join(
        f"<tr><td>{escape(', '.join(found.kinds))}</td><td>{escape(found.excerpt)}</td>"
        f"<td>{escape(found.answers[0])}</td></tr>"
        for found in report.findings
    )
    return (
        f"{said}"
        '<div class="el-table-box"><table class="el-table el-wrap"><thead><tr><th>Kind</th><th>Where</th>'
        f"<th>Answer</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def render_sets(sets: Sequence[SnapshotView], compared: Sequence[str], shown: str) -> str:
    """The named sets; two of them can be compared.

    Args:
        sets: newest first.
        compared: ids chosen for comparison.
        shown: id of the one whose details are open.
    """
    if not sets:
        return (
            '<h3>Datasets</h3><p class="el-muted">None yet. Freeze a selection above, and it can be trained on '
            "in Fine-tune.</p>"
        )
    rows = "".join(_render_set(each, compared, shown) for each in sets)
    hint = "Tick two to compare them." if len(compared) < 2 else ""
    return (
        f'<h3>Datasets</h3><p class="el-muted">{hint}</p><div class="el-table-box"><table class="el-table">'
        "<thead><tr><th></th><th>Name</th><th>Rows</th><th>Objective</th><th>Frozen (UTC)</th><th>SHA-256</th>"
        f"<th>Learned by</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _render_set(found: SnapshotView, compared: Sequence[str], shown: str) -> str:
    chosen = str(found.snapshot_id in compared).lower()
    pick = (
        f'<button type="button" class="el-pick" role="checkbox" aria-checked="{chosen}" data-act="pick" '
        f'data-item="{found.snapshot_id}" aria-label="Compare {escape(found.label)}"></button>'
    )
    runs = ", ".join(escape(run.adapter or f"run {run.run_id}") for run in found.runs) or "—"
    gone = f' <span class="el-gone">{found.withdrawn} withdrawn</span>' if found.withdrawn else ""
    rebuild = (
        button("Rebuild", "rebuild", found.snapshot_id, title="Make it anew without what was withdrawn")
        if found.withdrawn and found.curated
        else ""
    )
    current = " aria-current=true" if found.snapshot_id == shown else ""
    return (
        f"<tr{current}><td>{pick}</td><td><strong>{escape(found.label)}</strong>{gone}</td>"
        f"<td>{found.train:,} + {found.evaluation:,}</td><td>{escape(found.objective)}</td>"
        f"<td>{found.created_at:%Y-%m-%d %H:%M}</td>"
        f'<td><code title="{escape(found.sha256)}">{escape(found.sha256[:12])}</code></td><td>{runs}</td>'
        f"<td class='el-acts'>{rebuild}{button('Details', 'details', found.snapshot_id)}</td></tr>"
    )


def render_details(found: SnapshotView) -> str:
    """One set: what is in it, its rules, and the ways out."""
    manifest = found.manifest
    counts = {
        "Rows": f"{found.rows:,}: {found.train:,} to learn from, {found.evaluation:,} held out",
        "Why they are in": _list_counts(manifest.get("kinds", {})),
        "Audiences": _list_counts(manifest.get("audiences", {})),
        "Answered by": _list_counts(manifest.get("adapters", {})),
        "Base models": _list_counts(manifest.get("base_models", {})),
        "Raters": _list_counts(manifest.get("raters", {})),
        "Left out": f"{manifest.get('duplicates', 0)} duplicates, {manifest.get('near_duplicates', 0)} near-duplicates",
        "Rules": "; ".join(f"{name}: {_show(value)}" for name, value in manifest.get("rules", {}).items()),
        "Rubric": str(manifest.get("rubric_version", "")),
        "Id": found.snapshot_id,
        "SHA-256": found.sha256,
        "Train on it": _train_command(found),
    }
    facts = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in counts.items() if text)
    exports = "".join(
        button(
            label,
            f"export-{form}",
            found.snapshot_id,
            title=f"Write {found.label} as {label} with its manifest",
        )
        for form, label in FORMS
    )
    return (
        f'<section class="el-card el-details" aria-label="{escape(found.label)}"><div class="el-head"><h3>'
        f"{escape(found.label)}</h3>{button('Close', 'close', found.snapshot_id)}</div>"
        f'<dl class="el-facts">{facts}</dl><h4>Export</h4><div class="el-actions el-framed">{exports}</div>'
        '<p class="el-muted">With its manifest, under exports in ELARA_HOME. The Hugging Face hub is beneath.</p></section>'
    )


def _train_command(found: SnapshotView) -> str:
    dataset = shlex.quote(f"snapshot:{found.label}")
    return f"python -m elara_ui train --audience … --dataset {dataset} --set objective={found.objective}"


def render_diff(diff: SnapshotDiff) -> str:
    """How the second set differs from the first."""
    figures = "".join(
        f'<div class="el-figure"><b>{number:,}</b><span>{label}</span></div>'
        for label, number in (
            ("added", diff.added), ("gone", diff.gone), ("changed", diff.changed), ("kept", diff.kept),
        )
    )  # fmt: skip
    rows = "".join(
        _render_change(word, change)
        for word, changes in (
            ("Added", diff.rows_added),
            ("Gone", diff.rows_gone),
            ("Changed", diff.rows_changed),
        )
        for change in changes
    )
    return (
        f'<section class="el-card el-details" aria-label="Comparison"><div class="el-head"><h3>{escape(diff.before)} → '
        f'{escape(diff.after)}</h3>{button("Close", "close")}</div><div class="el-figures">{figures}</div>'
        f'{_render_hidden(diff.hidden)}<div class="el-rows">{rows}</div></section>'
    )


def _render_hidden(number: int) -> str:
    """That so many rows count but aren't shown; nothing for none."""
    if not number:
        return ""
    rows = "1 of these rows is" if number == 1 else f"{number:,} of these rows are"
    return (
        f'<p class="el-muted">{rows} not shown: someone is still to judge the answer, without knowing what made it '
        "or what others said.</p>"
    )


def _render_change(word: str, change: RowChange) -> str:
    moved = f" · {escape(change.moved)}" if change.moved else ""
    before = f"<del>{_fold(change.before)}</del>" if change.before != change.after and word != "Added" else ""
    after = f"<ins>{_fold(change.after)}</ins>" if change.after and word != "Gone" else ""
    return (
        f'<article class="el-row-card"><div class="el-row-head"><span><b>{word}</b>{moved}</span></div>'
        f'<p class="el-row-question">{paragraphs(change.question)}</p>'
        f'<div class="el-row-answer el-change">{before}{after}</div>'
        f'<p class="el-meta">{escape(change.response_id)}</p></article>'
    )


def _list_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items())


def _show(value: object) -> str:
    if isinstance(value, Mapping):
        return (
            f"{len(value)} by hand"
            if all(isinstance(each, str) for each in value.values())
            else ", ".join(f"{name} {' or '.join(map(str, each))}" for name, each in value.items())
        )
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
