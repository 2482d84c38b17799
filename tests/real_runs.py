"""Runs in real processes, watched as the page does: by what the database says."""

import time
from collections.abc import Callable

import pytest

from adapters.training import record
from db import runs
from db.home import Home
from db.models import Run
from db.session import Database
from db.vocabulary import RunStatus


def ended(run: Run) -> bool:
    """Whether a run is over, however."""
    return RunStatus(run.status).ended


def wait(
    database: Database, home: Home, run_id: str, until: Callable[[Run], bool], seconds: float = 120
) -> Run:
    """Poll until the run is as wanted; it fails with the run's log when that won't come."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        with database.reading() as session:
            run = runs.get(session, run_id)
        if until(run):
            return run
        if ended(run):
            break
        time.sleep(0.05)
    pytest.fail(f"{run.status} {run.stage} {run.step} {run.error}\n{record.read_log(home, run_id)}")
