"""What has to happen now and then though nobody asks for it: one small thread of the app."""

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from elara_ui.errors import ElaraError
from elara_ui.services.evaluations import EvaluationService
from elara_ui.services.retention import RetentionService
from elara_ui.services.runs import RunService

RECONCILE_SECONDS = 15.0
"""Between two looks at the runs: a worker that was killed holds the queue up no longer than that."""
RETENTION_SECONDS = 3600.0
"""Between two deletions of what is old; the setting counts days."""

log = logging.getLogger(__name__)


class Upkeep:
    """Moves the queue of runs on and ends evaluations when their process was killed, deletes what is too old,
    follows what was chosen.

    Args:
        runs: told to look at its runs.
        retention: told to delete, unless conversations are kept for ever.
        follow: looks for a base model chosen on the command line.
        evaluations: told to look for those whose process was killed; None where there are none.
        reconcile_seconds: between two looks, s.
        retention_seconds: between two deletions, s; the first is at once.
    """

    def __init__(
        self,
        runs: RunService,
        retention: RetentionService,
        follow: Callable[[], object] = lambda: None,
        reconcile_seconds: float = RECONCILE_SECONDS,
        retention_seconds: float = RETENTION_SECONDS,
        evaluations: EvaluationService | None = None,
    ) -> None:
        self._runs = runs
        self._evaluations = evaluations
        self._retention = retention
        self._follow = follow
        self._reconcile_seconds = reconcile_seconds
        self._retention_seconds = retention_seconds
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, in the background; harmless when begun already."""
        if self._thread is None:
            self._stopped.clear()
            self._thread = Thread(target=self._work, name="upkeep", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End it, and wait for what is under way: a page of deletions, or the start of a worker."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        deleted_at: float | None = None
        while not self._stopped.is_set():
            _try("The runs could not be looked after", self._runs.reconcile)
            _try("The model chosen could not be looked up", self._follow)
            if self._evaluations is not None:
                _try("The evaluations could not be looked after", self._evaluations.reconcile)
            now = time.monotonic()
            due = deleted_at is None or now - deleted_at >= self._retention_seconds
            if self._retention.days and due:
                deleted_at = now
                _try("Old conversations could not be deleted", self._delete)
            self._stopped.wait(self._reconcile_seconds)

    def _delete(self) -> None:
        expiry = self._retention.apply(self._stopped.is_set)
        if expiry.deleted:
            told = ", ".join(f"{kind}: {number}" for kind, number in expiry.deleted.items())
            log.info("Deleted because they were older than %d days: %s", expiry.days, told)


def _try(trouble: str, work: Callable[[], object]) -> None:
    """Do it; whatever goes wrong goes to the log, and the next time comes."""
    try:
        work()
    except ElaraError as error:
        log.error("%s: %s", trouble, error.message)
    except Exception:
        log.exception("%s", trouble)
