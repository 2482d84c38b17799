"""Watching training runs, arranging their queue, and stopping, resuming or repeating them for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from adapters import catalog, registry
from adapters.hyperparameters import Hyperparameters, override
from adapters.hyperparameters import compare as compare_settings
from adapters.presets import settings_for
from adapters.recipe import Recipe
from adapters.scratch import sweep
from adapters.training import record, supervisor
from adapters.training.run_export import RunFormat, export_run
from db import run_points, run_queue
from db import runs as run_store
from db.home import Home
from db.session import Database
from db.vocabulary import RunStatus
from elara_ui.errors import InvalidInput, RecipeError
from elara_ui.services.commands import train_command
from elara_ui.services.run_views import Comparison, Dot, RunView, SampleAnswer, compare, describe
from elara_ui.services.training_data import DataChoice, DataSource

__all__ = ["Comparison", "Dot", "RunService", "RunView", "SampleAnswer"]

LOG_TAIL = 12  # lines shown with a failure
MOST_COMPARED = 8


class RunService:
    """The runs of a home: how they go, and what can be done about them.

    Args:
        database: where runs are.
        home: where their files are.
        max_runs: how many may train at once.
        recipes: audience → recipe, from which a run's settings are told to differ.
    """

    def __init__(
        self, database: Database, home: Home, max_runs: int = 1, recipes: Mapping[str, Recipe] | None = None
    ) -> None:
        self._database = database
        self._home = home
        self._max_runs = max_runs
        self._recipes = recipes or {}

    def recent(self) -> tuple[RunView, ...]:
        """Every run, newest first, without charts."""
        with self._database.reading() as session:
            places = {run.id: place for place, run in enumerate(run_queue.waiting(session), start=1)}
            runs = run_store.list_recent(session)
            return tuple(describe(run, place=places.get(run.id)) for run in runs)

    def show(self, run_id: str) -> RunView:
        """One run with its charts and samples, and its last words if it failed.

        Raises:
            NotFound: there is none of that id.
        """
        with self._database.reading() as session:
            run = run_store.get(session, run_id)
            waiting = [each.id for each in run_queue.waiting(session)]
            failed = run.status in (RunStatus.FAILED, RunStatus.INTERRUPTED)
            stopped = failed or run.status == RunStatus.CANCELLED
            view = describe(
                run,
                run_points.points(session, run_id),
                run_points.samples(session, run_id),
                place=waiting.index(run_id) + 1 if run_id in waiting else None,
                checkpoint_step=record.checkpoint_step(self._home.runs / run_id) if stopped else None,
                log_tail=record.read_log(self._home, run_id, LOG_TAIL) if failed else "",
            )
        return replace(view, command=self._command(view))

    def compare(self, run_ids: Sequence[str]) -> Comparison:
        """Several runs side by side: curves, final figures, and the choices in which they differ.

        Raises:
            NotFound: one of them doesn't exist.
            InvalidInput: fewer than two, or too many.
        """
        chosen = list(dict.fromkeys(run_ids))
        if not 2 <= len(chosen) <= MOST_COMPARED:
            raise InvalidInput(
                f"From 2 to {MOST_COMPARED} different runs can be compared; {len(chosen)} were chosen."
            )
        return compare([self.show(run_id) for run_id in chosen])

    def cancel(self, run_id: str) -> RunView:
        """Ask a run to stop.

        Raises:
            NotFound: there is none of that id.
        """
        supervisor.cancel(self._database, self._home, run_id)
        self.reconcile()
        return self.show(run_id)

    def resume(self, run_id: str) -> RunView:
        """Let an interrupted, failed or cancelled run go on from its last checkpoint.

        Raises:
            RunError: there is nothing to resume.
        """
        supervisor.resume(self._database, self._home, run_id, self._max_runs)
        return self.show(run_id)

    def retry(self, run_id: str, values: Mapping[str, object], *, stop: bool = False) -> RunView:
        """Launch a run once more on the same stored set, with some settings changed.

        Args:
            run_id: the run to repeat.
            values: hyperparameters that differ from the run's own.
            stop: cancel the run itself if it still waits or trains.

        Returns:
            The new run.

        Raises:
            NotFound: there is none of that id.
            RecipeError: a hyperparameter breaks its rule, or asks for another set.
            RunError: the run's recipe is damaged.
        """
        self.show(run_id)
        frozen = record.read_recipe(self._home, run_id)
        settings = override(frozen.hyperparameters, values)
        catalog.check_targets(catalog.find(frozen.base_model), settings.target_modules)
        new_id = supervisor.retry(self._database, self._home, run_id, settings, at_once=self._max_runs)
        if stop:
            self.cancel(run_id)
        return self.show(new_id)

    def move(self, run_id: str, where: str) -> RunView:
        """Give a waiting run another place in the queue.

        Args:
            run_id: the run.
            where: ``up``, ``down`` or ``first``.

        Raises:
            NotFound: there is none of that id.
            InvalidInput: there is no such direction.
            Conflict: it doesn't wait.
        """
        if where not in list(run_queue.Move):
            raise InvalidInput(f"A run moves {', '.join(run_queue.Move)}, not {where[:60]!r}.")
        with self._database.session() as session:
            run_queue.move(session, run_id, run_queue.Move(where))
        return self.show(run_id)

    def remove(self, run_id: str) -> None:
        """Delete a run that waits or has ended, and its folder; the stored set stays.

        Raises:
            NotFound: there is none of that id.
            Conflict: it trains, or an adapter came of it.
            RunError: its folder can't be deleted.
        """
        supervisor.remove(self._database, self._home, run_id)

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

    def _command(self, run: RunView) -> str:
        """The ``train`` command for the same run on the same stored set."""
        recipe = self._recipes.get(run.audience)
        if recipe is None:
            return ""
        try:
            preset = settings_for(recipe, run.base_model)
            changed = compare_settings(preset, override(Hyperparameters(), run.hyperparameters))
        except RecipeError:  # settings of an older Elara that no longer hold
            return ""
        data = DataChoice(DataSource.SNAPSHOT, reference=run.snapshot)
        return train_command(run.audience, data, changed, run.base_model)

    def log(self, run_id: str) -> str:
        """The last lines its process wrote."""
        return record.read_log(self._home, run_id)

    def tidy(self) -> None:
        """Delete what workers, previews and exports left behind that were killed; for the app's start."""
        sweep(self._home)
        with self._database.session() as session:
            registry.remove_unfinished(session, self._home)

    def reconcile(self) -> list[str]:
        """Mark runs whose process is gone as interrupted, and start what waits.

        Returns:
            The ids of the interrupted runs.
        """
        return supervisor.reconcile(self._database, self._home, self._max_runs)
