"""Bringing the base model up and keeping the engine's adapters in step with what is live."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Event, Lock, Thread

from adapters import catalog, embedded, registry
from adapters.engines.base import Engine
from adapters.engines.llamacpp import LlamaCppEngine
from db import adapters as adapter_store
from db.session import Database
from elara_ui.errors import AdapterError, ElaraError, EngineError
from elara_ui.settings import Settings

log = logging.getLogger(__name__)

EngineFactory = Callable[[embedded.Report], Engine]
"""Makes the engine, not loaded yet, telling how far any download is."""


class ServingState(StrEnum):
    """How far the base model has come."""

    IDLE = "idle"
    FETCHING = "fetching"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class ServingStatus:
    """What to tell someone who waits.

    Args:
        state: how far it has come.
        message: one sentence for the page.
        fraction: of the download done, in [0, 1]; None where it can't be known.
    """

    state: ServingState
    message: str
    fraction: float | None = None


class ServingService:
    """Owns the engine: fetches the model, loads it, publishes the live adapters.

    Args:
        settings: model file, context window, threads.
        database: where live adapters are looked up.
        report: told of every change of status, e.g. to print it.
        engine_factory: fetches what is needed and makes the engine; replaced in tests.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        report: Callable[[ServingStatus], None] = lambda status: None,
        engine_factory: EngineFactory | None = None,
    ) -> None:
        self._settings = settings
        self._home = settings.folders
        self._database = database
        self._report = report
        self._engine_factory = engine_factory or self._make_engine
        self._engine: Engine | None = None
        self._status = ServingStatus(ServingState.IDLE, "The model has not been started.")
        self._settled = Event()
        self._lock = Lock()

    @property
    def status(self) -> ServingStatus:
        """How far the base model has come, now."""
        return self._status

    @property
    def base_model(self) -> str:
        """Catalogue id of the base model served."""
        return catalog.EMBEDDED

    def start(self) -> None:
        """Fetch and load in the background; harmless when already under way or done."""
        with self._lock:
            if self._status.state in (ServingState.FETCHING, ServingState.LOADING, ServingState.READY):
                return
            self._settled.clear()
            self._status = ServingStatus(ServingState.FETCHING, "Looking for the model.")
        Thread(target=self._bring_up, name="serving", daemon=True).start()

    def engine(self, timeout: float | None = None) -> Engine:
        """The engine, with every live adapter published.

        Args:
            timeout: longest wait for a model that is still coming up, s; None waits for ever.

        Raises:
            EngineError: the model isn't ready, with what it waits for or why it failed.
        """
        self.start()
        self._settled.wait(timeout)
        if self._engine is None:
            raise EngineError(self._status.message)
        self._publish_live(self._engine)
        return self._engine

    def publish(self, names: set[str]) -> Engine:
        """Make these adapters available beside the live ones, e.g. to try a candidate.

        Raises:
            NotFound: no adapter of that name.
            AdapterError: it is damaged or doesn't fit the base model.
        """
        engine = self.engine()
        with self._lock:
            engine.publish(self._folders(names | engine.adapters))
        return engine

    def close(self) -> None:
        """Free the engine."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None
                self._status = ServingStatus(ServingState.IDLE, "The model has been stopped.")

    def _bring_up(self) -> None:
        try:
            engine = self._engine_factory(self._tell_download)
            self._tell(ServingState.LOADING, "Loading the model.")
            engine.load()
            self._engine = engine
            self._tell(ServingState.READY, "Ready.")
        except ElaraError as error:
            self._tell(ServingState.FAILED, error.message)
        except Exception:
            log.exception("The engine did not start")
            self._tell(
                ServingState.FAILED,
                "The model could not be started; the reason is in the log. Restart Elara with "
                "ELARA_LOG_LEVEL=DEBUG to see more.",
            )
        finally:
            self._settled.set()

    def _make_engine(self, report: embedded.Report) -> Engine:
        model = embedded.fetch(self._home.models, report, placed=self._settings.model_file)
        return LlamaCppEngine(
            base_model=self.base_model,
            gguf=model,
            context_tokens=self._settings.context_tokens,
            base_slots=self._settings.base_slots,
            threads=self._settings.threads or None,
        )

    def _tell_download(self, progress: embedded.FetchProgress) -> None:
        fraction = progress.done / progress.total if progress.total else None
        self._tell(ServingState.FETCHING, f"{progress.stage}.", fraction)

    def _tell(self, state: ServingState, message: str, fraction: float | None = None) -> None:
        self._status = ServingStatus(state, message, fraction)
        self._report(self._status)

    def _publish_live(self, engine: Engine) -> None:
        """Publish what is live when that differs from what the engine has.

        The database is asked each time, so that a promotion made elsewhere (the command line, another
        process) is in force for the next message. An adapter whose files are damaged must not take
        the others' answers away: it is left out, and its audience is told when it asks.
        """
        with self._lock:
            with self._database.reading() as session:
                live = {
                    adapter.name
                    for adapter in adapter_store.all_live(session)
                    if adapter.base_model == engine.base_model
                }
            if not live <= engine.adapters:
                engine.publish(self._folders(live, skip_damaged=True))

    def _folders(self, names: Iterable[str], *, skip_damaged: bool = False) -> dict[str, Path]:
        with self._database.reading() as session:
            found = {
                name: registry.folder(self._home, adapter_store.get(session, name)) for name in sorted(names)
            }
        return {name: folder for name, folder in found.items() if not skip_damaged or _is_whole(name, folder)}


def _is_whole(name: str, folder: Path) -> bool:
    try:
        registry.verify(folder)
    except AdapterError as error:
        log.error("%s is not served: %s", name, error.message)
        return False
    return True
