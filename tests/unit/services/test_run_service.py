"""Runs as a person sees and arranges them."""

import subprocess
import sys
from dataclasses import asdict

import pytest

from adapters.engines.base import Turn
from adapters.recipe import Hyperparameters
from adapters.training import supervisor
from adapters.training.examples import Example
from db import run_points
from db import runs as run_store
from db.errors import Conflict, NotFound
from db.vocabulary import Role, RunFailure, RunStatus
from elara_ui.errors import InvalidInput, RecipeError
from elara_ui.services import Services

EXAMPLES = [
    Example((Turn(Role.USER, f"Question {number}?"), Turn(Role.ASSISTANT, f"Answer {number}.")))
    for number in range(12)
]


@pytest.fixture
def launch(services: Services, home, monkeypatch):
    """Launches runs whose processes only sleep."""
    started = []

    def sleep(_home, run_id, _at_once):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", run_id])
        started.append(process)
        return process

    def launch(**settings):
        return supervisor.launch(
            services.database,
            home,
            audience="patient",
            base_model="smollm2-135m",
            hyperparameters=Hyperparameters(**settings),
            examples=EXAMPLES,
            source="starter",
        )

    monkeypatch.setattr(supervisor, "_spawn", sleep)
    yield launch
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def fail(services: Services):
    def fail(run_id, failure, step=1):
        with services.database.session() as session:
            run_store.beat(session, run_id, step=step)
            run_store.finish(session, run_id, RunStatus.FAILED, "It went wrong.", failure=failure)

    return fail


def test_a_failed_run_offers_remedies_and_shows_its_last_words(services, home, launch, fail):
    run_id = launch(batch_size=4)
    (home.runs / run_id / "log.txt").write_text("one\n" * 50 + "Killed.\n")
    fail(run_id, RunFailure.OUT_OF_MEMORY)
    run = services.runs.show(run_id)
    assert run.failure is RunFailure.OUT_OF_MEMORY
    assert {"batch_size": 2, "gradient_accumulation_steps": 2} in [each.values for each in run.remedies]
    assert {"target_modules": "q_proj,k_proj"} in [each.values for each in run.remedies]
    assert run.log_tail.endswith("Killed.")
    assert run.log_tail.count("\n") == 11
    assert run.resumable


@pytest.mark.parametrize("number", range(5))
def test_each_remedy_launches_a_run_on_the_same_set(services, launch, fail, number):
    run_id = launch(batch_size=4)
    fail(run_id, RunFailure.OUT_OF_MEMORY)
    before = services.runs.show(run_id)
    after = services.runs.retry(run_id, before.remedies[number].values)
    assert after.status is RunStatus.RUNNING
    assert after.snapshot == before.snapshot
    assert {row.name for row in services.runs.compare([run_id, after.run_id]).differences} == set(
        before.remedies[number].values
    )


def test_a_running_run_can_be_stopped_and_repeated_with_other_settings(services, launch):
    run_id = launch()
    again = services.runs.retry(run_id, {"learning_rate": "1e-5"}, stop=True)
    assert again.status is RunStatus.QUEUED
    with services.database.reading() as session:
        assert run_store.get(session, run_id).cancel_requested


@pytest.mark.parametrize("values", [{"lora_r": 0}, {"no_such": 1}, {"max_samples": 2}])
def test_a_retry_with_a_bad_value_launches_nothing(services, launch, values):
    run_id = launch()
    with pytest.raises(RecipeError):
        services.runs.retry(run_id, values, stop=True)
    assert [run.run_id for run in services.runs.recent()] == [run_id]
    with services.database.reading() as session:
        assert not run_store.get(session, run_id).cancel_requested


def test_the_curves_of_a_running_run_bring_advice(services, launch):
    run_id = launch()
    with services.database.session() as session:
        run_store.set_stage(session, run_id, "training", total_steps=40)
        for step in range(1, 31):
            run_points.record_point(session, run_id, step, train_loss=2.5)
    (advice,) = services.runs.show(run_id).advice
    assert advice.sign == "flat"
    assert advice.remedies[0].values == {"learning_rate": 4e-4}


def test_the_queue_is_arranged(services, launch):
    first, second, third = launch(), launch(), launch()
    assert services.runs.show(first).place is None
    services.runs.move(third, "up")
    assert {run.run_id: run.place for run in services.runs.recent()} == {first: None, third: 1, second: 2}
    with pytest.raises(InvalidInput, match="up, down, first"):
        services.runs.move(third, "sideways")
    with pytest.raises(Conflict):
        services.runs.move(first, "up")


def test_removing_takes_the_folder_and_keeps_the_set(services, home, launch):
    first, second = launch(), launch()
    stored = set(home.snapshots.iterdir())
    services.runs.remove(second)
    assert not (home.runs / second).exists()
    assert set(home.snapshots.iterdir()) == stored
    with pytest.raises(NotFound):
        services.runs.show(second)
    with pytest.raises(Conflict, match="cancel it"):
        services.runs.remove(first)
    assert (home.runs / first).exists()


def test_a_comparison_shows_only_what_differs(services, launch):
    first, second = launch(), launch(lora_r=8, target_modules=("q_proj",))
    with services.database.session() as session:
        run_points.record_point(session, first, 0, eval_loss=3.0)
        run_points.record_point(session, first, 1, train_loss=2.0, memory_bytes=5)
        run_points.record_point(session, first, 1, eval_loss=2.5)
    comparison = services.runs.compare([first, second])
    assert {row.name: row.values for row in comparison.differences} == {
        "lora_r": ("16", "8"),
        "target_modules": ("by architecture", "q_proj"),
    }
    shown = comparison.runs[0]
    assert (shown.base_loss, shown.best_loss, shown.peak_memory) == (3.0, 2.5, 5)
    assert shown.last("train_loss") == 2.0
    assert asdict(comparison)["runs"][0]["run_id"] == first


@pytest.mark.parametrize("count", [0, 1, 9])
def test_too_few_or_too_many_are_not_compared(services, count):
    with pytest.raises(InvalidInput, match="From 2 to 8"):
        services.runs.compare([f"{number:x}" for number in range(count)])


def test_several_runs_train_at_once_where_the_settings_say_so(home, engine, launch):
    from elara_ui.services import build_services
    from elara_ui.settings import Settings

    launch(), launch()
    several = build_services(Settings.read(home=home.root, max_runs=2), engine_factory=lambda *_: engine)
    several.runs.reconcile()
    assert [run.status for run in several.runs.recent()] == ["running", "running"]
    several.close()
