"""Whether an answer in an emergency begins with what to do: a rule on its first sentence.

The words are in ``action_first.yaml``, for clinicians to read and change. The rule sees the form of a
sentence, not whether it is the right thing to do.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from elara_ui.clinical.readability import prepare

WORDS = Path(__file__).with_name("action_first.yaml")
MOST_BEFORE = 9
"""Words that a condition may have before the action: "If they are choking and can't cough, …"."""

_SENTENCE = re.compile(r"[^.!?\n]+")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def acts_first(answer: str) -> bool:
    """Whether the first sentence is an instruction.

    It is one when it begins with an action ("Call …", "Press …"), a prohibition ("Don't move …") or an urging
    ("You must call …"), each after a short opening ("First,", "Now", "Please") or a short condition that a
    comma ends ("If they can't breathe, …").

    Args:
        answer: Markdown allowed; marks and numbers of lists don't count.
    """
    found = _SENTENCE.search(prepare(answer).replace("’", "'"))
    return found is not None and _instructs(found[0].lower())


def _instructs(sentence: str) -> bool:
    words = _load()
    condition, comma, rest = sentence.partition(",")
    parts = _WORD.findall(condition)
    if comma and parts and parts[0] in words["conditions"]:
        return len(parts) <= MOST_BEFORE and _instructs(rest)
    left = _WORD.findall(sentence)
    while left and left[0] in words["openings"]:
        left = left[1:]
    if not left:
        return False
    text = " ".join(left)
    for urging in words["urgings"]:
        if text.startswith(f"{urging} "):
            return _instructs(text.removeprefix(urging))
    return left[0] in words["actions"] or any(text.startswith(f"{each} ") for each in words["prohibitions"])


@cache
def _load() -> dict[str, Any]:
    """The lists, each to look up in."""
    content = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return {name: tuple(str(word) for word in words) for name, words in content.items()}
