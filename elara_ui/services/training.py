"""Preparing and launching training runs on behalf of a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters import catalog
from adapters.hyperparameters import Hyperparameters, override
from adapters.recipe import Recipe
from adapters.training import supervisor
from adapters.training.examples import ColumnMap, guess_columns, read_columns
from adapters.training.preparation import prepare
from adapters.training.preview import preview_run
from adapters.training.rejects import Rejects
from adapters.training.report import Preview
from db.home import Home
from db.session import Database
from elara_ui.errors import InvalidInput
from elara_ui.services.training_data import DataChoice, DataSource, parse_data, read_data

__all__ = [
    "DataChoice",
    "DataPreview",
    "DataSource",
    "Preview",
    "TrainingService",
    "parse_data",
]

SAMPLE_ROWS = 3


@dataclass(frozen=True)
class DataPreview:
    """What would be trained on.

    Args:
        summary: how many rows are kept, held out and left out, in a sentence.
        samples: the first questions and answers.
        train: rows to learn from.
        rejects: what is left out by reason, with row numbers and excerpts.
    """

    summary: str
    samples: tuple[tuple[str, str], ...]
    train: int
    rejects: tuple[Rejects, ...] = ()


class TrainingService:
    """Choosing what to learn, trying it out, and starting a run.

    Args:
        database: where runs are.
        home: where their files are.
        recipes: audience → recipe.
        max_runs: how many runs may train at once.
    """

    def __init__(
        self, database: Database, home: Home, recipes: Mapping[str, Recipe], max_runs: int = 1
    ) -> None:
        self._database = database
        self._home = home
        self._recipes = recipes
        self._max_runs = max_runs

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
        samples = tuple((example.question, example.answer) for example in prepared.train[:SAMPLE_ROWS])
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
            at_once=self._max_runs,
        )

    def _recipe(self, audience: str) -> Recipe:
        recipe = self._recipes.get(audience)
        if recipe is None:
            raise InvalidInput(
                f"There is no audience {audience[:60]!r}. Choose one of: {', '.join(self._recipes)}."
            )
        return recipe
