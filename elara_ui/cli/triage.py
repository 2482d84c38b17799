"""The command line's verb for red flags: what the rules say about the messages of a file."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from elara_ui.cli.parts import JsonOption
from elara_ui.cli.text import format_table, write_document
from elara_ui.clinical.redflags import Finding, Rules, load_rules
from elara_ui.clinical.redflags.report import Labelled, Report, Share, make_report
from elara_ui.errors import InvalidInput

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class _Line:
    """A line of the file: its id, its turns, and what it was expected to fire."""

    number: int
    id: object
    turns: list[dict[str, str]]
    expected: tuple[str, ...] | None
    kind: str


def triage(
    file: Annotated[
        Path,
        typer.Argument(help='JSONL file; a line is {"id", "text"} or {"id", "messages": [{role, content}]}.'),
    ],
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Lines carry expected (a list of categories): print how many were found."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for red flags in messages: one line of JSON each with --json, in the file's order."""
    rules = load_rules()
    lines = list(_read_lines(file))
    if report:
        counted = make_report(list(_label(lines, rules)), [category.name for category in rules.categories])
        write_document(asdict(counted)) if as_json else print(_format_report(counted, rules.version))
        return
    for line in lines:
        finding = rules.triage(line.turns)
        print(
            json.dumps(_as_document(line, finding), ensure_ascii=False)
            if as_json
            else _format_line(line, finding)
        )


def _read_lines(file: Path) -> Iterator[_Line]:
    """The lines of the file that aren't empty.

    Raises:
        InvalidInput: the file can't be read, or a line isn't as it should be.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{file} can't be read as UTF-8 text ({error}). Give the path of a JSONL file."
        ) from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _parse_line(number, line)


def _parse_line(number: int, line: str) -> _Line:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InvalidInput(f"Line {number} is no JSON ({error}). Write one object a line.") from error
    if not isinstance(row, dict):
        raise InvalidInput(f"Line {number} must be an object, but it is {line[:60]!r}.")
    expected = row.get("expected")
    if expected is not None and not (
        isinstance(expected, list) and all(isinstance(name, str) for name in expected)
    ):
        raise InvalidInput(f"Line {number}: expected must be a list of categories, but it is {expected!r}.")
    known = None if expected is None else tuple(expected)
    return _Line(number, row.get("id"), _turns_of(number, row), known, str(row.get("kind", "")))


def _turns_of(number: int, row: dict[str, Any]) -> list[dict[str, str]]:
    text, messages = row.get("text"), row.get("messages")
    if isinstance(text, str) and messages is None:
        return [{"role": "user", "content": text}]
    if isinstance(messages, list) and text is None:
        if all(
            isinstance(turn, dict) and turn.get("role") in ROLES and isinstance(turn.get("content"), str)
            for turn in messages
        ):
            return messages
        raise InvalidInput(
            f"Line {number}: each of its messages must have a role (one of {', '.join(ROLES)}) "
            "and a content of text."
        )
    raise InvalidInput(
        f'Line {number} must have either "text" (a text) or "messages" (a list), and not both.'
    )


def _label(lines: list[_Line], rules: Rules) -> Iterator[Labelled]:
    names = {category.name for category in rules.categories}
    for line in lines:
        if line.expected is None:
            raise InvalidInput(
                f'Line {line.number} lacks "expected", which --report counts by. Write [] for none.'
            )
        if unknown := sorted(set(line.expected) - names):
            raise InvalidInput(
                f"Line {line.number} expects {unknown[0]!r}, which is no category. "
                f"They are: {', '.join(sorted(names))}."
            )
        yield Labelled(line.expected, rules.triage(line.turns).categories, line.kind)


def _as_document(line: _Line, finding: Finding) -> dict[str, Any]:
    return {
        "id": line.id,
        "emergency": finding.emergency,
        "categories": list(finding.categories),
        "reasons": [asdict(reason) for reason in finding.reasons],
    }


def _format_line(line: _Line, finding: Finding) -> str:
    found = "; ".join(f"{reason.category} ({' … '.join(reason.matched)})" for reason in finding.reasons)
    return f"{line.id if line.id is not None else line.number}: {found or 'no red flag'}"


def _format_report(report: Report, version: str) -> str:
    recall = [["Category", "Found", "Recall", "95% interval"], *map(_row, (report.overall, *report.recall))]
    alarms = [["Look-alikes", "Fired", "Rate", "95% interval"], *map(_row, report.false_alarms)]
    return f"Rules {version}\n\n{format_table(recall)}\n\n{format_table(alarms)}"


def _row(share: Share) -> list[str]:
    return [
        share.name,
        f"{share.hits}/{share.total}",
        f"{share.hits / share.total:.1%}" if share.total else "",
        f"{share.low:.1%} to {share.high:.1%}",
    ]
