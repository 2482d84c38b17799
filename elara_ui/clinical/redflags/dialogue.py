"""Which parts of a conversation the rules read: the user's last turns, short replies with what they reply
to.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

LAST_TURNS = 6  # user turns that are read together
_LONGEST_REPLY = 60  # characters of an answer to a question besides its yes or no
_YES = re.compile(
    r"\s*(?:yes|yeah|yea|yep|yup|ya|y|correct|it does|it is|she does|he does|she is|he is|i do|i am)\b",
    re.I,
)
_NO = re.compile(
    r"\s*(?:no|nope|nah|n|not really|it doesn'?t|it does not|it isn'?t|she isn'?t|he isn'?t|"
    r"she can'?t|he can'?t|i can'?t)\b(?!\s+(?:idea|doubt|problem|worries|one|it|she|he|the|my|i)\b)",
    re.I,
)
_QUESTION = re.compile(r"[^.!?\n]*\?")
_ASKING = re.compile(
    r"^\W*(?:and|ok|okay|so|also|is there|are there|do you have|does (?:he|she|it) have|have you|"
    r"has (?:he|she|it)|any|do|does|did|is|are|was|were|can|could|has|have|will)\s+(?:any\s+)?",
    re.I,
)


def spoken_turns(turns: Sequence[Any], most: int, *, answered: bool = True) -> list[str]:
    """What the user said last, each turn a text.

    A short yes or no is followed by the question that it answers, as a statement: "Does the rash fade?"
    "No" reads "no. not the rash fade".

    Args:
        turns: objects or mappings with role and content, oldest first.
        most: characters of all turns together; the newest are kept.
        answered: whether a reply is followed by its question.
    """
    spoken: list[str] = []
    asked = ""
    for turn in turns:
        role, content = _parts(turn)
        if role == "user":
            spoken.append(f"{content}{_answered(content, asked) if answered else ''}")
            asked = ""
        elif role == "assistant":
            asked = content
    kept: list[str] = []
    for text in reversed(spoken[-LAST_TURNS:]):
        if most <= 0:
            break
        kept.append(text[-most:])
        most -= len(text)
    return kept[::-1]


def _parts(turn: Any) -> tuple[str, str]:
    if isinstance(turn, Mapping):
        return str(turn.get("role", "")), str(turn.get("content", ""))
    return str(turn.role), str(turn.content)


def _answered(reply: str, asked: str) -> str:
    questions = _QUESTION.findall(asked)
    if not questions or len(reply) > _LONGEST_REPLY:
        return ""
    statement = _ASKING.sub("", questions[-1].rstrip("?").strip())
    if _YES.match(reply):
        return f"\n{statement}"
    return f"\nnot {statement}" if _NO.match(reply) else ""
