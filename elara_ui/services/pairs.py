"""Comparing two answers to one question: asking for it, one by one or for two adapters, and judging."""

from dataclasses import dataclass

from db import blind_batches, judgements, reviewers
from db import pairs as pair_store
from db import reviews as review_store
from db.models import Preference
from db.session import Database
from db.vocabulary import PairChoice, ReviewReason
from elara_ui.errors import InvalidInput
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.review_drafts import (
    check_length,
    check_reviewer,
    check_seconds,
    check_wanted,
    choose,
)

BATCHES_SHOWN = 20
CHOICES = ("a", "b", PairChoice.TIE.value, PairChoice.BOTH_UNSAFE.value)


@dataclass(frozen=True)
class PairDraft:
    """A comparison as filled in, not yet checked.

    Args:
        item_id: from the `PairTask`.
        reviewer: declared name or pseudonym.
        choice: a, b, tie or both_unsafe, as the answers were shown.
        reason: why, in free text.
        seconds: from opening the task to submitting, s.
    """

    item_id: str
    reviewer: str
    choice: str
    reason: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class SubmittedPair:
    """What a reviewer learns once the choice is stored: what made answer A and answer B.

    Args:
        adapter_a: versioned name; None for the base model alone, and while it isn't told. Likewise
            `adapter_b`.
        changed: whether an earlier choice was changed by it.
        told: whether what made them is told: not before a blind comparison is finished, since who knows one
            pair's makers may know the next one's.
    """

    preference_id: str
    adapter_a: str | None
    base_model_a: str
    adapter_b: str | None
    base_model_b: str
    changed: bool = False
    told: bool = True


@dataclass(frozen=True)
class PairBatch:
    """Comparisons sent together.

    Args:
        batch: their name.
        sent: new comparisons.
        known: pairs that had been sent before.
        equal: questions that both answered with the same words.
    """

    batch: str
    sent: int
    known: int
    equal: int


class PairsService:
    """Comparisons as people use them.

    Args:
        database: where answers and choices are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        response_id: str,
        other_response_id: str,
        reason: str = "requested",
        wanted: int | None = None,
        batch: str | None = None,
    ) -> str:
        """Ask which of two answers is better; the same two again, either way round, change nothing.

        Args:
            response_id: the one answer.
            other_response_id: the other one, to the same question for the same audience.
            reason: a `ReviewReason`.
            wanted: independent judgements asked for; `OVERLAP` if not given.
            batch: name of what is sent together.

        Returns:
            The item's id.

        Raises:
            NotFound: there is no such answer.
            ElaraError: they can't be compared; the message says why.
        """
        wanted = check_wanted(wanted)
        with self._database.session() as session:
            return pair_store.send(
                session, response_id, other_response_id, reason, wanted=wanted, batch=batch
            ).id

    def send_pair(self, response_id: str, other_response_id: str) -> str:
        """Send two answers that stand side by side in the chat; see `create`."""
        return self.create(response_id, other_response_id)

    def create_batch(
        self,
        adapter: str,
        other_adapter: str,
        batch: str,
        *,
        audience: str | None = None,
        wanted: int | None = None,
        limit: int = 1000,
    ) -> PairBatch:
        """Compare the answers that two adapters gave to the same questions, the newest to each.

        Args:
            adapter: versioned name, or ``base`` for the base model alone.
            other_adapter: likewise, another one.
            batch: name of these comparisons.
            audience: only this one's answers; None for every audience's.
            wanted: independent judgements asked for of each; `OVERLAP` if not given.
            limit: most new comparisons.

        Raises:
            InvalidInput: an adapter with itself, or no question that both answered.
        """
        wanted = check_wanted(wanted)
        if adapter == other_adapter:
            raise InvalidInput(f"Two different adapters are compared; both are {adapter!r}. Choose another.")
        name = check_batch(batch)
        sent = known = equal = 0
        makers = _maker(adapter), _maker(other_adapter)
        with self._database.session() as session:
            for first, second in pair_store.answered_by_both(session, *makers, audience):
                if first.text.strip() == second.text.strip():
                    equal += 1
                elif pair_store.find(session, first.id, second.id):
                    known += 1
                elif sent < limit:
                    pair_store.send(
                        session, first.id, second.id, ReviewReason.CANDIDATE, wanted=wanted, batch=name
                    )
                    sent += 1
        if not sent + known + equal:
            raise InvalidInput(
                f"No question was answered by both {adapter} and {other_adapter} for the same audience. "
                "Ask both the same questions first."
            )
        return PairBatch(name, sent, known, equal)

    def batches(self, limit: int = BATCHES_SHOWN) -> list[pair_store.BatchOfPairs]:
        """The comparisons sent together, the latest batch first, and how far each is."""
        with self._database.reading() as session:
            return pair_store.batches(session, limit)

    def submit(self, draft: PairDraft) -> SubmittedPair:
        """Store a choice, or change the one made before.

        Returns:
            What made the answers: hidden until now.

        Raises:
            InvalidInput: the draft breaks a rule, or its item isn't a comparison.
            NotFound: the item isn't in the queue, or was never shown to this reviewer.
        """
        name = check_reviewer(draft.reviewer)
        letter = choose("Choice", draft.choice, CHOICES)
        reason = check_length("reason", draft.reason.strip())
        seconds = check_seconds(draft.seconds)
        with self._database.session() as session:
            item = review_store.item(session, draft.item_id)
            if item.other_response is None:
                raise InvalidInput(f"{draft.item_id!r} is one answer to judge on the rubric. Open it again.")
            person = reviewers.ensure(session, name)
            swapped = pair_store.shown_swapped(session, item.id, person.id)
            content = {"choice": choice_of(letter, swapped=swapped), "swapped": swapped, "reason": reason}
            earlier = judgements.find(session, item.id, person.id)
            stored = earlier or Preference(item_id=item.id, reviewer_id=person.id, **content, seconds=seconds)
            if earlier is None:
                judgements.add(session, stored)
            else:
                judgements.change(session, earlier, {**content, "seconds": seconds})
            shown = (item.response, item.other_response)
            answer_a, answer_b = shown[swapped], shown[not swapped]
            told = not blind_batches.keeps_silent(session, item.batch)
            return SubmittedPair(
                preference_id=stored.id,
                adapter_a=answer_a.adapter if told else None,
                base_model_a=answer_a.base_model,
                adapter_b=answer_b.adapter if told else None,
                base_model_b=answer_b.base_model,
                changed=earlier is not None,
                told=told,
            )


def choice_of(letter: str, *, swapped: bool) -> PairChoice:
    """What was pressed as a `PairChoice`: first is the item's response, however they were shown."""
    order = (PairChoice.FIRST, PairChoice.SECOND)
    letters = {"a": order[swapped], "b": order[not swapped]}
    return letters.get(letter) or PairChoice(letter)


def check_batch(batch: str) -> str:
    """The name of a batch without surplus space.

    Raises:
        InvalidInput: it is empty or too long.
    """
    name = " ".join(batch.split())
    if not 1 <= len(name) <= 100:
        raise InvalidInput(f"A batch has a name of 1 to 100 characters; got {len(name)}. Name it.")
    return name


def _maker(adapter: str) -> str | None:
    """As responses name what made them: None is the base model alone."""
    return None if adapter == BASE_ALONE else adapter
