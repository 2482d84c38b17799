"""What speaks against freezing a selection: duplicates, identifiers of people, prompts of evaluation sets."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from adapters.training.examples import Example
from adapters.training.preparation import EVALUATION
from adapters.training.similarity import cluster
from db import snapshots
from db.home import Home
from elara_ui.clinical import identifiers
from elara_ui.clinical.safety.suite import load_cases
from elara_ui.errors import DatasetError

SAFETY_SUITE = "the safety suite"
SHOWN = 20
"""Findings listed of each kind; all are counted."""


@dataclass(frozen=True)
class Leak:
    """A row whose prompt is that of an evaluation set, or like it.

    Args:
        answers: the row's answer, and the one it is preferred to if there is one.
        set_name: the evaluation set's file.
        known: the prompt in it.
    """

    answers: tuple[str, ...]
    question: str
    set_name: str
    known: str


@dataclass(frozen=True)
class Finding:
    """A row with likely identifiers.

    Args:
        answers: the row's answer, and the one it is preferred to if there is one.
        excerpt: what stands around the first of them.
    """

    answers: tuple[str, ...]
    kinds: tuple[str, ...]
    excerpt: str


@dataclass(frozen=True)
class CheckReport:
    """What a freeze would keep, and what speaks against it.

    Args:
        rows: that the rules let in.
        train: kept to learn from.
        evaluation: held out.
        held_again: prompts held out again because an earlier set, which was trained on, held them out.
        duplicates: left out as repeating an earlier row.
        near_duplicates: left out as nearly repeating one.
        identifiers: kind → how often it was found.
        findings: the first rows with identifiers that may be told of.
        findings_hidden: rows with identifiers that may not: someone is still to judge them blind.
        leaks: the first rows that share prompts with evaluation sets and may be told of.
        leaks_hidden: such rows that may not be told of.
        leak_count: how many such rows there are, told of or not.
        problem: why nothing could be frozen at all; empty when it could.
    """

    rows: int
    train: int
    evaluation: int
    held_again: int
    duplicates: int
    near_duplicates: int
    identifiers: Mapping[str, int]
    findings: tuple[Finding, ...]
    findings_hidden: int
    leaks: tuple[Leak, ...]
    leaks_hidden: int
    leak_count: int
    problem: str = ""


def find_identifiers(examples: Iterable[Example]) -> tuple[Counter[str], tuple[Finding, ...]]:
    """Likely identifiers in questions and answers: how often each kind, and the rows that have any."""
    kinds: Counter[str] = Counter()
    findings: list[Finding] = []
    for example in examples:
        text = "\n".join([*(turn.content for turn in example.messages), example.rejected])
        found = identifiers.find(text)
        kinds.update(str(each.kind) for each in found)
        if found:
            first = found[0]
            excerpt = " ".join(text[max(first.start - 30, 0) : first.end + 30].split())
            named = tuple(dict.fromkeys(str(each.kind) for each in found))
            findings.append(Finding(example.answers, named, excerpt))
    return kinds, tuple(findings)


def find_leaks(examples: Sequence[Example], evaluated: Mapping[str, str]) -> list[Leak]:
    """Rows whose prompts are in clusters with those of evaluation sets.

    Args:
        examples: of the selection.
        evaluated: prompt → name of the evaluation set it is in.
    """
    if not evaluated:
        return []
    known = list(evaluated)
    labels = cluster([_normal(text) for text in (*known, *(example.question for example in examples))])
    first_of: dict[int, str] = {}
    for label, prompt in zip(labels, known, strict=False):
        first_of.setdefault(label, prompt)
    return [
        Leak(
            example.answers, example.question, evaluated[first_of[label]], first_of[label]
        )
        for example, label in zip(examples, labels[len(known) :], strict=True)
        if label in first_of
    ]  # fmt: skip


def read_evaluation_sets(home: Home) -> dict[str, str]:
    """Every prompt of the safety suite and of the files in ELARA_HOME/evaluation, with where it is from.

    Raises:
        DatasetError: a file there can't be read: leakage could then not be told.
    """
    prompts = {case.prompt: SAFETY_SUITE for case in load_cases()}
    for path in sorted(home.evaluation.glob("*.jsonl")):
        for number, row in enumerate(_read_lines(path), start=1):
            prompt = _find_prompt(row)
            if not prompt:
                raise DatasetError(
                    f"Row {number} of the evaluation set {path.name} has no prompt. Give each row messages, "
                    "prompt, question or instruction; without them nobody can tell whether it leaks."
                )
            prompts.setdefault(prompt, path.name)
    return prompts


def read_held_out(session: Session, home: Home) -> list[str]:
    """The questions that sets which a run has learned from hold out. A set whose file is gone has none."""
    prompts: dict[str, None] = {}
    for snapshot in snapshots.used(session):
        path = home.root / snapshot.path
        if path.is_file():
            for row in _read_lines(path):
                if row.get("part") == EVALUATION:
                    prompts.setdefault(_find_prompt(row))
    return [prompt for prompt in prompts if prompt]


def _read_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for line in lines:
                if line.strip():
                    row = json.loads(line)
                    yield row if isinstance(row, dict) else {}
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DatasetError(
            f"{path.name} can't be read as JSONL: {reason}. Correct it, or take it out of {path.parent}."
        ) from error


def _find_prompt(row: Mapping[str, Any]) -> str:
    """The question of a row in any of the usual layouts; empty when there is none."""
    for name in ("messages", "conversations", "prompt"):
        turns = row.get(name)
        if isinstance(turns, list):
            asked = [turn for turn in turns if turn.get("role", turn.get("from")) in ("user", "human")]
            return str(asked[-1].get("content", asked[-1].get("value", ""))).strip() if asked else ""
    for name in ("prompt", "question", "instruction", "input"):
        if isinstance(row.get(name), str) and row[name].strip():
            return str(row[name]).strip()
    return ""


def _normal(text: str) -> str:
    """As the split by clusters compares questions."""
    return " ".join(text.casefold().split())
