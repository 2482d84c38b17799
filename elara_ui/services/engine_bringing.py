"""Bringing one engine up, from a choice to something that answers."""

import logging
from collections.abc import Callable

from adapters import embedded
from adapters.engines.base import Engine
from adapters.engines.choice import Choice
from db.home import Home
from db.session import Database
from elara_ui.errors import ElaraError, EngineError
from elara_ui.services.engine_making import EngineFactory
from elara_ui.services.publishing import AdapterPublisher
from elara_ui.services.serving_status import ServingState
from elara_ui.services.tenure import Tenure

log = logging.getLogger(__name__)

Tell = Callable[[ServingState, str, float | None], None]
"""Told the state, a sentence, and the share of a download in [0, 1] where it is known."""

_UNEXPECTED = (
    "The model could not be started; the reason is in the log. Restart Elara with ELARA_LOG_LEVEL=DEBUG to "
    "see more."
)


def explain(error: Exception) -> str:
    """Why it came to nothing, fit to be shown; what nobody foresaw goes to the log."""
    if isinstance(error, ElaraError):
        return error.message
    log.error("The engine did not start", exc_info=error)
    return _UNEXPECTED


class EngineBringer:
    """Makes engines, loads them and publishes the live adapters of their base models.

    Args:
        make: fetches what is needed and makes the engine.
        database: where live adapters are looked up.
        home: where adapters are.
    """

    def __init__(self, make: EngineFactory, database: Database, home: Home) -> None:
        self._make = make
        self._database = database
        self._home = home

    def bring_up(self, choice: Choice, tell: Tell) -> Tenure:
        """Have a choice ready to answer; nobody asks it yet.

        Raises:
            EngineError: it can't be had, with the reason; nothing of it stays in memory.
        """

        def tell_download(progress: embedded.FetchProgress) -> None:
            fraction = progress.done / progress.total if progress.total else None
            tell(ServingState.FETCHING, f"{progress.stage}.", fraction)

        try:
            engine = self._make(choice, tell_download)
            tell(ServingState.LOADING, "Loading the model.", None)
            return self._load(choice, engine)
        except Exception as error:
            raise EngineError(explain(error)) from error

    def _load(self, choice: Choice, engine: Engine) -> Tenure:
        tenure = Tenure(choice, engine, AdapterPublisher(self._database, self._home))
        try:
            engine.load()
            tenure.publish_live()
        except BaseException:
            tenure.end()
            raise
        return tenure
