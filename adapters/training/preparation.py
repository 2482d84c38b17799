"""From checked examples to an immutable, hashed training set: deduplicated, bounded, capped and split."""

import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from adapters.engines.base import Turn
from adapters.errors import DatasetError
from adapters.recipe import Hyperparameters
from adapters.training.examples import Example
from adapters.training.objectives import require_both_labels, require_supervision, unpair
from adapters.training.rejects import Rejects, RejectTally, count_rejects
from adapters.training.similarity import cluster, find_near_duplicates
from db import snapshots
from db.home import Home
from db.models import Snapshot
from db.vocabulary import Role

DUPLICATE, NEARLY_DUPLICATE, OVER_CAP = "duplicate", "near-duplicate", "over the most examples"
UNWANTED = "marked as not wanted"
TRAIN, EVALUATION = "train", "evaluation"  # the parts of a stored set
SMALLEST_SET_WITH_EVALUATION = 10  # from here on, at least one question is held out


@dataclass(frozen=True)
class PreparationReport:
    """What was kept and what was left out.

    Args:
        given: rows read.
        bad_rows: left out because they can't be used, as was asked for.
        duplicates: left out because question and answer (or answers) were there already.
        near_duplicates: left out because they nearly repeat earlier ones.
        too_long: left out because the answer wanted has more words than the audience's limit.
        over_cap: left out by the cap on examples.
        train: kept for learning.
        evaluation: kept apart for measuring.
        max_words: the limit applied to answers, words.
        rejects: what was left out by reason, with examples.
        repeated: whether the parts are those of a stored set.
        unwanted: left out because they are marked as not wanted, and sft would imitate them.
    """

    given: int
    bad_rows: int
    duplicates: int
    near_duplicates: int
    too_long: int
    over_cap: int
    train: int
    evaluation: int
    max_words: int
    rejects: tuple[Rejects, ...] = ()
    repeated: bool = False
    unwanted: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As manifests hold it: counts only, since a manifest travels where the rows may not."""
        counts = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "rejects"}
        return counts | {"reasons": {group.reason: group.count for group in self.rejects}}

    @property
    def summary(self) -> str:
        """One sentence for a person."""
        split = ", split as it was stored" if self.repeated else ""
        parts = [f"{self.train} examples to learn from", f"{self.evaluation} held out{split}"]
        if self.bad_rows:
            parts.append(f"{self.bad_rows} bad rows left out")
        if self.unwanted:
            parts.append(f"{self.unwanted} answers marked as not wanted left out")
        if self.duplicates:
            parts.append(f"{self.duplicates} duplicates left out")
        if self.near_duplicates:
            parts.append(f"{self.near_duplicates} near-duplicates left out")
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


def prepare(
    examples: Sequence[Example],
    hyperparameters: Hyperparameters,
    max_words: int,
    rejects: Sequence[Rejects] = (),
    evaluated: Sequence[str] = (),
) -> Prepared:
    """Choose what is learned from and what is held out; the same input always gives the same result.

    Examples of a stored set keep the part they are in: nothing is deduplicated, capped or split anew.

    Args:
        examples: as read.
        hyperparameters: gives the objective, the cap, the held-out share and the seed.
        max_words: most words in an answer of this audience.
        rejects: bad rows that were left out while reading, for the report.
        evaluated: questions that were held out before; they and their like are held out again.

    Raises:
        DatasetError: nothing is left to learn from, or not what the objective learns from.
    """
    objective = hyperparameters.objective
    require_supervision(examples, objective)
    draw = random.Random(hyperparameters.seed)  # noqa: S311 (repeatable, not secret)
    tally = RejectTally()
    stored = bool(examples) and all(example.part for example in examples)
    usable = _drop_unwanted(examples, tally) if objective == "sft" else list(examples)
    distinct = usable if stored else _drop_duplicates(usable, objective, tally)
    short = _drop_too_long(distinct, max_words, tally)
    if stored:
        train = [example for example in short if example.part == TRAIN]
        evaluation = [example for example in short if example.part == EVALUATION]
    else:
        differing = _drop_near_duplicates(short, objective, tally)
        chosen = _draw(differing, hyperparameters.max_samples, draw, tally)
        train, evaluation = _split(chosen, hyperparameters.eval_fraction, draw, evaluated)
    _require_any(train, len(distinct) - len(evaluation), max_words)
    if objective == "kto":
        require_both_labels([item.label for item in unpair(train)])
    report = PreparationReport(
        given=len(examples) + count_rejects(rejects),
        bad_rows=count_rejects(rejects),
        duplicates=tally.count(DUPLICATE),
        near_duplicates=tally.count(NEARLY_DUPLICATE),
        too_long=len(distinct) - len(short),
        over_cap=tally.count(OVER_CAP),
        train=len(train),
        evaluation=len(evaluation),
        max_words=max_words,
        rejects=(*rejects, *tally.result()),
        repeated=stored,
        unwanted=tally.count(UNWANTED),
    )
    return Prepared(tuple(train), tuple(evaluation), report)


def _require_any(train: Sequence[Example], distinct: int, max_words: int) -> None:
    if train:
        return
    if not distinct:
        raise DatasetError(
            "No example is left: all answers are marked as not wanted, and sft imitates what it is shown. "
            "Add answers that are wanted, or, to learn from both, set objective to kto."
        )
    raise DatasetError(
        f"No example is left: all {distinct} answers have more than {max_words} words, this audience's "
        "limit. Shorten them, or choose an audience with longer answers."
    )


def _drop_unwanted(examples: Sequence[Example], tally: RejectTally) -> list[Example]:
    """What must not be imitated."""
    kept = []
    for example in examples:
        if example.label is False:
            tally.add(UNWANTED, example.row, example.question)
        else:
            kept.append(example)
    return kept


def _drop_duplicates(examples: Sequence[Example], objective: str, tally: RejectTally) -> list[Example]:
    """Of those that teach the same, the first is kept, in the order given."""
    seen: set[tuple[str, str, str, bool | None]] = set()
    kept = []
    for example in examples:
        rejected = "" if objective == "sft" else example.rejected
        texts = (_normal(_prompt(example)), _normal(example.answer), _normal(rejected))
        key = (*texts, _verdict(example, objective))
        if key in seen:
            tally.add(DUPLICATE, example.row, example.question)
        else:
            seen.add(key)
            kept.append(example)
    return kept


def _verdict(example: Example, objective: str) -> bool | None:
    """What is said about the answer, where that is learned: the same answer can be judged in two ways."""
    return None if objective == "sft" else example.label


def _drop_too_long(examples: Sequence[Example], max_words: int, tally: RejectTally) -> list[Example]:
    """A bad answer may be as long as it likes: nobody is to write as it does."""
    kept = []
    for example in examples:
        words = len(example.answer.split())
        if words > max_words and example.label is not False:
            tally.add(f"answer over {max_words} words", example.row, f"{words} words: {example.question}")
        else:
            kept.append(example)
    return kept


def _drop_near_duplicates(examples: Sequence[Example], objective: str, tally: RejectTally) -> list[Example]:
    repeats: dict[int, int] = {}
    for verdict in (None, True, False):
        numbers = [number for number, item in enumerate(examples) if _verdict(item, objective) is verdict]
        found = find_near_duplicates([_lesson(examples[number], objective) for number in numbers])
        repeats |= {numbers[repeat]: numbers[first] for repeat, first in found.items()}
    for number, first in repeats.items():
        example = examples[number]
        tally.add(NEARLY_DUPLICATE, example.row, f"like row {examples[first].row}: {example.question}")
    return [example for number, example in enumerate(examples) if number not in repeats]


def _lesson(example: Example, objective: str) -> str:
    """Everything that is learned from, as one text."""
    taught = f"{_prompt(example)}\n{example.answer}"
    return taught if objective == "sft" else f"{taught}\n{example.rejected}".strip()


def _draw(examples: list[Example], most: int, draw: random.Random, tally: RejectTally) -> list[Example]:
    if len(examples) <= most:
        return examples
    numbers = draw.sample(range(len(examples)), most)
    kept = set(numbers)
    for number, example in enumerate(examples):
        if number not in kept:
            tally.add(OVER_CAP, example.row, example.question)
    return [examples[number] for number in numbers]


def _split(
    examples: Sequence[Example], fraction: float, draw: random.Random, evaluated: Sequence[str] = ()
) -> tuple[list[Example], list[Example]]:
    """Hold out whole clusters of questions: no question stands on both sides, nor one that is like it."""
    wanted = round(len(examples) * fraction)
    if fraction and len(examples) >= SMALLEST_SET_WITH_EVALUATION:
        wanted = max(wanted, 1)
    if not wanted and not evaluated:
        return list(examples), []
    known = [_normal(question) for question in evaluated]
    labels = cluster([*known, *(_normal(example.question) for example in examples)])
    again = set(labels[: len(known)])
    labels = labels[len(known) :]
    sizes = Counter(labels)  # in the order in which the clusters turn up
    held_out = again & sizes.keys()
    size = sum(sizes[label] for label in held_out)
    clusters = [label for label in sizes if label not in held_out]
    if wanted and len(clusters) > 1:
        draw.shuffle(clusters)
        for label in clusters[:-1]:  # one cluster at least stays to be learned
            if size + sizes[label] <= wanted:
                held_out.add(label)
                size += sizes[label]
        if not held_out:
            held_out.add(min(clusters, key=lambda label: sizes[label]))
    train = [example for example, label in zip(examples, labels, strict=True) if label not in held_out]
    return train, [example for example, label in zip(examples, labels, strict=True) if label in held_out]


def _prompt(example: Example) -> str:
    return "\n".join(f"{turn.role}: {turn.content}" for turn in example.prompt)


def _normal(text: str) -> str:
    """Equal for texts that differ only in case and spacing."""
    return " ".join(text.casefold().split())


def freeze(
    home: Home,
    session: Session,
    prepared: Prepared,
    source: str,
    *,
    objective: str = "sft",
    manifest: Mapping[str, Any] | None = None,
) -> Snapshot:
    """Write the set to `home.snapshots`, named by its hash, and record it. Equal sets are stored once.

    Args:
        home: where snapshots are kept.
        session: an open session; the caller commits.
        prepared: what to freeze.
        source: ``starter``, ``reviews``, or the name of the file or dataset.
        objective: what the rows are for.
        manifest: what is to be kept beside the counts of the preparation.

    Raises:
        DatasetError: the disk refuses the file.
    """
    origins: list[snapshots.Origin] = []
    try:
        path, digest = _write(home.snapshots, prepared, origins)
    except OSError as error:
        raise DatasetError(
            f"The training set can't be stored in {home.snapshots}: {error.strerror}."
        ) from error
    snapshot = snapshots.add(
        session,
        sha256=digest,
        path=path.relative_to(home.root).as_posix(),
        rows=len(origins),
        source=source,
        manifest=prepared.report.to_dict() | dict(manifest or {}),
        objective=objective,
    )
    if any(origin.response_id for origin in origins):
        snapshots.add_rows(session, snapshot.id, origins)
    return snapshot


def fingerprint(prepared: Prepared) -> str:
    """The SHA-256 that a set is named by when it is frozen."""
    digest = sha256()
    for part, examples in ((TRAIN, prepared.train), (EVALUATION, prepared.evaluation)):
        for line in _lines(examples, part):
            digest.update(line)
    return digest.hexdigest()


def _write(folder: Path, prepared: Prepared, origins: list[snapshots.Origin]) -> tuple[Path, str]:
    """Write the lines to a file named by their hash, and note where each came from."""
    digest = sha256()
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".part-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part, examples in ((TRAIN, prepared.train), (EVALUATION, prepared.evaluation)):
                for example, line in zip(examples, _lines(examples, part), strict=True):
                    file.write(line)
                    digest.update(line)
                    origins.append(_describe_origin(example, line))
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"{digest.hexdigest()}.jsonl"
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    return path, digest.hexdigest()


def _describe_origin(example: Example, line: bytes) -> snapshots.Origin:
    origin = example.origin
    return snapshots.Origin(
        sha256(line).hexdigest(),
        response_id=origin.get("response_id") or None,
        other_response_id=origin.get("other_response_id") or None,
        review_id=origin.get("review_id") or None,
        further=tuple(origin.get("further_reviews", "").split()),
    )


def thaw(path: Path, digest: str) -> tuple[list[Example], list[Example]]:
    """Read a frozen set back: what to learn from, and what is held out; each example knows its part.

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
    parts: dict[str, list[Example]] = {TRAIN: [], EVALUATION: []}
    for number, line in enumerate(content.decode().splitlines(), start=1):
        row = json.loads(line)
        turns = tuple(Turn(Role(message["role"]), message["content"]) for message in row["messages"])
        rejected, label = row.get("rejected", ""), row.get("label")
        parts[row["part"]].append(Example(turns, row["origin"], number, row["part"], rejected, label))
    return parts[TRAIN], parts[EVALUATION]


def _lines(examples: Iterable[Example], part: str) -> Iterable[bytes]:
    for example in examples:
        row: dict[str, Any] = {
            "messages": [{"role": turn.role.value, "content": turn.content} for turn in example.messages],
            "origin": dict(example.origin),
            "part": part,
        }
        if example.rejected:
            row["rejected"] = example.rejected
        if example.label is not None:
            row["label"] = example.label
        # ASCII escapes keep exotic line separators from splitting a row.
        yield json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n"
