"""Answers that other models gave, brought in from a file to be reviewed."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from adapters.training.rejects import BadRow
from db import responses as response_store
from db import reviews as review_store
from db.models import Response, utc_now
from db.session import Database
from db.vocabulary import FinishReason, ReviewReason
from elara_ui.clinical.readability import measure
from elara_ui.errors import DatasetError, InvalidInput
from elara_ui.services.answer_files import (
    BY_NAME,
    AnswerColumns,
    ImportedAnswer,
    find_columns,
    parse_answer,
    read_header,
    read_lines,
)

ROWS_LIMIT = 50_000
"""Rows of one file: they are stored in one go, while others wait."""

PREVIEWED = 3
"""Answers shown before an import."""

SAME = "the same answer stands in an earlier line"
KNOWN = "was imported before"


@dataclass(frozen=True)
class Dropped:
    """A row that wasn't taken.

    Args:
        line: where it stands in the file, from 1.
        reason: why.
    """

    line: int
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Args:
        kept: answers that are new, and wait for review now.
        dropped: rows that weren't taken, in the order of the file.
        batch: the name under which they were sent to review.
    """

    kept: int
    dropped: tuple[Dropped, ...]
    batch: str


@dataclass(frozen=True)
class ImportPreview:
    """What an import would do; nothing was taken.

    Args:
        fresh: answers that would be sent to review.
        dropped: rows that wouldn't be taken, in the order of the file.
        samples: the first answers.
    """

    fresh: int
    dropped: tuple[Dropped, ...]
    samples: tuple[ImportedAnswer, ...]


class ImportingService:
    """Brings answers in.

    Args:
        database: where they go.
        audiences: the audiences there are.
    """

    def __init__(self, database: Database, audiences: Sequence[str]) -> None:
        self._database = database
        self._audiences = tuple(audiences)

    def columns(self, path: Path) -> tuple[tuple[str, ...], AnswerColumns]:
        """The columns of a file, and which of them usual names tell.

        Raises:
            DatasetError: the file is broken, or of another kind.
        """
        header = read_header(path)
        return header, find_columns(header)

    def preview(
        self, path: Path, audience: str | None = None, columns: AnswerColumns = BY_NAME, *, name: str = ""
    ) -> ImportPreview:
        """What `import_answers` would take and leave out; nothing is stored.

        Raises:
            DatasetError: the file is broken, or a column is missing.
            InvalidInput: there is no such audience.
        """
        self._check(audience)
        answers, dropped = self._read(path, (name or path.name)[:200], audience, columns)
        made = {_id_of(answer): answer for answer in answers}
        with self._database.reading() as session:
            known = response_store.stored(session, made)
        dropped += [Dropped(made[key].line, KNOWN) for key in known]
        fresh = [answer for key, answer in made.items() if key not in known]
        return ImportPreview(len(fresh), _in_order(dropped), tuple(fresh[:PREVIEWED]))

    def import_answers(
        self,
        path: Path,
        audience: str | None = None,
        *,
        name: str = "",
        batch: str = "",
        columns: AnswerColumns = BY_NAME,
    ) -> ImportReport:
        """Read answers from a JSONL, CSV or TSV file and send them to review.

        Question, answer, model, audience and language are found by their usual names. The same answer to the
        same question by the same model is kept once, however often it is imported.

        Args:
            path: the file.
            audience: whose answers those rows are that don't say so themselves.
            name: what the file is called, when its path is a temporary one.
            batch: name of what is sent together; made from the file's name and the time if not given.
            columns: which columns hold what, where usual names don't say so.

        Raises:
            DatasetError: the file is broken, or no row of it can be used; nothing was taken.
            InvalidInput: there is no such audience.
        """
        self._check(audience)
        called = (name or path.name)[:200]
        answers, dropped = self._read(path, called, audience, columns)
        if not answers:
            first = f": line {dropped[0].line} {dropped[0].reason}" if dropped else ""
            raise DatasetError(
                f"{called} has no answer that can be used{first}. Give each row a prompt, a response and an "
                "audience; nothing was taken."
            )
        batch = batch.strip()[:100] or f"{Path(called).stem[:70]} {utc_now():%Y-%m-%d %H:%M:%S}"
        made = {_id_of(answer): answer for answer in answers}
        with self._database.reading() as session:
            new = made.keys() - response_store.stored(session, made)
        responses = [_describe(key, made[key], called) for key in made if key in new]
        with self._database.session() as session:
            fresh = response_store.add_unless_stored(session, responses)
            languages = {response.id: made[response.id].language for response in fresh}
            review_store.send_new(session, fresh, ReviewReason.IMPORTED, languages=languages, batch=batch)
        taken = {response.id for response in fresh}
        dropped += [Dropped(made[key].line, KNOWN) for key in made if key not in taken]
        return ImportReport(len(fresh), _in_order(dropped), batch)

    def _check(self, audience: str | None) -> None:
        if audience is not None and audience not in self._audiences:
            raise InvalidInput(
                f"There is no audience {audience!r}. Choose one of: {', '.join(self._audiences)}."
            )

    def _read(
        self, path: Path, called: str, audience: str | None, columns: AnswerColumns
    ) -> tuple[list[ImportedAnswer], list[Dropped]]:
        """The usable answers of a file, each once, and what was left out."""
        answers: list[ImportedAnswer] = []
        dropped: list[Dropped] = []
        seen: set[str] = set()
        for count, (line, row) in enumerate(read_lines(path, columns), start=1):
            if count > ROWS_LIMIT:
                raise DatasetError(f"{called} has over {ROWS_LIMIT:,} rows. Split it; nothing was taken.")
            try:
                answer = parse_answer(line, row, self._audiences, audience, columns)
            except BadRow as bad:
                dropped.append(Dropped(line, bad.message))
                continue
            if (key := _id_of(answer)) in seen:
                dropped.append(Dropped(line, SAME))
                continue
            seen.add(key)
            answers.append(answer)
        return answers, dropped


def _in_order(dropped: list[Dropped]) -> tuple[Dropped, ...]:
    return tuple(sorted(dropped, key=lambda row: row.line))


def _id_of(answer: ImportedAnswer) -> str:
    """Names an imported answer by what it says, so that it is there once."""
    turns = (f"{turn.role}\x1f{turn.content}" for turn in answer.context)
    content = "\x1e".join((answer.audience, answer.model, *turns, answer.text))
    return sha256(content.encode()).hexdigest()[:24]


def _describe(key: str, answer: ImportedAnswer, origin: str) -> Response:
    """The answer as every other response is stored; how fast it came isn't known."""
    return Response(
        id=key,
        audience=answer.audience,
        base_model=answer.model,
        adapter=None,
        question=answer.question,
        context=[{"role": str(turn.role), "content": turn.content} for turn in answer.context],
        text=answer.text,
        parameters={},
        prompt_tokens=0,
        completion_tokens=0,
        seconds=0.0,
        first_token_seconds=0.0,
        tokens_per_second=0.0,
        finish_reason=FinishReason.STOP,
        readability=measure(answer.text).to_dict(),
        origin=origin,
    )
