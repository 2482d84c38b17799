"""Saying an answer more simply: what the model is told, and which of the two answers is shown.

Formulas decide only which of two answers reads easier, never which is true; so an answer that became much
shorter, or broke off, never takes the first one's place.
"""

from dataclasses import dataclass

from db.vocabulary import FinishReason
from elara_ui.clinical.hard_words import HardWord, find_hard_words
from elara_ui.services.answers import Answer

NOTHING_TO_SIMPLIFY = "There is no answer to say more simply yet. Ask a question first."

NAMED_WORDS = 12
"""Most hard words named to the model: a small one loses the thread of a long list."""

LEAST_LENGTH = 0.5
"""Share of the first answer's words under which the second is taken to leave things out."""


@dataclass(frozen=True)
class Outcome:
    """Which answer is shown.

    Args:
        simpler: the second one; else the first stays.
        note: told to the reader.
    """

    simpler: bool
    note: str


def make_instruction(text: str) -> str:
    """What is added to the audience's prompt: say it more simply, without these words.

    Args:
        text: the answer that was too hard.
    """
    lines = [
        "Explain it more simply than usual. Use everyday words and sentences of about ten words. "
        "Leave out nothing that matters, above all when to get help."
    ]
    if words := find_hard_words(text)[:NAMED_WORDS]:
        lines.append(f"Do not use these words: {', '.join(_name(word) for word in words)}.")
    return " ".join(lines)


def choose_simpler(first: Answer, second: Answer) -> Outcome:
    """Which of two answers to the same question a reader is better served with.

    Args:
        first: on show now.
        second: asked to be simpler.
    """
    before, after = first.reading_grade, second.reading_grade
    if second.finish_reason is not FinishReason.STOP and second.finish_reason is not first.finish_reason:
        return Outcome(False, "The simpler answer broke off before its end, so the first one stays.")
    words = len(first.text.split()), len(second.text.split())
    if words[1] < LEAST_LENGTH * words[0]:
        return Outcome(
            False,
            f"The simpler answer has {words[1]} words, the first one {words[0]}: it may leave out what "
            "matters, so the first one stays.",
        )
    if before is None or after is None or after >= before:
        grades = (
            "" if before is None or after is None else f" (reading grade {after:.1f}, before {before:.1f})"
        )
        return Outcome(False, f"The new answer reads no easier{grades}, so the first one stays.")
    return Outcome(
        True,
        f"Said more simply: reading grade {after:.1f}, before {before:.1f}. Formulas see length, not truth; "
        "the first answer is kept too.",
    )


def _name(word: HardWord) -> str:
    return f'"{word.text}" (say "{word.plain}")' if word.plain else f'"{word.text}"'
