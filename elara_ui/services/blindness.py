"""What whoever looks may not be told yet: answers that someone, perhaps they, is still to judge blind."""

from collections.abc import Collection

from sqlalchemy.orm import Session

from db import review_progress, reviewers


def hidden_from(session: Session, reviewer: str | None, response_ids: Collection[str]) -> set[str]:
    """Which of these answers nothing may be told of.

    Args:
        session: any session.
        reviewer: declared name of who looks: what they have judged themselves they may see; empty for nobody.
            None for whoever runs this Elara and reads the database anyway: nothing is hidden.
        response_ids: the answers, however many.
    """
    if reviewer is None or not response_ids:
        return set()
    person = reviewers.find(session, reviewer) if reviewer else None
    return review_progress.to_be_judged_blind(session, response_ids, person.id if person else "")
