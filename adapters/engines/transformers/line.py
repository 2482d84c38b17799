"""Those who wait: a bounded line, in turn by adapter, so that no audience waits behind all of another's."""

import threading
from collections import OrderedDict, deque

from adapters.engines.transformers.request import Answer
from adapters.errors import EngineBusy


class Line:
    """Answers that haven't begun, or were put back. Safe from any thread.

    Args:
        bound: most that may wait.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str | None, deque[Answer]] = OrderedDict()

    def __len__(self) -> int:
        with self._lock:
            return self._count()

    def put(self, answer: Answer) -> None:
        """Join at the end.

        Raises:
            EngineBusy: too many wait.
        """
        with self._lock:
            if (count := self._count()) >= self._bound:
                raise EngineBusy(
                    f"At most {self._bound} questions may wait for an answer at once, and {count} do. "
                    "Try again in a moment."
                )
            self._waiting.setdefault(answer.request.adapter, deque()).append(answer)

    def put_back(self, answer: Answer) -> None:
        """Join at the front of one's adapter; never refused."""
        with self._lock:
            self._waiting.setdefault(answer.request.adapter, deque()).appendleft(answer)

    def take(self) -> Answer | None:
        """Whose turn it is: the first of the adapter that was served longest ago; None when nobody waits."""
        with self._lock:
            if not self._waiting:
                return None
            adapter, own = next(iter(self._waiting.items()))
            answer = own.popleft()
            self._waiting.move_to_end(adapter)
            if not own:
                del self._waiting[adapter]
            return answer

    def remove_cancelled(self) -> list[Answer]:
        """Take out those that nobody wants any more."""
        with self._lock:
            gone = [answer for own in self._waiting.values() for answer in own if answer.is_cancelled]
            for answer in gone:
                own = self._waiting[answer.request.adapter]
                own.remove(answer)
                if not own:
                    del self._waiting[answer.request.adapter]
            return gone

    def _count(self) -> int:
        return sum(map(len, self._waiting.values()))
