"""Which parts of a conversation the rules read: the user's last turns, short replies with what they reply
to.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

LAST_TURNS = 6  # user turns that are read together
_LONGEST_REPLY = 60  # characters of an answer to a question besides its yes or no
_YES = re.compile(
    r"\s*(?:yes|yeah|yea|yep|yup|ya|y|correct|it does|it is|she does|he does|she is|he is|i do|i am|i have|"
    r"i did|i think so|i guess|sort of|kind of|kinda|sometimes|maybe|a bit|a little|afraid so)\b",
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
_OF_ONESELF = re.compile(
    r"^\W*(?:(?:and|ok|okay|so|but)\s+)?(are|were|do|did|have|can|will) you(?: ever)?\s+", re.I
)
_I: Mapping[str, str] = MappingProxyType({"are": "i am", "were": "i was", "do": "i", "did": "i"})
_PERSONS: Mapping[str, str] = MappingProxyType(
    {"are you": "i am", "have you": "i have", "you": "i", "your": "my", "yours": "mine", "yourself": "myself"}
)
_SECOND_PERSON = re.compile(r"\b(?:are you|have you|yourself|yours|your|you)\b", re.I)


def spoken_turns(turns: Sequence[Any], most: int, *, denied: bool = True) -> list[str]:
    """What the user said last, each turn a text.

    A short yes or no is followed by the question that it answers, as a statement: "Does the rash fade?"
    "No" reads "no. not the rash fade", and "Have you hurt yourself?" "Yes" reads "yes. i have hurt myself".

    Args:
        turns: objects or mappings with role and content, oldest first.
        most: characters of all turns together; the newest are kept.
        denied: whether a no is followed by its question too; a yes always is, for it says what was asked.
    """
    spoken: list[str] = []
    asked = ""
    for turn in turns:
        role, content = _parts(turn)
        if role == "user":
            spoken.append(f"{content}{_answered(content, asked, denied=denied)}")
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


def _answered(reply: str, asked: str, *, denied: bool) -> str:
    questions = _QUESTION.findall(asked)
    if not questions or len(reply) > _LONGEST_REPLY:
        return ""
    question = questions[-1].rstrip("?").strip()
    if _YES.match(reply):
        return f"\n{_state(question)}"
    # What is denied stays in the words of who asked: "not harming yourself" raises nothing, "myself" might.
    return f"\nnot {_ASKING.sub('', question)}" if denied and _NO.match(reply) else ""


def _state(question: str) -> str:
    """A question as its yes says it: "are you thinking of dying" as "i am thinking of dying"."""
    if found := _OF_ONESELF.match(question):
        verb = found[1].lower()
        statement = f"{_I.get(verb, f'i {verb}')} {question[found.end() :]}"
    else:
        statement = _ASKING.sub("", question)
    return _SECOND_PERSON.sub(lambda found: _PERSONS[found[0].lower()], statement)
