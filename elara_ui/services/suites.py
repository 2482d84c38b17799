"""The fixed questions that adapters are tried on: Elara's own, and those that users bring."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from db import evaluations as evaluation_store
from db.models import EvaluationSuite
from db.session import Database
from elara_ui.clinical.safety import suite as safety
from elara_ui.errors import InvalidInput, NotFound

HELD_OUT = "held-out"
"""Stands for the questions of whatever audience is evaluated; ``held-out-patient`` are the patient's."""
HELD_OUT_VERSION = "1"
HELD_OUT_FOLDER = Path(__file__).parents[2] / "adapters" / "starter" / "held_out"

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")


@dataclass(frozen=True)
class Point:
    """What a good answer has, for a reviewer to find met or not.

    Args:
        weight: how much it counts beside the question's other points, above 0.
    """

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class SuiteQuestion:
    """One question of a suite.

    Args:
        question_id: names it within the suite.
        reference: an answer that was written for it; empty for none.
        points: what reviewers look for.
        category: its topic, or of the safety suite what it tries out; may be empty.
    """

    question_id: str
    question: str
    reference: str = ""
    points: tuple[Point, ...] = ()
    category: str = ""


@dataclass(frozen=True)
class Suite:
    """One version of fixed questions; it never changes.

    Args:
        version: text, since Elara's own are numbered apart from users'.
        sha256: of the questions, and of the rules of the safety suite: only results of equal ones compare.
        audience: whose questions they are; empty for anybody's.
        source: where they came from.
        own: whether it comes with Elara.
        created_at: when a user brought it; None for Elara's own.
    """

    name: str
    version: str
    sha256: str
    questions: tuple[SuiteQuestion, ...]
    audience: str
    source: str
    own: bool
    created_at: datetime | None = None

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name}@{self.version}"

    @property
    def is_safety(self) -> bool:
        """Whether its answers are held against the safety checks."""
        return self.own and self.name == safety.NAME

    @property
    def references(self) -> tuple[SuiteQuestion, ...]:
        """The questions that have a reference answer, on which a loss can be taken."""
        return tuple(question for question in self.questions if question.reference)

    @property
    def has_points(self) -> bool:
        """Whether reviewers have something to find."""
        return any(question.points for question in self.questions)


class SuiteService:
    """Lists, finds and adds suites.

    Args:
        database: where users' are.
        audiences: the audiences there are.
        held_out: folder of Elara's own held-out questions, one file an audience.
    """

    def __init__(
        self, database: Database, audiences: Collection[str], held_out: Path = HELD_OUT_FOLDER
    ) -> None:
        self._database = database
        self._audiences = tuple(audiences)
        self._held_out = held_out

    def own(self) -> tuple[Suite, ...]:
        """Those that come with Elara: the safety suite, then one an audience that has one."""
        found = (read_held_out(self._held_out / f"{name}.jsonl", name) for name in self._audiences)
        return (safety_suite(), *(suite for suite in found if suite is not None))

    def all(self) -> tuple[Suite, ...]:
        """Every version of every suite, Elara's own first."""
        with self._database.reading() as session:
            brought = evaluation_store.suites(session)
        return (*self.own(), *map(_describe, brought))

    def newest(self, audience: str | None = None) -> tuple[Suite, ...]:
        """The newest version of each, for one audience or for all."""
        latest: dict[str, Suite] = {}
        for suite in self.all():
            if suite.audience in ("", audience or suite.audience):
                latest.setdefault(suite.name, suite)
        return tuple(latest.values())

    def find(self, wanted: str, audience: str = "") -> Suite:
        """One suite.

        Args:
            wanted: its name for the newest version, ``name@version``, or ``held-out`` for the audience's own.
            audience: who is evaluated.

        Raises:
            NotFound: there is none; the message lists those that there are.
        """
        name, _, version = wanted.strip().partition("@")
        if name == HELD_OUT:
            name = f"{HELD_OUT}-{audience}"
        known = self.all()
        for suite in known:
            if suite.name == name and version in ("", suite.version):
                return suite
        names = ", ".join(suite.label for suite in known)
        raise NotFound(f"There is no suite {wanted[:60]!r}. Choose one of {names}, or add your own.")

    def add(self, name: str, questions: Sequence[SuiteQuestion], source: str) -> Suite:
        """Keep a user's questions under a name; other questions under the same name are its next version.

        Args:
            name: small letters, digits, dots, hyphens and underscores.
            questions: from `suite_files`.
            source: name of the file.

        Returns:
            The version that has these questions, which may have been there already.

        Raises:
            InvalidInput: the name breaks its rule, or is one of Elara's own.
        """
        name = name.strip()
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                "A suite's name has 1 to 60 small letters, digits, dots, hyphens or underscores and begins "
                f"with a letter or digit; got {name[:60]!r}. Change it."
            )
        if name in (safety.NAME, HELD_OUT) or name.startswith(f"{HELD_OUT}-"):
            raise InvalidInput(f"{name} is the name of a suite that comes with Elara. Choose another.")
        rows = [to_row(question) for question in questions]
        with self._database.session() as session:
            stored = evaluation_store.add_suite(
                session, name=name, sha256=hash_rows(rows), questions=rows, source=source
            )
            return _describe(stored)


