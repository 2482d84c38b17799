"""What is wanted of a batch, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elara_ui.services.batch_files import Record
from elara_ui.services.identifier_guard import Handling


@dataclass(frozen=True)
class BatchPlan:
    """What somebody wants answered.

    Args:
        questions: the file with them.
        output: the file for the answers.
        audiences: for whom each question is answered; a row's own audience goes before.
        adapter: an adapter version, or ``base``; None takes each audience's live one.
        overrides: sampling fields to change; None values mean the recipe's own.
        max_words: bound on every answer, words; an audience's own is kept where it is lower.
        handling: what becomes of likely identifiers of people.
        store: keep questions and answers in the database too.
        parallel: questions asked at once; None for as many as the engine can use.
        restart: throw away what the output holds.
    """

    questions: Path
    output: Path
    audiences: tuple[str, ...]
    adapter: str | None = None
    overrides: Mapping[str, Any] | None = None
    max_words: int | None = None
    handling: Handling = Handling.ASK
    store: bool = False
    parallel: int | None = None
    restart: bool = False


@dataclass(frozen=True)
class BatchState:
    """How a batch stands.

    Args:
        total: answers wanted.
        before: of those, how many were there already when it went on.
        answered: with an answer, those from before included.
        failed: with an error, likewise; asked again when the batch goes on.
        emergencies: with a red flag, likewise.
        asked: how many have been asked since it went on.
        seconds: since it went on and the model was up, s.
    """

    total: int
    before: int = 0
    answered: int = 0
    failed: int = 0
    emergencies: int = 0
    asked: int = 0
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Records written."""
        return self.answered + self.failed

    @property
    def rate(self) -> float:
        """Questions a second since it went on."""
        return self.asked / self.seconds if self.seconds else 0.0

    def count(self, record: Record, by: int = 1) -> "BatchState":
        """The same with one more record, or with one less."""
        emergency = bool((record.get("red_flags") or {}).get("emergency"))
        return replace(
            self,
            answered=self.answered + by * (record["error"] is None),
            failed=self.failed + by * (record["error"] is not None),
            emergencies=self.emergencies + by * emergency,
        )
