"""The training process: ``python -m adapters.training.worker RUN_ID``. One run, top to bottom.

Started by `adapters.training.supervisor`, which gives it a log file, the home and a recorded pid.
"""

import argparse
import errno
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from adapters import registry
from adapters.errors import RunError
from adapters.training import loading, supervisor
from adapters.training.examples import Example
from adapters.training.loading import LoadedBase
from adapters.training.preparation import thaw
from adapters.training.progress import Progress, RunCancelled
from adapters.training.rendering import Encoded, encode_all, require_rows
from adapters.training.supervisor import FrozenRecipe
from db import runs
from db.errors import ElaraError
from db.home import Home
from db.models import Run, Snapshot
from db.session import Database
from db.vocabulary import RunStatus

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
        supervisor.start_queued(database, home)
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
    error: str | None = None
    try:
        name = _train(database, home, run_id)
        log.info("Done: %s", name)
        return RunStatus.SUCCEEDED
    except RunCancelled:
        status = RunStatus.CANCELLED
        log.info("Cancelled.")
    except ElaraError as known:
        status, error = RunStatus.FAILED, known.message
        log.exception("%s", error)
    except Exception as unknown:
        status, error = RunStatus.FAILED, explain(unknown)
        log.exception("%s", error)
    with database.session() as session:
        runs.finish(session, run_id, status, error)
    return status


def explain(error: Exception) -> str:
    """One clear sentence for a failure that nobody foresaw; the traceback goes to the log alone."""
    text = str(error)
    lowered = text.lower()
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "no space left" in lowered:
        return "The disk is full. Free some space, then resume the run; it goes on from its last checkpoint."
    if isinstance(error, MemoryError) or "out of memory" in lowered or "can't allocate memory" in lowered:
        return (
            "Memory ran out. Take a smaller batch_size or max_length, switch gradient_checkpointing on, "
            "or quantise the base model."
        )
    first = text.strip().splitlines()[0][:200] if text.strip() else "no message"
    return f"Training stopped by an unexpected {type(error).__name__}: {first}. The log has the details."


def _train(database: Database, home: Home, run_id: str) -> str:
    """From frozen recipe and data to a registered adapter; returns its name."""
    progress = Progress(database, run_id)
    recipe = supervisor.read_recipe(home, run_id)
    snapshot, (train, evaluation) = _read_data(database, home, run_id)

    progress.stage("loading the base model")
    base = loading.load(loading.locate(home.models, recipe.base_model, progress), recipe.hyperparameters)

    from adapters.training import trainer  # brings torch, peft and trl

    rows, held_out = _encode(train, base, recipe), _encode(evaluation, base, recipe)
    require_rows(rows, base.longest(recipe.hyperparameters))
    folder = supervisor.run_folder(home, run_id) / supervisor.CHECKPOINTS
    left_out = len(train) + len(evaluation) - len(rows) - len(held_out)
    result = trainer.fit(
        base, rows, held_out, recipe.hyperparameters, folder=folder, progress=progress, left_out=left_out
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
    shutil.rmtree(folder, ignore_errors=True)  # checkpoints have served their purpose
    return adapter.name


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
    database: Database, home: Home, run_id: str
) -> tuple[Snapshot, tuple[list[Example], list[Example]]]:
    with database.reading() as session:
        snapshot = runs.get(session, run_id).snapshot
    return snapshot, thaw(home.root / snapshot.path, snapshot.sha256)


def _encode(examples: Sequence[Example], base: LoadedBase, recipe: FrozenRecipe) -> list[Encoded]:
    limit = base.longest(recipe.hyperparameters)
    encoded = encode_all(
        examples, base.tokenizer, recipe.system_prompt, limit, recipe.hyperparameters.overlong
    )
    if encoded.left_out:
        log.info("%d of %d examples left out: longer than %d tokens", encoded.left_out, len(examples), limit)
    if encoded.shortened:
        log.info("%d of %d prompts cut down to %d tokens", encoded.shortened, len(examples), limit)
    return encoded.rows


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
