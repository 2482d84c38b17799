"""Which answers go to review by themselves: over a red flag, of candidates, and some others by chance."""

from collections.abc import Callable
from random import random

from sqlalchemy.orm import Session

from db import adapters as adapter_store
from db import reviews as review_store
from db.models import Response
from db.vocabulary import NO_MODEL, AdapterStatus, FinishReason, ReviewReason


class ReviewSampling:
    """Decides it for each answer once it is stored.

    Args:
        share: of the answers that nothing else sends, 0 to 1.
        draw: gives a number from 0 up to 1.
        red_flags: whether every answer over a red flag goes; one that reassures over it always does.
    """

    def __init__(
        self, share: float = 0.0, draw: Callable[[], float] = random, *, red_flags: bool = True
    ) -> None:
        self._share = share
        self._draw = draw
        self._red_flags = red_flags

    def consider(self, session: Session, response: Response) -> bool:
        """Send an answer to review, if it is one to send.

        What was stopped half-way isn't, unless it reassures over a red flag: somebody has read it.
        Fixed words aren't: no model wrote them.

        Args:
            session: a writing session, the one that stored it.
            response: the answer.

        Returns:
            Whether it was sent.
        """
        stopped = response.finish_reason == FinishReason.CANCELLED
        if response.base_model == NO_MODEL or not response.text or (stopped and not response.reassures):
            return False
        reason = self._reason(session, response)
        if reason is not None:
            review_store.send(session, response.id, reason)
        return reason is not None

    def _reason(self, session: Session, response: Response) -> ReviewReason | None:
        if response.reassures or (self._red_flags and response.red_flags):
            return ReviewReason.RED_FLAG
        if response.adapter:
            status = adapter_store.status_of(session, response.adapter)
            if status is AdapterStatus.CANDIDATE:
                return ReviewReason.CANDIDATE
        return ReviewReason.SAMPLE if self._draw() < self._share else None
