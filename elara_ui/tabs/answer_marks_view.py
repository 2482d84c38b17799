"""The marks of an answer: what to be careful with, above its text or beneath it."""

from elara_ui.services.answer_marks import MarkKind, marks_of
from elara_ui.services.answers import Answer
from elara_ui.tabs.markup import escape

_SIGN = {MarkKind.REASSURES: "⚠", MarkKind.UNVERIFIED: "?", MarkKind.CAUTION: "!"}


def render_marks(answer: Answer) -> tuple[str, str]:
    """What stands above the text (read before it), and what beneath it; empty where there is nothing."""
    rendered = {kind: _render(kind, text) for kind, text in marks_of(answer).items()}
    above = rendered.pop(MarkKind.REASSURES, "")
    return above, "".join(rendered.values())


def _render(kind: MarkKind, text: str) -> str:
    return (
        f'<p class="el-mark-line el-mark-{kind}" role="note"><span aria-hidden="true">{_SIGN[kind]}</span>'
        f"<span>{escape(text)}</span></p>"
    )
