"""Who has an answer under way: each page one at a time, and none that its reader has turned away from."""

from threading import Lock
from uuid import uuid4


class OneAtATime:
    """Hands each page one turn at a time.

    Two presses can arrive before the first has changed anything that the second would see, so what a page
    shows can't decide which of them counts; this does.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._turns: dict[str, str] = {}

    def begin(self, page: str) -> str | None:
        """Take the page's turn.

        Args:
            page: names one page in one browser.

        Returns:
            The turn, or None while another is under way.
        """
        with self._lock:
            if page in self._turns:
                return None
            turn = self._turns[page] = uuid4().hex
            return turn

    def is_busy(self, page: str) -> bool:
        """Whether the page has a turn under way."""
        return page in self._turns

    def is_current(self, page: str, turn: str) -> bool:
        """Whether the turn is still the page's; no longer once it ended or was dropped."""
        return self._turns.get(page) == turn

    def end(self, page: str, turn: str) -> None:
        """The turn is over; does nothing when it was dropped before."""
        with self._lock:
            if self._turns.get(page) == turn:
                del self._turns[page]

    def drop(self, page: str) -> None:
        """The reader has turned to something else: what the turn still brings must not be shown."""
        with self._lock:
            self._turns.pop(page, None)
