"""Rows for tests, with the values that a test doesn't care about filled in."""

from typing import Any

from sqlalchemy.orm import Session

from db import pairs, reviewers, reviews, snapshots
from db.models import Response, Review, ReviewItem, Run, Snapshot
from db.vocabulary import RUBRIC_VERSION, Disposition

GOOD_AXES = {
    "accuracy": "aligned",
    "wrong_content": "none",
    "omission": "none",
    "harm": "none",
    "urgency": "correct",
    "readability": "right",
    "relevance": "fully",
}


def add_response(session: Session, **values: Any) -> Response:
    """Store an answer of patient@1 to a question about asthma."""
    question = values.pop("question", "What is asthma?")
    defaults: dict[str, Any] = {
        "audience": "patient",
        "base_model": "smollm2-135m",
        "adapter": "patient@1",
        "question": question,
        "context": [
            {"role": "system", "content": "Use plain words."},
            {"role": "user", "content": question},
        ],
        "text": "Asthma makes the airways tight.",
        "parameters": {"temperature": 0.15},
        "prompt_tokens": 20,
        "completion_tokens": 8,
        "seconds": 0.5,
        "first_token_seconds": 0.1,
        "tokens_per_second": 20.0,
        "finish_reason": "stop",
        "readability": {},
    }
    response = Response(**(defaults | values))
    session.add(response)
    session.flush()
    return response


def add_review(session: Session, response: Response, reviewer: str = "Rater A", **values: Any) -> Review:
    """Send the answer to review, if it wasn't, and accept it, unless told otherwise."""
    item = reviews.send(session, response.id)
    defaults = {"rubric_version": RUBRIC_VERSION, "disposition": Disposition.ACCEPT, **GOOD_AXES}
    by = reviewers.ensure(session, reviewer)
    return reviews.submit(session, Review(item_id=item.id, reviewer_id=by.id, **(defaults | values)))


def add_pair(session: Session, **values: Any) -> ReviewItem:
    """Ask which of two answers to the same question is better."""
    first, second = add_response(session), add_response(session, text="A disease of the lungs.", adapter=None)
    return pairs.send(session, first.id, second.id, **values)


def add_snapshot(session: Session, sha256: str = "a" * 64) -> Snapshot:
    """Record a training set of 30 starter rows."""
    return snapshots.add(
        session, sha256=sha256, path=f"snapshots/{sha256}.jsonl", rows=30, source="starter", manifest={}
    )


def add_run(session: Session, **values: Any) -> Run:
    """Queue a run for the patient audience."""
    snapshot = add_snapshot(session)
    run = Run(**({"audience": "patient", "base_model": "smollm2-135m", "recipe": {}} | values))
    run.snapshot_id = snapshot.id
    session.add(run)
    session.flush()
    return run
