"""How the list of adapters looks: pure functions from services' values to HTML."""

from collections.abc import Sequence

from db.vocabulary import AdapterStatus
from elara_ui.services.adapters import AdapterSummary
from elara_ui.tabs.markup import button, escape, status_pill


def render_adapters(adapters: Sequence[AdapterSummary]) -> str:
    """Every adapter with its place and figures; any that isn't live can be made so."""
    if not adapters:
        return ""
    rows = "".join(
        f"<tr><td><strong>{escape(adapter.name)}</strong></td><td>{status_pill(adapter.status)}</td>"
        f"<td>{_describe_loss(adapter)}</td><td>{escape(adapter.base_model)}</td>"
        f"<td>{adapter.created_at:%Y-%m-%d %H:%M}</td><td>{_render_promotion(adapter)}</td></tr>"
        for adapter in adapters
    )
    return (
        "<h3>Adapters</h3><div class='el-table-box'><table class='el-table'><thead><tr><th>Adapter</th>"
        "<th>Status</th><th>Held-out loss</th><th>Base model</th><th>Made (UTC)</th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _describe_loss(adapter: AdapterSummary) -> str:
    before, after = adapter.metrics.get("eval_loss_before"), adapter.metrics.get("eval_loss_after")
    if before is None or after is None:
        return "not measured"
    return f"{before:.3f} → {after:.3f}"


def _render_promotion(adapter: AdapterSummary) -> str:
    if adapter.status is AdapterStatus.LIVE:
        return "answers now"
    label = "Roll back to this" if adapter.status is AdapterStatus.RETIRED else "Make live"
    return button(label, "promote", adapter.name)
