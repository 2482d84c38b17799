"""Two texts word by word: what was taken out and what was put in, not marked by colour alone."""

import re
from difflib import SequenceMatcher

from elara_ui.tabs.markup import escape

_WORD = re.compile(r"\n|[^\S\n]+|\S+[^\S\n]*")
EXACT_WORDS = 1_500
"""Above these, difflib's shortcut for words that occur often is taken: the exact way is quadratic."""


def render_difference(before: str, after: str) -> str:
    """The words of both texts, those that left and came marked; empty when nothing changed.

    Args:
        before: the original.
        after: the corrected text.
    """
    old, new = _split(before), _split(after)
    if old == new:
        return ""
    long = len(old) + len(new) > EXACT_WORDS
    matcher = SequenceMatcher(None, _bare(old), _bare(new), autojunk=long)
    pieces: list[str] = []
    for change, i, j, k, m in matcher.get_opcodes():
        if change == "equal":
            pieces.append(escape("".join(new[k:m])))
            continue
        pieces.append(_mark("del", "deleted", old[i:j]) + _mark("ins", "added", new[k:m]))
    return f'<div class="el-diff">{"".join(pieces)}</div>'


def _split(text: str) -> list[str]:
    """Words with the space after them; line breaks on their own."""
    return _WORD.findall(text.replace("\r\n", "\n").strip())


def _bare(words: list[str]) -> list[str]:
    """Words as they are compared: the space after a word is none of it."""
    return [word.rstrip(" ") or word for word in words]


def _mark(tag: str, said: str, words: list[str]) -> str:
    """Words that left or came, spoken as such by a screen reader; nothing when there are none."""
    text = "".join(words)
    if not text:
        return ""
    body = text.rstrip()
    return (
        f'<{tag}><span class="el-sr">[{said}: </span>{escape(body)}<span class="el-sr">]</span></{tag}>'
        f"{escape(text[len(body) :])}"
    )
