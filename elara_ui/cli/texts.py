"""The command line's verbs for texts of a file: how hard they read, and how directly answers answer."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from adapters.recipe import Recipe, find_recipe
from elara_ui.cli.parts import JsonOption
from elara_ui.cli.text import format_table, write_document
from elara_ui.clinical.hard_words import HardWord, find_hard_words
from elara_ui.clinical.readability import Readability, describe_target, judge, measure
from elara_ui.clinical.relevance import relevances
from elara_ui.errors import InvalidInput

TEXT_FIELDS = ("text", "response", "answer", "completion")
JSONL = (".jsonl", ".ndjson")
LISTED_WORDS = 12


@dataclass(frozen=True)
class _Measured:
    """A text with its figures against an audience's target."""

    id: object
    measures: Readability
    hard_words: tuple[HardWord, ...]
    verdict: str | None
    in_target: bool | None


def readability(
    file: Annotated[
        Path,
        typer.Argument(
            help="A text, or JSONL (by its ending) whose lines have text, response, answer or completion."
        ),
    ],
    audience: Annotated[
        str, typer.Option("--audience", help="Whose target it is held against: patient, student, doctor, …")
    ] = "patient",
    as_json: JsonOption = False,
) -> None:
    """Measure how hard texts are to read: with --json a document, for JSONL one in each line."""
    recipe = find_recipe(audience)
    if file.suffix.lower() not in JSONL:
        found = _measure(file.name, _read_text(file), recipe)
        write_document(_as_document(found, recipe)) if as_json else print(_format_one(found, recipe))
        return
    measured = [
        _measure(row.get("id", number), _field(number, row, TEXT_FIELDS), recipe)
        for number, row in _read_rows(file)
    ]
    if as_json:
        for each in measured:
            print(json.dumps(_as_document(each, recipe), ensure_ascii=False))
    else:
        print(_format_many(measured, recipe))


def relevance(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSONL whose lines have a question and a response (or text, answer or completion)."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Tell how directly answers address their questions, for an evaluation; with --json one line each."""
    rows = list(_read_rows(file))
    pairs = [
        (_field(number, row, ("question", "prompt")), _field(number, row, TEXT_FIELDS))
        for number, row in rows
    ]
    found = relevances(pairs)
    ids = [row.get("id", number) for number, row in rows]
    if as_json:
        for name, each in zip(ids, found, strict=True):
            print(json.dumps({"id": name, **asdict(each)}, ensure_ascii=False))
        return
    table = [[str(name), f"{each.score:.2f}"] for name, each in zip(ids, found, strict=True)]
    print(format_table([["id", "relevance"], *table]))
    if found:
        print(
            f"\nMedian {median(each.score for each in found):.2f} of {len(found)}, told by {found[0].method}."
        )


def _measure(name: object, text: str, recipe: Recipe) -> _Measured:
    figures = measure(text)
    aim, floor = recipe.readability_aim, recipe.readability_floor
    verdict = judge(figures.flesch_kincaid_grade, aim, recipe.readability_warn, floor)
    in_target = None if verdict is None else verdict == "on target"
    return _Measured(name, figures, find_hard_words(text), verdict, in_target)


def _as_document(found: _Measured, recipe: Recipe) -> dict[str, Any]:
    target = {
        "floor": recipe.readability_floor,
        "aim": recipe.readability_aim,
        "warn": recipe.readability_warn,
    }
    return {
        "id": found.id,
        "audience": recipe.audience,
        "target": target,
        "verdict": found.verdict,
        "in_target": found.in_target,
        "measures": found.measures.to_dict(),
        "hard_words": [asdict(word) for word in found.hard_words],
    }


def _format_one(found: _Measured, recipe: Recipe) -> str:
    target = describe_target(recipe.readability_aim, recipe.readability_floor) or "none, reported only"
    rows = [
        ["Flesch-Kincaid grade", _figure(found.measures.flesch_kincaid_grade)],
        [f"Target for {recipe.audience}", target],
        ["Verdict", found.verdict or "none"],
        ["Flesch reading ease", _figure(found.measures.flesch_reading_ease)],
        ["SMOG index", _figure(found.measures.smog_index)],
        ["Dale-Chall score", _figure(found.measures.dale_chall)],
        ["Difficult words", f"{found.measures.difficult_words} of {found.measures.words}"],
        ["Sentences", str(found.measures.sentences)],
    ]
    words = [f"  {word.text}{f': say {word.plain!r}' if word.plain else ''}" for word in found.hard_words]
    listed = "\n".join(["", "", "Hard words:", *words]) if words else ""
    return f"{format_table(rows)}{listed}"


def _format_many(measured: list[_Measured], recipe: Recipe) -> str:
    head = ["id", "grade", "verdict", "hard words"]
    rows = [
        [
            str(each.id),
            _figure(each.measures.flesch_kincaid_grade),
            each.verdict or "none",
            ", ".join(word.text for word in each.hard_words[:LISTED_WORDS]),
        ]
        for each in measured
    ]
    told = [each for each in measured if each.in_target is not None]
    inside = sum(bool(each.in_target) for each in told)
    target = describe_target(recipe.readability_aim, recipe.readability_floor)
    share = f"\n\n{inside} of {len(told)} within the target for {recipe.audience} ({target})." if told else ""
    return f"{format_table([head, *rows])}{share}"


def _figure(value: float | None) -> str:
    return "too short" if value is None else f"{value:.1f}"


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{file} can't be read as UTF-8 text ({error}). Give the path of a file."
        ) from error


def _read_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers, from 1."""
    for number, line in enumerate(_read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"Line {number} is no JSON ({error}). Write one object a line.") from error
        if not isinstance(row, dict):
            raise InvalidInput(f"Line {number} must be an object, but it is {line[:60]!r}.")
        yield number, row


def _field(number: int, row: dict[str, Any], names: tuple[str, ...]) -> str:
    """The first of these fields that a line has."""
    for name in names:
        if isinstance(value := row.get(name), str):
            return value
    raise InvalidInput(f"Line {number} has none of {', '.join(names)} as text. Name the field one of these.")
