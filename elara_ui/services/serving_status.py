"""How the model is, as services tell it to whoever waits."""

from dataclasses import dataclass
from enum import StrEnum

from adapters.engines.base import EngineStats
from adapters.engines.choice import Choice


class ServingState(StrEnum):
    """How far the base model has come."""

    IDLE = "idle"
    FETCHING = "fetching"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Switching:
    """Another model on its way to answer, or the last one that didn't come to it.

    Args:
        choice: which.
        message: what it does now, or why it failed; one or two sentences.
        fraction: of a download, in [0, 1]; None where it can't be known.
        failed: whether it has come to nothing; what answered before goes on.
    """

    choice: Choice
    message: str
    fraction: float | None = None
    failed: bool = False


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
        choice: what answers, or comes up; None where that isn't known yet.
        switching: another one that comes up beside it, or failed to.
        draining: models that were switched away from and still end their answers.
    """

    state: ServingState
    message: str
    fraction: float | None = None
    warnings: tuple[str, ...] = ()
    stats: EngineStats | None = None
    choice: Choice | None = None
    switching: Switching | None = None
    draining: int = 0

    @property
    def is_switching(self) -> bool:
        """Whether another model is on its way now."""
        return self.switching is not None and not self.switching.failed
