"""A user's questions for evaluations: one JSON object a line, checked line by line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elara_ui.errors import InvalidInput
from elara_ui.services.suites import Point, SuiteQuestion

MOST_BYTES = 8 * 1024 * 1024
MOST_QUESTIONS = 1000
MOST_CHARACTERS = 8000
"""Of a question, a reference answer or a point."""
MOST_ID_CHARACTERS = 100
MOST_POINTS = 30
PROBLEMS_NAMED = 5
FORM = (
    'Each line is like {"id": "…", "question": "…", "reference": "…", "points": [{"text": "…", "weight": 1}]}'
    "; reference and points may be left out."
)
_FIELDS = frozenset({"id", "question", "reference", "points", "topic"})
_POINT_FIELDS = frozenset({"text", "weight"})


def read_suite_file(path: Path) -> tuple[SuiteQuestion, ...]:
    """Read questions from a JSONL file; it is taken whole or refused whole.

    Raises:
        InvalidInput: it can't be read, or what is wrong with up to five of its lines.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InvalidInput(f"{path.name} has more than {MOST_BYTES >> 20} MiB. Split it into suites.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInput(
            f"{path.name} can't be read: {error.strerror}. Check the path and who may read it."
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} isn't text in UTF-8. Save it as UTF-8, then try again.") from error
    return parse_suite(text, path.name)


def parse_suite(text: str, name: str) -> tuple[SuiteQuestion, ...]:
    """The same, of the file's text.

    Args:
        name: how messages call it.

    Raises:
        InvalidInput: as for `read_suite_file`.
    """
    questions: list[SuiteQuestion] = []
    known: dict[str, int] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            question = _parse_line(line)
            if question.question_id in known:
                raise InvalidInput(
                    f"has the id {question.question_id[:40]!r} of line {known[question.question_id]} again"
                )
            known[question.question_id] = number
            questions.append(question)
        except InvalidInput as error:
            problems.append(f"line {number} {error.message}")
    if problems:
        more = len(problems) - PROBLEMS_NAMED
        listed = "; ".join(problems[:PROBLEMS_NAMED]) + (f"; and {more} more lines" if more > 0 else "")
        raise InvalidInput(f"{name} can't be a suite: {listed}. {FORM} Nothing was stored.")
    if not 1 <= len(questions) <= MOST_QUESTIONS:
        raise InvalidInput(
            f"A suite has 1 to {MOST_QUESTIONS:,} questions, but {name} has {len(questions):,}. {FORM}"
        )
    return tuple(questions)


def _parse_line(line: str) -> SuiteQuestion:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InvalidInput(f"is no JSON ({' '.join(str(error).split())[:80]})") from error
    if not isinstance(row, dict):
        raise InvalidInput("is no JSON object")
    if unknown := sorted(set(row) - _FIELDS):
        raise InvalidInput(f"has an unknown field {unknown[0][:40]!r}")
    return SuiteQuestion(
        question_id=_text(row, "id", MOST_ID_CHARACTERS),
        question=_text(row, "question", MOST_CHARACTERS),
        reference=_text(row, "reference", MOST_CHARACTERS, needed=False),
        category=_text(row, "topic", MOST_ID_CHARACTERS, needed=False),
        points=_points(row.get("points")),
    )


def _points(given: Any) -> tuple[Point, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(point, dict) for point in given):
        raise InvalidInput('has points that are not a list of {"text", "weight"}')
    if len(given) > MOST_POINTS:
        raise InvalidInput(f"has {len(given)} points, where {MOST_POINTS} are allowed")
    return tuple(map(_point, given))


def _point(given: Mapping[str, Any]) -> Point:
    if unknown := sorted(set(given) - _POINT_FIELDS):
        raise InvalidInput(f"has a point with an unknown field {unknown[0][:40]!r}")
    weight = given.get("weight", 1)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 100:
        raise InvalidInput(
            f"has a point with the weight {str(weight)[:20]}, where a number above 0 and up to 100 is needed"
        )
    return Point(_text(given, "text", MOST_CHARACTERS, where="point "), float(weight))


def _text(row: Mapping[str, Any], name: str, limit: int, *, needed: bool = True, where: str = "") -> str:
    value = row.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or (needed and not value.strip()):
        raise InvalidInput(f"has no {where}{name}" if value is None else f"has a {where}{name} without text")
    if len(value.strip()) > limit:
        raise InvalidInput(f"has a {where}{name} of {len(value):,} characters, where {limit:,} are allowed")
    return value.strip()
