"""A finished run's recipe and rows on another base model: begin small, then carry over what worked.

What depends on the base model is worked out anew (target modules, template, batch); all else stays, so that
the difference is the model's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapters import catalog
from adapters.catalog import BaseModel
from adapters.errors import ModelError
from adapters.hyperparameters import Hyperparameters
from adapters.module_roles import translate_targets
from adapters.recipe import Recipe
from adapters.training.memory import MemoryEstimate
from adapters.training.record import FrozenRecipe, read_recipe
from db import runs as run_store
from db.home import Home
from db.session import Database
from db.vocabulary import RunStatus
from elara_ui.errors import InvalidInput, RunError
from elara_ui.services.training import DataChoice, DataSource, Preview, TrainingService

GIB = 2**30
TARGETS = "target_modules"
BOUND_TO_BASE = ("continue_from",)
"""Settings that mean nothing on another base model."""


@dataclass(frozen=True)
class Transfer:
    """A run prepared on another base model.

    Args:
        run_id: the run it repeats.
        audience: for whom.
        base_model: the new one.
        data: the stored set.
        values: every hyperparameter.
        changes: what differs from the former run and why, one sentence each.
        recipe: the audience's, with the prompt and limit of the former run.
        preview: what the run would do.
    """

    run_id: str
    audience: str
    base_model: str
    data: DataChoice
    values: Mapping[str, Any]
    changes: tuple[str, ...]
    recipe: Recipe
    preview: Preview


class TransferService:
    """Repeats finished runs on other base models.

    Args:
        database: where runs are.
        home: where their frozen recipes are.
        recipes: audience → recipe, for what a run doesn't freeze.
        max_runs: how many runs may train at once.
    """

    def __init__(
        self, database: Database, home: Home, recipes: Mapping[str, Recipe], max_runs: int = 1
    ) -> None:
        self._database = database
        self._home = home
        self._recipes = recipes
        self._max_runs = max_runs

    def prepare(
        self,
        run_id: str,
        base_model: str,
        values: Mapping[str, object] | None = None,
        calibrate: bool = False,
    ) -> Transfer:
        """Work out what the run would be on another base model. It takes from ten seconds to three minutes.

        Args:
            run_id: a run that succeeded.
            base_model: catalogue id, hub id or folder.
            values: hyperparameters to set by hand; they aren't touched.
            calibrate: whether to train a few steps for an estimate of the time.

        Raises:
            NotFound: there is no such run.
            RunError: it didn't succeed, or no setting makes it fit into memory.
            ElaraError: why the launch would be refused.
        """
        snapshot_id, frozen = self._read(run_id)
        old, new = _describe_former(frozen.base_model), catalog.find(base_model)
        if new.id == frozen.base_model:
            raise InvalidInput(
                f"Run {run_id} was on {new.id} already. Give another base model, or launch it again with "
                f"train --dataset snapshot:{snapshot_id}."
            )
        given = dict(values or {})
        settings, changes = _resettle(frozen.hyperparameters, old, new, given)
        recipe = self._thaw_recipe(frozen)
        data = DataChoice(DataSource.SNAPSHOT, reference=snapshot_id)
        training = self._train_with(recipe)
        preview = training.preview_run(frozen.audience, data, settings, new.id, calibrate)
        if not preview.memory.fits:
            advice, sentence = _take_advice(preview.memory, given, new)
            settings |= advice
            changes.append(sentence)
            preview = training.preview_run(frozen.audience, data, settings, new.id, calibrate)
        return Transfer(
            run_id=run_id,
            audience=frozen.audience,
            base_model=new.id,
            data=data,
            values=settings,
            changes=tuple(changes),
            recipe=recipe,
            preview=preview,
        )

    def launch(self, transfer: Transfer) -> str:
        """Start what was prepared, or queue it.

        Returns:
            The run's id.

        Raises:
            ElaraError: something about it is wrong; nothing is started.
        """
        training = self._train_with(transfer.recipe)
        return training.launch(transfer.audience, transfer.data, transfer.values, transfer.base_model)

    def _train_with(self, recipe: Recipe) -> TrainingService:
        return TrainingService(self._database, self._home, {recipe.audience: recipe}, self._max_runs)

    def _read(self, run_id: str) -> tuple[str, FrozenRecipe]:
        """The run's snapshot and frozen recipe."""
        with self._database.reading() as session:
            run = run_store.get(session, run_id)
        if run.status != RunStatus.SUCCEEDED:
            raise RunError(
                f"Only a run that succeeded is carried over to another base model; {run_id} is {run.status}. "
                "Wait for it, or let it go on first."
            )
        return run.snapshot_id, read_recipe(self._home, run_id)

    def _thaw_recipe(self, frozen: FrozenRecipe) -> Recipe:
        """The audience's recipe as it was: another prompt or limit would make another comparison."""
        recipe = self._recipes.get(frozen.audience)
        if recipe is None:
            raise InvalidInput(
                f"The run was for {frozen.audience!r}, and there is no such audience any more. Add its "
                "recipe again."
            )
        return replace(
            recipe,
            system_prompt=frozen.system_prompt,
            max_explanation_length=frozen.max_explanation_length,
        )


def _describe_former(base_model: str) -> BaseModel:
    """What is known of the run's own base model, which may be gone."""
    try:
        return catalog.find(base_model)
    except ModelError:
        return BaseModel(id=base_model, title=base_model, source="")


def _resettle(
    former: Hyperparameters, old: BaseModel, new: BaseModel, given: Mapping[str, object]
) -> tuple[dict[str, Any], list[str]]:
    """The former settings for the new base model, before memory is looked at, and what was changed."""
    settings: dict[str, Any] = former.to_dict()
    changes = [_describe_template(new)]
    if TARGETS not in given:
        targets = translate_targets(former.target_modules, old.architecture, new.architecture)
        settings[TARGETS] = list(targets.names)
        if targets.reason:
            changes.append(targets.reason)
    changes += [
        f"{name} is dropped: what was trained on {old.id} can't go on from there on {new.id}."
        for name in BOUND_TO_BASE
        if settings.pop(name, None)
    ]
    if given:
        changes.append(f"Set by you: {', '.join(f'{name}={value}' for name, value in given.items())}.")
    return {**settings, **given}, changes


def _describe_template(new: BaseModel) -> str:
    match new.has_chat_template:
        case True:
            return f"Rows are rendered with the chat template of {new.id}."
        case False:
            return f"{new.id} has no chat template, so rows are rendered in the format for such models."
        case None:
            return f"Rows are rendered with the chat template of {new.id}, if it has one."


def _take_advice(
    memory: MemoryEstimate, given: Mapping[str, object], new: BaseModel
) -> tuple[dict[str, Any], str]:
    """The first change that makes the run fit; the effective batch stays.

    Raises:
        RunError: none does, or only one of what was set by hand.
    """
    for change in memory.advice:
        if change.fits and not change.values.keys() & given.keys():
            listed = ", ".join(f"{name}={value}" for name, value in change.values.items())
            return dict(change.values), (
                f"As it was, the run would take {memory.total / GIB:.1f} GiB, and "
                f"{memory.available / GIB:.1f} GiB are free; {listed} brings it to "
                f"{change.total / GIB:.1f} GiB."
            )
    least = min([memory.total, *(change.total for change in memory.advice)])
    raise RunError(
        f"The run must fit into the {memory.available / GIB:.1f} GiB free, but on {new.id} it takes at least "
        f"{least / GIB:.1f} GiB. Choose a smaller base model, or a machine with more memory."
    )
