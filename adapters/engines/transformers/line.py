"""Those who wait: in turn by adapter, so that no audience waits behind all of another's."""

import threading
from collections import OrderedDict, deque

from adapters.engines.transformers.request import Answer


class Line:
    """Answers that haven't begun, or were put back. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str | None, deque[Answer]] = OrderedDict()

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def put(self, answer: Answer) -> None:
        """Join at the end."""
        with self._lock:
            self._waiting.setdefault(answer.request.adapter, deque()).append(answer)

    def put_back(self, answer: Answer) -> None:
        """Join at the front of one's adapter."""
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
