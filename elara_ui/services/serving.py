"""Bringing the base model up and keeping the engine's adapters in step with what is live."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from threading import Event, Lock, Thread

from adapters import catalog, embedded
from adapters.engines.base import Engine
from adapters.engines.choice import wants_transformers
from adapters.engines.llamacpp import LlamaCppEngine
from db.session import Database
from elara_ui.errors import ElaraError, EngineError
from elara_ui.services.publishing import AdapterPublisher
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
        self._publisher = AdapterPublisher(database, self._home)
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

    @property
    def is_remote(self) -> bool:
        """Whether the engine that is up sends what is asked to another machine."""
        engine = self._engine
        return engine is not None and engine.is_remote

    def start(self) -> None:
        """Fetch and load in the background; harmless when already under way or done."""
        with self._lock:
            if self._status.state in (ServingState.FETCHING, ServingState.LOADING, ServingState.READY):
                return
            self._settled.clear()
            self._status = ServingStatus(ServingState.FETCHING, "Looking for the model.")
        Thread(target=self._bring_up, name="serving", daemon=True).start()

    def engine(self, timeout: float | None = None) -> Engine:
        """The engine, with every live adapter published that can be served; see `refusal` for the others.

        Args:
            timeout: longest wait for a model that is still coming up, s; None waits for ever.

        Raises:
            EngineError: the model isn't ready, with what it waits for or why it failed.
        """
        with self._present(timeout) as engine:
            self._publisher.publish_live(engine)
        return engine

    def publish(self, names: set[str]) -> Engine:
        """Make these adapters available beside the live ones, e.g. to try a candidate.

        Raises:
            NotFound: no adapter of that name.
            AdapterError: it is damaged or doesn't fit the base model.
            EngineError: the model isn't ready.
        """
        with self._present() as engine:
            self._publisher.publish_live(engine)
            self._publisher.publish(engine, names)
        return engine

    def refusal(self, name: str) -> str | None:
        """Why a live adapter doesn't answer, and what to do about it; None when nothing is wrong with it.

        Raises:
            NotFound: no adapter of that name.
        """
        return self._publisher.refusal(name)

    def cancel(self, request_id: str) -> None:
        """Stop a request; never waits and never fails. Unknown ids are ignored."""
        engine = self._engine  # without the lock, which is held as long as adapters are loaded
        if engine is not None:
            engine.cancel(request_id)

    def close(self) -> None:
        """Free the engine."""
        with self._lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None
                self._status = ServingStatus(ServingState.IDLE, "The model has been stopped.")

    @contextmanager
    def _present(self, timeout: float | None = None) -> Iterator[Engine]:
        """The engine, once it is up; meanwhile nobody else publishes or closes it."""
        self.start()
        self._settled.wait(timeout)
        with self._lock:
            if self._engine is None:
                raise EngineError(self._status.message)
            yield self._engine

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
        if wants_transformers(self._settings.engine):
            return self._make_transformers_engine()
        return LlamaCppEngine(
            base_model=self.base_model,
            gguf=model,
            context_tokens=self._settings.context_tokens,
            base_slots=self._settings.base_slots,
            threads=self._settings.threads or None,
        )

    def _make_transformers_engine(self) -> Engine:
        from adapters.engines.transformers.engine import TransformersEngine  # loads torch

        return TransformersEngine(
            base_model=self.base_model,
            models=self._home.models,
            context_tokens=self._settings.context_tokens,
            dtype=self._settings.dtype,
            rows=self._settings.batch_rows,
            waiting=self._settings.max_waiting,
            threads=self._settings.threads or None,
        )

    def _tell_download(self, progress: embedded.FetchProgress) -> None:
        fraction = progress.done / progress.total if progress.total else None
        self._tell(ServingState.FETCHING, f"{progress.stage}.", fraction)

    def _tell(self, state: ServingState, message: str, fraction: float | None = None) -> None:
        self._status = ServingStatus(state, message, fraction)
        self._report(self._status)
