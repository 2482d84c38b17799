"""What a batch writes for a question: the answer and what the page shows beside it, or why there is none."""

from dataclasses import asdict, dataclass
from typing import Any

from elara_ui.clinical.redflags import Finding
from elara_ui.errors import InvalidInput
from elara_ui.services.answer_marks import describe_marks
from elara_ui.services.answers import Answer
from elara_ui.services.batch_files import Key, Record
from elara_ui.services.batch_rows import BatchRow
from elara_ui.services.dialogue import Dialogue
from elara_ui.services.triage import to_rows


@dataclass(frozen=True)
class Task:
    """One answer wanted.

    Args:
        audience: for whom; empty when nobody has said.
    """

    row: BatchRow
    audience: str

    @property
    def key(self) -> Key:
        """Names it within its batch."""
        return self.row.number, self.audience

    @property
    def dialogue(self) -> Dialogue:
        """What is asked.

        Raises:
            InvalidInput: the row can't be.
        """
        if self.row.dialogue is None:
            raise InvalidInput(self.row.error)
        return self.row.dialogue

    @property
    def head(self) -> Record:
        """How its record begins, whatever becomes of it."""
        return {
            "row": self.row.number,
            "id": self.row.id,
            "audience": self.audience or None,
            "question": self.row.dialogue.question if self.row.dialogue else None,
        }


def answer_record(task: Task, answer: Answer, found: Finding) -> Record:
    """The record of an answer.

    Args:
        found: what fired on the question.
    """
    return task.head | {
        "answer": answer.text,
        "error": None,
        "red_flags": describe_flags(found),
        "notes": list(describe_marks(answer)),
        "cautions": asdict(answer.cautions),
        "unverified": [reference.text for reference in answer.unverified],
        "reassures": answer.reassures,
        "reading_grade": answer.reading_grade,
        "base_model": answer.base_model,
        "adapter": answer.adapter,
        "finish_reason": str(answer.finish_reason),
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "seconds": round(answer.seconds, 3),
        "dropped_turns": answer.dropped_turns,
        "response_id": answer.response_id if answer.stored else None,
    }


def error_record(task: Task, reason: str, found: Finding | None) -> Record:
    """The record of a question without an answer: its red flags are told all the same.

    Args:
        found: what fired on it; None where nobody could look.
    """
    flags = None if found is None else describe_flags(found)
    return task.head | {"answer": None, "error": reason, "red_flags": flags}


def describe_flags(found: Finding) -> dict[str, Any]:
    """What fired and what to do about it, most urgent first."""
    return {
        "emergency": found.emergency,
        "categories": list(found.categories),
        "reasons": to_rows(found),
        "advice": [asdict(card) for card in found.advice],
        "rules_version": found.version,
    }
