"""Runs: one at a time, one ending each, and figures that survive."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from factories import add_run, add_snapshot

from db import adapters, run_points, run_queue, runs, snapshots
from db.errors import Conflict, NotFound
from db.session import Database
from db.vocabulary import RunStatus

ROOT = Path(__file__).parents[3]

CLAIM = """
import sys
from pathlib import Path
from db import run_points, run_queue, runs
from db.session import Database

with Database.open(Path(sys.argv[1])).session() as session:
    claimed = run_queue.claim_next(session)
    print(claimed.id if claimed else "nothing")
"""


@pytest.fixture
def session(database: Database):
    """A writing session."""
    with database.session() as session:
        yield session


def test_a_new_run_waits_in_the_queue(session):
    run = runs.create(session, "patient", "smollm2-135m", add_snapshot(session).id, {"lora_r": 8})
    assert (run.status, run.stage, run.step, run.cancel_requested) == ("queued", "waiting", 0, False)
    assert runs.get(session, run.id) is run


def test_a_missing_run_is_named(session):
    with pytest.raises(NotFound, match="gone"):
        runs.get(session, "gone")


@pytest.mark.parametrize(
    "act",
    [
        lambda session: runs.beat(session, "gone"),
        lambda session: run_points.record_point(session, "gone", 1),
        lambda session: runs.set_stage(session, "gone", "training"),
        lambda session: run_points.rewind(session, "gone", 0),
        lambda session: runs.finish(session, "gone", RunStatus.FAILED),
        lambda session: runs.request_cancel(session, "gone"),
        lambda session: runs.cancel_requested(session, "gone"),
    ],
)
def test_writing_to_a_missing_run_is_refused(session, act):
    with pytest.raises(NotFound, match="gone"):
        act(session)


def test_the_newest_runs_are_listed_first(session):
    old, new = add_run(session), add_run(session)
    assert runs.list_recent(session) == [new, old]
    for run in (old, new):
        runs.finish(session, run.id, RunStatus.CANCELLED)
    assert runs.list_recent(session, limit=1) == [new]


def test_what_has_not_ended_is_listed_however_old_it_is(session):
    waiting = add_run(session)
    newer = [add_run(session) for _ in range(3)]
    for run in newer:
        runs.finish(session, run.id, RunStatus.CANCELLED)
    assert runs.list_recent(session, limit=1) == [newer[-1], waiting]


def test_the_oldest_queued_run_is_claimed_and_only_one_at_a_time(session):
    first, second = add_run(session), add_run(session)
    assert run_queue.claim_next(session) is first
    assert first.status == RunStatus.RUNNING
    assert first.started_at is not None
    assert runs.running(session) == [first]
    assert run_queue.claim_next(session) is None
    runs.finish(session, first.id, RunStatus.SUCCEEDED, adapter="patient@1")
    assert run_queue.claim_next(session) is second


def test_as_many_are_claimed_as_may_run(session):
    first, second, third = (add_run(session) for _ in range(3))
    assert run_queue.claim_next(session, at_once=2) is first
    assert run_queue.claim_next(session, at_once=2) is second
    assert run_queue.claim_next(session, at_once=2) is None
    runs.finish(session, first.id, RunStatus.FAILED)
    assert run_queue.claim_next(session, at_once=2) is third


def make_queue(session, count=4):
    snapshot = add_snapshot(session)
    return [runs.create(session, "patient", "smollm2-135m", snapshot.id, {}) for _ in range(count)]


@pytest.mark.parametrize(
    ("moved", "where", "order"),
    [
        (2, "up", [0, 2, 1, 3]),
        (0, "up", [0, 1, 2, 3]),
        (1, "down", [0, 2, 1, 3]),
        (3, "down", [0, 1, 2, 3]),
        (3, "first", [3, 0, 1, 2]),
    ],
)
def test_the_queue_can_be_arranged(session, moved, where, order):
    queue = make_queue(session)
    run_queue.move(session, queue[moved].id, run_queue.Move(where))
    assert run_queue.waiting(session) == [queue[place] for place in order]
    assert run_queue.claim_next(session) is queue[order[0]]


def test_runs_that_share_a_place_can_be_arranged_too(session):
    queue = [add_run(session) for _ in range(3)]  # all at place 0, by age
    run_queue.move(session, queue[2].id, run_queue.Move.UP)
    assert run_queue.waiting(session) == [queue[0], queue[2], queue[1]]


def test_a_new_run_is_last_after_any_arranging(session):
    queue = make_queue(session, 2)
    run_queue.move(session, queue[1].id, run_queue.Move.FIRST)
    (new,) = make_queue(session, 1)
    assert run_queue.waiting(session) == [queue[1], queue[0], new]


def test_what_does_not_wait_has_no_place(session):
    run = add_run(session)
    run_queue.claim_next(session)
    with pytest.raises(Conflict, match="is running"):
        run_queue.move(session, run.id, run_queue.Move.UP)


def test_a_removed_run_takes_its_dots_along_and_leaves_the_snapshot(session):
    run, other = add_run(session), add_run(session)
    run_points.record_point(session, run.id, 1, train_loss=2.0)
    run_points.record_sample(session, run.id, 1, "Why?", "So.")
    runs.remove(session, run.id)
    assert runs.list_recent(session) == [other]
    assert run_points.points(session, run.id) == []
    assert run_points.samples(session, run.id) == []
    assert snapshots.get(session, other.snapshot_id)


def test_a_run_that_trains_or_made_an_adapter_is_not_removed(session):
    run = add_run(session)
    run_queue.claim_next(session)
    with pytest.raises(Conflict, match="cancel it"):
        runs.remove(session, run.id)
    runs.finish(session, run.id, RunStatus.SUCCEEDED, adapter="patient@1")
    adapters.add(
        session,
        audience="patient",
        version=1,
        base_model="m",
        run_id=run.id,
        path="x",
        sha256="0",
        metrics={},
    )
    with pytest.raises(Conflict, match="made patient@1"):
        runs.remove(session, run.id)


def test_an_empty_queue_gives_nothing_to_claim(session):
    assert run_queue.claim_next(session) is None


def test_of_several_processes_one_claims(home, database):
    with database.session() as session:
        run_ids = {add_run(session).id for _ in range(3)}
    claims = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(home.database)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    claimed = [claim.communicate(timeout=60)[0].strip() for claim in claims]
    assert claimed.count("nothing") == 3
    assert len(run_ids & set(claimed)) == 1


def test_of_several_processes_no_more_claim_than_may(home, database):
    with database.session() as session:
        for _ in range(3):
            add_run(session)
    two = CLAIM.replace("claim_next(session)", "claim_next(session, 2)")
    claims = [
        subprocess.Popen(
            [sys.executable, "-c", two, str(home.database)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    claimed = [claim.communicate(timeout=60)[0].strip() for claim in claims]
    assert claimed.count("nothing") == 2
    assert len(set(claimed)) == 3


def test_what_the_worker_writes_is_what_the_page_reads(database):
    with database.session() as session:
        run = add_run(session)
        run_queue.claim_next(session)
        runs.set_process(session, run.id, 4321, 1_700_000_000.5)
        runs.set_stage(session, run.id, "training", total_steps=10)
        run_points.record_point(
            session, run.id, 1, train_loss=2.5, learning_rate=2e-4, tokens_per_second=200.0
        )
        run_points.record_point(session, run.id, 2, eval_loss=2.4, epoch=0.2)
        run_points.record_point(
            session, run.id, 2, grad_norm=0.5, padded_tokens_per_second=250.0, memory_bytes=2**33
        )
        runs.beat(session, run.id, step=3)
    with database.reading() as session:
        read = runs.get(session, run.id)
        dots = run_points.points(session, run.id)
    assert (read.pid, read.pid_started_at, read.stage, read.total_steps) == (
        4321,
        1_700_000_000.5,
        "training",
        10,
    )
    assert (read.step, read.train_loss, read.eval_loss, read.tokens_per_second) == (3, 2.5, 2.4, 200.0)
    assert read.epoch == 0.2
    assert read.heartbeat_at >= read.started_at
    assert [(dot.step, dot.train_loss, dot.eval_loss) for dot in dots] == [
        (1, 2.5, None),
        (2, None, 2.4),
        (2, None, None),
    ]
    assert (dots[2].grad_norm, dots[2].padded_tokens_per_second, dots[2].memory_bytes) == (0.5, 250.0, 2**33)


def test_going_back_to_a_checkpoint_takes_later_dots_away(session):
    run, other = add_run(session), add_run(session)
    run_points.record_point(session, run.id, 0, eval_loss=3.0)
    for step in (5, 10, 15):
        for each in (run, other):
            run_points.record_point(session, each.id, step, train_loss=2.0)
    run_points.rewind(session, run.id, 10)
    assert (run.step, run.eval_loss) == (10, 3.0)  # what is shown is of what remains
    assert [dot.step for dot in run_points.points(session, run.id)] == [0, 5, 10]
    assert [dot.step for dot in run_points.points(session, other.id)] == [5, 10, 15]
    assert run_points.eval_loss_at(session, run.id, step=0) == 3.0
    assert run_points.eval_loss_at(session, run.id, step=5) is None


def test_answers_to_the_fixed_questions_go_back_to_the_checkpoint_too(session):
    run = add_run(session)
    for step in (0, 5, 10):
        run_points.record_sample(session, run.id, step, "What is asthma?", f"It is {step}.")
    run_points.rewind(session, run.id, 5)
    run_points.record_sample(session, run.id, 5, "What is asthma?", "It is 5 again.")
    told = [(sample.step, sample.text) for sample in run_points.samples(session, run.id)]
    assert told == [(0, "It is 0."), (5, "It is 5 again.")]  # a step is answered once


def test_only_the_time_in_which_a_run_works_is_counted(session):
    run = add_run(session)
    assert runs.seconds_at_work(run) is None
    run_queue.claim_next(session)
    hour = timedelta(hours=1)
    run.started_at -= 3 * hour
    run.heartbeat_at -= hour  # it worked for two hours and then died
    runs.finish(session, run.id, RunStatus.INTERRUPTED)  # found an hour later
    worked = pytest.approx(7200, abs=5)
    assert runs.seconds_at_work(run) == worked
    run.status = RunStatus.QUEUED
    session.flush()
    assert runs.seconds_at_work(run) == worked
    assert run_queue.claim_next(session) is run
    assert runs.seconds_at_work(run) == worked
    run.started_at -= hour
    assert runs.seconds_at_work(run) == pytest.approx(10800, abs=5)
    runs.finish(session, run.id, RunStatus.SUCCEEDED)
    assert runs.seconds_at_work(run) == pytest.approx(10800, abs=5)


def test_the_measurement_at_a_checkpoint_goes_where_it_comes_again(session):
    run = add_run(session)
    for step in (0, 5):
        if step:
            run_points.record_point(session, run.id, step, train_loss=2.0)
        run_points.record_point(session, run.id, step, eval_loss=3.0)
        run_points.record_sample(session, run.id, step, "What is asthma?", "A disease.")
    run_points.rewind(session, run.id, 5, measured=False)
    assert [(dot.step, dot.eval_loss) for dot in run_points.points(session, run.id)] == [(0, 3.0), (5, None)]
    assert [sample.step for sample in run_points.samples(session, run.id)] == [0]
    run_points.rewind(session, run.id, 0)  # the base model is asked anew, but not measured
    assert [(dot.step, dot.eval_loss) for dot in run_points.points(session, run.id)] == [(0, 3.0)]
    assert run_points.samples(session, run.id) == []


def test_the_first_ending_stands(session):
    run = add_run(session)
    run_queue.claim_next(session)
    assert runs.finish(session, run.id, RunStatus.INTERRUPTED, error="Its process vanished.")
    assert not runs.finish(session, run.id, RunStatus.SUCCEEDED, adapter="patient@1")
    assert (run.status, run.error, run.adapter) == ("interrupted", "Its process vanished.", None)
    assert run.finished_at is not None


def test_a_run_can_not_end_as_running(session):
    run = add_run(session)
    with pytest.raises(ValueError, match="running"):
        runs.finish(session, run.id, RunStatus.RUNNING)


def test_cancelling_a_queued_run_ends_it_at_once(session):
    run = add_run(session)
    assert runs.request_cancel(session, run.id).status == RunStatus.CANCELLED
    assert run.finished_at is not None
    assert run_queue.claim_next(session) is None


def test_cancelling_a_running_run_asks_its_worker(session):
    run = add_run(session)
    run_queue.claim_next(session)
    assert not runs.cancel_requested(session, run.id)
    assert runs.request_cancel(session, run.id).status == RunStatus.RUNNING
    assert runs.cancel_requested(session, run.id)


def test_cancelling_an_ended_run_changes_nothing(session):
    run = add_run(session)
    runs.finish(session, run.id, RunStatus.SUCCEEDED)
    assert runs.request_cancel(session, run.id).status == RunStatus.SUCCEEDED
    assert not runs.cancel_requested(session, run.id)


def test_the_same_bytes_are_one_snapshot(session):
    first = add_snapshot(session, "a" * 64)
    assert add_snapshot(session, "a" * 64) is first
    assert add_snapshot(session, "b" * 64) is not first
    assert snapshots.get(session, first.id) is first


def test_a_missing_snapshot_is_named(session):
    with pytest.raises(NotFound, match="gone"):
        snapshots.get(session, "gone")
