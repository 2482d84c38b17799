"""Which answers of a teacher may be learned from: rules that need no person. They see form, never truth."""

from dataclasses import dataclass

from adapters.recipe import Recipe
from adapters.training.similarity import find_near_duplicates
from db.vocabulary import FinishReason
from elara_ui.clinical.readability import measure


@dataclass(frozen=True)
class Rules:
    """What an answer must keep to.

    Args:
        max_words: most words.
        max_grade: highest Flesch-Kincaid grade; None takes any.
    """

    max_words: int
    max_grade: float | None

    @classmethod
    def of(cls, recipe: Recipe, max_grade: float | None = None) -> "Rules":
        """An audience's own: its limit of words and its target grade, or another grade."""
        return cls(recipe.max_explanation_length, recipe.readability_aim if max_grade is None else max_grade)

    def refuse(self, question: str, answer: str, finish_reason: FinishReason) -> str | None:
        """Why an answer isn't taken, in the same words for all with this fault; None when it is.

        Args:
            question: the last user turn.
            answer: what the teacher said.
            finish_reason: why it ended.
        """
        if not answer.strip():
            return "empty answer"
        if finish_reason is not FinishReason.STOP:
            return "answer cut off"
        if len(answer.split()) > self.max_words:
            return f"answer over {self.max_words} words"
        grade = None if self.max_grade is None else measure(answer).flesch_kincaid_grade
        if grade is not None and self.max_grade is not None and grade > self.max_grade:
            return f"reading grade over {self.max_grade:g}"
        if find_near_duplicates([question, answer]):
            return "repeats the question"
        return None
