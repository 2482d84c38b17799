"""Starting, watching and stopping training runs. A run is a process of its own; nothing here trains.

SQLite is the truth: whoever asks (the page, the command line, a worker at its end) sees the same queue
and may move it on.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil
from sqlalchemy.orm import Session

from adapters import catalog
from adapters.errors import RecipeError, RunError
from adapters.recipe import Hyperparameters, Recipe, find_recipe
from adapters.training.examples import Example
from adapters.training.preparation import Prepared, freeze, prepare
from adapters.training.record import LOG, FrozenRecipe, open_record, run_folder
from adapters.training.rejects import Rejects
from db import run_queue, runs
from db.home import Home
from db.models import Run, utc_now
from db.session import Database
from db.vocabulary import RunStatus

PROJECT_ROOT = Path(__file__).resolve().parents[2]
CLOCK_TOLERANCE_SECONDS = 2.0  # process start times are derived from the boot time, which clock changes shift
DEAF_SECONDS = 30.0  # a worker asked to stop that has given no sign of life for so long is ended from outside
TERMINATION_SECONDS = 5.0  # until SIGTERM is followed by SIGKILL
# The log is read by people: no progress bars, no libraries' notes to their own developers.
QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONWARNINGS": "ignore::FutureWarning"}

log = logging.getLogger(__name__)

INTERRUPTED = (
    "The training process ended without a word: it was killed, ran out of memory, or the machine restarted. "
    "Resume the run, or start it again with a smaller batch."
)


def launch(
    database: Database,
    home: Home,
    *,
    audience: str,
    base_model: str,
    hyperparameters: Hyperparameters,
    examples: Sequence[Example],
    source: str,
    rejects: Sequence[Rejects] = (),
    recipe: Recipe | None = None,
) -> str:
    """Check everything, freeze recipe and data, put the run in the queue and start it if its turn has come.

    Args:
        database: of this home.
        home: where snapshots and runs are kept.
        audience: for whom the adapter will speak.
        base_model: catalogue id, hub id or folder.
        hyperparameters: usually the recipe's, with some overridden.
        examples: what to learn.
        source: ``starter``, ``reviews``, or the name of the file or dataset.
        rejects: bad rows that were left out while reading, for the record.
        recipe: the audience's, as the hyperparameters were taken from; None reads its file.

    Returns:
        The run's id.

    Raises:
        RecipeError: unknown audience, or settings that contradict each other.
        ModelError: unknown base model.
        DatasetError: nothing is left to learn from.
        RunError: the run's folder can't be written.
    """
    recipe = recipe or find_recipe(audience)
    frozen = FrozenRecipe(
        audience=audience,
        base_model=catalog.find(base_model).id,
        system_prompt=recipe.system_prompt,
        max_explanation_length=recipe.max_explanation_length,
        hyperparameters=hyperparameters,
        probes=recipe.example_questions[: hyperparameters.probe_samples],
    )
    prepared = prepare(examples, hyperparameters, recipe.max_explanation_length, rejects)
    require_consistent(hyperparameters, prepared)
    with database.session() as session:
        snapshot = freeze(home, session, prepared, source)
        run = runs.create(session, audience, frozen.base_model, snapshot.id, hyperparameters.to_dict())
        open_record(run_folder(home, run.id), frozen, snapshot)
    start_queued(database, home)
    return run.id


def require_consistent(hyperparameters: Hyperparameters, prepared: Prepared) -> None:
    """What only settings and data together show to be impossible.

    Raises:
        RecipeError: early stopping with nothing held out to judge by.
    """
    if hyperparameters.early_stopping_patience and not prepared.evaluation:
        raise RecipeError(
            f"Early stopping needs a held-out part, but of {len(prepared.train)} examples none is held out: "
            "there are too few questions. Add examples, or set early_stopping_patience to 0."
        )


def start_queued(database: Database, home: Home) -> str | None:
    """Start the oldest queued run, unless one is running.

    Of several processes that call this at once, one starts it: claiming the run, starting its process and
    recording its pid happen under the database's one write lock.

    Returns:
        The id of the run started, or None.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with database.session() as session:
            run = run_queue.claim_next(session)
            if run is None:
                return None
            try:
                process = _spawn(home, run.id)
                started_at = psutil.Process(process.pid).create_time()
            except (OSError, psutil.Error) as error:
                runs.finish(
                    session, run.id, RunStatus.FAILED, f"The training process can't be started: {error}."
                )
                return None
            runs.set_process(session, run.id, process.pid, started_at)
    except BaseException:
        if process is not None:  # not recorded, so nobody would ever know of it
            process.kill()
            process.wait()
        raise
    # Collects the exit status of a worker that ends while we live; otherwise it would linger as a zombie.
    threading.Thread(target=process.wait, name=f"run-{run.id}", daemon=True).start()
    return run.id


