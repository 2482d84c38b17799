"""The voices that come with Elara: taken in by a home that is new, and trained anew by who changes them."""

import json
import logging
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from adapters import embedded, registry
from adapters.manifest import Manifest
from adapters.recipe import Recipe
from adapters.starters import TRAINED_FOLDER, list_trained, pack
from adapters.training.base_models import ensure_trainable
from adapters.training.starters import train_starter
from db import adapters as adapter_store
from db import releases
from db.home import Home
from db.models import Adapter, Run
from db.session import Database, migrate
from db.vocabulary import ReleaseAction
from elara_ui.errors import ElaraError, InvalidInput

MAKER, REASON = "Elara", "It comes with Elara, and this home was new."
"""What the history says of who made a starter adapter live, and why."""

log = logging.getLogger(__name__)

Report = Callable[[str], None]
"""Told in a few words how far the work is."""


@dataclass(frozen=True)
class TrainedStarter:
    """An adapter that comes with Elara, as just trained.

    Args:
        audience: for whom it speaks.
        folder: where it is.
        rows: examples learned from.
        loss_before: of the base model on the held-out examples, nats per token.
        loss_after: of the adapter on the same, nats per token.
        snapshot_sha256: of the examples, those held out included.
        size: of its files together, bytes.
    """

    audience: str
    folder: Path
    rows: int
    loss_before: float
    loss_after: float
    snapshot_sha256: str
    size: int


def adopt_starters(
    database: Database, home: Home, audiences: Collection[str], folder: Path = TRAINED_FOLDER
) -> tuple[str, ...]:
    """Let a new home begin with the adapters that come with Elara, live.

    A home in which anything was ever asked, trained or brought in keeps what it has. What is damaged is no
    reason not to start: all audiences then begin with the base model, and the log says why.

    Args:
        database: of the home.
        home: where adapters are kept.
        audiences: those there are.
        folder: of the adapters.

    Returns:
        The names of the adapters taken in.
    """
    found = [path for path in list_trained(folder) if path.name in audiences]
    with database.reading() as session:
        if not found or not adapter_store.is_unused(session):
            return ()
    try:
        with database.session() as session:
            if not adapter_store.is_unused(session):  # another process was first
                return ()
            return tuple(_make_live(session, registry.adopt(session, home, path)) for path in found)
    except ElaraError as error:
        log.warning("Elara begins without its starter adapters. %s", error.message)
        return ()


def _make_live(session: Session, adapter: Adapter) -> str:
    """Let an adapter answer; the history begins with it, so that one can go back to the base model."""
    adapter_store.promote(session, adapter.name)
    releases.record(
        session,
        ReleaseAction.PROMOTED,
        audience=adapter.audience,
        base_model=adapter.base_model,
        before=None,
        after=adapter.name,
        by=MAKER,
        reason=REASON,
    )
    return adapter.name


def train_starters(
    models: Path,
    recipes: Mapping[str, Recipe],
    audiences: Collection[str],
    out: Path = TRAINED_FOLDER,
    report: Report = lambda words: None,
    model_file: Path | None = None,
) -> tuple[TrainedStarter, ...]:
    """Train the adapters that come with Elara from their examples and recipes, one after another.

    Each is a run like any other, in a home of its own that is gone afterwards.

    Args:
        models: where the embedded model is kept, and fetched to if it isn't there.
        recipes: audience → recipe.
        audiences: for whom.
        out: the folder that gets a folder for each audience; what is there of that name is replaced.
        report: told how far it is.
        model_file: a copy of the embedded model elsewhere on this machine, see `embedded.fetch`.

    Raises:
        InvalidInput: there is no such audience.
        ModelError: the embedded model can't be had.
        DatasetError: the examples can't be used.
        RunError: a run failed; the adapters trained before it stay.
    """
    if unknown := sorted(set(audiences) - set(recipes)):
        raise InvalidInput(f"There is no audience {unknown[0][:60]!r}. Choose one of: {', '.join(recipes)}.")
    report("Looking for the embedded model")
    gguf = embedded.fetch(models, placed=model_file)
    config = _read_config(ensure_trainable(models, gguf))
    return tuple(_train(models, recipes[audience], out / audience, config, report) for audience in audiences)


def _train(
    models: Path, recipe: Recipe, destination: Path, base_config: Mapping[str, Any], report: Report
) -> TrainedStarter:
    told = _Teller(recipe.audience, report)
    with tempfile.TemporaryDirectory(prefix="elara-starters-") as place:
        home = Home(Path(place).resolve())
        home.models.symlink_to(models.resolve(), target_is_directory=True)
        home.create()
        migrate(home)
        database = Database.open(home.database)
        try:
            adapter = train_starter(database, home, recipe, told)
            manifest = pack(registry.folder(home, adapter), destination, base_config)
        finally:
            database.close()
    return _describe(manifest, destination)


def _describe(manifest: Manifest, folder: Path) -> TrainedStarter:
    made = manifest.provenance
    return TrainedStarter(
        audience=made.audience,
        folder=folder,
        rows=made.rows,
        loss_before=made.metrics["eval_loss_before"],
        loss_after=made.metrics["eval_loss_after"],
        snapshot_sha256=made.snapshot_sha256,
        size=sum(path.stat().st_size for path in folder.iterdir()),
    )


def _read_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return config


class _Teller:
    """Puts a run's progress into a few words, each said once.

    Args:
        audience: whose run it is.
        report: is told.
    """

    def __init__(self, audience: str, report: Report) -> None:
        self._audience = audience
        self._report = report
        self._last = ""

    def __call__(self, run: Run) -> None:
        """Tell how far the run is: its stage, and of its steps every tenth."""
        of = f", step {run.step // 10 * 10} of {run.total_steps}" if run.total_steps else ""
        words = f"{self._audience}: {run.stage}{of}"
        if words != self._last:
            self._last = words
            self._report(words)
