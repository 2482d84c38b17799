import pytest

from adapters.training.progress import Progress, RunCancelled
from db import runs, snapshots
from db.session import Database


@pytest.fixture
def run_id(database):
    with database.session() as session:
        snapshot = snapshots.add(session, sha256="5" * 64, path="x", rows=1, source="starter", manifest={})
        runs.create(session, "patient", "smollm2-135m", snapshot.id, {})
        return runs.claim_next(session).id


def test_stages_beats_and_points_are_recorded(database, run_id):
    progress = Progress(database, run_id)
    progress.stage("training", total_steps=20)
    progress.beat(step=3, epoch=0.5, tokens_per_second=200.0)
    progress.point(3, train_loss=2.5, learning_rate=1e-4)
    progress.point(3, eval_loss=2.4)
    with database.reading() as session:
        run = runs.get(session, run_id)
        assert (run.stage, run.total_steps, run.step, run.train_loss, run.eval_loss) == (
            "training",
            20,
            3,
            2.5,
            2.4,
        )
        assert [(point.train_loss, point.eval_loss) for point in runs.points(session, run_id)] == [
            (2.5, None),
            (None, 2.4),
        ]


def test_a_resumed_run_hears_how_the_base_model_did(database, run_id):
    progress = Progress(database, run_id)
    assert progress.rewind(0) is None
    progress.point(0, eval_loss=3.0)
    progress.point(4, train_loss=2.0)
    assert progress.rewind(2) == 3.0
    with database.reading() as session:
        assert [point.step for point in runs.points(session, run_id)] == [0]


@pytest.mark.parametrize(
    "tell", [lambda p: p.stage("x"), lambda p: p.beat(), lambda p: p.point(1, train_loss=1.0)]
)
def test_a_request_to_cancel_is_heard_wherever_progress_is_told(database, run_id, tell):
    with database.session() as session:
        runs.request_cancel(session, run_id)
    with pytest.raises(RunCancelled):
        tell(Progress(database, run_id))


def test_a_database_that_cannot_be_written_does_not_end_the_run(tmp_path, caplog):
    folder = tmp_path / "gone"
    Progress(Database.open(folder / "elara.sqlite3"), "abc").beat(step=1)
    assert "Progress not recorded" in caplog.text
