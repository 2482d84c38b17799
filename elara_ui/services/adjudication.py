"""Adjudication: settling answers whose reviews contradict each other or raise an alarm."""

from dataclasses import dataclass
from datetime import datetime

from db import adjudication_queue, reviewers
from db.adjudications import triggers
from db.models import Adjudication, ReviewItem
from db.session import Database
from db.vocabulary import AdjudicationTrigger, Disposition
from elara_ui.errors import InvalidInput
from elara_ui.services.insights import Cursor, Opinion, Settlement, describe_opinion, describe_settlement
from elara_ui.services.review_drafts import TEXT_LIMIT, check_correction, check_reviewer
from elara_ui.services.review_tasks import ContextTurn, turns_before_question

LISTED = 50
"""Contested answers listed at once."""

PAGE = 20
"""Decisions listed at once."""

DECISIONS = (Disposition.ACCEPT, Disposition.ACCEPT_WITH_EDIT, Disposition.REJECT)


@dataclass(frozen=True)
class ContestedItem:
    """An answer that waits for adjudication. What made it isn't told before it is settled.

    Args:
        question: None while someone, perhaps the very person who looks, may still be asked to judge it blind.
        triggers: what in its reviews calls for it.
        reviews: how many there are.
    """

    item_id: str
    audience: str
    question: str | None
    triggers: tuple[AdjudicationTrigger, ...]
    reviews: int
    sent_at: datetime


@dataclass(frozen=True)
class AdjudicationList:
    """What someone may settle.

    Args:
        items: the longest waiting first, `LISTED` at most.
        total: how many there are in all.
        own: contested answers that this person has judged, so may not settle.
    """

    items: tuple[ContestedItem, ...]
    total: int
    own: int


@dataclass(frozen=True)
class AdjudicationTask:
    """All there is to settle one answer by. Blind to what made it, not to who judged it.

    Args:
        opinions: the reviews, in the order in which they came.
        places_left: judgements still asked for; a decision ends the asking.
    """

    item_id: str
    audience: str
    question: str
    context: tuple[ContextTurn, ...]
    answer: str
    triggers: tuple[AdjudicationTrigger, ...]
    opinions: tuple[Opinion, ...]
    places_left: int


@dataclass(frozen=True)
class DecisionDraft:
    """A decision as filled in, not yet checked.

    Args:
        adjudicator: declared name or pseudonym.
        disposition: accept, accept_with_edit or reject.
        note: why; required.
        correction: the whole corrected answer, for accept_with_edit.
    """

    item_id: str
    adjudicator: str
    disposition: str
    note: str
    correction: str | None = None


@dataclass(frozen=True)
class Settled:
    """An answer that was settled, with what made it.

    Args:
        made_by: the adapter, or the base model where there was none.
        triggers: what had called for it.
    """

    item_id: str
    response_id: str
    audience: str
    made_by: str
    question: str
    triggers: tuple[str, ...]
    settlement: Settlement


@dataclass(frozen=True)
class SettledPage:
    """Some decisions, the newest first, and where the next page begins; None after the last."""

    decisions: tuple[Settled, ...]
    next: Cursor | None


