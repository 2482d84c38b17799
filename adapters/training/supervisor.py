"""Starting, watching and stopping training runs. A run is a process of its own; nothing here trains.

SQLite is the truth: whoever asks (the page, the command line, a worker at its end) sees the same queue
and may move it on.
"""

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
from sqlalchemy.orm import Session

from adapters import catalog
from adapters.errors import RecipeError, RunError
from adapters.presets import settings_for
from adapters.processors import count_cores
from adapters.recipe import Hyperparameters, Recipe, find_recipe
from adapters.training import exits
from adapters.training.examples import Example
from adapters.training.failures import Diagnosis, classify_exit
from adapters.training.parent import find_parent, inherit
from adapters.training.preparation import Prepared, freeze, prepare
from adapters.training.record import LOG, FrozenRecipe, open_record, read_recipe, run_folder
from adapters.training.rejects import Rejects
from db import run_queue, runs
from db.home import Home
from db.models import Run, utc_now
from db.session import Database
from db.vocabulary import RunFailure, RunStatus

PROJECT_ROOT = Path(__file__).resolve().parents[2]
OF_THE_SET = ("max_samples", "eval_fraction", "objective")  # what the stored set was made with and for
CLOCK_TOLERANCE_SECONDS = 2.0  # process start times are derived from the boot time, which clock changes shift
DEAF_SECONDS = 30.0  # a worker asked to stop that has given no sign of life for so long is ended from outside
TERMINATION_SECONDS = 5.0  # until SIGTERM is followed by SIGKILL
# The log is read by people: no progress bars, no notes for libraries' developers; and no library reports
# to its makers that someone trains.
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning",
}

