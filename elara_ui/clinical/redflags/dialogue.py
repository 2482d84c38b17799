"""Which parts of a conversation the rules read: the user's last turns, short replies with what they reply
to.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

LAST_TURNS = 6  # user turns that are read together
_LONGEST_NO = 60  # characters of a reply that says no; what is longer speaks for itself
_OPENERS = r"\W*(?:(?:well|um+|uh|erm|hmm|oh|ok|okay|so|honestly|sadly|actually|tbh|to be honest)\b\W*)*"
_NOT_DENIED = r"(?!\s+(?:not|no|never|fine)\b|n['’]?t\b)"
_YES = re.compile(
    _OPENERS + r"(?:"
    # These say yes whatever follows, ...
    r"(?:yes|yeah|yea|yep|yup|ya|y|correct|definitely|absolutely|of course|that['’]?s right|mhm|i think so|"
    r"i guess so|i suppose so|i['’]?m afraid so|afraid so|i think (?:about|of) (?:it|that)|"
    r"it does|it is|she does|he does|she is|he is)\b" + _NOT_DENIED + r"|"
    # ... and these where nothing does: "i have" says yes, "i have a headache" doesn't.
    r"(?:i do|i am|i have|i did|true|sometimes|often|always|maybe|probably|a bit|a little|a lot|kind of|"
    r"kinda|sort of|every (?:day|night)|most days|all the time|i guess|unfortunately)\s*(?=$|[.,;:!…)\n]))",
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
_OFFER = re.compile(
    r"^\W*(?:would you (?:like|prefer|want)|shall|should i|may i|can i|could i|"
    r"do you want (?:me|more|some|help|tips|information|to (?:know|hear|talk|read|see|learn)))\b",
    re.I,
)
_DEATH = re.compile(
    r"\b(?:suicid|kill|harming yourself|hurt yourself|(?:end|ending|take|taking) your life|die\b)", re.I
)
"""What is asked about oneself that a yes means though another question follows."""
_ASKING_YOU = re.compile(
    r"^\W*(?:(?:and|ok|okay|so|but)\s+)?(are|were|do|did|have|can|will) you\s+(?:ever\s+)?", re.I
)
_ASKING_OTHERS = re.compile(
    r"^\W*(?:(?:and|ok|okay|so|but)\s+)?(is|are|was|were|has|have|does|do|did|can|will)\s+"
    r"(he|she|they|anyone|anybody|someone|somebody|your \w+)\s+(?:ever\s+)?",
    re.I,
)
_I: Mapping[str, str] = MappingProxyType({"are": "i am", "were": "i was", "do": "i", "did": "i"})
_SILENT = frozenset({"does", "do", "did"})  # auxiliaries that a statement leaves out
_PERSONS: Mapping[str, str] = MappingProxyType(
    {
        "are you": "i am",
        "have you": "i have",
        "your": "my",
        "yours": "mine",
        "yourself": "myself",
        "you": "me",
    }
)
_SECOND_PERSON = re.compile(r"\b(?:are you|have you|yourself|yours|your|you)\b", re.I)
_AS_SUBJECT = re.compile(r"\b(if|when|that|what|how|or|and|so|because|can|will|would|could) you\b", re.I)


def spoken_turns(turns: Sequence[Any], most: int, *, denied: bool = True) -> list[str]:
    """What the user said last, each turn a text.

    A short no is followed by the question that it answers, as a statement, and every yes: "Does the rash
    fade?" "No" reads "no. not the rash fade", and "Have you hurt yourself?" "Yes" reads "yes. i have hurt
    myself".

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
    """What a reply says by what it replies to; nothing where it is neither yes nor no."""
    questions = [question.rstrip("?").strip() for question in _QUESTION.findall(asked)]
    if not questions:
        return ""
    *earlier, last = questions
    if _YES.match(reply):
        meant = [*(question for question in earlier if _DEATH.search(question)), last]
        return "".join(f"\n{_state(question)}" for question in meant if not _OFFER.match(question))
    # What is denied stays in the words of who asked: "not harming yourself" raises nothing, "myself" might.
    says_no = denied and len(reply) <= _LONGEST_NO and _NO.match(reply)
    return f"\nnot {_ASKING.sub('', last)}" if says_no else ""


def _state(question: str) -> str:
    """A question as its yes says it: "are you thinking of dying" as "i am thinking of dying"."""
    if found := _ASKING_YOU.match(question):
        verb = found[1].lower()
        statement = f"{_I.get(verb, f'i {verb}')} {question[found.end() :]}"
    elif found := _ASKING_OTHERS.match(question):
        verb, who = found[1].lower(), found[2].lower().replace("any", "some")
        statement = f"{who} {'' if verb in _SILENT else f'{verb} '}{question[found.end() :]}"
    else:
        statement = _ASKING.sub("", question)
    statement = re.sub(r"\bany\s+", "", statement)
    statement = _AS_SUBJECT.sub(r"\1 i", statement)
    return _SECOND_PERSON.sub(lambda found: _PERSONS[found[0].lower()], statement)
