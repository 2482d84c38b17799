"""Training examples: rows from any source in, checked examples out. Nothing is repaired silently.

By default a source is taken whole or refused whole, with the rows that are wrong, so that nobody trains on
half of it unawares; leaving bad rows out has to be asked for, and is reported.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.engines.base import Turn
from adapters.errors import DatasetError
from adapters.training.columns import (
    CONVERSATION_COLUMNS,
    LABEL_COLUMN,
    ColumnMap,
    guess_columns,
    resolve_columns,
)
from adapters.training.rejects import BadRow, Rejects, RejectTally
from adapters.training.sources import open_rows, read_columns
from adapters.training.turns import check_length, check_turns, read_text, read_turns
from db.vocabulary import Role

__all__ = [
    "ColumnMap",
    "Example",
    "Reading",
    "guess_columns",
    "parse_rows",
    "read_columns",
    "read_examples",
    "read_path",
    "read_rows",
]

ROWS_NAMED = 5  # how many wrong rows a message lists
_ORIGIN_FIELDS = (
    *("id", "topic", "response_id", "review_id", "further_reviews", "adapter", "base_model"),
    *("focus", "qtype", "source", "url"),  # MedQuAD
)


@dataclass(frozen=True)
class Example:
    """One thing to learn: a conversation whose last turn is the answer wanted.

    Args:
        messages: oldest first; the last is the assistant's.
        origin: where it came from (its id, the review behind it), kept for lineage.
        row: its number in the source, from 1; 0 when it has none.
        part: ``train`` or ``evaluation`` where a stored set has decided that already, else empty.
        rejected: of a preference, a worse answer to the same prompt; else empty.
        label: whether the answer is wanted, where the row says so; else None.
    """

    messages: tuple[Turn, ...]
    origin: Mapping[str, str] = field(default_factory=dict)
    row: int = field(default=0, compare=False)
    part: str = field(default="", compare=False)
    rejected: str = ""
    label: bool | None = None

    @property
    def answers(self) -> tuple[str, ...]:
        """Ids of the stored answers that it is made of, the better first; none if it came from elsewhere."""
        named = (self.origin.get(name, "") for name in ("response_id", "other_response_id"))
        return tuple(answer for answer in named if answer)

    @property
    def question(self) -> str:
        """The last user turn."""
        return next(turn.content for turn in reversed(self.messages) if turn.role is Role.USER)

    @property
    def answer(self) -> str:
        """The turn to learn."""
        return self.messages[-1].content

    @property
    def prompt(self) -> tuple[Turn, ...]:
        """The turns before the answer, oldest first."""
        return self.messages[:-1]


@dataclass(frozen=True)
class Reading:
    """What a source gave.

    Args:
        examples: the usable rows.
        rejects: bad rows that were left out because that was asked for.
    """

    examples: tuple[Example, ...]
    rejects: tuple[Rejects, ...] = ()


def read_examples(path: Path, columns: ColumnMap | None = None) -> list[Example]:
    """Every example of a file or dataset folder; see `read_path`.

    Raises:
        DatasetError: what is wrong, with up to five row numbers.
    """
    return list(read_path(path, columns).examples)


def read_path(
    path: Path, columns: ColumnMap | None = None, *, split: str = "", skip_bad_rows: bool = False
) -> Reading:
    """Read a file (JSONL, JSON, CSV, TSV, Parquet, MedQuAD XML) or a folder (of MedQuAD XML, or a dataset).

    Args:
        path: the file or folder; a file's ending says what it is.
        columns: where question and answer are; None finds them by name.
        split: the part of a dataset folder, e.g. ``train`` or ``train[:500]``.
        skip_bad_rows: leave bad rows out and report them, rather than refuse.

    Raises:
        DatasetError: it can't be read, or has bad rows or no usable one.
    """
    return read_rows(open_rows(path, columns, split), path.name, columns, skip_bad_rows=skip_bad_rows)


def parse_rows(
    rows: Iterable[Mapping[str, Any] | BadRow], name: str, columns: ColumnMap | None = None
) -> list[Example]:
    """Check rows that are already in memory; see `read_rows`.

    Raises:
        DatasetError: no rows, or rows that can't be used (the first five are named).
    """
    return list(read_rows(rows, name, columns).examples)


def read_rows(
    rows: Iterable[Mapping[str, Any] | BadRow],
    name: str,
    columns: ColumnMap | None = None,
    *,
    skip_bad_rows: bool = False,
) -> Reading:
    """Check every row and count the bad ones.

    Args:
        rows: one mapping a row; a `BadRow` in its place says why that row could not be read.
        name: how messages call the data.
        columns: where question and answer are; None finds them by name.
        skip_bad_rows: leave bad rows out and report them, rather than refuse.

    Raises:
        DatasetError: no usable row, or bad rows that were not to be skipped (the first five are named).
    """
    parsed: list[Example] = []
    tally, problems = RejectTally(), []
    for number, row in enumerate(rows, start=1):
        try:
            if isinstance(row, BadRow):
                raise row
            parsed.append(_parse_row(row, number, columns))
        except BadRow as bad:
            problems.append(f"row {number} {bad.message}")
            tally.add(bad.reason, number, bad.message if isinstance(row, BadRow) else _describe(row))
    if problems and not (skip_bad_rows and parsed):
        raise DatasetError(_refuse(name, problems, all_bad=not parsed))
    if not parsed:
        raise DatasetError(f"{name} has no rows. Give at least one question with its answer.")
    return Reading(tuple(parsed), tally.result())


def _refuse(name: str, problems: list[str], *, all_bad: bool) -> str:
    listed = "; ".join(problems[:ROWS_NAMED])
    more = f"; and {len(problems) - ROWS_NAMED} more rows" if len(problems) > ROWS_NAMED else ""
    remedy = "Correct them and try again" if all_bad else "Correct them, or choose to skip bad rows"
    return f"{name} can't be used: {listed}{more}. {remedy}; nothing was taken."


def _describe(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {str(value)[:60]}" for name, value in row.items())


def _parse_row(row: Mapping[str, Any], number: int, columns: ColumnMap | None) -> Example:
    origin = {name: str(row[name]) for name in _ORIGIN_FIELDS if row.get(name) is not None}
    if columns is None:
        for name in CONVERSATION_COLUMNS:
            if row.get(name) is not None:
                turns = check_turns(read_turns(row[name]))
                return Example(turns, origin, number, label=_read_label(row.get(LABEL_COLUMN)))
    chosen = resolve_columns(row, columns)
    if (chosen and chosen.rejected) or (columns is None and {"chosen", "rejected"} <= row.keys()):
        return _parse_preference(
            row, number, origin, chosen or ColumnMap("prompt", "chosen", None, "rejected")
        )
    missing = [name for name in (chosen.prompt, chosen.answer) if name not in row] if chosen else ["response"]
    if chosen is None or missing:
        seen = ", ".join(map(str, row))[:200] or "nothing"
        wanted = missing[0] if columns else "instruction and response"
        raise BadRow("missing column", f"has no {wanted} (it has {seen})")
    label = _read_label(row.get(chosen.label)) if chosen.label else None
    if isinstance(row[chosen.answer], list) or isinstance(row[chosen.prompt], list):  # as messages
        prompt, answer = _split_answer(row, chosen.prompt, chosen.answer)
        return Example(check_turns((*prompt, Turn(Role.ASSISTANT, answer))), origin, number, label=label)
    question = read_text(row[chosen.prompt], "question")
    answer = read_text(row[chosen.answer], "answer")
    context = row.get(chosen.context) if chosen.context else None
    if isinstance(context, str) and context.strip():
        question = f"{question}\n\n{context.strip()}"
    check_length(len(question) + len(answer))
    return Example((Turn(Role.USER, question), Turn(Role.ASSISTANT, answer)), origin, number, label=label)


def _read_label(value: object) -> bool | None:
    """Whether an answer is wanted. Columns of that name often hold something else, which is no label."""
    return {"true": True, "false": False}.get(str(value).strip().lower())


def _parse_preference(
    row: Mapping[str, Any], number: int, origin: Mapping[str, str], columns: ColumnMap
) -> Example:
    prompt, chosen = _split_answer(row, columns.prompt, columns.answer)
    other, rejected = _split_answer(row, columns.prompt, columns.rejected or "rejected")
    if prompt != other:
        raise BadRow("different prompts", "has a rejected answer to another prompt than the chosen one")
    if chosen == rejected:
        raise BadRow("equal answers", "has the same answer as chosen and rejected: there is no preference")
    check_turns((*prompt, Turn(Role.ASSISTANT, rejected)))
    turns = check_turns((*prompt, Turn(Role.ASSISTANT, chosen)))
    return Example(turns, origin, number, rejected=rejected)


def _split_answer(row: Mapping[str, Any], prompt: str, answer: str) -> tuple[tuple[Turn, ...], str]:
    """Prompt and answer of one side: two texts, or a conversation that may hold the prompt itself."""
    value, asked = row.get(answer), row.get(prompt)
    if isinstance(value, list):
        turns = read_turns(value)
        if not turns or turns[-1].role is not Role.ASSISTANT:
            raise BadRow("no answer at the end", f"has no assistant message at the end of {answer}")
        if len(turns) > 1:
            return turns[:-1], turns[-1].content
        value = turns[0].content
    if isinstance(asked, list):
        return read_turns(asked), read_text(value, f"{answer} answer")
    return (Turn(Role.USER, read_text(asked, "prompt")),), read_text(value, f"{answer} answer")
