"""Whether an answer says something: it is in a sentence, and neither denied nor only mentioned."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MARKS = re.compile(r"[*_`#>]+")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\d)[^.!?\n]*)*[.!?]*")
_CLAUSE_END = re.compile(r"[,;:()—–]|\s-\s|\b(?:but|instead,)\b")

# "Do not hesitate to call" tells to call.
_SPURS = re.compile(
    r"\b(?:don't|do not|never|not|without|no)\s+(?:hesitat\w+|wait\w*|delay\w*|be (?:afraid|embarrassed|shy)"
    r"|forget"
    r"|put(?:ting)? (?:it )?off|think twice|only|just|feel (?:bad|silly)|worry about)\b"
)
_DENIAL = re.compile(
    r"\b(?:don't|do not|doesn't|does not|didn't|never|needn't|need not|no|not|shouldn't|should not|mustn't"
    r"|must not"
    r"|wouldn't|would not|won't|can't|cannot|rather than|instead of|without|avoid|unnecessary to|isn't"
    r"|aren't)\b"
    r"(?:\s+[\w'&/-]+){0,6}\s*$"
)
_CONJUNCTION = re.compile(r"\b(?:and|then|so)\b")  # "don't panic and call": what follows isn't denied
_DENIED_AFTER = re.compile(
    r"^[^,;.]{0,30}?\b(?:(?:not|isn't|aren't|wouldn't|won't)\s+(?:be\s+)?(?:needed|necessary|required"
    r"|helpful|useful"
    r"|worth|allowed|an option)|unnecessary|pointless|a waste|overreact\w*)"
)
# "Before you call …", "some people call …": mentioned, and nobody is told to.
_MENTIONED = re.compile(
    r"\b(?:(?:if|when|whenever|once|before|after|until|while|because|whether|unless)"
    r"(?:\s+(?:you|they|he|she|someone|anyone|we|i))?"
    r"|(?:people|some|many|others|patients|they|he|she|everyone|used to|could have|might have)"
    r"(?:\s+(?:\w+ly|often|always|sometimes))?)\s*$"
)
_PUT_OFF = re.compile(
    r"\bif\b.{0,60}\b(?:worse|worsens?|worsened|persists?|continues?|lasts?|return\w*|no better|not better"
    r"|unbearable"
    r"|(?:don't|doesn't|do not|does not|didn't|haven't|hasn't) (?:\w+ )?(?:improve\w*|go|gone|get|got"
    r"|help\w*|stop\w*)"
    r"|(?:is|are) (?:still|not))"
    r"|\bonly (?:call|ring|phone|dial|if|when)\b|\bunless\b"
    r"|\b(?:tomorrow|in (?:a|the next) (?:few|couple of) (?:hours|days)|next week|in the morning|later)\b"
)


@dataclass(frozen=True)
class Statement:
    """Something found in an answer.

    Args:
        text: the words that matched.
        words_before: how many words of the answer stand before them.
        put_off: whether its sentence makes it depend on things getting worse, or leaves it for later.
    """

    text: str
    words_before: int
    put_off: bool


def normal(text: str) -> str:
    """Lower case, straight apostrophes, and no marks of Markdown."""
    return _MARKS.sub("", text).replace("’", "'").casefold()


def statements(answer: str, pattern: re.Pattern[str]) -> Iterator[Statement]:
    """Where an answer says what a pattern describes, and means it.

    Args:
        answer: as the model wrote it.
        pattern: in lower case with straight apostrophes.
    """
    text = normal(answer)
    for sentence in _SENTENCE.finditer(text):
        for match in pattern.finditer(sentence[0]):
            before, after = sentence[0][: match.start()], sentence[0][match.end() :]
            clause = before[_last_end(_CLAUSE_END, before) :]
            if not _is_denied(clause) and not _MENTIONED.search(clause) and not _DENIED_AFTER.match(after):
                words = len(text[: sentence.start() + match.start()].split())
                yield Statement(match[0], words, bool(_PUT_OFF.search(sentence[0])))


def says(answer: str, pattern: re.Pattern[str]) -> bool:
    """Whether an answer says it anywhere, and means it."""
    return any(True for _ in statements(answer, pattern))


def _is_denied(clause: str) -> bool:
    """Whether a denial reaches to the end of a clause's beginning."""
    plain = _SPURS.sub(" ", clause)
    return bool(_DENIAL.search(plain[_last_end(_CONJUNCTION, plain) :]))


def _last_end(pattern: re.Pattern[str], text: str) -> int:
    return max((match.end() for match in pattern.finditer(text)), default=0)
