"""What the page says about private conversations."""

from collections.abc import Iterable

from elara_ui.services.answers import ConversationSummary
from elara_ui.tabs.chat_view import describe_age
from elara_ui.tabs.markup import button, escape

SWITCH_LABEL = "Private: nothing of this conversation is stored"
FORGET = "forget"
CURRENT = ' aria-current="true"'


def render_private_note(*, begun: bool) -> str:
    """Above a private conversation: what it means, and what it costs.

    Args:
        begun: whether there is something in it to forget.
    """
    forget = button("Forget it now", FORGET, title="Let this conversation go at once") if begun else ""
    return (
        '<div class="el-private" role="note"><p><strong>Private.</strong> Nothing of this conversation is stored. '
        "Closing or reloading the page loses it. Its answers can't be rated, reviewed or exported, because those "
        f'are kept.</p><span class="el-framed">{forget}</span></div>'
    )


def render_private_rows(conversations: Iterable[ConversationSummary], current: str | None) -> str:
    """The page's private conversations, above those that are stored."""
    rows = "".join(
        f'<button type="button" class="el-row" data-act="open" data-item="{escape(each.conversation_id)}"'
        f"{CURRENT if each.conversation_id == current else ''}>"
        f'<span class="el-row-title">{escape(each.title)}</span>'
        f'<span class="el-row-sub">private, in this page only · {describe_age(each.updated_at)}</span></button>'
        for each in conversations
    )
    return f'<nav class="el-list" aria-label="Private conversations">{rows}</nav>' if rows else ""
