"""What the command line says of an adapter that was brought in, and of its probe."""

from dataclasses import asdict
from typing import Any

from adapters.intake import Accepted
from adapters.probing import Probe


def describe_accepted(accepted: Accepted) -> dict[str, Any]:
    """As one JSON document."""
    return {
        "name": accepted.name,
        "audience": accepted.audience,
        "base_model": accepted.base.id,
        "has_gguf": accepted.has_gguf,
        "found": {name: value for name, value in asdict(accepted.facts).items() if name != "config"},
        "notes": list(accepted.notes),
        "left_out": list(accepted.left_out),
    }


def format_accepted(accepted: Accepted) -> str:
    """What was taken in, and what comes next."""
    facts = accepted.facts
    lines = [
        f"{accepted.name} is a candidate on {accepted.base.title}: rank {facts.rank}, alpha {facts.alpha:g}, "
        f"{', '.join(facts.targets)}; {facts.parameters:,} numbers in "
        f"{facts.matrices} matrices ({facts.dtype}).",
        *accepted.notes,
    ]
    if accepted.left_out:
        lines.append(f"Not needed and not taken: {', '.join(accepted.left_out)}.")
    lines.append(f"Before it may answer: python -m elara_ui adapters probe {accepted.name}")
    return "\n".join(lines)


def format_probe(name: str, probe: Probe) -> str:
    """Each question with both answers, and what follows from them."""
    parts = [
        f"{each.question}\n  base:    {_indent(each.base)}\n  adapter: {_indent(each.adapter)}"
        for each in probe.tried
    ]
    if probe.passed:
        parts.append(f"{name} has passed; `python -m elara_ui adapters promote {name}` makes it live.")
    else:
        parts.append(f"{name} has failed: {'; '.join(probe.faults)}.")
    return "\n\n".join(parts)


def _indent(text: str) -> str:
    return text.replace("\n", "\n           ") or "(nothing)"
