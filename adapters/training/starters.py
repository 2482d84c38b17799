"""Training the voices that come with Elara: what they learn from, and one run from launch to its adapter."""

import time
from collections.abc import Callable
from dataclasses import replace

from adapters import catalog, registry
from adapters.errors import RunError
from adapters.hyperparameters import Hyperparameters, override
from adapters.presets import settings_for
from adapters.recipe import Recipe
from adapters.starters import SOURCE, held_out_file, starter_file
from adapters.training import supervisor
from adapters.training.examples import Example, read_examples
from adapters.training.preparation import EVALUATION, TRAIN, Prepared, prepare
from adapters.training.record import FrozenRecipe
from db import adapters as adapter_store
from db import runs
from db.home import Home
from db.models import Adapter, Run
from db.session import Database
from db.vocabulary import RunStatus

UNWATCHED = {"probe_samples": 0}
"""Sample answers take a third of such a short run's time, and nobody watches it. They change no weight."""
POLL_SECONDS = 1.0


def starter_settings(recipe: Recipe) -> Hyperparameters:
    """What an audience's starter adapter is trained with: what anybody gets for it on the embedded model."""
    return override(settings_for(recipe, catalog.EMBEDDED), UNWATCHED)


def starter_examples(audience: str) -> tuple[Example, ...]:
    """The starter examples to learn from, then those held out; each knows its part.

    Raises:
        DatasetError: a file is missing or wrong.
    """
    parts = ((TRAIN, starter_file(audience)), (EVALUATION, held_out_file(audience)))
    return tuple(replace(each, part=part) for part, path in parts for each in read_examples(path))


def prepare_starter(recipe: Recipe) -> Prepared:
    """The training set of an audience's starter adapter, as its run freezes it.

    Raises:
        DatasetError: a file is missing or wrong.
    """
    return prepare(starter_examples(recipe.audience), starter_settings(recipe), recipe.max_explanation_length)


def starter_recipe(recipe: Recipe) -> FrozenRecipe:
    """What its manifest says of how an audience's starter adapter was made, if it is of today's recipe."""
    settings = starter_settings(recipe)
    return FrozenRecipe(
        audience=recipe.audience,
        base_model=catalog.EMBEDDED,
        system_prompt=recipe.system_prompt,
        max_explanation_length=recipe.max_explanation_length,
        hyperparameters=settings,
        probes=recipe.example_questions[: settings.probe_samples],
    )


def train_starter(
    database: Database, home: Home, recipe: Recipe, report: Callable[[Run], None] = lambda run: None
) -> Adapter:
    """Train an audience's starter adapter as any other run is, and wait for it.

    Args:
        database: of a home in which nothing else trains.
        home: where the run and its adapter are kept.
        recipe: of the audience.
        report: told now and then how far the run is.

    Raises:
        DatasetError: the starter examples can't be used.
        RunError: the run failed.
    """
    run_id = supervisor.launch(
        database,
        home,
        audience=recipe.audience,
        base_model=catalog.EMBEDDED,
        hyperparameters=starter_settings(recipe),
        examples=starter_examples(recipe.audience),
        source=SOURCE,
        recipe=recipe,
    )
    run = _wait(database, home, run_id, report)
    if run.adapter is None:
        raise RunError(f"No starter adapter came of the run for {recipe.audience}: {run.error or run.status}")
    with database.reading() as session:
        adapter = adapter_store.get(session, run.adapter)
    registry.verify(registry.folder(home, adapter))
    return adapter


def _wait(database: Database, home: Home, run_id: str, report: Callable[[Run], None]) -> Run:
    try:
        while True:
            supervisor.reconcile(database, home)
            with database.reading() as session:
                run = runs.get(session, run_id)
            report(run)
            if RunStatus(run.status).ended:
                return run
            time.sleep(POLL_SECONDS)
    except BaseException:  # whoever asked has gone, and so will the home: nobody could use what comes of it
        supervisor.cancel(database, home, run_id)
        raise
