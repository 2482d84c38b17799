"""How a worker tells the world what it does, and hears that it should stop. No torch here."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy.orm import Session

from adapters.training.record import METRICS, SAMPLES, Series
from db import run_points, runs
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

    def point(self, step: int, *, epoch: float | None = None, **figures: float | None) -> None:
        """A dot of the charts."""

    def sample(self, step: int, probe: str, text: str) -> None:
        """An answer to a fixed question."""

    def rewind(self, step: int, measured: bool = True) -> float | None:
        """Going back to a checkpoint."""


class Silence:
    """A `Listener` that keeps everything to itself: for trials, where there is no run to record."""

    def stage(self, text: str, total_steps: int | None = None) -> None:
        """Nothing."""

    def beat(
        self, step: int | None = None, epoch: float | None = None, tokens_per_second: float | None = None
    ) -> None:
        """Nothing."""

    def point(self, step: int, *, epoch: float | None = None, **figures: float | None) -> None:
        """Nothing."""

    def sample(self, step: int, probe: str, text: str) -> None:
        """Nothing."""

    def rewind(self, step: int, measured: bool = True) -> float | None:
        """Nothing was measured before."""
        return None


@dataclass(frozen=True)
class Progress:
    """The voice of one run.

    Each call is one short transaction that also reads the cancel flag.

    Args:
        database: of this home.
        run_id: the run.
        folder: of the run, for the series that are kept as files too.
    """

    database: Database
    run_id: str
    folder: Path

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

    def point(self, step: int, *, epoch: float | None = None, **figures: float | None) -> None:
        """Add a dot to the charts.

        Args:
            step: optimizer steps done.
            epoch: passes over the data done.
            figures: some of `run_points.FIGURES`; those that are None or no number are left out.

        Raises:
            RunCancelled: the run should stop.
        """
        known = {name: value for name, value in figures.items() if value is not None and math.isfinite(value)}
        log.info("step %d: %s", step, ", ".join(f"{name} {value:.5g}" for name, value in known.items()))
        self._series(METRICS).add(step, epoch=epoch, **known)
        self._tell(lambda session: run_points.record_point(session, self.run_id, step, epoch=epoch, **known))

    def sample(self, step: int, probe: str, text: str) -> None:
        """Keep an answer to a fixed question.

        Args:
            step: optimizer steps done; 0 is the base model.
            probe: the question.
            text: the answer.

        Raises:
            RunCancelled: the run should stop.
        """
        log.info("step %d: asked %r, it answers %r", step, probe, text)
        self._series(SAMPLES).add(step, probe=probe, text=text)
        self._tell(lambda session: run_points.record_sample(session, self.run_id, step, probe, text))

    def rewind(self, step: int, measured: bool = True) -> float | None:
        """Go back to the checkpoint from which the run goes on; 0 is its start.

        Args:
            step: optimizer steps done there.
            measured: False if the measurement at that step is still due, or comes again.

        Returns:
            The base model's held-out loss as measured at the start, nats per token; None when it wasn't.

        Raises:
            RunCancelled: the run should stop.
        """

        def go_back(session: Session) -> float | None:
            run_points.rewind(session, self.run_id, step, measured)
            return run_points.eval_loss_at(session, self.run_id, step=0)

        self._series(METRICS).rewind(step, without=None if measured else "eval_loss")
        self._series(SAMPLES).rewind(run_points.last_answered(step, measured))
        return self._tell(go_back)

    def _series(self, name: str) -> Series:
        return Series(self.folder / name)

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
