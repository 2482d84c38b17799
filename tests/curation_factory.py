"""Judged answers in some number, for what is curated from them."""

from typing import Any

from factories import add_response, add_review
from sqlalchemy.orm import Session

from db import reviewers, reviews
from db.models import Adjudication, Preference, Response, ReviewItem
from db.vocabulary import Disposition, PairChoice

TOPICS = (
    "asthma inhalers", "high blood pressure", "type two diabetes", "migraine with aura", "iron tablets",
    "knee replacement surgery", "a broken wrist", "gout in the big toe", "an underactive thyroid",
    "hay fever in spring", "kidney stones", "a sprained ankle", "shingles on the face", "acid reflux",
    "ringing in the ears", "varicose veins", "eczema on the hands", "a blocked tear duct", "sleep apnoea",
    "vitamin D in winter", "a trapped nerve", "measles vaccination", "night cramps", "chronic cough",
)  # fmt: skip


def add_accepted(session: Session, number: int, **values: Any) -> list[Response]:
    """Answers to different questions, each accepted by one reviewer."""
    responses = []
    for topic in TOPICS[:number]:
        response = add_response(
            session,
            **({"question": f"What should I know about {topic}?", "text": f"All about {topic}."} | values),
        )
        add_review(session, response)
        responses.append(response)
    return responses


def decide(session: Session, response: Response, disposition: str, **values: Any) -> Adjudication:
    """Settle an answer's reviews."""
    item = reviews.send(session, response.id)
    by = reviewers.ensure(session, "Adjudicator")
    decision = Adjudication(
        item_id=item.id, adjudicator_id=by.id, triggers=[], disposition=disposition, note="so", **values
    )
    session.add(decision)
    item.contested = False
    session.flush()
    return decision


def contest(session: Session, response: Response) -> ReviewItem:
    """Mark an answer's reviews as contradicting each other."""
    item = reviews.send(session, response.id)
    item.contested = True
    session.flush()
    return item


def compare(session: Session, first: Response, second: Response, *choices: PairChoice) -> ReviewItem:
    """Put two answers side by side and let as many reviewers choose."""
    item = ReviewItem(
        response_id=first.id, other_response_id=second.id, reason="requested", audience=first.audience,
        judged=len(choices),
    )  # fmt: skip
    session.add(item)
    session.flush()
    for number, choice in enumerate(choices):
        by = reviewers.ensure(session, f"Chooser {number}")
        session.add(Preference(item_id=item.id, reviewer_id=by.id, choice=choice, swapped=False))
    session.flush()
    return item


def reject(session: Session, response: Response, reviewer: str = "Rater A") -> None:
    """Have an answer rejected."""
    add_review(session, response, reviewer, disposition=Disposition.REJECT)
