"""Watching training runs, and stopping or resuming them, on behalf of a person."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from adapters.training import record, supervisor
from adapters.training.run_export import RunFormat, export_run
from db import run_points
from db import runs as run_store
from db.home import Home
from db.models import Run, RunPoint
from db.session import Database
from db.vocabulary import RunStatus
from elara_ui.errors import InvalidInput

__all__ = ["LossPoint", "RunService", "RunView"]

PACE_POINTS = 20
"""Dots of the chart from which the time left is told."""


@dataclass(frozen=True)
class LossPoint:
    """One dot of a run's chart; losses in nats per token."""

    step: int
    train_loss: float | None
    eval_loss: float | None


@dataclass(frozen=True)
class RunView:
    """A run as shown.

    Args:
        stage: what it is doing, in plain words.
        tokens_per_second: training rate, 1/s.
        seconds: since its start, s; None before it.
        remaining_seconds: until the last step at the present rate, s; None when it can't be told.
        points: the chart; empty in lists.
        snapshot: id of the training set, for repeating the run on it.
    """

    run_id: str
    audience: str
    base_model: str
    status: RunStatus
    stage: str
    step: int
    total_steps: int | None
    epoch: float
    train_loss: float | None
    eval_loss: float | None
    tokens_per_second: float | None
    seconds: float | None
    remaining_seconds: float | None
    error: str | None
    adapter: str | None
    source: str
    rows: int
    created_at: datetime
    points: tuple[LossPoint, ...] = ()
    snapshot: str = ""


class RunService:
    """The runs of a home: how they go, and what can be done about them.

    Args:
        database: where runs are.
        home: where their files are.
    """

    def __init__(self, database: Database, home: Home) -> None:
        self._database = database
        self._home = home

    def recent(self) -> tuple[RunView, ...]:
        """Every run, newest first, without charts."""
        with self._database.reading() as session:
            return tuple(_describe(run) for run in run_store.list_recent(session))

    def show(self, run_id: str) -> RunView:
        """One run with its chart.

        Raises:
            NotFound: there is none of that id.
        """
        with self._database.reading() as session:
            return _describe(run_store.get(session, run_id), run_points.points(session, run_id))

    def cancel(self, run_id: str) -> RunView:
        """Ask a run to stop.

        Raises:
            NotFound: there is none of that id.
        """
        supervisor.cancel(self._database, run_id)
        self.reconcile()
        return self.show(run_id)

    def resume(self, run_id: str) -> RunView:
        """Let an interrupted, failed or cancelled run go on from its last checkpoint.

        Raises:
            RunError: there is nothing to resume.
        """
        supervisor.resume(self._database, self._home, run_id)
        return self.show(run_id)

    def log(self, run_id: str) -> str:
        """The last lines its process wrote."""
        return record.read_log(self._home, run_id)

    def export(self, run_id: str, to: str, path: Path) -> Path:
        """Write a run's figures for other tools.

        Args:
            run_id: the run.
            to: ``tensorboard``, ``csv`` or ``jsonl``.
            path: the file; for TensorBoard a folder, in which each run gets one of its own.

        Returns:
            What was written.

        Raises:
            NotFound: there is none of that id.
            InvalidInput: there is no such format.
            RunError: it has no figures yet, or the place can't be written.
        """
        if to not in list(RunFormat):
            raise InvalidInput(f"A run is exported to {', '.join(RunFormat)}, not to {to[:60]!r}.")
        with self._database.reading() as session:
            run = run_store.get(session, run_id)
            points, samples = run_points.points(session, run_id), run_points.samples(session, run_id)
        return export_run(run, points, samples, RunFormat(to), path)

    def reconcile(self) -> list[str]:
        """Mark runs whose process is gone as interrupted, and start what waits.

        Returns:
            The ids of the interrupted runs.
        """
        return supervisor.reconcile(self._database, self._home)


def _describe(run: Run, points: list[RunPoint] | None = None) -> RunView:
    seconds = None
    if run.started_at is not None:
        seconds = ((run.finished_at or datetime.now(UTC)) - run.started_at).total_seconds()
    return RunView(
        run_id=run.id,
        audience=run.audience,
        base_model=run.base_model,
        status=RunStatus(run.status),
        stage=run.stage,
        step=run.step,
        total_steps=run.total_steps,
        epoch=run.epoch,
        train_loss=run.train_loss,
        eval_loss=run.eval_loss,
        tokens_per_second=run.tokens_per_second,
        seconds=seconds,
        remaining_seconds=_estimate_remaining(run, points or []),
        error=run.error,
        adapter=run.adapter,
        source=run.snapshot.source,
        rows=run.snapshot.rows,
        created_at=run.created_at,
        points=tuple(LossPoint(point.step, point.train_loss, point.eval_loss) for point in points or ()),
        snapshot=run.snapshot_id,
    )


def _estimate_remaining(run: Run, points: list[RunPoint]) -> float | None:
    """Seconds left, from the median time a step took between the latest dots of the chart.

    Loading the model, measurements and the pause before a resumption say nothing about the pace, and a
    median passes over them.
    """
    if run.status != RunStatus.RUNNING or not run.total_steps:
        return None
    recent = points[-PACE_POINTS:]
    paces = [
        (after.created_at - before.created_at).total_seconds() / (after.step - before.step)
        for before, after in pairwise(recent)
        if after.step > before.step
    ]
    if not paces:
        return None
    return max(0.0, (run.total_steps - run.step) * median(paces))