def reconcile(database: Database, home: Home) -> list[str]:
    """Mark runs whose process is gone as interrupted, then move the queue on; for the start and now and then.

    A silent but living process is left alone, unless it was asked to stop: a laptop wakes from sleep with a
    stale heartbeat.

    Returns:
        The ids of the runs found interrupted.
    """
    interrupted = _settle(database)
    start_queued(database, home)
    return interrupted


def cancel(database: Database, run_id: str) -> Run:
    """Ask a run to stop. A queued one stops at once, a running one at its next step, leaving no adapter.

    One that doesn't hear it, as while a large base model is loaded, is ended by this call or by a later
    `reconcile`, which moves the queue on too.

    Returns:
        The run as it is now.

    Raises:
        NotFound: there is no such run.
    """
    with database.session() as session:
        runs.request_cancel(session, run_id)
    _settle(database)
    with database.reading() as session:
        return runs.get(session, run_id)


def resume(database: Database, home: Home, run_id: str) -> Run:
    """Put an interrupted, failed or cancelled run back in the queue; it goes on from its last checkpoint.

    Raises:
        NotFound: there is no such run.
        RunError: it is still going, or has succeeded.
    """
    with database.session() as session:
        run = runs.get(session, run_id)
        if run.status not in (RunStatus.INTERRUPTED, RunStatus.FAILED, RunStatus.CANCELLED):
            raise RunError(
                f"Only a run that was interrupted, failed or cancelled can go on; {run_id} is {run.status}."
            )
        run.status, run.stage, run.cancel_requested = RunStatus.QUEUED, "waiting", False
        run.error = run.finished_at = run.pid = run.pid_started_at = None
    start_queued(database, home)
    return run


def is_alive(run: Run) -> bool:
    """Whether the very process that was started for the run still works; never judged by the pid alone."""
    return _process(run) is not None


def _settle(database: Database) -> list[str]:
    """End the runs whose process is gone, after stopping the workers that don't hear that they should.

    Returns:
        The ids of the runs found interrupted.
    """
    with database.reading() as session:
        running = runs.running(session)
    for run in running:
        if _is_deaf(run):
            _stop(run)
    gone = [run for run in running if not is_alive(run)]
    if not gone:
        return []
    with database.session() as session:
        return [run.id for run in gone if _end(session, run.id) is RunStatus.INTERRUPTED]


def _end(session: Session, run_id: str) -> RunStatus | None:
    """End a run without a process as what it is; None when it had ended by itself meanwhile."""
    if runs.cancel_requested(session, run_id):
        status, error = RunStatus.CANCELLED, None
    else:
        status, error = RunStatus.INTERRUPTED, INTERRUPTED
    return status if runs.finish(session, run_id, status, error) else None


def _is_deaf(run: Run) -> bool:
    if not run.cancel_requested or run.heartbeat_at is None:
        return False
    return (utc_now() - run.heartbeat_at).total_seconds() > DEAF_SECONDS


def _stop(run: Run) -> None:
    """End a run's process from outside; nothing happens when it is gone or another user's."""
    process = _process(run)
    if process is None:
        return
    try:
        process.terminate()
        try:
            process.wait(TERMINATION_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(TERMINATION_SECONDS)
    except psutil.Error as error:
        log.warning("The process %d of run %s can't be ended: %s", process.pid, run.id, error)


def _process(run: Run) -> psutil.Process | None:
    """The worker of a run, if it lives.

    It is known by when it started. A change of the clock shifts that time, which is reckoned from the boot;
    then the run's id on the command line tells.
    """
    if run.pid is None or run.pid_started_at is None:
        return None
    try:
        process = psutil.Process(run.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        started_then = abs(process.create_time() - run.pid_started_at) < CLOCK_TOLERANCE_SECONDS
        return process if started_then or run.id in process.cmdline() else None
    except psutil.Error:  # gone, or another user's, which a worker of ours never is
        return None


def _spawn(home: Home, run_id: str) -> subprocess.Popen[bytes]:
    """Start the worker in its own session, so that neither a closed terminal nor our end takes it along."""
    environment = os.environ | {"ELARA_HOME": str(home.root), "PYTHONUNBUFFERED": "1", **QUIET}
    folder = run_folder(home, run_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "adapters.training.worker", run_id],
            cwd=PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
