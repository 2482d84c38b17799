"""Preparing and launching training runs on behalf of a person."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from adapters import catalog
from adapters.hints import find_hints
from adapters.hyperparameters import Hyperparameters, compare, override
from adapters.presets import settings_for
from adapters.recipe import Recipe
from adapters.training import supervisor
from adapters.training.examples import Example, Reading
from adapters.training.preparation import prepare
from adapters.training.preview import preview_run
from adapters.training.rejects import Rejects
from adapters.training.report import Preview
from db.home import Home
from db.session import Database
from elara_ui.errors import InvalidInput
from elara_ui.services.blindness import hidden_from
from elara_ui.services.commands import train_command
from elara_ui.services.training_data import (
    DataChoice,
    DataSource,
    Header,
    StoredSet,
    choose_folder,
    find_stored,
    list_stored,
    parse_data,
    read_for,
    read_header,
)

__all__ = [
    "DataChoice",
    "DataPreview",
    "DataSource",
    "Header",
    "Preview",
    "StoredSet",
    "TrainingService",
    "parse_data",
]

SAMPLE_ROWS = 3


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


class TrainingService:
    """Choosing what to learn, trying it out, and starting a run.

    Args:
        database: where runs are.
        home: where their files are.
        recipes: audience → recipe.
        max_runs: how many runs may train at once.
        opens_folders: whether who asks may name folders of this machine; not when others can reach the page.
        base_models: tells the models that are offered, the usual one first.
    """

    def __init__(
        self,
        database: Database,
        home: Home,
        recipes: Mapping[str, Recipe],
        max_runs: int = 1,
        opens_folders: bool = True,
        base_models: Callable[[], tuple[catalog.BaseModel, ...]] = lambda: catalog.CATALOG,
    ) -> None:
        self._database = database
        self._home = home
        self._recipes = recipes
        self._max_runs = max_runs
        self.opens_folders = opens_folders
        self._base_models = base_models

    def base_models(self) -> tuple[catalog.BaseModel, ...]:
        """Those offered; a hub id or a local folder can be given in their place."""
        return self._base_models()

    def stored_sets(self) -> tuple[StoredSet, ...]:
        """Every set that a run has learned from or that was distilled, newest first."""
        return list_stored(self._database)

    def stored_set(self, reference: str) -> StoredSet:
        """A stored set by its id or ``name@version``.

        Raises:
            NotFound: there is none.
        """
        return find_stored(self._database, reference)

    def choose_folder(self, text: str) -> DataChoice:
        """The dataset folder that a person names, with or without ``:split``.

        Raises:
            InvalidInput: there is no such folder, or none may be named.
        """
        if not self.opens_folders:
            raise InvalidInput(
                "Folders can be named only where Elara serves its own machine alone, and others can reach "
                "this page. Upload a file, or train from a terminal with --dataset FOLDER."
            )
        return choose_folder(text)

    def header(self, data: DataChoice) -> Header:
        """The column names of a file, folder or hub dataset, and which look like question and answer.

        Of a folder or a hub dataset it takes about ten seconds.

        Raises:
            DatasetError: it can't be read or reached.
        """
        return read_header(data)

    def preview(
        self,
        audience: str,
        data: DataChoice,
        values: Mapping[str, object],
        base_model: str = catalog.EMBEDDED,
        reviewer: str | None = None,
    ) -> DataPreview:
        """What a launch with these choices would train on.

        Args:
            values: hyperparameters that differ from the preset.
            reviewer: who looks, as `hidden_from` takes it: rows that they may not see are counted, not shown.

        Raises:
            DatasetError: the rows can't be used.
            RecipeError: a hyperparameter breaks its rule.
        """
        recipe = self._recipe(audience)
        settings = override(settings_for(recipe, base_model), values)
        reading, others = self._read(audience, data)
        prepared = prepare(reading.examples, settings, recipe.max_explanation_length, reading.rejects)
        untold = self._untold(reading.examples, reviewer)
        hidden = [each for each in reading.examples if not untold.isdisjoint(each.answers)]
        told = [each for each in prepared.train if untold.isdisjoint(each.answers)]
        samples = tuple(_show_sample(example, settings.objective) for example in told[:SAMPLE_ROWS])
        hints = find_hints(settings, prepared.report.train)
        apart = [f"{group.count} rows {group.reason} left out." for group in others]
        summary = " ".join([prepared.report.summary, *apart, *hints, *_say_hidden(len(hidden))])
        rejects = _without(prepared.report.rejects + others, {each.row for each in hidden})
        return DataPreview(summary, samples, prepared.report.train, rejects)

    def preview_run(
        self,
        audience: str,
        data: DataChoice,
        values: Mapping[str, object],
        base_model: str = catalog.EMBEDDED,
        calibrate: bool = True,
        reviewer: str | None = None,
    ) -> Preview:
        """What a launch with the same choices would do: rows as rendered, lengths, steps, time and memory.

        It takes from ten seconds to three minutes, in a process of its own.

        Args:
            values: hyperparameters that differ from the preset.
            calibrate: whether to train a few steps for an estimate of the time.
            reviewer: who looks, as for `preview`.

        Raises:
            ElaraError: why the launch would be refused, or would end badly.
        """
        recipe = self._recipe(audience)
        settings = override(settings_for(recipe, base_model), values)
        catalog.check_targets(catalog.find(base_model), settings.target_modules)
        reading, _ = self._read(audience, data)
        untold = self._untold(reading.examples, reviewer)
        preview = preview_run(
            self._database,
            self._home,
            audience=audience,
            base_model=base_model,
            hyperparameters=settings,
            examples=reading.examples,
            recipe=recipe,
            calibrate=calibrate,
            untold=untold,
        )
        hidden = sum(not untold.isdisjoint(each.answers) for each in reading.examples)
        return replace(preview, notes=(*preview.notes, *_say_hidden(hidden)))

    def command(
        self,
        audience: str,
        data: DataChoice,
        values: Mapping[str, object],
        base_model: str = catalog.EMBEDDED,
    ) -> str:
        """What to type on a terminal for the same launch.

        Raises:
            RecipeError: a hyperparameter breaks its rule.
        """
        preset = settings_for(self._recipe(audience), base_model)
        return train_command(audience, data, compare(preset, override(preset, values)), base_model)

    def launch(
        self,
        audience: str,
        data: DataChoice,
        values: Mapping[str, object],
        base_model: str = catalog.EMBEDDED,
    ) -> str:
        """Start a run, or queue it behind the one that is going.

        Args:
            values: hyperparameters that differ from the preset.

        Returns:
            The run's id.

        Raises:
            ElaraError: something about it is wrong; nothing is started.
        """
        recipe = self._recipe(audience)
        settings: Hyperparameters = override(settings_for(recipe, base_model), values)
        catalog.check_targets(catalog.find(base_model), settings.target_modules)
        reading, _ = self._read(audience, data)
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

    def _read(self, audience: str, data: DataChoice) -> tuple[Reading, tuple[Rejects, ...]]:
        return read_for(self._database, self._home, audience, data, self._recipes)

    def _untold(self, examples: Sequence[Example], reviewer: str | None) -> set[str]:
        """Ids of answers of which whoever looks may be shown nothing."""
        with self._database.reading() as session:
            return hidden_from(session, reviewer, {answer for each in examples for answer in each.answers})

    def _recipe(self, audience: str) -> Recipe:
        recipe = self._recipes.get(audience)
        if recipe is None:
            raise InvalidInput(
                f"There is no audience {audience[:60]!r}. Choose one of: {', '.join(self._recipes)}."
            )
        return recipe


def _say_hidden(number: int) -> tuple[str, ...]:
    if not number:
        return ()
    rows = "1 row counts but isn't" if number == 1 else f"{number} rows count but aren't"
    return (f"{rows} shown: someone is still to judge the answer blind.",)


def _without(rejects: Sequence[Rejects], rows: Collection[int]) -> tuple[Rejects, ...]:
    """The same groups with no excerpt of these rows."""
    return tuple(
        replace(group, examples=tuple(each for each in group.examples if each.row not in rows))
        for group in rejects
    )


def _show_sample(example: Example, objective: str) -> tuple[str, str]:
    """Question and answer, and what is said about the answer where that is learned."""
    if objective != "sft" and example.rejected:
        return example.question, f"Better: {example.answer}\nWorse: {example.rejected}"
    if objective != "sft":
        return example.question, f"{'Wanted' if example.label else 'Not wanted'}: {example.answer}"
    return example.question, example.answer
