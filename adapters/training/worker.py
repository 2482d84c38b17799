"""The training process: ``python -m adapters.training.worker RUN_ID``. One run, top to bottom.

Started by `adapters.training.supervisor`, which gives it a log file, the home and a recorded pid.
"""

import argparse
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from adapters import registry
from adapters.errors import AdapterError, ModelError, RunError
from adapters.training import loading, supervisor
from adapters.training.environment import describe_environment
from adapters.training.examples import Example
from adapters.training.failures import Diagnosis, classify
from adapters.training.loading import LoadedBase, Source
from adapters.training.objectives import require_supervision
from adapters.training.parent import find_parent, take_same_weights
from adapters.training.preparation import thaw
from adapters.training.progress import Progress, RunCancelled
from adapters.training.record import (
    CHECKPOINTS,
    FrozenRecipe,
    add_environment,
    read_recipe,
    read_weights,
    run_folder,
)
from adapters.training.rendering import EncodedSet, encode_all, require_rows
from db import runs
from db.home import Home
from db.models import Run, Snapshot
from db.session import Database
from db.vocabulary import RunFailure, RunStatus

NICENESS = 10  # whoever chats on the same machine goes first
CLAIM_SECONDS = 30.0  # how long to wait for the transaction that started us to commit

log = logging.getLogger("adapters.training.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Work on one run, then start the next in the queue.

    Returns:
        Exit status: 0 when an adapter came out or the run was cancelled, else 1.
    """
    parser = argparse.ArgumentParser(prog="adapters.training.worker", description="Train one queued run.")
    parser.add_argument("run_id")
    parser.add_argument("--home", type=Path, default=os.environ.get("ELARA_HOME"), help="default: ELARA_HOME")
    parser.add_argument("--at-once", type=int, default=1, help="how many runs may train at once")
    options = parser.parse_args(arguments)
    if options.home is None:
        parser.error("give --home or set ELARA_HOME")
    _set_up_logging()
    _give_way()
    home = Home(Path(options.home).resolve())
    database = Database.open(home.database)
    try:
        _await_claim(database, options.run_id)
        status = work(database, home, options.run_id)
    finally:
        supervisor.start_queued(database, home, options.at_once)
        database.close()
    return 0 if status in (RunStatus.SUCCEEDED, RunStatus.CANCELLED) else 1


def work(database: Database, home: Home, run_id: str) -> RunStatus:
    """Train, and record how it ended, whatever happens.

    Args:
        database: of this home.
        home: where everything is.
        run_id: a run marked as running.

    Returns:
        How the run ended.
    """
    error: Diagnosis | None = None
    try:
        name = _train(database, home, run_id)
        log.info("Done: %s", name)
        return RunStatus.SUCCEEDED
    except RunCancelled:
        status = RunStatus.CANCELLED
        log.info("Cancelled.")
    except Exception as trouble:
        status, error = RunStatus.FAILED, classify(trouble)
        log.exception("%s", error.message)
        if error.failure is RunFailure.DISK_FULL:
            _make_room(run_folder(home, run_id) / CHECKPOINTS)
    with database.session() as session:
        runs.finish(
            session,
            run_id,
            status,
            error=error.message if error else None,
            failure=error.failure if error else None,
        )
    return status


def _train(database: Database, home: Home, run_id: str) -> str:
    """From frozen recipe and data to a registered adapter; returns its name."""
    folder = run_folder(home, run_id)
    progress = Progress(database, run_id, folder)
    recipe = read_recipe(home, run_id)
    snapshot, (train, evaluation) = _read_data(database, home, run_id, recipe.hyperparameters.objective)

    progress.stage("loading the base model")
    source = loading.locate(home.models, recipe.base_model, progress)
    source = _keep_weights(folder, source)
    parent, source = _find_parent(database, home, recipe, source)
    base = loading.load(source, recipe.hyperparameters)

    weights = {"base_sha256": source.sha256, "base_revision": base.revision}
    add_environment(folder, describe_environment(base.precision) | weights)

    from adapters.training import trainer  # brings torch, peft and trl
    from adapters.training.probes import Probes

    encoded, measured = _encode(train, base, recipe), _encode(evaluation, base, recipe)
    rows, held_out = encoded.rows, measured.rows
    require_rows(rows, base.longest(recipe.hyperparameters))
    checkpoints = folder / CHECKPOINTS
    left_out = encoded.left_out + measured.left_out
    result = trainer.fit(
        base,
        rows,
        held_out,
        recipe.hyperparameters,
        folder=checkpoints,
        progress=progress,
        left_out=left_out,
        parent=parent,
        watchers=[Probes(recipe.probes, base, recipe.system_prompt, progress)],
    )

    progress.stage("saving the adapter")
    _convert(result.folder, base.model.config.to_dict())
    metrics = result.metrics | {
        "train_rows": len(rows),
        "held_out_rows": len(held_out),
        "left_out_rows": left_out,
    }
    provenance = _trace(run_id, recipe, base, snapshot, metrics)
    with database.session() as session:  # adapter and ending together: there is never one without the other
        adapter = registry.register(session, home, result.folder, provenance)
        if not runs.finish(session, run_id, RunStatus.SUCCEEDED, adapter=adapter.name):
            raise RunError(f"Run {run_id} was ended by someone else; its adapter was not taken.")
    shutil.rmtree(checkpoints, ignore_errors=True)  # checkpoints have served their purpose
    return adapter.name


def _keep_weights(folder: Path, source: Source) -> Source:
    """The base model as an earlier attempt at the run had it: a checkpoint is of no use on other weights.

    Raises:
        ModelError: local weights have changed since.
    """
    earlier = read_weights(folder)
    if earlier is None:
        return source
    sha256, revision = earlier
    if sha256 != source.sha256:
        raise ModelError(
            f"The weights of {source.entry.id} have changed since this run began. Put those of then back and "
            "resume it, or start a new run."
        )
    return replace(source, revision=revision)


def _find_parent(
    database: Database, home: Home, recipe: FrozenRecipe, source: Source
) -> tuple[Path | None, Source]:
    """The folder of the adapter to continue from, found as it was at launch, and its base model's weights."""
    parent = find_parent(database, home, recipe.hyperparameters.continue_from)
    if parent is None:
        return None, source
    if parent.sha256 != recipe.parent_sha256:
        raise AdapterError(
            f"{parent.name}, from which the run continues, is another adapter than at launch. Restore it, or "
            "start a new run."
        )
    return parent.folder, take_same_weights(parent, source)


def _make_room(checkpoints: Path) -> None:
    """Remove the checkpoint that the full disk left half-written, so that the failure can be recorded."""
    from adapters.training.checkpoints import find_last

    find_last(checkpoints)


def _trace(
    run_id: str, recipe: FrozenRecipe, base: LoadedBase, snapshot: Snapshot, metrics: dict[str, float]
) -> registry.Provenance:
    return registry.Provenance(
        audience=recipe.audience,
        base_model=recipe.base_model,
        base_revision=base.revision,
        base_sha256=base.source.sha256,
        snapshot_sha256=snapshot.sha256,
        rows=int(metrics["train_rows"]),
        recipe=recipe.to_dict(),
        run_id=run_id,
        metrics=metrics,
        source=snapshot.source,
        data=snapshot.manifest,
    )


def _read_data(
    database: Database, home: Home, run_id: str, objective: str
) -> tuple[Snapshot, tuple[list[Example], list[Example]]]:
    with database.reading() as session:
        snapshot = runs.get(session, run_id).snapshot
    train, evaluation = thaw(home.root / snapshot.path, snapshot.sha256)
    require_supervision([*train, *evaluation], objective)
    return snapshot, (train, evaluation)


def _encode(examples: Sequence[Example], base: LoadedBase, recipe: FrozenRecipe) -> EncodedSet:
    settings = recipe.hyperparameters
    limit = base.longest(settings)
    encoded = encode_all(
        examples, base.tokenizer, recipe.system_prompt, limit, settings.overlong, settings.objective
    )
    given = len(encoded.lengths)
    if encoded.left_out:
        log.info("%d of %d examples left out: longer than %d tokens", encoded.left_out, given, limit)
    if encoded.shortened:
        log.info("%d of %d prompts cut down to %d tokens", encoded.shortened, given, limit)
    return encoded


def _convert(folder: Path, base_config: dict[str, object]) -> None:
    """Make the GGUF that llama.cpp serves, where the architecture has a converter."""
    from adapters import export

    architecture = str(base_config.get("model_type"))
    if export.can_convert(architecture):
        export.convert_lora(folder, folder / registry.GGUF, base_config)
    else:
        log.info(
            "No GGUF made: %s has no converter, so the transformers engine has to serve it", architecture
        )


def _give_way() -> None:
    """Take the lower priority. Set, not added: the worker that starts the next one hands its own down."""
    if hasattr(os, "setpriority"):
        present = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, max(present, NICENESS))
    # Linux may schedule a session as one (autogroup). A worker leads its own, and its niceness then weighs
    # within that session only, not against the chat's: the session's own niceness does (man 7 sched).
    if hasattr(os, "getsid") and os.getsid(0) == os.getpid():  # else it would lower whoever started it
        with suppress(OSError):  # absent on other systems, read-only in some containers
            Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")


def _set_up_logging() -> None:
    """Our own words from INFO up, the libraries' only when something is wrong: people read this log."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(asctime)s %(message)s")
    logging.getLogger("adapters").setLevel(logging.INFO)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # warns of a kernel that nobody asked for


def _await_claim(database: Database, run_id: str) -> Run:
    """Wait until the run is recorded as ours; a worker that nobody recorded must not train beside another."""
    deadline = time.monotonic() + CLAIM_SECONDS
    while True:
        with database.reading() as session:
            run = runs.get(session, run_id)
        if run.status == RunStatus.RUNNING and run.pid == os.getpid():
            return run
        if run.status != RunStatus.QUEUED or time.monotonic() > deadline:
            raise SystemExit(f"Run {run_id} is {run.status} and not this process's to train.")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
