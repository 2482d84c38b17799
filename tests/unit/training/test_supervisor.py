"""The queue and its processes. The worker is stood in for by a real process that only sleeps."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest

from adapters.engines.base import Turn
from adapters.errors import AdapterError, DatasetError, ModelError, RecipeError, RunError
from adapters.recipe import Hyperparameters, find_recipe
from adapters.training import record, supervisor
from adapters.training.examples import Example
from db import runs
from db.errors import NotFound
from db.models import utc_now
from db.vocabulary import Role, RunFailure, RunStatus

EXAMPLES = [
    Example((Turn(Role.USER, f"Question {number}?"), Turn(Role.ASSISTANT, f"Answer {number}.")))
    for number in range(12)
]


@pytest.fixture
def sleepers(monkeypatch):
    """Start sleeping processes instead of workers; kill them afterwards."""
    started = []

    def sleep(_home, run_id, _at_once):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", run_id])
        started.append(process)
        return process

    monkeypatch.setattr(supervisor, "_spawn", sleep)
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def launch(database, home, sleepers):
    def launch(**changes):
        order = {
            "audience": "patient",
            "base_model": "smollm2-135m",
            "hyperparameters": Hyperparameters(),
            "examples": EXAMPLES,
            "source": "starter",
        }
        return supervisor.launch(database, home, **(order | changes))

    return launch


def status(database, run_id):
    with database.reading() as session:
        return runs.get(session, run_id).status


def test_a_launched_run_has_its_process_recipe_and_snapshot(database, home, launch, sleepers):
    run_id = launch()
    with database.reading() as session:
        run = runs.get(session, run_id)
        assert (run.status, run.pid) == (RunStatus.RUNNING, sleepers[0].pid)
        assert run.pid_started_at == pytest.approx(psutil.Process(run.pid).create_time())
        assert run.recipe["lora_r"] == 16
        assert (home.root / run.snapshot.path).exists()
        assert supervisor.is_alive(run)
    recipe = record.read_recipe(home, run_id)
    assert recipe.hyperparameters == Hyperparameters()
    assert "patient" in recipe.system_prompt


def test_runs_wait_for_the_one_before(database, launch, sleepers):
    first, second = launch(), launch()
    assert (status(database, first), status(database, second)) == (RunStatus.RUNNING, RunStatus.QUEUED)
    assert len(sleepers) == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"audience": "pirate"}, RecipeError),
        ({"base_model": "no such model"}, ModelError),
        ({"examples": [Example((Turn(Role.USER, "x"), Turn(Role.ASSISTANT, "word " * 301)))]}, DatasetError),
    ],
)
def test_a_bad_order_leaves_no_run(database, launch, sleepers, changes, error):
    with pytest.raises(error):
        launch(**changes)
    with database.reading() as session:
        assert runs.list_recent(session) == []
    assert sleepers == []


def test_a_run_whose_folder_cannot_be_written_is_not_recorded(database, home, launch):
    home.runs.rmdir()
    home.runs.write_text("in the way")
    with pytest.raises(RunError, match="can't be stored"):
        launch()
    with database.reading() as session:
        assert runs.list_recent(session) == []


def test_many_callers_start_a_queued_run_once(database, home, launch, sleepers):
    first, second = launch(), launch()
    with database.session() as session:
        runs.finish(session, first, RunStatus.SUCCEEDED)
    results = []
    callers = [
        threading.Thread(target=lambda: results.append(supervisor.start_queued(database, home)))
        for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [run for ids in results for run in ids] == [second]
    assert len(sleepers) == 2


def test_a_killed_process_makes_its_run_interrupted_and_moves_the_queue(database, home, launch, sleepers):
    first, second = launch(), launch()
    sleepers[0].kill()
    deadline = time.monotonic() + 10
    while not (ended := supervisor.reconcile(database, home)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ended == [first]
    with database.reading() as session:
        run = runs.get(session, first)
    assert run.failure == RunFailure.KILLED
    assert "ended from outside by SIGKILL" in run.error
    assert status(database, second) == RunStatus.RUNNING


def test_a_living_process_is_left_alone(database, home, launch):
    run_id = launch()
    assert supervisor.reconcile(database, home) == []
    assert status(database, run_id) == RunStatus.RUNNING


def test_a_reused_pid_does_not_count_as_alive(database, home, launch):
    run_id = launch()
    with database.session() as session:
        runs.set_process(session, run_id, os.getpid(), time.time() - 3600)
    assert supervisor.reconcile(database, home) == [run_id]


def test_a_change_of_the_clock_does_not_make_a_living_process_look_dead(database, home, launch, sleepers):
    run_id = launch()
    with database.session() as session:
        runs.set_process(session, run_id, sleepers[0].pid, time.time() - 3600)
    assert supervisor.reconcile(database, home) == []
    assert status(database, run_id) == RunStatus.RUNNING


def test_a_process_that_may_not_be_looked_at_is_not_ours(database, home, launch, monkeypatch):
    def refuse(self):
        raise psutil.AccessDenied(self.pid)

    run_id = launch()
    monkeypatch.setattr(psutil.Process, "create_time", refuse)
    assert supervisor.reconcile(database, home) == [run_id]


def test_the_recipe_given_is_the_one_frozen(home, launch):
    recipe = replace(find_recipe("patient"), system_prompt="As it was when the page was opened.")
    frozen = record.read_recipe(home, launch(recipe=recipe))
    assert frozen.system_prompt == "As it was when the page was opened."


def test_a_worker_that_cannot_be_started_fails_its_run(database, home, launch, monkeypatch):
    def refuse(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(supervisor, "_spawn", refuse)
    run_id = launch()
    with database.reading() as session:
        run = runs.get(session, run_id)
    assert (run.status, run.failure) == (RunStatus.FAILED, RunFailure.NOT_STARTED)
    assert "can't be started" in run.error


def test_cancelling_a_queued_run_ends_it_and_a_running_one_is_asked(database, home, launch):
    first, second = launch(), launch()
    assert supervisor.cancel(database, home, second).status == RunStatus.CANCELLED
    assert supervisor.cancel(database, home, first).cancel_requested
    assert status(database, first) == RunStatus.RUNNING


def fall_silent(database, run_id):
    with database.session() as session:
        runs.get(session, run_id).heartbeat_at = utc_now() - timedelta(seconds=supervisor.DEAF_SECONDS + 1)


def test_a_worker_that_does_not_hear_a_cancellation_is_ended(database, home, launch, sleepers):
    first, second = launch(), launch()
    assert supervisor.cancel(database, home, first).status == RunStatus.RUNNING  # it may still hear it
    fall_silent(database, first)
    assert supervisor.reconcile(database, home) == []
    sleepers[0].wait(10)
    assert status(database, first) == RunStatus.CANCELLED
    assert status(database, second) == RunStatus.RUNNING


def test_cancelling_a_worker_that_has_been_silent_for_long_ends_it_at_once(database, home, launch, sleepers):
    run_id = launch()
    fall_silent(database, run_id)
    assert supervisor.cancel(database, home, run_id).status == RunStatus.CANCELLED
    assert sleepers[0].wait(10) is not None


def test_a_worker_that_ignores_the_polite_signal_is_killed(database, home, launch, sleepers, monkeypatch):
    monkeypatch.setattr(supervisor, "TERMINATION_SECONDS", 0.2)
    monkeypatch.setattr(psutil.Process, "terminate", lambda _: None)
    run_id = launch()
    fall_silent(database, run_id)
    assert supervisor.cancel(database, home, run_id).status == RunStatus.CANCELLED
    assert sleepers[0].wait(10) is not None


def test_a_silent_worker_that_nobody_cancelled_is_left_alone(database, home, launch, sleepers):
    run_id = launch()
    fall_silent(database, run_id)
    assert supervisor.reconcile(database, home) == []
    assert sleepers[0].poll() is None


def test_a_cancelled_run_whose_process_is_gone_is_cancelled(database, home, launch, sleepers):
    run_id = launch()
    supervisor.cancel(database, home, run_id)
    sleepers[0].kill()
    sleepers[0].wait()
    assert supervisor.reconcile(database, home) == []
    assert status(database, run_id) == RunStatus.CANCELLED


def test_an_interrupted_run_goes_back_into_the_queue(database, home, launch):
    first, second = launch(), launch()
    with database.session() as session:
        runs.finish(session, first, RunStatus.INTERRUPTED, "gone")
    assert supervisor.resume(database, home, first).error is None
    assert status(database, first) == RunStatus.RUNNING  # it is older than the second
    assert status(database, second) == RunStatus.QUEUED


def test_a_failed_run_s_time_is_counted_up_to_its_failure(database, home, launch):
    run_id = launch()
    with database.session() as session:
        run = runs.get(session, run_id)
        run.started_at -= timedelta(hours=2)
        run.heartbeat_at -= timedelta(hours=1)  # a long step
        runs.finish(session, run_id, RunStatus.FAILED, "It went wrong.")
    resumed = supervisor.resume(database, home, run_id)
    assert resumed.error is None
    with database.reading() as session:
        assert runs.seconds_at_work(runs.get(session, run_id)) == pytest.approx(7200, abs=5)


def test_a_running_run_cannot_be_resumed(database, home, launch):
    with pytest.raises(RunError, match="is running"):
        supervisor.resume(database, home, launch())


def test_the_log_is_read_from_its_end(home):
    folder = home.runs / "abc123"
    folder.mkdir()
    assert record.read_log(home, "abc123") == ""
    (folder / "log.txt").write_text("".join(f"line {number}\n" for number in range(1000)))
    assert record.read_log(home, "abc123", tail=2) == "line 998\nline 999"


@pytest.mark.parametrize("run_id", ["../../etc", "", "ABC/..", "x" * 40])
def test_an_id_that_is_none_leads_nowhere(home, run_id):
    with pytest.raises(NotFound):
        record.read_log(home, run_id)


def test_a_damaged_recipe_is_refused(home):
    folder = home.runs / "abc123"
    folder.mkdir()
    (folder / "recipe.json").write_text("{")
    with pytest.raises(RunError, match="can't be read"):
        record.read_recipe(home, "abc123")


def test_as_many_runs_train_at_once_as_may(database, home, launch, sleepers):
    first, second, third = launch(at_once=2), launch(at_once=2), launch(at_once=2)
    assert [status(database, run) for run in (first, second, third)] == ["running", "running", "queued"]
    with database.session() as session:
        runs.finish(session, first, RunStatus.SUCCEEDED)
    results = []
    callers = [
        threading.Thread(target=lambda: results.append(supervisor.start_queued(database, home, 2)))
        for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [run for ids in results for run in ids] == [third]
    assert len(sleepers) == 3


def test_a_run_without_a_note_of_its_end_claims_nothing(database, home, launch, sleepers):
    run_id = launch()
    with database.session() as session:
        runs.set_process(session, run_id, 2**22 - 1, 1.0)  # another start's pid: nobody heard it end
    supervisor.reconcile(database, home)
    with database.reading() as session:
        run = runs.get(session, run_id)
    assert run.failure == RunFailure.INTERRUPTED
    assert "nobody saw how" in run.error


def test_a_retry_learns_from_the_same_set_with_other_settings(database, home, launch):
    recipe = replace(find_recipe("patient"), system_prompt="As it was.", max_explanation_length=77)
    first = launch(recipe=recipe)
    again = supervisor.retry(database, home, first, Hyperparameters(learning_rate=1e-5, probe_samples=1))
    with database.reading() as session:
        assert runs.get(session, again).snapshot_id == runs.get(session, first).snapshot_id
        assert runs.get(session, again).recipe["learning_rate"] == 1e-5
    frozen = record.read_recipe(home, again)
    assert (frozen.system_prompt, frozen.max_explanation_length) == ("As it was.", 77)
    assert frozen.probes == recipe.example_questions[:1]
    assert (home.runs / again / "snapshot.json").read_text() == (
        home.runs / first / "snapshot.json"
    ).read_text()


def test_a_retry_from_an_adapter_that_isn_t_there_is_refused_at_once(database, home, launch):
    with pytest.raises(AdapterError, match="there is no patient@9"):
        supervisor.retry(database, home, launch(), Hyperparameters(continue_from="patient@9"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_samples": 3}, "max_samples can't be changed"),
        ({"eval_fraction": 0.3}, "eval_fraction can't"),
        ({"objective": "kto"}, "objective can't be changed"),
    ],
)
def test_a_retry_can_t_ask_for_another_set(database, home, launch, changes, said):
    with pytest.raises(RecipeError, match=said):
        supervisor.retry(database, home, launch(), Hyperparameters(**changes))


@pytest.mark.parametrize(("cores", "at_once", "threads"), [(8, 1, 8), (8, 3, 2), (2, 4, 1)])
def test_runs_that_train_at_once_share_the_cores(monkeypatch, cores, at_once, threads):
    monkeypatch.setattr(supervisor, "count_cores", lambda: cores)
    assert supervisor.share_threads(at_once) == threads
