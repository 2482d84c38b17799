"""Bringing the base model up and keeping the engine's adapters in step with what is live."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from threading import Event, Lock, Thread

from adapters import catalog, embedded
from adapters.engines.base import Engine, EngineStats
from adapters.engines.choice import wants_transformers
from adapters.engines.llamacpp import LlamaCppEngine
from adapters.engines.remote import RemoteEngine
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
        warnings: what is wrong while the model answers, such as an adapter that can't be served; each with
            its remedy.
        stats: what the engine has done; None while there is none.
    """

    state: ServingState
    message: str
    fraction: float | None = None
    warnings: tuple[str, ...] = ()
    stats: EngineStats | None = None


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
        """How far the base model has come, and how it does, now."""
        status, engine = self._status, self._engine
        if engine is None or status.state is not ServingState.READY:
            return status
        stats, left_out = engine.stats(), self._publisher.left_out
        unserved = (f"{name} can't be served. {reason}" for name, reason in left_out.items())
        warnings = (*([stats.trouble] if stats.trouble else ()), *unserved)
        return replace(status, warnings=warnings, stats=stats)

    @property
    def base_model(self) -> str:
        """Catalogue id of the base model served."""
        return self._settings.engine_base if self._settings.engine_url else catalog.EMBEDDED

    @property
    def is_remote(self) -> bool:
        """Whether what is asked goes to another machine; known before the engine is up."""
        engine = self._engine
        return bool(self._settings.engine_url) if engine is None else engine.is_remote

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

    def withdraw(self, name: str) -> None:
        """Take an adapter that was tried from the engine again, unless it is live; waits for no model."""
        with self._lock:
            if self._engine is not None:
                self._publisher.withdraw(self._engine, name)

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
            self._adopt(engine)
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

    def _adopt(self, engine: Engine) -> None:
        """Load an engine with its adapters, and have it answer from now on."""
        try:
            engine.load()
            with self._lock:
                self._publisher.publish_live(engine)
                self._engine = engine
        except BaseException:
            engine.close()
            raise

    def _make_engine(self, report: embedded.Report) -> Engine:
        if self._settings.engine_url:
            key = self._settings.engine_key
            return RemoteEngine(
                base_model=self.base_model,
                url=self._settings.engine_url,
                key=key.get_secret_value() if key else None,
                names=self._settings.remote_names,
                context_tokens=self._settings.context_tokens,
            )
        model = embedded.fetch(self._home.models, report, placed=self._settings.model_file)
        if wants_transformers(self._settings.engine):
            return self._make_transformers_engine()
        return LlamaCppEngine(
            base_model=self.base_model,
            gguf=model,
            context_tokens=self._settings.context_tokens,
            slots=self._settings.slots,
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