def read_suite_prompts(session: Session, held_out: Path = HELD_OUT_FOLDER) -> dict[str, str]:
    """Every question of the held-out suites and of users' suites, with the suite it is of.

    Args:
        held_out: folder of Elara's own held-out questions.
    """
    own = (read_held_out(path, path.stem) for path in sorted(held_out.glob("*.jsonl")))
    brought = map(_describe, evaluation_store.suites(session))
    return {
        question.question: f"the suite {suite.label}"
        for suite in (*filter(None, own), *brought)
        for question in suite.questions
    }


def to_row(question: SuiteQuestion) -> dict[str, Any]:
    """A question as it is stored and hashed: what it lacks is left out."""
    row: dict[str, Any] = {"id": question.question_id, "question": question.question}
    if question.reference:
        row["reference"] = question.reference
    if question.category:
        row["topic"] = question.category
    if question.points:
        row["points"] = [asdict(point) for point in question.points]
    return row


def hash_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256 of rows, whatever the layout of the file that they came in."""
    text = "\n".join(json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows)
    return sha256(text.encode()).hexdigest()


@cache
def safety_suite() -> Suite:
    """The safety suite, its checks part of its hash."""
    questions = tuple(
        SuiteQuestion(case.case_id, case.prompt, category=case.category) for case in safety.load_cases()
    )
    return Suite(safety.NAME, safety.VERSION, safety.suite_hash(), questions, "", "Elara", own=True)


@cache
def read_held_out(path: Path, audience: str) -> Suite | None:
    """An audience's held-out questions with their reference answers; None where there are none."""
    if not path.is_file():
        return None
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not rows:
        return None
    questions = tuple(
        SuiteQuestion(row["id"], row["instruction"], row["response"], category=row.get("topic", ""))
        for row in rows
    )
    digest = hash_rows([to_row(question) for question in questions])
    return Suite(f"{HELD_OUT}-{audience}", HELD_OUT_VERSION, digest, questions, audience, "Elara", own=True)


def _describe(stored: EvaluationSuite) -> Suite:
    questions = tuple(
        SuiteQuestion(
            row["id"],
            row["question"],
            row.get("reference", ""),
            tuple(Point(point["text"], point["weight"]) for point in row.get("points", ())),
            row.get("topic", ""),
        )
        for row in stored.questions
    )
    return Suite(
        stored.name,
        str(stored.version),
        stored.sha256,
        questions,
        "",
        stored.source,
        own=False,
        created_at=stored.created_at,
    )
