"""How the adapters look: pure functions from services' values to HTML."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from adapters.card import show
from db.vocabulary import AdapterStatus
from elara_ui.services.adapter_details import AdapterDetails, Figure
from elara_ui.services.adapter_probe import Probing
from elara_ui.services.adapters import AdapterSummary, ProbeStanding
from elara_ui.services.evaluation_views import EvaluationView
from elara_ui.services.exporting import Target
from elara_ui.services.files import StoredFile
from elara_ui.tabs.markup import button, escape, markdown, status_pill
from elara_ui.tabs.probe_view import render_probe

EXPORTS: Mapping[Target, tuple[str, str]] = {
    Target.GGUF: ("GGUF", "The LoRA file that llama.cpp reads"),
    Target.MERGED: ("Merged model", "Base model and adapter in one; takes about a minute, checked"),
    Target.PEFT: ("PEFT folder", "The folder as it is kept, for transformers and vLLM"),
}
UNITS = ("kB", "MB", "GB")
TELLING = ("safety_passed", "refusal", "reassured", "heldout_loss", "in_target", "relevance", "rubric")
"""The figures of an evaluation that are told among an adapter's details."""


def render_adapters(
    adapters: Sequence[AdapterSummary], shown: str = "", probing: Mapping[str, Probing] | None = None
) -> str:
    """Every adapter with its place and figures; any that isn't live can be made so.

    Args:
        shown: the one whose details are open.
        probing: how those stand that are being tried, or were.
    """
    under_way = {name for name, state in (probing or {}).items() if state.is_under_way}
    if not adapters:
        return ""
    rows = "".join(
        f"<tr{' aria-current=true' if adapter.name == shown else ''}><td><strong>{escape(adapter.name)}</strong></td>"
        f"<td>{status_pill(adapter.status)}</td>"
        f"<td>{_describe_loss(adapter)}</td><td>{escape(adapter.base_model)}</td>"
        f"<td>{adapter.created_at:%Y-%m-%d %H:%M}</td>"
        f"<td class='el-acts'>{button('Details', 'details', adapter.name)}{_render_promotion(adapter, under_way)}</td></tr>"
        for adapter in adapters
    )
    return (
        "<h3>Adapters</h3><div class='el-table-box'><table class='el-table'><thead><tr><th>Adapter</th>"
        "<th>Status</th><th>Held-out loss</th><th>Base model</th><th>Made (UTC)</th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def render_details(details: AdapterDetails, written: Mapping[Target, Path]) -> str:
    """One adapter: where it came from, what was measured, its files, its exports and its card.

    Args:
        details: of the adapter.
        written: exports that are there already.
    """
    figures = "".join(map(_render_figure, details.figures))
    return (
        f'<section class="el-card el-details" aria-label="{escape(details.name)}"><div class="el-head"><h3>'
        f"{escape(details.name)} {status_pill(details.status)}</h3>{button('Close', 'close', details.name)}</div>"
        f'<div class="el-figures">{figures}</div>'
        f"{_render_evaluations(details.evaluations)}<h4>Where it came from</h4>{_render_facts(_lineage(details))}"
        f"{_render_upload(details)}<h4>Export</h4>{_render_exports(details, written)}"
        f"<h4>Files</h4>{_render_files(details.files)}"
        f'<details><summary>Model card</summary><div class="el-answer el-model-card">{markdown(details.card)}</div>'
        "</details></section>"
    )


def _render_upload(details: AdapterDetails) -> str:
    """Of one that was brought in: who brought it, what was found, and what it said when it was tried."""
    if not details.upload:
        return ""
    facts = {label: show(value) for label, value in details.upload.items()}
    probe = render_probe(details.probe) if details.probe else "<p class='el-muted'>Not tried yet.</p>"
    return f"<h4>Brought in</h4>{_render_facts(facts)}<h4>Probe</h4>{probe}"


def _render_evaluations(evaluations: Sequence[EvaluationView]) -> str:
    """The newest figures on each suite; the Evaluate tab has all."""
    if not evaluations:
        return (
            "<h4>Evaluated</h4><p class='el-muted'>Not yet: the Evaluate tab tries it on fixed questions.</p>"
        )
    rows = "".join(
        f"<tr><th scope='row'>{escape(view.suite_label)}</th><td>{_list_figures(view)}</td>"
        f"<td>{view.created_at:%Y-%m-%d %H:%M}</td></tr>"
        for view in evaluations
    )
    return (
        "<h4>Evaluated</h4><div class='el-table-box'><table class='el-table el-wrap'><thead><tr><th>Questions</th>"
        f"<th>Figures, 95 % interval</th><th>Begun (UTC)</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _list_figures(view: EvaluationView) -> str:
    """The figures that tell most, each in a few words."""
    found = (view.figure(name) for name in TELLING)
    return " · ".join(
        f"{escape(figure.label)} <b>{figure.show(figure.value)}</b> "
        f"<small>{figure.show(figure.low)} to {figure.show(figure.high)}</small>"
        for figure in found
        if figure
    )


def _lineage(details: AdapterDetails) -> dict[str, str]:
    """Base model, rows, run: what the adapter can be traced back to."""
    base = f"{details.base_title}{f' · {details.licence}' if details.licence else ''}"
    stored = f" · stored set {details.snapshot}" if details.snapshot else ""
    facts = {
        "Base model": base,
        "Its weights": details.base_revision or details.base_sha256,
        "Learned from": _describe_rows(details) + stored,
        "Training set": details.snapshot_sha256,
        "Run": details.run_id or "",
        "Made (UTC)": details.created_at,
        "Made with": ", ".join(f"{name} {version}" for name, version in details.libraries.items()),
    }
    return {label: text for label, text in facts.items() if text}


def _describe_rows(details: AdapterDetails) -> str:
    if details.upload and not details.rows:
        return "not known: it was brought in"
    said = ", as its own manifest says" if details.upload else ""
    return f"{details.rows} rows from {details.source or 'an unknown source'}{said}"


def _render_facts(facts: Mapping[str, str]) -> str:
    items = "".join(f"<dt>{label}</dt><dd>{escape(text)}</dd>" for label, text in facts.items())
    return f'<dl class="el-facts">{items}</dl>'


def _render_figure(figure: Figure) -> str:
    value = show(figure.value)
    if isinstance(figure.value, float):
        digits = 3 if figure.value < 10 else 1 if figure.value < 100 else 0
        value = f"{figure.value:,.{digits}f}"
    unit = f", {escape(figure.unit)}" if figure.unit else ""
    return f'<div class="el-figure"><b>{escape(value)}</b><span>{escape(figure.label)}{unit}</span></div>'


def _render_exports(details: AdapterDetails, written: Mapping[Target, Path]) -> str:
    """A button a form, or where that form has been written already."""
    rows = []
    for target, (label, what) in EXPORTS.items():
        if target is Target.GGUF and not any(file.name == "adapter.gguf" for file in details.files):
            continue
        place = written.get(target)
        right = (
            f"<code>{escape(str(place))}</code>"
            if place
            else button(
                "Write", f"export-{target}", details.name, title=f"Write the {label} of {details.name}"
            )
        )
        rows.append(f"<div><strong>{label}</strong><span>{what}</span><span>{right}</span></div>")
    return f'<div class="el-exports">{"".join(rows)}</div>'


def _render_files(files: Sequence[StoredFile]) -> str:
    rows = "".join(
        f"<tr><td>{escape(file.name)}</td><td>{describe_size(file.size)}</td>"
        f'<td><code title="{escape(file.sha256)}">{escape(file.sha256[:16])}…</code></td></tr>'
        for file in files
    )
    return (
        "<div class='el-table-box'><table class='el-table'><thead><tr><th>File</th><th>Size</th><th>SHA-256</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def describe_size(size: int) -> str:
    """Bytes as people say them."""
    if size < 1000:
        return f"{size} bytes"
    power = min(int(math.log10(size)) // 3, len(UNITS))
    return f"{size / 1000**power:.1f} {UNITS[power - 1]}"


def _describe_loss(adapter: AdapterSummary) -> str:
    before, after = adapter.metrics.get("eval_loss_before"), adapter.metrics.get("eval_loss_after")
    if before is None or after is None:
        return "not measured"
    return f"{before:.3f} → {after:.3f}"


def _render_promotion(adapter: AdapterSummary, under_way: Collection[str]) -> str:
    if adapter.name in under_way:
        return "<span class='el-done'>being tried …</span>"
    if adapter.probe in (ProbeStanding.UNTRIED, ProbeStanding.FAILED):
        again = "Probe again" if adapter.probe is ProbeStanding.FAILED else "Probe"
        title = "Brought in: it has to pass a few questions before it can be made live"
        return button(again, "probe", adapter.name, title=title)
    if adapter.status is AdapterStatus.LIVE:
        return "<span class='el-done'>answers now</span>"
    label = "Roll back to this" if adapter.status is AdapterStatus.RETIRED else "Make live"
    return button(label, "promote", adapter.name)
