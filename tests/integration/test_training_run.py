"""Real runs in real processes: on a tiny model for their life, on the embedded one for what they make."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from real_runs import ended, wait
from safetensors.numpy import load_file

sys.path.append(str(Path(__file__).parents[1] / "unit" / "training"))

from engine_threads import BESIDE_OTHERS

from adapters import embedded, registry
from adapters.engines.base import Turn
from adapters.recipe import Hyperparameters, find_recipe, override
from adapters.training import record, supervisor
from adapters.training.examples import Example, read_examples
from db import adapters, run_points, runs
from db.vocabulary import AdapterStatus, Role, RunFailure, RunStatus

pytestmark = pytest.mark.slow

STARTER = Path(__file__).parents[2] / "adapters" / "starter"
ENDLESS = override(
    Hyperparameters(),
    {"num_epochs": 100, "batch_size": 1, "save_steps": 10, "logging_steps": 1, "eval_fraction": 0},
)
BRIEF = override(ENDLESS, {"max_steps": 3, "save_steps": 100})


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory):
    from tiny_models import save_tiny_llama

    return str(save_tiny_llama(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def launch(database, home, tiny_base):
    """Launch runs on the tiny base; whatever still works afterwards is killed."""

    def launch(hyperparameters, base_model=tiny_base, audience="emergency", examples=None):
        examples = examples or read_examples(STARTER / f"{audience}.jsonl")[:12]
        return supervisor.launch(
            database,
            home,
            audience=audience,
            base_model=base_model,
            hyperparameters=hyperparameters,
            examples=examples,
            source="starter",
        )

    yield launch
    with database.session() as session:
        for run in runs.list_recent(session):
            runs.request_cancel(session, run.id)
        for run in runs.running(session):
            if supervisor.is_alive(run):
                os.kill(run.pid, signal.SIGKILL)


def test_a_run_ends_with_a_registered_adapter_and_starts_the_next(database, home, launch):
    first, second = launch(BRIEF), launch(BRIEF)
    with database.reading() as session:
        assert runs.get(session, second).status == RunStatus.QUEUED
    assert wait(database, home, first, ended).adapter == "emergency@1"
    assert wait(database, home, second, ended).adapter == "emergency@2"  # nobody polled `start_queued` for it
    with database.reading() as session:
        assert [point.step for point in run_points.points(session, first)] == [1, 2, 3]
        metrics, snapshot = adapters.get(session, "emergency@1").metrics, runs.get(session, first).snapshot
        assert metrics["train_rows"] + metrics["held_out_rows"] + metrics["left_out_rows"] == snapshot.rows
        for name in ("emergency@1", "emergency@2"):
            registry.verify(registry.folder(home, adapters.get(session, name)))
        made = [adapters.get(session, name).sha256 for name in ("emergency@1", "emergency@2")]
        assert made[0] == made[1]  # the same set, recipe and base make the same weights
    folder = home.runs / first
    assert not (folder / "checkpoints").exists()
    assert [line["step"] for line in record.Series(folder / "metrics.jsonl").read()] == [1, 2, 3]
    assert json.loads((folder / "snapshot.json").read_text())["sha256"] == snapshot.sha256
    (attempt,) = json.loads((folder / "environment.json").read_text())["attempts"]
    assert attempt["packages"]["torch"]
    assert attempt["threads"] > 0
    assert (len(attempt["base_sha256"]), attempt["base_revision"]) == (64, "")


def test_cancelling_leaves_no_adapter(database, home, launch):
    run_id = launch(ENDLESS)
    wait(database, home, run_id, lambda run: run.step > 2)
    supervisor.cancel(database, home, run_id)
    run = wait(database, home, run_id, ended, seconds=20)
    assert (run.status, run.adapter, run.error) == (RunStatus.CANCELLED, None, None)
    with database.reading() as session:
        assert adapters.list_all(session) == []
    assert list(home.adapters.iterdir()) == []


def test_a_killed_worker_is_found_and_its_run_goes_on_from_the_checkpoint(database, home, launch):
    run_id = launch(ENDLESS)
    run = wait(database, home, run_id, lambda run: run.step > 12)
    os.kill(run.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not supervisor.reconcile(database, home) and time.monotonic() < deadline:
        time.sleep(0.05)
    with database.reading() as session:
        run = runs.get(session, run_id)
    assert run.status == RunStatus.INTERRUPTED
    assert run.failure == RunFailure.KILLED
    assert "ended from outside by SIGKILL" in run.error
    supervisor.resume(database, home, run_id)
    wait(database, home, run_id, lambda run: run.step > 30)
    with database.reading() as session:
        steps = [point.step for point in run_points.points(session, run_id)]
    assert steps == list(range(1, steps[-1] + 1))  # each dot once
    assert record.read_log(home, run_id, tail=10_000).count(" step 5:") == 1  # not from the start


def test_preferences_learned_with_a_break_are_those_learned_without(database, home, launch):
    values = {"objective": "dpo", "num_epochs": 4, "save_steps": 10, "eval_fraction": 0.2}  # 32 steps
    settings = override(ENDLESS, values | {"probe_samples": 0, "learning_rate": 2e-3})
    examples = [
        Example(
            (Turn(Role.USER, f"What is {number}?"), Turn(Role.ASSISTANT, "one " * (number + 1))),
            rejected="No.",
        )
        for number in range(10)
    ]
    broken, whole = (launch(settings, examples=examples) for _ in range(2))
    run = wait(database, home, broken, lambda run: run.step > 11)
    os.kill(run.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not supervisor.reconcile(database, home) and time.monotonic() < deadline:
        time.sleep(0.02)
    supervisor.resume(database, home, broken)  # it waits for the whole one
    runs_ended = [wait(database, home, run_id, ended) for run_id in (whole, broken)]
    assert [run.adapter for run in runs_ended] == ["emergency@1", "emergency@2"]
    with database.reading() as session:
        curves = [
            [(dot.step, dot.train_loss, dot.eval_loss) for dot in run_points.points(session, run_id)]
            for run_id in (whole, broken)
        ]
        first, second = (adapters.get(session, run.adapter).metrics for run in runs_ended)
    assert curves[1] == [(step, close(train), close(held_out)) for step, train, held_out in curves[0]]
    assert record.read_log(home, broken, tail=10_000).count(" step 5: train_loss") == 1  # not from the start
    for name in ("train_loss", "train_tokens", "eval_loss_after", "eval_reward_margin"):
        assert second[name] == close(first[name])


def close(figure):
    return figure if figure is None else pytest.approx(figure, rel=1e-4)


def test_a_worker_survives_the_end_of_what_started_it(database, home, launch):
    run_id = launch(ENDLESS)
    run = wait(database, home, run_id, lambda run: run.step > 0)
    assert os.getsid(run.pid) == run.pid  # a session of its own: no terminal and no parent takes it along


@pytest.mark.parametrize(
    ("objective", "figures"),
    [("dpo", {"eval_reward_accuracy", "eval_reward_margin"}), ("kto", {"eval_reward_margin"})],
)
def test_preferences_in_a_file_become_an_adapter_that_tells_answers_apart(
    database, home, launch, tmp_path, objective, figures
):
    file = tmp_path / "pairs.jsonl"
    starter = [(item.question, item.answer) for item in read_examples(STARTER / "emergency.jsonl")[:12]]
    rows = [{"prompt": prompt, "chosen": good[:80], "rejected": "Wait and see."} for prompt, good in starter]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    values = {"objective": objective, "num_epochs": 1, "batch_size": 2, "eval_fraction": 0.2, "max_steps": 0}
    settings = override(BRIEF, values | {"learning_rate": 5e-3, "scheduler": "constant"})
    run_id = launch(settings, examples=read_examples(file))
    assert wait(database, home, run_id, ended).adapter == "emergency@1"
    with database.reading() as session:
        adapter, snapshot = adapters.get(session, "emergency@1"), runs.get(session, run_id).snapshot
        folder, stored = registry.folder(home, adapter), home.root / snapshot.path
    answers = 2 if objective == "kto" else 1
    counted = [adapter.metrics[name] for name in ("train_rows", "held_out_rows", "left_out_rows")]
    assert (snapshot.rows, sum(counted)) == (12, 12 * answers)
    assert figures <= set(adapter.metrics)
    assert adapter.metrics["eval_reward_margin"] > 0
    assert registry.verify(folder).provenance.recipe["hyperparameters"]["objective"] == objective
    assert not (folder / "ref").exists()
    assert stored.read_text().count('"rejected":"Wait and see."') == 12
    with database.reading() as session:
        dots = run_points.points(session, run_id)
    measured = [dot.eval_reward_margin for dot in dots if dot.eval_reward_margin is not None]
    assert measured[-1] == pytest.approx(adapter.metrics["eval_reward_margin"])


def test_wrong_target_modules_fail_with_a_clear_sentence_and_a_traceback_in_the_log_only(
    database, home, launch
):
    run_id = launch(override(BRIEF, {"target_modules": "c_attn"}))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with database.reading() as session:
            run = runs.get(session, run_id)
        if ended(run):
            break
        time.sleep(0.1)
    assert run.status == RunStatus.FAILED
    assert "it has no c_attn" in run.error
    assert "Traceback" not in run.error
    assert "Traceback" in record.read_log(home, run_id)


def test_a_run_continues_from_an_adapter_and_names_it_in_its_manifest(database, home, launch):
    wait(database, home, launch(override(BRIEF, {"lora_r": 4})), ended)
    usual = find_recipe("emergency").hyperparameters
    run_id = launch(override(usual, {"continue_from": "emergency@1", "max_steps": 3, "eval_fraction": 0.2}))
    assert wait(database, home, run_id, ended).adapter == "emergency@2"
    with database.reading() as session:
        parent, child = (adapters.get(session, f"emergency@{number}") for number in (1, 2))
        recipe = registry.verify(registry.folder(home, child)).provenance.recipe
    assert recipe["hyperparameters"]["continue_from"] == "emergency@1"
    assert recipe["hyperparameters"]["lora_r"] == 4
    assert recipe["parent_sha256"] == parent.sha256
    assert "measuring what is continued from" in record.read_log(home, run_id)


def test_the_embedded_model_learns_and_its_adapter_changes_the_answer(
    database, home, launch, embedded_gguf, embedded_hf
):
    for source in (embedded_gguf, embedded_hf):
        (home.models / source.name).symlink_to(source)
    settings = override(
        find_recipe("patient").hyperparameters,
        {"max_steps": 4, "learning_rate": 2e-3, "gradient_accumulation_steps": 1, "probe_samples": 0},
    )
    run_id = launch(settings, base_model="smollm2-135m", audience="patient")
    run = wait(database, home, run_id, ended, seconds=300)
    assert run.adapter == "patient@1"
    with database.session() as session:
        adapter = adapters.get(session, "patient@1")
        points = run_points.points(session, run_id)
        registry.promote(session, home, "patient@1")
    assert adapter.status == AdapterStatus.LIVE
    assert [point.step for point in points if point.train_loss] == [1, 2, 3, 4]
    assert adapter.metrics["eval_loss_after"] < adapter.metrics["eval_loss_before"]
    folder = registry.folder(home, adapter)
    manifest = registry.verify(folder)
    assert manifest.provenance.base_sha256 == embedded.SHA256
    assert manifest.provenance.run_id == run_id
    assert set(manifest.files) == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "adapter.gguf",
        "README.md",
    }
    assert any(
        weights.any() for name, weights in load_file(folder / registry.WEIGHTS).items() if "lora_B" in name
    )
    assert_served_differently(home.models / embedded.FILE_NAME, folder)


def assert_served_differently(gguf, folder):
    """The base and the adapter, each drawn greedily, part ways."""
    from adapters.engines.base import Completion, GenerationRequest, Sampling, Turn
    from adapters.engines.llamacpp import LlamaCppEngine
    from db.vocabulary import Role

    recipe = find_recipe("patient")
    turns = (Turn(Role.SYSTEM, recipe.system_prompt), Turn(Role.USER, "What is type 2 diabetes?"))
    engine = LlamaCppEngine("smollm2-135m", gguf, context_tokens=1024, threads=BESIDE_OTHERS)
    engine.load()
    try:
        engine.publish({"patient@1": folder})
        texts = []
        for name in (None, "patient@1"):
            sampling = Sampling(temperature=0.0, repetition_penalty=1.0, max_new_tokens=48)
            *_, last = engine.stream(GenerationRequest(turns, name, sampling))
            assert isinstance(last, Completion)
            texts.append(last.text)
    finally:
        engine.close()
    assert texts[0] != texts[1]
