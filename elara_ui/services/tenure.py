"""An engine's time in service: it answers, takes adapters in, and ends when its last answer has ended."""

from collections.abc import Iterable
from threading import Lock

from adapters.engines.base import Engine
from adapters.engines.choice import Choice
from elara_ui.services.publishing import AdapterPublisher


class Tenure:
    """One engine in service, from its first answer to its last.

    Whoever asks holds it meanwhile: an engine that was retired, because another one took its place, is freed
    when nobody holds it any more, and not before.

    Args:
        choice: what it serves.
        engine: the engine, loaded.
        publisher: keeps its adapters in step with the database.
    """

    def __init__(self, choice: Choice, engine: Engine, publisher: AdapterPublisher) -> None:
        self.choice = choice
        self.engine = engine
        self._publisher = publisher
        self._publishing = Lock()
        self._counting = Lock()  # guards the three below
        self._holders = 0
        self._retired = False
        self._ended = False

    @property
    def has_ended(self) -> bool:
        """Whether its engine was freed."""
        return self._ended

    @property
    def left_out(self) -> tuple[str, ...]:
        """The live adapters that can't be served: each with the reason and what to do about it."""
        return tuple(f"{name} can't be served. {reason}" for name, reason in self._publisher.left_out.items())

    def publish_live(self) -> None:
        """Have every live adapter of this base model published that can be served."""
        with self._publishing:
            self._publisher.publish_live(self.engine)

    def publish(self, names: Iterable[str]) -> None:
        """Make these adapters available beside the live ones, e.g. to try a candidate.

        Raises:
            NotFound: no adapter of that name.
            AdapterError: it is damaged or doesn't fit the base model.
        """
        with self._publishing:
            self._publisher.publish_live(self.engine)
            self._publisher.publish(self.engine, names)

    def withdraw(self, name: str) -> None:
        """Take an adapter that was tried from the engine again, unless it is live."""
        with self._publishing:
            self._publisher.withdraw(self.engine, name)

    def refusal(self, name: str) -> str | None:
        """Why a live adapter doesn't answer, and what to do about it; None when nothing is wrong with it.

        Raises:
            NotFound: no adapter of that name.
        """
        return self._publisher.refusal(name)

    def take(self) -> None:
        """Hold it. Only for whoever makes sure that it isn't retired at the same moment."""
        with self._counting:
            self._holders += 1

    def give_back(self) -> None:
        """Hold it no more; the last one to leave a retired engine frees it."""
        with self._counting:
            self._holders -= 1
        self._end_if_left()

    def retire(self) -> None:
        """Nobody takes it any more: free it, now or when the last answer has ended."""
        with self._counting:
            self._retired = True
        self._end_if_left()

    def end(self) -> None:
        """Free it now; answers in progress are cancelled."""
        with self._counting:
            ended, self._ended = self._ended, True
        if not ended:
            self.engine.close()

    def _end_if_left(self) -> None:
        with self._counting:
            left = self._retired and not self._holders
        if left:
            self.end()
