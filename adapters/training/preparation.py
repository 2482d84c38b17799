"""From checked examples to an immutable, hashed training set: deduplicated, bounded, capped and split."""

import json
import os
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from adapters.engines.base import Turn
from adapters.errors import DatasetError
from adapters.recipe import Hyperparameters
from adapters.training.examples import Example
from db import snapshots
from db.home import Home
from db.models import Snapshot
from db.vocabulary import Role

SMALLEST_SET_WITH_EVALUATION = 10  # from here on, at least one question is held out


@dataclass(frozen=True)
class PreparationReport:
    """What was kept and what was left out.

    Args:
        given: examples read.
        duplicates: left out because question and answer were there already.
        too_long: left out because the answer has more words than the audience's limit.
        over_cap: left out by the cap on examples.
        train: kept for learning.
        evaluation: kept apart for measuring.
        max_words: the limit applied to answers, words.
    """

    given: int
    duplicates: int
    too_long: int
    over_cap: int
    train: int
    evaluation: int
    max_words: int

    def to_dict(self) -> dict[str, int]:
        """As manifests hold it."""
        return asdict(self)

    @property
    def summary(self) -> str:
        """One sentence for a person."""
        parts = [f"{self.train} examples to learn from", f"{self.evaluation} held out"]
        if self.duplicates:
            parts.append(f"{self.duplicates} duplicates left out")
        if self.too_long:
            parts.append(f"{self.too_long} answers over {self.max_words} words left out")
        if self.over_cap:
            parts.append(f"{self.over_cap} over the most examples left out")
        return f"Of {self.given}: " + ", ".join(parts) + "."


@dataclass(frozen=True)
class Prepared:
    """The two parts of a training set, and how they came about."""

    train: tuple[Example, ...]
    evaluation: tuple[Example, ...]
    report: PreparationReport


def prepare(examples: Sequence[Example], hyperparameters: Hyperparameters, max_words: int) -> Prepared:
    """Choose what is learned from and what is held out; the same input always gives the same result.

    Args:
        examples: as read.
        hyperparameters: gives the cap, the held-out share and the seed.
        max_words: most words in an answer of this audience.

    Raises:
        DatasetError: nothing is left to learn from.
    """
    draw = random.Random(hyperparameters.seed)  # noqa: S311 (repeatable, not secret)
    distinct = list(
        {(_normal(_prompt(item)), _normal(item.answer)): item for item in reversed(examples)}.values()
    )
    distinct.reverse()  # of equal ones the first is kept, in the order given
    short = [item for item in distinct if len(item.answer.split()) <= max_words]
    if not short:
        raise DatasetError(
            f"No example is left: all {len(examples)} answers have more than {max_words} words, "
            "this audience's limit. Shorten them, or choose an audience with longer answers."
        )
    chosen = (
        draw.sample(short, hyperparameters.max_samples) if len(short) > hyperparameters.max_samples else short
    )
    train, evaluation = _split(chosen, hyperparameters.eval_fraction, draw)
    report = PreparationReport(
        given=len(examples),
        duplicates=len(examples) - len(distinct),
        too_long=len(distinct) - len(short),
        over_cap=len(short) - len(chosen),
        train=len(train),
        evaluation=len(evaluation),
        max_words=max_words,
    )
    return Prepared(tuple(train), tuple(evaluation), report)


def _split(
    examples: Sequence[Example], fraction: float, draw: random.Random
) -> tuple[list[Example], list[Example]]:
    """Hold out whole questions: no question, however it is spaced or cased, stands on both sides."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[_normal(example.question)].append(example)
    wanted = round(len(examples) * fraction)
    if fraction and len(examples) >= SMALLEST_SET_WITH_EVALUATION:
        wanted = max(wanted, 1)
    if not wanted or len(groups) < 2:
        return list(examples), []
    questions = list(groups)
    draw.shuffle(questions)
    held_out: set[str] = set()
    size = 0
    for question in questions[:-1]:  # one question at least stays to be learned
        if size + len(groups[question]) <= wanted:
            held_out.add(question)
            size += len(groups[question])
    if not held_out:
        held_out.add(min(questions, key=lambda question: len(groups[question])))
    train = [example for example in examples if _normal(example.question) not in held_out]
    return train, [example for example in examples if _normal(example.question) in held_out]


def _prompt(example: Example) -> str:
    return "\n".join(f"{turn.role}: {turn.content}" for turn in example.messages[:-1])


def _normal(text: str) -> str:
    """Equal for texts that differ only in case and spacing."""
    return " ".join(text.casefold().split())


def freeze(home: Home, session: Session, prepared: Prepared, source: str) -> Snapshot:
    """Write the set to `home.snapshots`, named by its hash, and record it. Equal sets are stored once.

    Args:
        home: where snapshots are kept.
        session: an open session; the caller commits.
        prepared: what to freeze.
        source: ``starter``, ``reviews`` or the uploaded file's name.

    Raises:
        DatasetError: the disk refuses the file.
    """
    content = b"".join(_lines(prepared.train, "train")) + b"".join(_lines(prepared.evaluation, "evaluation"))
    digest = sha256(content).hexdigest()
    path = home.snapshots / f"{digest}.jsonl"
    try:
        _write_whole(path, content)
    except OSError as error:
        raise DatasetError(
            f"The training set can't be stored in {home.snapshots}: {error.strerror}."
        ) from error
    return snapshots.add(
        session,
        sha256=digest,
        path=path.relative_to(home.root).as_posix(),
        rows=len(prepared.train) + len(prepared.evaluation),
        source=source,
        manifest=prepared.report.to_dict(),
    )


def thaw(path: Path, digest: str) -> tuple[list[Example], list[Example]]:
    """Read a frozen set back: what to learn from, and what is held out.

    Args:
        path: the snapshot's file.
        digest: the SHA-256 it was recorded with.

    Raises:
        DatasetError: the file is gone or is not what was frozen.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"The training set {path.name} can't be read: {error.strerror}. Start a new run."
        ) from error
    if sha256(content).hexdigest() != digest:
        raise DatasetError(f"The training set {path.name} was changed after it was frozen. Start a new run.")
    parts: dict[str, list[Example]] = {"train": [], "evaluation": []}
    for line in content.decode().splitlines():
        row = json.loads(line)
        turns = tuple(Turn(Role(message["role"]), message["content"]) for message in row["messages"])
        parts[row["part"]].append(Example(turns, row["origin"]))
    return parts["train"], parts["evaluation"]


def _lines(examples: Iterable[Example], part: str) -> Iterable[bytes]:
    for example in examples:
        row: dict[str, Any] = {
            "messages": [{"role": turn.role.value, "content": turn.content} for turn in example.messages],
            "origin": dict(example.origin),
            "part": part,
        }
        # ASCII escapes keep exotic line separators from splitting a row.
        yield json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _write_whole(path: Path, content: bytes) -> None:
    """Write so that the file is either complete or absent."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".snapshot-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
