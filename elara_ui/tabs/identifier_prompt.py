"""The card that asks what to do about likely identifiers, and what its buttons are called."""

from elara_ui.errors import IdentifiersFound
from elara_ui.tabs.markup import button, escape, paragraphs

REDACTED, AS_IT_IS, BACK = "identifiers-redacted", "identifiers-as-is", "identifiers-back"


def render_question_prompt(found: IdentifiersFound, *, lasting: bool = True) -> str:
    """Asked before a question is sent.

    Args:
        found: what is in it.
        lasting: whether sending it as it is holds for the rest of the conversation.
    """
    again = "; this conversation isn't asked about again" if lasting else ""
    actions = (
        button("Send the redacted text", REDACTED, title="Send the text shown here")
        + button("Send as it is", AS_IT_IS, title=f"Send what you typed{again}")
        + button("Go back and edit", BACK, title="What you typed is still in the field")
    )
    return _render(found, "As it would be sent, redacted:", actions)


def render_export_prompt(found: IdentifiersFound, item: str = "") -> str:
    """Asked before a file is handed over.

    Args:
        found: what is in it.
        item: what the buttons hand back, such as the file's form.
    """
    actions = (
        button("Download redacted", REDACTED, item)
        + button("Download as it is", AS_IT_IS, item)
        + button("Cancel", BACK, item)
    )
    return _render(found, "As it would read, redacted:", actions)


def _render(found: IdentifiersFound, heading: str, actions: str) -> str:
    """What was found, the redacted text, and the choices."""
    shown = "".join(f"<blockquote>{paragraphs(text)}</blockquote>" for text in found.previews)
    return (
        '<section class="el-notice el-warn el-identifiers" role="alert">'
        f"<p>{escape(found.message)}</p>"
        f'<p class="el-muted">{heading}</p>{shown}'
        f'<div class="el-actions el-framed">{actions}</div></section>'
    )


def render_previews(found: IdentifiersFound) -> str:
    """What was found and how it would read redacted, where it is confirmed in another way."""
    return _render(found, "How the first of them would read, redacted:", "")
