"""The app's own thread: it moves the queue on and deletes what is old, and ends when told to."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from factories import add_run
from retention_factory import talk

from adapters.training import supervisor
from db import run_queue
from db import runs as run_store
from db.home import Home
from db.session import Database
from db.vocabulary import RunStatus
from elara_ui.errors import StorageError
from elara_ui.services.retention import RetentionService
from elara_ui.services.runs import RunService
from elara_ui.services.upkeep import Upkeep

GONE = 2**22 + 1  # above any process id


@pytest.fixture
def make(database: Database, home: Home) -> Iterator[Callable[..., Upkeep]]:
    made: list[Upkeep] = []

    def build(days: int = 0) -> Upkeep:
        runs = RunService(database, home, 1, {})
        upkeep = Upkeep(runs, RetentionService(database, home, days), reconcile_seconds=0.02)
        made.append(upkeep)
        return upkeep

    yield build
    for upkeep in made:
        upkeep.close()


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_a_killed_worker_does_not_hold_the_queue_up_though_nobody_looks(
    database: Database, make: Callable[..., Upkeep], monkeypatch: pytest.MonkeyPatch
):
    started: list[int] = []
    monkeypatch.setattr(supervisor, "start_queued", lambda *_: started.append(1) or [])
    with database.session() as session:
        run = add_run(session).id
        assert run_queue.claim_next(session) is not None
        run_store.set_process(session, run, GONE, 1.0)
    make().start()

    def interrupted() -> bool:
        with database.reading() as session:
            return run_store.get(session, run).status == RunStatus.INTERRUPTED

    until(interrupted)
    until(lambda: bool(started))


def test_old_conversations_are_deleted_by_themselves(database: Database, make: Callable[..., Upkeep]):
    talk(database, "fever", 31)
    upkeep = make(days=30)
    upkeep.start()
    until(lambda: bool(upkeep._retention.reports()))


def test_a_failure_is_logged_and_the_next_time_comes(
    make: Callable[..., Upkeep], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    upkeep, calls = make(), []

    def fail() -> None:
        calls.append(1)
        raise StorageError("The disk is full.") if len(calls) == 1 else ZeroDivisionError

    monkeypatch.setattr(upkeep._runs, "reconcile", fail)
    upkeep.start()
    until(lambda: len(calls) > 2)
    assert "The disk is full." in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_it_ends_at_once_and_can_begin_only_once(make: Callable[..., Upkeep]):
    upkeep = make()
    upkeep._reconcile_seconds = 60
    upkeep.start()
    upkeep.start()
    assert [thread.name for thread in threading.enumerate()].count("upkeep") == 1
    began = time.monotonic()
    upkeep.close()
    assert time.monotonic() - began < 5
    assert "upkeep" not in [thread.name for thread in threading.enumerate()]
