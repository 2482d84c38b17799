"""Which base model answers in which engine: bringing it up, and switching to another one while it answers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Lock, Thread

from adapters.engines.base import Engine
from adapters.engines.choice import Choice, EngineKind
from db.session import Database
from elara_ui.errors import ElaraError, EngineError, InvalidInput
from elara_ui.services.engine_bringing import EngineBringer, explain
from elara_ui.services.engine_making import EngineFactory, EngineMaker
from elara_ui.services.serving_choice import ChoiceBook, check_memory, configured_choice
from elara_ui.services.serving_status import ServingState, ServingStatus, Switching
from elara_ui.services.tenure import Tenure
from elara_ui.settings import Settings

__all__ = ["EngineFactory", "ServingService", "ServingState", "ServingStatus", "Switching"]

FAILURE_SECONDS = 900.0
"""How long a switch that failed is told in the header."""
_COMING_UP = (ServingState.FETCHING, ServingState.LOADING)


class ServingService:
    """Owns the engine: fetches the model, loads it, publishes the live adapters, switches to another.

    What is switched to is remembered and served again at the next start, unless the settings were changed.

    Args:
        settings: model, engine, context window, threads.
        database: where live adapters are looked up and choices are kept.
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
        self._report = report
        self._bringer = EngineBringer(engine_factory or EngineMaker(settings), database, settings.folders)
        self._book = ChoiceBook(database, settings)
        self._settled = Event()  # the first model is up, or has failed
        self._lock = Lock()  # guards everything below
        self._status = ServingStatus(ServingState.IDLE, "The model has not been started.")
        self._current: Tenure | None = None
        self._draining: list[Tenure] = []
        self._switching: Switching | None = None
        self._failed_at = 0.0
        self._notice = ""
        self._known_choice = 0  # number of the newest remembered choice that was looked at
        self._life = 0  # counts starts and stops: what comes up after its own has ended is freed

    @property
    def status(self) -> ServingStatus:
        """How far the base model has come, and how it does, now."""
        with self._lock:
            self._draining = [tenure for tenure in self._draining if not tenure.has_ended]
            self._forget_failure()
            tenure, notice = self._current, self._notice
            status = replace(self._status, switching=self._switching, draining=len(self._draining))
        if tenure is None or status.state is not ServingState.READY:
            return status
        stats = tenure.engine.stats()
        failed = status.switching.message if status.switching and status.switching.failed else ""
        told = (text for text in (failed, notice, stats.trouble) if text)
        return replace(status, warnings=(*told, *tenure.left_out), stats=stats, choice=tenure.choice)

    @property
    def choice(self) -> Choice | None:
        """What answers now; None while nothing does."""
        tenure = self._current
        return tenure.choice if tenure is not None else None

    @property
    def intended(self) -> tuple[str, EngineKind | None]:
        """Base model and engine that the next start brings up; the engine None where the machine decides."""
        return self._book.intended()

    @property
    def base_model(self) -> str:
        """Id of the base model served; before one is up, of the one that is to be."""
        tenure = self._current
        return tenure.engine.base_model if tenure is not None else self.intended[0]

    @property
    def is_remote(self) -> bool:
        """Whether what is asked goes to another machine; known before the engine is up."""
        tenure = self._current
        return tenure.engine.is_remote if tenure is not None else self.intended[1] is EngineKind.REMOTE

    def start(self) -> None:
        """Fetch and load in the background; harmless when already under way or done."""
        with self._lock:
            switching = self._switching is not None and not self._switching.failed
            if switching or self._status.state in (*_COMING_UP, ServingState.READY):
                return
            self._settled.clear()
            self._status = ServingStatus(ServingState.FETCHING, "Looking for the model.")
            self._life += 1
            life = self._life
        Thread(target=self._bring_up, args=(life,), name="serving", daemon=True).start()

    @contextmanager
    def hold(self, timeout: float | None = None) -> Iterator[Tenure]:
        """The engine that answers now, kept until let go, whatever is switched to meanwhile.

        Args:
            timeout: longest wait for a model that is still coming up, s; None waits for ever.

        Raises:
            EngineError: the model isn't ready, with what it waits for or why it failed.
        """
        self.start()
        self._settled.wait(timeout)
        with self._lock:
            tenure = self._current
            if tenure is None:
                raise EngineError(self._status.message)
            tenure.take()
        try:
            yield tenure
        finally:
            tenure.give_back()

    def engine(self, timeout: float | None = None) -> Engine:
        """The engine, with every live adapter published that can be served; see `refusal` for the others.

        It may be freed once another one has taken its place: use `hold` to have it answer.

        Args:
            timeout: longest wait for a model that is still coming up, s; None waits for ever.

        Raises:
            EngineError: the model isn't ready, with what it waits for or why it failed.
        """
        with self.hold(timeout) as held:
            held.publish_live()
            return held.engine

    def withdraw(self, name: str) -> None:
        """Take an adapter that was tried from the engine again, unless it is live; waits for no model."""
        tenure = self._current
        if tenure is not None:
            tenure.withdraw(name)

    def refusal(self, name: str) -> str | None:
        """Why a live adapter doesn't answer, and what to do about it; None when nothing is wrong with it.

        Raises:
            NotFound: no adapter of that name.
        """
        tenure = self._current
        return tenure.refusal(name) if tenure is not None else None

    def switch(self, choice: Choice, *, insist: bool = False) -> None:
        """Have another model or engine answer. It comes up in the background; `status` tells how far.

        It is brought up beside the one that answers and takes over once it is ready. Answers in progress end
        where they began. When it can't be brought up, what answered goes on.

        Args:
            choice: what to serve.
            insist: even though it likely doesn't fit the memory.

        Raises:
            EngineError: the first model, or another one, is coming up.
            InvalidInput: it answers already.
            NotEnoughMemory: it likely doesn't fit beside what runs.
            ModelError: its files can't be read.
        """
        with self._lock:
            self._check_switch(choice)
            before = self._switching
            self._switching = Switching(choice, "Getting it ready.")
            life = self._life
        try:
            if not insist:
                check_memory(choice, self._settings)
        except ElaraError:
            with self._lock:
                self._switching = before
            raise
        Thread(target=self._switch, args=(choice, life), name="switching", daemon=True).start()

    def choose_for_next_start(self, choice: Choice) -> None:
        """Remember a choice without serving it here; an app on this home notices it (`follow`)."""
        self._book.write(choice)

    def follow(self) -> None:
        """Switch to what was chosen elsewhere, on the command line, since this was asked last."""
        chosen = self._book.newest()
        with self._lock:
            busy = self._current is None or (self._switching is not None and not self._switching.failed)
            if chosen is None or busy or chosen.id <= self._known_choice:
                return
            self._known_choice = chosen.id
        if not self._book.holds(chosen):
            self._notice = (
                f"{chosen.base_model} was chosen on the command line under other settings (ELARA_ENGINE, "
                "ELARA_BASE, ELARA_DTYPE, ELARA_ENGINE_URL) than this app has, and settings go first. Choose "
                "it here, or with the same settings there."
            )
            return
        try:
            choice = self._book.read(chosen)
            if choice != self.choice:
                self.switch(choice, insist=True)  # memory was looked at when it was chosen
        except ElaraError as error:
            self._notice = (
                f"{chosen.base_model} was chosen on the command line and doesn't answer. {error.message}"
            )

    def cancel(self, request_id: str) -> None:
        """Stop a request; never waits and never fails. Unknown ids are ignored."""
        with self._lock:
            tenures = self._tenures()
        for tenure in tenures:
            tenure.engine.cancel(request_id)

    def close(self) -> None:
        """Free the engine, and those that still end their answers."""
        with self._lock:
            tenures = self._tenures()
            if tenures or self._status.state in _COMING_UP:
                self._status = ServingStatus(ServingState.IDLE, "The model has been stopped.")
            self._life += 1
            self._draining, self._current, self._switching = [], None, None
            self._settled.set()
        for tenure in tenures:
            tenure.end()

    def _forget_failure(self) -> None:
        """A switch that failed is told for a while, not for as long as nobody switches again."""
        failed = self._switching is not None and self._switching.failed
        if failed and time.monotonic() - self._failed_at > FAILURE_SECONDS:
            self._switching = None

    def _tenures(self) -> tuple[Tenure, ...]:
        return (*self._draining, *((self._current,) if self._current is not None else ()))

    def _check_switch(self, choice: Choice) -> None:
        """Whether a switch may begin now."""
        if self._status.state in (ServingState.IDLE, *_COMING_UP):
            raise EngineError(
                "The first model must be up, or have failed, before another is switched to. Wait for it."
            )
        if self._switching is not None and not self._switching.failed:
            raise EngineError(
                f"One switch at a time: {self._switching.choice.title} is coming up. Wait until it answers "
                "or has failed, then choose again."
            )
        if self._current is not None and self._current.choice == choice:
            raise InvalidInput(f"{choice.title} answers already. Choose another model or engine.")

    def _bring_up(self, life: int) -> None:
        """The first engine: as it was chosen last, or else as the settings ask for it."""

        def tell(state: ServingState, message: str, fraction: float | None = None) -> None:
            self._tell(ServingStatus(state, message, fraction), life)

        try:
            tenure = self._bring_chosen(tell) or self._bringer.bring_up(
                configured_choice(self._settings), tell
            )
        except Exception as error:  # noqa: BLE001 -- whoever waits must be told
            tell(ServingState.FAILED, explain(error))
        else:
            if self._adopt(tenure, life, "Ready."):
                self._report(self.status)
        with self._lock:
            if life == self._life:
                self._settled.set()

    def _bring_chosen(self, tell: Callable[..., None]) -> Tenure | None:
        """What was chosen last, if that holds and can be served; else a notice says why not."""
        chosen = self._book.newest()
        if chosen is None:
            return None
        self._known_choice, self._notice = chosen.id, ""
        if not self._book.holds(chosen):
            return None
        try:
            return self._bringer.bring_up(self._book.read(chosen), tell)
        except ElaraError as error:
            configured = configured_choice(self._settings)
            self._notice = (
                f"{chosen.base_model}, which was chosen to answer, can't be served. {error.message} Until "
                f"then {configured.title} answers, as the settings ask for."
            )
            return None

    def _switch(self, choice: Choice, life: int) -> None:
        """The life of a switch."""

        def tell(state: ServingState, message: str, fraction: float | None = None) -> None:
            self._tell_switch(Switching(choice, message, fraction), life)

        try:
            tenure = self._bringer.bring_up(choice, tell)
        except Exception as error:  # noqa: BLE001 -- a switch must end, whatever it met
            served = self.choice
            goes_on = f" {served.title} goes on answering." if served is not None else ""
            self._failed_at = time.monotonic()
            message = f"The switch to {choice.title} failed. {explain(error)}{goes_on}"
            self._tell_switch(Switching(choice, message, failed=True), life)
            return
        if life == self._life:
            self._remember(choice)
        if self._adopt(tenure, life, f"{choice.title} answers now."):
            self._report(self.status)

    def _remember(self, choice: Choice) -> None:
        """Write down what is about to answer, for the next start."""
        notice, number = "", 0
        try:
            number = self._book.write(choice)
        except Exception as error:  # noqa: BLE001 -- it can answer all the same
            notice = f"{choice.title} answers, but the next start won't know. {explain(error)}"
        with self._lock:
            self._notice = notice
            self._known_choice = max(self._known_choice, number)

    def _adopt(self, tenure: Tenure, life: int, message: str) -> bool:
        """Have an engine answer from now on, and let the one before end its answers.

        Returns:
            Whether it answers: not when Elara was stopped meanwhile.
        """
        with self._lock:
            wanted = life == self._life
            old = self._current
            if wanted:
                self._current = tenure
                self._draining += [old] if old is not None else []
                self._status, self._switching = ServingStatus(ServingState.READY, message), None
                self._settled.set()
        if not wanted:
            tenure.end()
        elif old is not None:
            old.retire()
        return wanted

    def _tell(self, status: ServingStatus, life: int) -> None:
        with self._lock:
            if life != self._life:
                return
            self._status = status
        self._report(status)

    def _tell_switch(self, switching: Switching, life: int) -> None:
        with self._lock:
            if life != self._life:
                return
            self._switching = switching
        self._report(ServingStatus(ServingState.READY, switching.message, switching.fraction))
