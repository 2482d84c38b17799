"""What shaped an answer, and where a judgement went: the chain from review to adapter, asked both ways."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from adapters import registry
from db import adapters as adapter_store
from db import lineage, snapshots
from db import reviewers as reviewer_store
from db.home import Home
from db.models import Response, Snapshot
from db.session import Database
from db.vocabulary import AdapterStatus
from elara_ui.errors import NotFound
from elara_ui.services.curated_examples import pseudonym
from elara_ui.services.snapshots import label

ROWS = 50
"""Rows of a training set listed at a time."""


@dataclass(frozen=True)
class SetUse:
    """A training set that holds rows of something.

    Args:
        rows: how many of them.
    """

    snapshot_id: str
    label: str
    rows: int


@dataclass(frozen=True)
class AdapterUse:
    """An adapter that learned from something.

    Args:
        live: whether it answers its audience now.
    """

    name: str
    audience: str
    live: bool


@dataclass(frozen=True)
class Destinations:
    """Where something went.

    Args:
        subject: what was asked about, in words.
        runs: ids of the runs that learned from those sets.
    """

    subject: str
    snapshots: tuple[SetUse, ...]
    runs: tuple[str, ...]
    adapters: tuple[AdapterUse, ...]

    @property
    def summary(self) -> str:
        """In a sentence."""
        if not self.snapshots:
            return f"{self.subject} is in no training set."
        sets = ", ".join(each.label for each in self.snapshots)
        if not self.adapters:
            return f"{self.subject} is in {sets}. No adapter has come of that yet."
        names = ", ".join(f"{each.name}{' (live)' if each.live else ''}" for each in self.adapters)
        return f"{self.subject} is in {sets}, from which {names} learned."


@dataclass(frozen=True)
class RowSource:
    """One row behind an adapter.

    Args:
        position: line of the set, from 0.
        judgement: the review, preference or adjudication that let it in; empty for none.
        verdict: its disposition or choice.
        rater: pseudonym of who gave it.
    """

    position: int
    response_id: str
    judgement: str
    verdict: str
    rater: str


@dataclass(frozen=True)
class Origins:
    """What an answer or adapter came of.

    Args:
        subject: what was asked about, in words.
        adapter: the adapter that answered; empty for the base model alone.
        run_id: that made it; empty when it was brought in.
        snapshot: the set it learned from.
        judged_rows: rows of it that came of judged answers.
        judgements: reviews, preferences and adjudications behind these.
        raters: people who gave them.
        rows: the first such rows.
        is_starter: whether the adapter came with Elara.
    """

    subject: str
    base_model: str
    adapter: str
    run_id: str
    snapshot: SetUse | None
    judged_rows: int
    judgements: int
    raters: int
    rows: tuple[RowSource, ...]
    is_starter: bool = False

    @property
    def summary(self) -> str:
        """In a sentence or two."""
        if not self.adapter:
            return f"{self.base_model} answered alone, without an adapter: no review has shaped this."
        if self.is_starter:
            examples = "learned from its starter examples"
            return f"{self.adapter} comes with Elara and {examples}: no review has shaped it."
        if self.snapshot is None:
            return f"{self.adapter} was brought in from elsewhere; what shaped it is not known here."
        learned = f"{self.adapter} learned from {self.snapshot.rows} rows of {self.snapshot.label}"
        if not self.judged_rows:
            return f"{learned}. None of them came of a review here."
        people = "one person" if self.raters == 1 else f"{self.raters} people"
        return f"{learned}; {self.judged_rows} of them came of {self.judgements} judgements by {people}."


class LineageService:
    """Follows the chain review → set → run → adapter → answer, in both directions.

    Args:
        database: where its links are.
        home: where adapters are kept.
    """

    def __init__(self, database: Database, home: Home) -> None:
        self._database = database
        self._home = home

    def trace(self, reference: str) -> Origins | Destinations:
        """Whatever is known of one thing: an answer's or adapter's origins, a judgement's destinations.

        Args:
            reference: id of an answer, a review, a preference or an adjudication, or an adapter's name.

        Raises:
            NotFound: nothing has this id.
        """
        with self._database.reading() as session:
            if "@" in reference:
                adapter = adapter_store.get(session, reference)
                subject = f"Adapter {adapter.name}"
                return _origins(session, self._home, subject, adapter.base_model, adapter.name)
            response = session.get(Response, reference)
            if response is not None:
                subject = f"Answer {response.id}"
                return _origins(session, self._home, subject, response.base_model, response.adapter or "")
            return _destinations_of_judgement(session, reference)

    def what_shaped(self, response_id: str) -> Origins:
        """The adapter that gave an answer, and the judgements that shaped it.

        Raises:
            NotFound: there is no such answer.
        """
        with self._database.reading() as session:
            response = session.get(Response, response_id)
            if response is None:
                raise NotFound(f"There is no answer {response_id!r}; it may have been deleted.")
            subject = f"Answer {response_id}"
            return _origins(session, self._home, subject, response.base_model, response.adapter or "")

    def where_it_went(self, judgement_id: str) -> Destinations:
        """The sets, runs and adapters that one judgement came into.

        Args:
            judgement_id: of a review, a preference or an adjudication.

        Raises:
            NotFound: there is none of this id.
        """
        with self._database.reading() as session:
            return _destinations_of_judgement(session, judgement_id)

    def where_they_went(self, judgement_ids: Collection[str]) -> dict[str, Destinations]:
        """The same of several judgements; those of which nothing is known are left out."""
        with self._database.reading() as session:
            return {
                each: _destinations_of_judgement(session, each)
                for each in judgement_ids
                if lineage.find_judgement(session, each) is not None
            }

    def shaped_by(self, *, reviewer: str | None = None, response: str | None = None) -> Destinations:
        """The sets, runs and adapters that one reviewer's judgements, or one answer, came into.

        Args:
            reviewer: a declared name.
            response: an answer's id; give one of the two.

        Raises:
            NotFound: there is no such reviewer or answer.
        """
        with self._database.reading() as session:
            if reviewer is not None:
                person = reviewer_store.find(session, reviewer)
                if person is None:
                    raise NotFound(f"There is no reviewer {reviewer[:120]!r}. Check how the name is written.")
                held = lineage.holding(session, reviewer_id=person.id)
                return _destinations(session, f"What {person.name} judged", held)
            if response is None or session.get(Response, response) is None:
                raise NotFound(f"There is no answer {response!r}; it may have been deleted.")
            return _destinations(
                session, f"Answer {response}", lineage.holding(session, response_id=response)
            )


def _destinations_of_judgement(session: Session, judgement_id: str) -> Destinations:
    judged = lineage.find_judgement(session, judgement_id)
    if judged is None:
        raise NotFound(
            f"Nothing here is called {judgement_id[:60]!r}. Give the id of an answer or a review, or an "
            "adapter's name such as patient@1."
        )
    held = lineage.holding(session, judgement_id=judgement_id)
    return _destinations(session, f"{judged.kind.capitalize()} {judgement_id}", held)


def _destinations(session: Session, subject: str, held: list[tuple[Snapshot, int]]) -> Destinations:
    runs = snapshots.runs_of(session, [snapshot.id for snapshot, _ in held])
    run_ids = [run.id for found in runs.values() for run in found]
    made = lineage.adapters_of(session, run_ids)
    return Destinations(
        subject,
        tuple(SetUse(snapshot.id, label(snapshot), rows) for snapshot, rows in held),
        tuple(run_ids),
        tuple(AdapterUse(each.name, each.audience, each.status == AdapterStatus.LIVE) for each in made),
    )


def _origins(session: Session, home: Home, subject: str, base_model: str, adapter: str) -> Origins:
    run = lineage.run_of(session, adapter) if adapter else None
    if run is None:
        known = lineage.adapter_called(session, adapter) if adapter else None
        starter = known is not None and registry.came_with_elara(home, known)
        return Origins(subject, base_model, adapter, "", None, 0, 0, 0, (), starter)
    snapshot = snapshots.get(session, run.snapshot_id)
    rows, judgements, people = lineage.count_sources(session, snapshot.id)
    return Origins(
        subject, base_model, adapter, run.id, SetUse(snapshot.id, label(snapshot), snapshot.rows),
        rows, judgements, people, _list_sources(session, snapshot.id),
    )  # fmt: skip


def _list_sources(session: Session, snapshot_id: str) -> tuple[RowSource, ...]:
    sources = []
    for row in lineage.list_rows(session, snapshot_id, limit=ROWS):
        judged = lineage.find_judgement(session, row.review_id) if row.review_id else None
        rater = pseudonym(row.reviewer_id) if row.reviewer_id else ""
        verdict = judged.verdict if judged else ""
        sources.append(RowSource(row.position, row.response_id or "", row.review_id or "", verdict, rater))
    return tuple(sources)
