"""What a worker tells, where it is kept, and how it hears that it should stop."""

import pytest

from adapters.training.progress import Progress, RunCancelled
from adapters.training.record import Series
from db import run_points, run_queue, runs, snapshots
from db.session import Database


@pytest.fixture
def progress(database, run_id, tmp_path):
    return Progress(database, run_id, tmp_path)


@pytest.fixture
def run_id(database):
    with database.session() as session:
        snapshot = snapshots.add(session, sha256="5" * 64, path="x", rows=1, source="starter", manifest={})
        runs.create(session, "patient", "smollm2-135m", snapshot.id, {})
        return run_queue.claim_next(session).id


def test_stages_beats_and_points_are_recorded(database, run_id, progress):
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
        assert [(point.train_loss, point.eval_loss) for point in run_points.points(session, run_id)] == [
            (2.5, None),
            (None, 2.4),
        ]


def test_a_resumed_run_hears_how_the_base_model_did(database, run_id, progress):
    assert progress.rewind(0) is None
    progress.point(0, eval_loss=3.0)
    progress.point(4, train_loss=2.0)
    assert progress.rewind(2) == 3.0
    with database.reading() as session:
        assert [point.step for point in run_points.points(session, run_id)] == [0]


@pytest.mark.parametrize(
    "tell",
    [
        lambda p: p.stage("x"),
        lambda p: p.beat(),
        lambda p: p.point(1, train_loss=1.0),
        lambda p: p.sample(1, "Why?", "So."),
    ],
)
def test_a_request_to_cancel_is_heard_wherever_progress_is_told(database, run_id, progress, tell):
    with database.session() as session:
        runs.request_cancel(session, run_id)
    with pytest.raises(RunCancelled):
        tell(progress)


def test_a_database_that_cannot_be_written_does_not_end_the_run(tmp_path, caplog):
    folder = tmp_path / "gone"
    Progress(Database.open(folder / "elara.sqlite3"), "abc", tmp_path).beat(step=1)
    assert "Progress not recorded" in caplog.text


def test_dots_and_samples_are_lines_in_the_run_s_folder_too(progress, tmp_path):
    progress.point(1, train_loss=2.5, grad_norm=0.7, memory_bytes=5_000_000_000, epoch=0.5, eval_loss=None)
    progress.sample(1, "Why?", "So.")
    (dot,) = Series(tmp_path / "metrics.jsonl").read()
    (sample,) = Series(tmp_path / "samples.jsonl").read()
    assert dot.pop("time")
    assert dot == {
        "step": 1,
        "epoch": 0.5,
        "train_loss": 2.5,
        "grad_norm": 0.7,
        "memory_bytes": 5_000_000_000,
    }
    assert (sample["step"], sample["probe"], sample["text"]) == (1, "Why?", "So.")


def test_going_back_takes_later_lines_away_as_it_does_in_the_database(database, run_id, progress, tmp_path):
    for step in (0, 1, 2, 3):
        progress.point(step, train_loss=2.0)
        progress.sample(step, "Why?", "So.")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "train_lo')  # killed while writing
    progress.rewind(2)
    progress.point(3, train_loss=1.0)
    assert [line["step"] for line in Series(tmp_path / "metrics.jsonl").read()] == [0, 1, 2, 3]
    assert [line["step"] for line in Series(tmp_path / "samples.jsonl").read()] == [0, 1, 2]
    with database.reading() as session:
        assert [point.step for point in run_points.points(session, run_id)] == [0, 1, 2, 3]
        assert [sample.step for sample in run_points.samples(session, run_id)] == [0, 1, 2]


def test_what_comes_again_at_the_checkpoint_is_there_once(progress, tmp_path):
    def tell(step):
        progress.point(step, train_loss=2.0)
        progress.point(step, eval_loss=3.0)
        progress.sample(step, "Why?", "So.")

    def told():
        series = (Series(tmp_path / name).read() for name in ("metrics.jsonl", "samples.jsonl"))
        return [[line["step"] for line in lines] for lines in series]

    progress.point(0, eval_loss=3.0)
    progress.sample(0, "Why?", "So.")
    progress.rewind(0)  # there was no checkpoint yet
    progress.sample(0, "Why?", "So.")
    tell(4)
    assert told() == [[0, 4, 4], [0, 4]]
    progress.rewind(4)
    assert told() == [[0, 4, 4], [0, 4]]
    progress.rewind(4, measured=False)
    assert told() == [[0, 4], [0]]


def test_a_line_that_can_t_be_written_does_not_end_the_run(database, run_id, tmp_path, caplog):
    Progress(database, run_id, tmp_path / "gone").point(1, train_loss=2.0)
    assert "Not written to metrics.jsonl" in caplog.text
    with database.reading() as session:
        assert len(run_points.points(session, run_id)) == 1


def test_a_line_that_was_torn_costs_itself_alone(tmp_path):
    series = Series(tmp_path / "samples.jsonl")
    series.add(0, answer="Drink\u2028water, and rest — well.")
    with series.path.open("ab") as file:
        file.write('{"step": 1, "answer": "\u2014"'.encode()[:-2])  # within a character
    series.add(2, answer="Rest.")
    assert [(line["step"], line["answer"]) for line in series.read()] == [
        (0, "Drink\u2028water, and rest — well."),
        (2, "Rest."),
    ]
    series.rewind(0)
    assert [line["step"] for line in series.read()] == [0]