log = logging.getLogger(__name__)


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
    at_once: int = 1,
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
        at_once: how many runs may train at once.

    Returns:
        The run's id.

    Raises:
        RecipeError: unknown audience, or settings that contradict each other.
        AdapterError: the adapter to continue from isn't there or was changed.
        ModelError: unknown base model.
        DatasetError: nothing is left to learn from.
        RunError: the run's folder can't be written.
    """
    recipe = recipe or find_recipe(audience)
    parent = find_parent(database, home, hyperparameters.continue_from)
    base_model = catalog.find(base_model).id
    hyperparameters = inherit(parent, base_model, hyperparameters, usual=settings_for(recipe, base_model))
    frozen = FrozenRecipe(
        audience=audience,
        base_model=base_model,
        system_prompt=recipe.system_prompt,
        max_explanation_length=recipe.max_explanation_length,
        hyperparameters=hyperparameters,
        parent_sha256=parent.sha256 if parent else "",
        probes=recipe.example_questions[: hyperparameters.probe_samples],
    )
    prepared = prepare(examples, hyperparameters, recipe.max_explanation_length, rejects)
    require_consistent(hyperparameters, prepared)
    with database.session() as session:
        snapshot = freeze(home, session, prepared, source, objective=hyperparameters.objective)
        run = runs.create(session, audience, frozen.base_model, snapshot.id, hyperparameters.to_dict())
        open_record(run_folder(home, run.id), frozen, snapshot)
    start_queued(database, home, at_once)
    return run.id


def retry(
    database: Database, home: Home, run_id: str, hyperparameters: Hyperparameters, *, at_once: int = 1
) -> str:
    """Launch a run once more with other settings: the same stored set, base model and prompt.

    Args:
        database: of this home.
        home: where snapshots and runs are kept.
        run_id: the run to repeat, however it ended.
        hyperparameters: of the new run.
        at_once: how many runs may train at once.

    Returns:
        The new run's id.

    Raises:
        NotFound: there is no such run.
        RecipeError: the settings ask for another set, or can't be trained with on this one.
        AdapterError: the adapter to continue from isn't there or was changed.
        RunError: the frozen recipe is damaged, or the new run's folder can't be written.
    """
    frozen = read_recipe(home, run_id)
    _require_same_set(frozen.hyperparameters, hyperparameters)
    parent = find_parent(database, home, hyperparameters.continue_from)
    hyperparameters = inherit(parent, frozen.base_model, hyperparameters, usual=frozen.hyperparameters)
    recipe = replace(
        frozen,
        hyperparameters=hyperparameters,
        probes=frozen.probes[: hyperparameters.probe_samples],
        parent_sha256=parent.sha256 if parent else "",
    )
    with database.session() as session:
        snapshot = runs.get(session, run_id).snapshot
        if hyperparameters.early_stopping_patience and not snapshot.manifest.get("evaluation"):
            raise RecipeError(
                "Early stopping needs a held-out part, and this set has none. "
                "Set early_stopping_patience to 0."
            )
        run = runs.create(session, recipe.audience, recipe.base_model, snapshot.id, hyperparameters.to_dict())
        open_record(run_folder(home, run.id), recipe, snapshot)
    start_queued(database, home, at_once)
    return run.id


def _require_same_set(before: Hyperparameters, after: Hyperparameters) -> None:
    changed = [name for name in OF_THE_SET if getattr(before, name) != getattr(after, name)]
    if changed:
        raise RecipeError(
            f"A run is repeated on the set that was stored for it, so {', '.join(changed)} can't be changed. "
            "Launch a new run for that."
        )


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


def start_queued(database: Database, home: Home, at_once: int = 1) -> list[str]:
    """Start the runs whose turn has come, unless as many train as may.

    Of several processes that call this at once, one starts a run: claiming it, starting its process and
    recording its pid happen under the database's one write lock.

    Args:
        database: of this home.
        home: where runs are kept.
        at_once: how many runs may train at once.

    Returns:
        The ids of the runs started.
    """
    started = []
    while run_id := _start_next(database, home, at_once):
        started.append(run_id)
    return started


def _start_next(database: Database, home: Home, at_once: int) -> str | None:
    process: subprocess.Popen[bytes] | None = None
    try:
        with database.session() as session:
            run = run_queue.claim_next(session, at_once)
            if run is None:
                return None
            try:
                process = _spawn(home, run.id, at_once)
                started_at = psutil.Process(process.pid).create_time()
            except (OSError, psutil.Error) as error:
                message = f"The training process can't be started: {error}. Try again once that is mended."
                runs.finish(session, run.id, RunStatus.FAILED, message, failure=RunFailure.NOT_STARTED)
                return None
            runs.set_process(session, run.id, process.pid, started_at)
            exits.note_start(run_folder(home, run.id), process.pid)
    except BaseException:
        if process is not None:  # not recorded, so nobody would ever know of it
            process.kill()
            process.wait()
        raise
    # Hears how a worker ends while we live; unheard, it would linger as a zombie too.
    threading.Thread(
        target=_hear_end, args=(run_folder(home, run.id), process), name=f"run-{run.id}", daemon=True
    ).start()
    return run.id


def _hear_end(folder: Path, process: subprocess.Popen[bytes]) -> None:
    exits.note_exit(folder, process.pid, process.wait())


def reconcile(database: Database, home: Home, at_once: int = 1) -> list[str]:
    """Mark runs whose process is gone as interrupted, then move the queue on; for the start and now and then.

    A silent but living process is left alone, unless it was asked to stop: a laptop wakes from sleep with a
    stale heartbeat.

    Returns:
        The ids of the runs found interrupted.
    """
    interrupted = _settle(database, home)
    start_queued(database, home, at_once)
    return interrupted


def cancel(database: Database, home: Home, run_id: str) -> Run:
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
    _settle(database, home)
    with database.reading() as session:
        return runs.get(session, run_id)


def resume(database: Database, home: Home, run_id: str, at_once: int = 1) -> Run:
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
        run.heartbeat_at = runs.last_alive(run)  # up to then its time is counted
        run.status, run.stage, run.cancel_requested = RunStatus.QUEUED, "waiting", False
        run.error = run.failure = run.finished_at = run.pid = run.pid_started_at = None
    start_queued(database, home, at_once)
    return run


def remove(database: Database, home: Home, run_id: str) -> None:
    """Delete a run that waits or has ended, and its folder; its snapshot stays.

    Raises:
        NotFound: there is no such run.
        Conflict: it trains, or an adapter came of it.
        RunError: its process is still ending, or its folder can't be deleted.
    """
    with database.session() as session:
        if is_alive(runs.get(session, run_id)) and RunStatus(runs.get(session, run_id).status).ended:
            raise RunError(f"The process of run {run_id} is still ending. Try again in a moment.")
        runs.remove(session, run_id)
    folder = run_folder(home, run_id)
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(
            f"Run {run_id} is removed, but its folder {folder} can't be deleted: {error.strerror}. Delete it."
        ) from error


def is_alive(run: Run) -> bool:
    """Whether the very process that was started for the run still works; never judged by the pid alone."""
    return _process(run) is not None


def _settle(database: Database, home: Home) -> list[str]:
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
    ends = {
        run.id: classify_exit(exits.read_exit(run_folder(home, run.id), run.pid, run.heartbeat_at))
        for run in gone
    }
    with database.session() as session:
        return [run_id for run_id, end in ends.items() if _end(session, run_id, end) is RunStatus.INTERRUPTED]


def _end(session: Session, run_id: str, end: Diagnosis) -> RunStatus | None:
    """End a run without a process as what it is; None when it had ended by itself meanwhile."""
    if runs.cancel_requested(session, run_id):
        status = RunStatus.CANCELLED
        ended = runs.finish(session, run_id, status)
    else:
        status = RunStatus.INTERRUPTED
        ended = runs.finish(session, run_id, status, end.message, failure=end.failure)
    return status if ended else None


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


def share_threads(at_once: int) -> int:
    """Threads of a worker: every core, shared evenly when several runs may train at once.

    Whoever chats needs no core kept free, as workers have the lower priority: on 2 cores a first token took
    0.29 s beside a run on 2 threads, 0.28 s beside one on 1, and 0.27 s alone, while the run made 336 and 198
    tokens/s (`benchmarks/chat_during_training.py`).

    Args:
        at_once: how many runs may train at once.
    """
    return max(1, count_cores() // at_once)


def _spawn(home: Home, run_id: str, at_once: int) -> subprocess.Popen[bytes]:
    """Start the worker in its own session, so that neither a closed terminal nor our end takes it along."""
    environment = os.environ | {"ELARA_HOME": str(home.root), "PYTHONUNBUFFERED": "1", **QUIET}
    environment.setdefault("OMP_NUM_THREADS", str(share_threads(at_once)))
    folder = run_folder(home, run_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "adapters.training.worker", run_id, "--at-once", str(at_once)],
            cwd=PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
