"""A teacher's answers as they come, one a line: whatever stops the work, what was answered is kept."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from adapters.engines.base import Turn
from db.vocabulary import FinishReason
from elara_ui.errors import StorageError


@dataclass(frozen=True)
class TeacherAnswer:
    """One answer.

    Args:
        key: of the prompt, from `key_of`.
        question: the last user turn.
        text: the answer.
        finish_reason: why it ended.
        response_id: the response stored for it; empty when the teacher could not answer.
        trouble: why it could not; empty when it could.
    """

    key: str
    question: str
    text: str
    finish_reason: FinishReason
    response_id: str = ""
    trouble: str = ""


def key_of(prompt: Sequence[Turn]) -> str:
    """Names a prompt by what it says."""
    content = json.dumps([[str(turn.role), turn.content] for turn in prompt])
    return sha256(content.encode()).hexdigest()


class AnswerLog:
    """The file with the answers of one teacher to one set of prompts.

    Args:
        path: of the JSONL file; made with its folder at the first answer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, TeacherAnswer]:
        """Key → answer, of all that were written whole.

        Raises:
            StorageError: the file can't be read.
        """
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(f"{self.path} can't be read: {error.strerror}. Make it readable.") from error
        answers = {}
        for line in lines:
            try:
                answer = _parse(json.loads(line))
            except (ValueError, TypeError, KeyError):
                continue  # the process was killed while it wrote this one; it is asked again
            answers[answer.key] = answer
        return answers

    def append(self, answer: TeacherAnswer) -> None:
        """Write one answer so that it is there, whatever happens next.

        Raises:
            StorageError: the disk refuses.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                torn = file.tell() > 0 and not _ends_with_newline(file.fileno(), file.tell())
                file.write((b"\n" if torn else b"") + json.dumps(asdict(answer)).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"The answer can't be written to {self.path}: {error.strerror}. Free some space, then run "
                "the same again; it goes on from here."
            ) from error


def _ends_with_newline(descriptor: int, size: int) -> bool:
    return os.pread(descriptor, 1, size - 1) == b"\n"


def _parse(row: Mapping[str, Any]) -> TeacherAnswer:
    return TeacherAnswer(**{**row, "finish_reason": FinishReason(row["finish_reason"])})
