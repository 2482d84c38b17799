"""How a worker tells the world what it does, and hears that it should stop. No torch here."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy.orm import Session

from db import runs
from db.errors import StorageError
from db.session import Database

T = TypeVar("T")

log = logging.getLogger(__name__)


class RunCancelled(Exception):
    """Someone asked the run to stop."""


class Listener(Protocol):
    """Whoever is told how a training goes; see `Progress` for what each call says and raises."""

    def stage(self, text: str, total_steps: int | None = None) -> None:
        """What is being done now."""

    def beat(
        self, step: int | None = None, epoch: float | None = None, tokens_per_second: float | None = None
    ) -> None:
        """A sign of life."""

    def point(
        self,
        step: int,
        *,
        train_loss: float | None = None,
        eval_loss: float | None = None,
        learning_rate: float | None = None,
        tokens_per_second: float | None = None,
        epoch: float | None = None,
    ) -> None:
        """A dot of the charts."""

    def rewind(self, step: int) -> float | None:
        """Going back to a checkpoint."""


class Silence:
    """A `Listener` that keeps everything to itself: for trials, where there is no run to record."""

    def stage(self, text: str, total_steps: int | None = None) -> None:
        """Nothing."""

    def beat(
        self, step: int | None = None, epoch: float | None = None, tokens_per_second: float | None = None
    ) -> None:
        """Nothing."""

    def point(self, step: int, **figures: float | None) -> None:
        """Nothing."""

    def rewind(self, step: int) -> float | None:
        """Nothing was measured before."""
        return None


@dataclass(frozen=True)
class Progress:
    """The voice of one run.

    Each call is one short transaction that also reads the cancel flag.

    Args:
        database: of this home.
        run_id: the run.
    """

    database: Database
    run_id: str

    def stage(self, text: str, total_steps: int | None = None) -> None:
        """Say what is being done now.

        Args:
            text: plain words, at most 64 characters.
            total_steps: optimizer steps planned, once known.

        Raises:
            RunCancelled: the run should stop.
        """
        log.info("%s", text)
        self._tell(lambda session: runs.set_stage(session, self.run_id, text, total_steps))

    def beat(
        self, step: int | None = None, epoch: float | None = None, tokens_per_second: float | None = None
    ) -> None:
        """Give a sign of life, with what has changed.

        Raises:
            RunCancelled: the run should stop.
        """
        self._tell(lambda session: runs.beat(session, self.run_id, step, epoch, tokens_per_second))

    def point(
        self,
        step: int,
        *,
        train_loss: float | None = None,
        eval_loss: float | None = None,
        learning_rate: float | None = None,
        tokens_per_second: float | None = None,
        epoch: float | None = None,
    ) -> None:
        """Add a dot to the charts.

        Raises:
            RunCancelled: the run should stop.
        """
        figures = {
            "train_loss": train_loss,
            "eval_loss": eval_loss,
            "learning_rate": learning_rate,
            "tokens_per_second": tokens_per_second,
            "epoch": epoch,
        }
        known = {name: value for name, value in figures.items() if value is not None}
        log.info("step %d: %s", step, ", ".join(f"{name} {value:.5g}" for name, value in known.items()))
        self._tell(lambda session: runs.record_point(session, self.run_id, step, **known))

    def rewind(self, step: int) -> float | None:
        """Go back to the checkpoint from which the run goes on; 0 is its start.

        Args:
            step: optimizer steps done there.

        Returns:
            The base model's held-out loss as measured at the start, nats per token; None when it wasn't.

        Raises:
            RunCancelled: the run should stop.
        """

        def go_back(session: Session) -> float | None:
            runs.rewind(session, self.run_id, step)
            return runs.eval_loss_at(session, self.run_id, step=0)

        return self._tell(go_back)

    def _tell(self, write: Callable[[Session], T]) -> T | None:
        try:
            with self.database.session() as session:
                told = write(session)
                stop = runs.cancel_requested(session, self.run_id)
        except StorageError as error:
            # A missed dot is no reason to throw hours of training away.
            log.warning("Progress not recorded: %s", error.message)
            return None
        if stop:
            raise RunCancelled
        return told
