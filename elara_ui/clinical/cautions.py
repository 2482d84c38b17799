"""What in an answer to a patient calls for a line of caution: doses, names of medicines, diagnoses.

`cautions.yaml` holds the words, for clinicians to read and change. A caution says that something is there,
not that it is wrong; without one nothing is said to be right. Not clinically reviewed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

WORDS_FILE = Path(__file__).with_name("cautions.yaml")
_AMOUNT = (
    r"\d+(?:[.,/]\d+)?(?:\s?(?:-|–|to|or)\s?\d+(?:[.,]\d+)?)?"
    r"|one|two|three|four|five|six|seven|eight|nine|ten|half a|a half|one or two|two or three"
)
_SENTENCE = re.compile(r"[^.!?\n]+(?:\.\d[^.!?\n]*)*")
_WORD = re.compile(r"[^\W\d_][\w'-]*")
_BETWEEN = 4  # words that may stand between "it sounds like" and a condition: "a mild urinary tract"
_BEFORE = 4  # words that may stand between "take" and what: "take a short course of"
_APART = frozenset(("for", "to", "about", "against", "no", "not"))  # "you may have tests for cancer"
_ARTICLE = re.compile(r"^\W*(?:(?:a|an|the|your|that|you have)\s+)*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cautions:
    """What was found, each once, as written, in the order of the text.

    Args:
        medicines: names of medicines, and what they are called together ("antibiotics") where they are to be
            taken.
        doses: amounts of something to take.
        diagnoses: conditions put to the reader.
    """

    medicines: tuple[str, ...] = ()
    doses: tuple[str, ...] = ()
    diagnoses: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to be careful with."""
        return bool(self.medicines or self.doses or self.diagnoses)


@dataclass(frozen=True)
class CautionWords:
    """The data, compiled.

    Args:
        medicines: lower-case names.
        not_medicine: phrases in which a name is no medicine.
        taking_class: words that tell to have medicines, up to what these are called together.
        dose: an amount with its unit.
        assertion: words that put something to the reader.
        open_to_all: a beginning that speaks of nobody in particular.
        condition: a condition, anywhere.
    """

    medicines: frozenset[str]
    not_medicine: re.Pattern[str]
    taking_class: re.Pattern[str]
    dose: re.Pattern[str]
    assertion: re.Pattern[str]
    open_to_all: re.Pattern[str]
    condition: re.Pattern[str]


def find_cautions(answer: str) -> Cautions:
    """Look through an answer, Markdown allowed."""
    words, text = read_words(), answer.replace("’", "'").replace("*", "")
    return Cautions(
        _once(_medicines(text, words)),
        _once(match[0].strip() for match in words.dose.finditer(text)),
        _once(_diagnoses(text, words)),
    )


@cache
def read_words(path: Path = WORDS_FILE) -> CautionWords:
    """The words of the file; read once."""
    document: Mapping[str, str] = yaml.load(  # values stay text
        path.read_text(encoding="utf-8"),
        Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader),  # noqa: S506
    )
    listed = {name: _any_of(written) for name, written in document.items() if name != "medicines"}
    endings = document["endings"].replace(" ", "").split(",")
    return CautionWords(
        medicines=frozenset(document["medicines"].split()),
        not_medicine=re.compile(rf"\b(?:{listed['not_medicine']})\b", re.IGNORECASE),
        taking_class=re.compile(
            rf"(?<![\w'-])(?:{listed['taking']})(?:[ \t]+[\w'-]+){{0,{_BEFORE}}}?"
            rf"[ \t]+({listed['classes']})(?![\w'-])",
            re.IGNORECASE,
        ),
        dose=re.compile(
            rf"\b(?:{_AMOUNT})\s?-?(?:{listed['units']})(?![\w'])"
            rf"(?!\s?(?:{listed['not_dose']})(?![\w'-]))",
            re.IGNORECASE,
        ),
        assertion=re.compile(rf"\b(?:{listed['asserts']})\b", re.IGNORECASE),
        open_to_all=re.compile(rf"\b(?:{listed['open_to_all']})\b[^,;:]*$", re.IGNORECASE),
        condition=re.compile(
            rf"(?<![\w'-])(?:{listed['conditions']}|[a-z-]{{3,}}(?:{'|'.join(endings)}))(?![\w'-])",
            re.IGNORECASE,
        ),
    )


def _medicines(text: str, words: CautionWords) -> Iterator[str]:
    plain = words.not_medicine.sub(" ", text)
    found = [(word.start(), word[0].removesuffix("'s")) for word in _WORD.finditer(plain)]
    named = [(at, word) for at, word in found if word.casefold() in words.medicines]
    together = [(match.start(1), match[1]) for match in words.taking_class.finditer(plain)]
    yield from (name for _, name in sorted(named + together))


def _diagnoses(text: str, words: CautionWords) -> Iterator[str]:
    for sentence in _SENTENCE.findall(text):
        for said in words.assertion.finditer(sentence):
            if words.open_to_all.search(sentence[: said.start()]):
                continue
            behind = sentence[said.end() :]
            condition = words.condition.search(behind)
            between = behind[: condition.start()].casefold().split() if condition else []
            if condition and len(between) <= _BETWEEN and _APART.isdisjoint(between):
                yield _ARTICLE.sub("", behind[: condition.end()])


def _once(found: Iterator[str]) -> tuple[str, ...]:
    """Each in its first spelling only."""
    return tuple({text.casefold(): text for text in reversed(list(found))}.values())[::-1]


def _any_of(written: str) -> str:
    """The listed phrases as alternatives, the longest first."""
    phrases = sorted((phrase.strip() for phrase in written.split(",")), key=len, reverse=True)
    return "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in phrases if phrase)
