"""How an adapter that was brought in looks: what was found in it, and what comes next."""

from elara_ui.services.adapter_intake import Accepted
from elara_ui.tabs.markup import command_box, escape, notice

INTRODUCTION = (
    '<p class="el-muted">A LoRA that was trained elsewhere, as PEFT saves it: a zip of its folder, or '
    "<code>adapter_model.safetensors</code> and <code>adapter_config.json</code> together. It is held against its "
    "base model matrix by matrix and becomes a candidate, which answers nobody before it was tried.</p>"
)


def render_accepted(accepted: Accepted, command: str) -> str:
    """What was taken in.

    Args:
        command: that does the same on a terminal.
    """
    facts = accepted.facts
    kind = "rsLoRA" if facts.rank_stabilised else "LoRA"
    rows = {
        "Base model": accepted.base.title,
        "Kind": f"{kind}, rank {facts.rank}, alpha {facts.alpha:g}, {facts.dtype}",
        "Changes": f"{', '.join(facts.targets)} in {facts.matrices} matrices; {facts.parameters:,} numbers",
        "Served by": "llama.cpp and transformers" if accepted.has_gguf else "transformers only",
        "Not taken": ", ".join(accepted.left_out),
    }
    listed = "".join(f"<dt>{label}</dt><dd>{escape(text)}</dd>" for label, text in rows.items() if text)
    notes = "".join(f"<li>{escape(note)}</li>" for note in accepted.notes)
    return (
        notice(f"{accepted.name} is a candidate. It fits {accepted.base.title}.", "good")
        + f'<dl class="el-facts">{listed}</dl>{f"<ul>{notes}</ul>" if notes else ""}'
        + f'<p class="el-muted el-same">The same from a terminal:</p>{command_box(command)}'
    )
