"""The app is killed while a run trains: the run goes on or is found interrupted; nothing is done twice."""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from app_process import AppProcess
from real_runs import ended, wait

sys.path.append(str(Path(__file__).parents[1] / "unit" / "training"))

from adapters import registry
from adapters.recipe import Hyperparameters, override
from adapters.training import supervisor
from adapters.training.examples import read_examples
from db import adapters, run_points, runs
from db.home import Home
from db.session import Database
from db.vocabulary import RunFailure, RunStatus

pytestmark = pytest.mark.slow

STARTER = Path(__file__).parents[2] / "adapters" / "starter" / "emergency.jsonl"
LONG = override(
    Hyperparameters(),
    {
        "num_epochs": 100, "max_steps": 40, "batch_size": 1, "eval_fraction": 0, "logging_steps": 1,
        "save_steps": 5, "probe_samples": 0,
    },
)  # fmt: skip
BRIEF = override(LONG, {"max_steps": 2})


@pytest.fixture
def app(home: Home, tmp_path: Path) -> Iterator[AppProcess]:
    """An app without a model that answers: training needs none."""
    app = AppProcess(home.root, tmp_path / "none.gguf")
    yield app
    app.kill()


@pytest.fixture
def queue(
    database: Database, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., str]]:
    """Put runs on a tiny base in the queue, for the app to start; whatever works afterwards is killed."""
    from tiny_models import save_tiny_llama

    base = str(save_tiny_llama(tmp_path / "base"))
    monkeypatch.setattr(supervisor, "start_queued", lambda *_: [])

    def queue(settings: Hyperparameters) -> str:
        return supervisor.launch(
            database, home, audience="emergency", base_model=base, hyperparameters=settings,
            examples=read_examples(STARTER)[:12], source="starter",
        )  # fmt: skip

    yield queue
    for worker in workers(home):
        worker.kill()


def workers(home: Home) -> list[psutil.Process]:
    """The training processes of a home."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words, environment = process.info["cmdline"] or [], process.info["environ"] or {}
        if "adapters.training.worker" in words and environment.get("ELARA_HOME") == str(home.root):
            found.append(process)
    return found


def suspend(worker: psutil.Process, home: Home) -> None:
    """Hold a worker up, but not while it writes: nobody else could."""
    while True:
        worker.suspend()
        with closing(sqlite3.connect(home.database, timeout=0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                worker.resume()


def assert_made(database: Database, home: Home, run_ids: list[str]) -> None:
    """Each run succeeded and made one adapter, which is whole."""
    with database.reading() as session:
        made = [runs.get(session, run_id).adapter for run_id in run_ids]
        assert {adapter.name for adapter in adapters.list_all(session)} == set(made)
        assert len(set(made)) == len(run_ids)
        for run_id, name in zip(run_ids, made, strict=True):
            manifest = registry.verify(registry.folder(home, adapters.get(session, str(name))))
            assert manifest.provenance.run_id == run_id


def test_a_run_outlives_the_app_that_started_it_and_the_queue_goes_on(database, home, app, queue) -> None:
    first, second = queue(LONG), queue(BRIEF)
    app.start()
    before = wait(database, home, first, lambda run: run.step > 2)
    worker = psutil.Process(before.pid)
    suspend(worker, home)  # however fast it is, the app dies while it trains
    app.kill()
    worker.resume()
    wait(database, home, first, lambda run: run.step > before.step + 2)
    suspend(worker, home)
    app.start()
    assert workers(home) == [worker]
    with database.reading() as session:
        after = runs.get(session, first)
    assert (after.status, after.pid) == (RunStatus.RUNNING, before.pid)
    worker.resume()
    assert wait(database, home, first, ended).status == RunStatus.SUCCEEDED
    assert wait(database, home, second, ended).status == RunStatus.SUCCEEDED
    with database.reading() as session:
        assert [dot.step for dot in run_points.points(session, first)] == list(range(1, 41))
    assert_made(database, home, [first, second])


def test_a_run_that_died_with_the_app_is_interrupted_and_can_go_on(
    database, home, app, queue, monkeypatch
) -> None:
    first, second = queue(LONG), queue(BRIEF)
    app.start()
    run = wait(database, home, first, lambda run: run.step > 6)
    suspend(psutil.Process(run.pid), home)
    app.kill()
    os.kill(run.pid, signal.SIGKILL)
    with database.reading() as session:
        assert runs.get(session, first).status == RunStatus.RUNNING  # nobody is there to tell
    app.start()
    run = wait(database, home, first, ended)
    assert (run.status, run.failure, run.adapter) == (RunStatus.INTERRUPTED, RunFailure.INTERRUPTED, None)
    assert "nobody saw how" in run.error
    assert wait(database, home, second, ended).adapter == "emergency@1"
    monkeypatch.undo()  # from here on the queue moves
    supervisor.resume(database, home, first)
    assert wait(database, home, first, ended).adapter == "emergency@2"
    with database.reading() as session:
        assert [dot.step for dot in run_points.points(session, first)] == list(range(1, 41))
    assert_made(database, home, [second, first])


def test_a_killed_worker_does_not_hold_the_queue_up_though_nobody_looks_at_the_page(
    database, home, app, queue
) -> None:
    first, second = queue(LONG), queue(BRIEF)
    app.start()
    run = wait(database, home, first, lambda run: run.step > 2)
    suspend(psutil.Process(run.pid), home)
    os.kill(run.pid, signal.SIGKILL)
    # Only the app's own thread is left to notice; `wait` reads the database and asks nobody.
    assert wait(database, home, second, ended).status == RunStatus.SUCCEEDED
    with database.reading() as session:
        assert runs.get(session, first).status == RunStatus.INTERRUPTED
