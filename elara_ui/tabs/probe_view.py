"""How the probe of an adapter looks: each question with both answers side by side."""

from adapters.probing import Probe, Tried
from elara_ui.services.adapter_probe import ProbeState, Probing
from elara_ui.tabs.markup import escape, notice, paragraphs

LOOK = "The rules see form, never truth: read the answers before you make it live."


def render_probing(probing: Probing | None) -> str:
    """A probe in the background: how far it is, what came of it, or why it couldn't be carried out."""
    if probing is None:
        return ""
    if probing.state is ProbeState.FAILED:
        return notice(f"{probing.name} couldn't be tried. {probing.error}")
    if probing.probe is not None:
        return f"<h4>What {escape(probing.name)} says</h4>{render_probe(probing.probe)}"
    share = round(100 * probing.done / probing.total)
    told = (
        f"{probing.done} of {probing.total} questions" if probing.done else "the model comes up, or is asked"
    )
    return (
        f'<div class="el-card" role="status"><p>Trying {escape(probing.name)}: {told}.</p>'
        f'<div class="el-progress"><span style="width:{share}%"></span></div>'
        '<p class="el-muted">The page may be left meanwhile.</p></div>'
    )


def render_probe(probe: Probe) -> str:
    """What came of a probe."""
    if probe.passed:
        verdict = notice(f"Passed: what it says is its own, comes to an end, and is text. {LOOK}", "good")
    else:
        verdict = notice(f"Failed: {'; '.join(probe.faults)}. It can't be made live.")
    pairs = "".join(map(_render_pair, probe.tried))
    return (
        f'{verdict}<div class="el-probe">{pairs}</div>'
        f'<p class="el-muted">Greedily, in {escape(probe.engine)}, {escape(probe.at[:16].replace("T", " "))} UTC.</p>'
    )


def _render_pair(tried: Tried) -> str:
    faults = "".join(f'<p class="el-probe-fault">It {escape(fault)}.</p>' for fault in tried.faults)
    endless = "" if tried.ended else '<p class="el-muted">Cut at its longest length.</p>'
    return (
        f'<section class="el-probe-pair"><h5>{escape(tried.question)}</h5><div>'
        f"<div><b>Base model</b><p>{paragraphs(tried.base) or '<i>nothing</i>'}</p></div>"
        f"<div><b>With the adapter</b><p>{paragraphs(tried.adapter) or '<i>nothing</i>'}</p>{endless}{faults}</div>"
        "</div></section>"
    )
