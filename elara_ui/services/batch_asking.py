"""Many questions on their way at once, and their records in the order of the questions."""

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock

from elara_ui.clinical.redflags import Finding
from elara_ui.errors import (
    AdapterError,
    ContextOverflow,
    ElaraError,
    EngineBusy,
    EngineError,
    StorageError,
)
from elara_ui.services.answers import ChatEvent, Finished, Started
from elara_ui.services.batch_files import Record
from elara_ui.services.batch_records import Task, answer_record, error_record

AHEAD = 4
"""Questions taken up, for each that is asked at once: what has an answer waits for those before it."""
BUSY_SECONDS = 0.5
BUSY_TRIES = 240
"""Two minutes in which an engine that others keep busy is asked again."""

log = logging.getLogger(__name__)

Ask = Callable[[Task], Iterator[ChatEvent]]
"""Begins one answer."""


@dataclass(frozen=True)
class Outcome:
    """What became of one question.

    Args:
        record: as it is written.
        trouble: whether it failed by no fault of its own, so that others may fail likewise.
    """

    record: Record
    trouble: bool = False


class BatchAsking:
    """Asks with several threads; the engine's own scheduler decides whose turn it is.

    Args:
        ask: begins one answer.
        stop: stops one, by its request's id.
        parallel: how many are asked at once.
    """

    def __init__(self, ask: Ask, stop: Callable[[str], None], parallel: int) -> None:
        self._ask = ask
        self._stop = stop
        self._parallel = parallel
        self._stopped = Event()
        self._under_way: set[str] = set()
        self._lock = Lock()

    def outcomes(self, tasks: Iterable[Task]) -> Generator[Outcome, None, None]:
        """What becomes of each, in order. Closed or interrupted, it stops those that are under way.

        Args:
            tasks: read as far ahead as answers are begun.
        """
        waiting: deque[Future[Outcome]] = deque()
        pool = ThreadPoolExecutor(self._parallel, thread_name_prefix="batch")
        try:
            for task in tasks:
                waiting.append(pool.submit(self._answer, task))
                while waiting and (waiting[0].done() or len(waiting) >= AHEAD * self._parallel):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            self._stopped.set()
            with self._lock:
                under_way = list(self._under_way)
            for request_id in under_way:
                self._stop(request_id)
            pool.shutdown(wait=True, cancel_futures=True)

    def _answer(self, task: Task) -> Outcome:
        """One question to its end, whatever that is."""
        if task.row.error:
            return Outcome(error_record(task, task.row.error, None))
        for _ in range(BUSY_TRIES):
            try:
                return self._try(task)
            except EngineBusy as error:
                busy = error
                if self._stopped.wait(BUSY_SECONDS):
                    break
        return Outcome(error_record(task, busy.message, None), trouble=True)

    def _try(self, task: Task) -> Outcome:
        """Ask once.

        Raises:
            EngineBusy: too many wait for the engine.
        """
        found: Finding | None = None
        request_id = ""
        try:
            for event in self._ask(task):
                if isinstance(event, Started):
                    found, request_id = event.red_flags, event.request_id
                    self._begin(request_id)
                elif isinstance(event, Finished) and found is not None:
                    return Outcome(answer_record(task, event.answer, found))
            raise EngineError("The engine ended without finishing the answer. Give the same command again.")
        except EngineBusy:
            raise
        except ElaraError as error:
            return Outcome(error_record(task, error.message, found), _is_trouble(error))
        except Exception as error:  # a defect of ours must not hold up a night's work
            log.exception("Row %s failed", task.row.number)
            reason = f"Unexpected {type(error).__name__}; the log says more."
            return Outcome(error_record(task, reason, found), trouble=True)
        finally:
            with self._lock:
                self._under_way.discard(request_id)

    def _begin(self, request_id: str) -> None:
        with self._lock:
            self._under_way.add(request_id)
        if self._stopped.is_set():
            self._stop(request_id)


def _is_trouble(error: ElaraError) -> bool:
    """Whether the engine or the disk failed, rather than the question."""
    trouble = isinstance(error, EngineError | AdapterError | StorageError)
    return trouble and not isinstance(error, ContextOverflow)
