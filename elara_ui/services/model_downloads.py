"""Downloads of base models: each in a thread of its own, with how far it is, until it ends or is stopped."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from threading import Event, Lock, Thread

from adapters.base_model import BaseModel, Weights
from adapters.hub_files import Hub
from elara_ui.errors import Conflict, ElaraError

log = logging.getLogger(__name__)
_SPEED_SECONDS = 3.0  # speed is told over at least so long


class DownloadState(StrEnum):
    """How a download stands."""

    ASKING = "asking"  # the hub, what there is
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    DONE = "done"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self in (DownloadState.STOPPED, DownloadState.FAILED, DownloadState.DONE)


@dataclass(frozen=True)
class Download:
    """A download as it is now.

    Args:
        model_id: of which model.
        weights: in which form.
        state: how it stands.
        done: bytes that are there, from earlier starts too.
        total: bytes in all; 0 while the hub is asked.
        speed: bytes a second lately; 0 when not known.
        message: what went wrong and what to do about it; empty when nothing did.
    """

    model_id: str
    weights: Weights
    state: DownloadState
    done: int = 0
    total: int = 0
    speed: float = 0.0
    message: str = ""

    @property
    def fraction(self) -> float:
        """What is done, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 0.0


class ModelDownloads:
    """Starts and stops downloads, one of each model and form at a time.

    Args:
        models: the folder of base models.
        hub: where from, asked for at each start, so that a new token counts.
    """

    def __init__(self, models: Path, hub: Callable[[], Hub]) -> None:
        self._models = models
        self._hub = hub
        self._lock = Lock()  # guards what follows
        self._known: dict[tuple[str, Weights], Download] = {}
        self._stops: dict[tuple[str, Weights], Event] = {}
        self._threads: list[Thread] = []

    def start(self, model: BaseModel, weights: Weights) -> None:
        """Begin in the background, or go on from where an earlier start stopped.

        Raises:
            Conflict: it is going on already.
        """
        stop = self._enter(model, weights)
        thread = Thread(
            target=self._work, args=(model, weights, stop), name=f"download {model.id}", daemon=True
        )
        with self._lock:
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def run(self, model: BaseModel, weights: Weights, watch: Callable[[Download], None]) -> Download:
        """The same in this thread, for the command line.

        Args:
            watch: told of every change.
        """
        stop = self._enter(model, weights)
        try:
            self._work(model, weights, stop, watch)
        except KeyboardInterrupt:
            stop.set()
            raise
        return self._known[model.id, weights]

    def stop(self, model_id: str, weights: Weights) -> None:
        """Stop one; what has come is kept. Ignored when none is going on."""
        with self._lock:
            found, stop = self._known.get((model_id, weights)), self._stops.get((model_id, weights))
            if found is not None and stop is not None and not found.state.ended:
                self._known[model_id, weights] = replace(found, state=DownloadState.STOPPING)
                stop.set()

    def forget(self, model_id: str, weights: Weights) -> None:
        """Forget one that has ended."""
        with self._lock:
            found = self._known.get((model_id, weights))
            if found is not None and found.state.ended:
                del self._known[model_id, weights]

    def find(self, model_id: str, weights: Weights) -> Download | None:
        """How one stands; None when nobody has started it since the app did."""
        return self._known.get((model_id, weights))

    def going_on(self) -> tuple[Download, ...]:
        """Those that haven't ended."""
        return tuple(found for found in self._known.values() if not found.state.ended)

    def close(self) -> None:
        """Stop them all and wait a moment for their threads."""
        with self._lock:
            threads = self._threads
            for stop in self._stops.values():
                stop.set()
        for thread in threads:
            thread.join(timeout=2.0)

    def _enter(self, model: BaseModel, weights: Weights) -> Event:
        key, stop = (model.id, weights), Event()
        with self._lock:
            found = self._known.get(key)
            if found is not None and not found.state.ended:
                raise Conflict(
                    f"The {weights.value} weights of {model.title} are being downloaded already. Wait for "
                    "them, or stop that download."
                )
            self._known[key] = Download(model.id, weights, DownloadState.ASKING)
            self._stops[key] = stop
        return stop

    def _work(
        self,
        model: BaseModel,
        weights: Weights,
        stop: Event,
        watch: Callable[[Download], None] = lambda _: None,
    ) -> None:
        from adapters import model_download  # loads an HTTP client, which listing models doesn't need

        def tell(**changes: object) -> None:
            with self._lock:
                told = replace(self._known[model.id, weights], **changes)  # type: ignore[arg-type]
                if stop.is_set() and not told.state.ended:
                    told = replace(told, state=DownloadState.STOPPING)
                self._known[model.id, weights] = told
            watch(told)

        try:
            hub = self._hub()
            plan = hub.plan(model, weights)
            tell(state=DownloadState.RUNNING, total=plan.size)
            speed = _Speed()
            model_download.fetch_model(
                hub, plan, self._models, lambda done: tell(done=done, speed=speed.after(done)), stop
            )
            tell(state=DownloadState.DONE, done=plan.size, speed=0.0)
        except model_download.Cancelled:
            tell(state=DownloadState.STOPPED, speed=0.0)
        except ElaraError as error:
            tell(state=DownloadState.FAILED, message=error.message, speed=0.0)
        except Exception:
            log.exception("The download of %s failed", model.id)
            tell(
                state=DownloadState.FAILED,
                message="The download ended unexpectedly; the reason is in the log. Start it again: it goes "
                "on from what has come.",
                speed=0.0,
            )


class _Speed:
    """Bytes a second over the last seconds."""

    def __init__(self) -> None:
        self._since, self._from, self._told = time.monotonic(), -1, 0.0

    def after(self, done: int) -> float:
        """The speed, now that so many bytes are there."""
        now = time.monotonic()
        if self._from < 0:
            self._since, self._from = now, done
        elif now - self._since >= _SPEED_SECONDS:
            self._told = max(0.0, (done - self._from) / (now - self._since))
            self._since, self._from = now, done
        return self._told
