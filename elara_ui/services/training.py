"""Launching and watching training runs on behalf of a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from adapters import catalog
from adapters.hyperparameters import Hyperparameters, override
from adapters.recipe import Recipe
from adapters.training import supervisor
from adapters.training.examples import ColumnMap, Example, guess_columns, read_columns
from adapters.training.preparation import prepare
from adapters.training.preview import preview_run
from adapters.training.rejects import Rejects
from adapters.training.report import Preview
from db import runs as run_store
from db.home import Home
from db.models import Run, RunPoint
from db.session import Database
from db.vocabulary import RunStatus
from elara_ui.errors import InvalidInput
from elara_ui.services.training_data import DataChoice, DataSource, parse_data, read_data

__all__ = [
    "DataChoice",
    "DataPreview",
    "DataSource",
    "LossPoint",
    "Preview",
    "RunView",
    "TrainingService",
    "parse_data",
]

SAMPLE_ROWS = 3
PACE_POINTS = 20
"""Dots of the chart from which the time left is told."""


@dataclass(frozen=True)
class DataPreview:
    """What would be trained on.

    Args:
        summary: how many rows are kept, held out and left out, in a sentence.
        samples: the first questions and answers; for dpo and kto, with what is said about the answers.
        train: rows to learn from.
        rejects: what is left out by reason, with row numbers and excerpts.
    """

    summary: str
    samples: tuple[tuple[str, str], ...]
    train: int
    rejects: tuple[Rejects, ...] = ()


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


class TrainingService:
    """Fine-tuning as people do it.

    Args:
        database: where runs are.
        home: where their files are.
        recipes: audience → recipe.
    """

    def __init__(self, database: Database, home: Home, recipes: Mapping[str, Recipe]) -> None:
        self._database = database
        self._home = home
        self._recipes = recipes

    def base_models(self) -> tuple[catalog.BaseModel, ...]:
        """The catalogue; a hub id or a local folder can be given in its place."""
        return catalog.CATALOG

    def columns(self, path: Path) -> tuple[list[str], ColumnMap | None]:
        """The column names of an uploaded file, and which look like question and answer.

        Raises:
            DatasetError: it can't be read.
        """
        names = read_columns(path)
        return names, guess_columns(names)

    def preview(self, audience: str, data: DataChoice, values: Mapping[str, object]) -> DataPreview:
        """What a launch with these choices would train on.

        Raises:
            DatasetError: the rows can't be used.
            RecipeError: a hyperparameter breaks its rule.
        """
        recipe = self._recipe(audience)
        settings = override(recipe.hyperparameters, values)
        reading = read_data(self._database, self._home, audience, data)
        prepared = prepare(reading.examples, settings, recipe.max_explanation_length, reading.rejects)
        samples = tuple(_show_sample(example, settings.objective) for example in prepared.train[:SAMPLE_ROWS])
        hints = settings.hints()
        summary = " ".join([prepared.report.summary, *hints])
        return DataPreview(summary, samples, prepared.report.train, prepared.report.rejects)

    def preview_run(
        self,
        audience: str,
        data: DataChoice,
        values: Mapping[str, object],
        base_model: str = catalog.EMBEDDED,
        calibrate: bool = True,
    ) -> Preview:
        """What a launch with the same choices would do: rows as rendered, lengths, steps, time and memory.

        It takes from ten seconds to three minutes, in a process of its own.

        Args:
            values: hyperparameters that differ from the audience's recipe.
            calibrate: whether to train a few steps for an estimate of the time.

        Raises:
            ElaraError: why the launch would be refused, or would end badly.
        """
        recipe = self._recipe(audience)
        settings = override(recipe.hyperparameters, values)
        catalog.check_targets(catalog.find(base_model), settings.target_modules)
        reading = read_data(self._database, self._home, audience, data)
        return preview_run(
            self._home,
            audience=audience,
            base_model=base_model,
            hyperparameters=settings,
            examples=reading.examples,
            recipe=recipe,
            calibrate=calibrate,
        )

    def launch(
        self,
        audience: str,
        data: DataChoice,
        values: Mapping[str, object],
        base_model: str = catalog.EMBEDDED,
    ) -> str:
        """Start a run, or queue it behind the one that is going.

        Args:
            values: hyperparameters that differ from the audience's recipe.

        Returns:
            The run's id.

        Raises:
            ElaraError: something about it is wrong; nothing is started.
        """
        recipe = self._recipe(audience)
        settings: Hyperparameters = override(recipe.hyperparameters, values)
        catalog.check_targets(catalog.find(base_model), settings.target_modules)
        reading = read_data(self._database, self._home, audience, data)
        return supervisor.launch(
            self._database,
            self._home,
            audience=audience,
            base_model=base_model,
            hyperparameters=settings,
            examples=reading.examples,
            source=data.title,
            rejects=reading.rejects,
            recipe=recipe,
        )

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
            return _describe(run_store.get(session, run_id), run_store.points(session, run_id))

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
        return supervisor.read_log(self._home, run_id)

    def reconcile(self) -> list[str]:
        """Mark runs whose process is gone as interrupted, and start what waits.

        Returns:
            The ids of the interrupted runs.
        """
        return supervisor.reconcile(self._database, self._home)

    def _recipe(self, audience: str) -> Recipe:
        recipe = self._recipes.get(audience)
        if recipe is None:
            raise InvalidInput(
                f"There is no audience {audience[:60]!r}. Choose one of: {', '.join(self._recipes)}."
            )
        return recipe


def _show_sample(example: Example, objective: str) -> tuple[str, str]:
    """Question and answer, and what is said about the answer where that is learned."""
    if objective != "sft" and example.rejected:
        return example.question, f"Better: {example.answer}\nWorse: {example.rejected}"
    if objective != "sft":
        return example.question, f"{'Wanted' if example.label else 'Not wanted'}: {example.answer}"
    return example.question, example.answer


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