class AdjudicationService:
    """Settling contested answers.

    Args:
        database: where reviews are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, adjudicator: str) -> AdjudicationList:
        """What this person may settle.

        Args:
            adjudicator: declared name.

        Raises:
            InvalidInput: the name is empty or too long.
        """
        name = check_reviewer(adjudicator)
        with self._database.reading() as session:
            known = reviewers.find(session, name)
            key = known.id if known else ""
            items = adjudication_queue.contested(session, key, LISTED)
            total, own = adjudication_queue.count_contested(session, key)
            return AdjudicationList(tuple(_contested_item(item) for item in items), total, own)

    def open(self, adjudicator: str, item_id: str) -> AdjudicationTask:
        """Show an answer with all its reviews. Whoever has seen them can't be asked to judge it any more.

        Args:
            adjudicator: declared name.
            item_id: from the list.

        Raises:
            InvalidInput: the name is empty or too long.
            NotFound: the item isn't there.
            Conflict: it was settled meanwhile, or this person has judged it.
        """
        name = check_reviewer(adjudicator)
        with self._database.session() as session:
            key = reviewers.ensure(session, name).id
            return _task(adjudication_queue.open_for(session, item_id, key))

    def decide(self, draft: DecisionDraft) -> Settled:
        """Settle an answer: the decision goes before its reviews in everything that trains.

        Returns:
            What made the answer: hidden until now.

        Raises:
            InvalidInput: the draft breaks a rule; nothing is stored.
            NotFound: the item isn't there.
            Conflict: it was settled meanwhile, or this person has judged it.
        """
        name = check_reviewer(draft.adjudicator)
        with self._database.session() as session:
            key = reviewers.ensure(session, name).id
            answer = adjudication_queue.get(session, draft.item_id).response.text
            adjudication = check_decision(draft, answer)
            adjudication.adjudicator_id = key
            adjudication_queue.decide(session, adjudication)
            session.refresh(adjudication)
            return _settled(adjudication)

    def settled(self, after: Cursor | None = None, limit: int = PAGE) -> SettledPage:
        """The decisions that stand, the newest first.

        Args:
            after: where the page before ended.
            limit: most decisions.
        """
        before = (after.judged_at, after.review_id) if after else None
        with self._database.reading() as session:
            found = adjudication_queue.settled(session, limit + 1, before)
            shown = found[:limit]
            more = Cursor(shown[-1].created_at, shown[-1].id) if len(found) > limit else None
            return SettledPage(tuple(_settled(each) for each in shown), more)

    def reopen(self, adjudicator: str, item_id: str, reason: str) -> None:
        """Take a decision back, so that the answer waits for adjudication again.

        Args:
            adjudicator: declared name.
            item_id: a settled item.
            reason: why; required.

        Raises:
            InvalidInput: name or reason is empty or too long.
            NotFound: the item isn't there.
            Conflict: it has no decision.
        """
        name, reason = check_reviewer(adjudicator), _check_note(reason, "Reopening a decision")
        with self._database.session() as session:
            key = reviewers.ensure(session, name).id
            adjudication_queue.reopen(session, item_id, reason, key)


def check_decision(draft: DecisionDraft, answer: str) -> Adjudication:
    """Hold a decision against the rules.

    Args:
        draft: as filled in.
        answer: the text that was judged.

    Returns:
        The adjudication, not stored yet, without its author.

    Raises:
        InvalidInput: a rule is broken; the message says which and what to do.
    """
    if draft.disposition not in DECISIONS:
        raise InvalidInput(
            f"A decision is one of {', '.join(DECISIONS)}; got {draft.disposition!r}. Choose one of these."
        )
    return Adjudication(
        item_id=draft.item_id,
        disposition=Disposition(draft.disposition),
        correction=check_correction(draft.correction, answer, Disposition(draft.disposition)),
        note=_check_note(draft.note, "A decision"),
    )


def _check_note(note: str, what: str) -> str:
    """The reason, neither empty nor too long."""
    note = note.strip()
    if not 1 <= len(note) <= TEXT_LIMIT:
        raise InvalidInput(
            f"{what} needs a note of 1 to {TEXT_LIMIT:,} characters that says why; this one has "
            f"{len(note):,}. Write it for whoever asks later."
        )
    return note


def _contested_item(item: ReviewItem) -> ContestedItem:
    return ContestedItem(
        item.id,
        item.audience,
        None if _places_left(item) else item.response.question,
        tuple(triggers(item.reviews)),
        len(item.reviews),
        item.sent_at,
    )


def _task(item: ReviewItem) -> AdjudicationTask:
    return AdjudicationTask(
        item_id=item.id,
        audience=item.audience,
        question=item.response.question,
        context=turns_before_question(item.response),
        answer=item.response.text,
        triggers=tuple(triggers(item.reviews)),
        opinions=tuple(describe_opinion(review) for review in item.reviews),
        places_left=_places_left(item),
    )


def _places_left(item: ReviewItem) -> int:
    """Judgements still asked for."""
    return 0 if item.closed_at else max(0, item.wanted - item.judged)


def _settled(adjudication: Adjudication) -> Settled:
    response = adjudication.item.response
    return Settled(
        item_id=adjudication.item_id,
        response_id=response.id,
        audience=response.audience,
        made_by=response.adapter or response.base_model,
        question=response.question,
        triggers=tuple(adjudication.triggers),
        settlement=describe_settlement(adjudication),
    )
