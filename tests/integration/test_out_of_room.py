"""A real worker meets the end of its memory or its disk: the run says so, and leaves nothing half done."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from real_runs import ended, wait

sys.path.append(str(Path(__file__).parents[1] / "unit" / "training"))

from adapters.recipe import Hyperparameters, override
from adapters.training import record, supervisor
from adapters.training.examples import read_examples
from db import adapters, runs
from db.home import Home
from db.models import Run
from db.session import Database
from db.vocabulary import RunFailure, RunStatus
from elara_ui.services.run_views import describe

pytestmark = pytest.mark.slow

STARTER = Path(__file__).parents[2] / "adapters" / "starter" / "emergency.jsonl"
MEGABYTE = 2**20
# The inner layers are wide: a step needs some hundred megabytes, an adapter takes 12 and its optimizer 25.
WIDE = {"num_hidden_layers": 2, "intermediate_size": 4096, "max_position_embeddings": 2048}
SETTINGS = override(
    Hyperparameters(),
    {
        "lora_r": 128, "target_modules": "gate_proj,up_proj,down_proj", "precision": "fp32", "max_steps": 2,
        "num_epochs": 100, "batch_size": 1, "eval_fraction": 0, "probe_samples": 0, "save_steps": 1,
    },
)  # fmt: skip
LIMITS = hasattr(psutil, "RLIMIT_FSIZE")  # of another process: on Linux


@pytest.fixture(scope="module")
def wide_base(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tiny_models import save_tiny

    return str(save_tiny(tmp_path_factory.mktemp("wide"), "llama", **WIDE))


@pytest.fixture
def launch(database: Database, home: Home, wide_base: str) -> Iterator[Callable[..., str]]:
    def launch(**changes: object) -> str:
        return supervisor.launch(
            database, home, audience="emergency", base_model=wide_base, source="starter",
            hyperparameters=override(SETTINGS, changes), examples=read_examples(STARTER)[:16],
        )  # fmt: skip

    yield launch
    with database.reading() as session:
        for run in runs.running(session):
            psutil.Process(run.pid).kill()


@pytest.fixture
def small_disk(home: Home) -> Iterator[Callable[[str, int], None]]:
    """Put a small file system in the place of one of the home's folders, or give it another size."""
    mounted: list[Path] = []

    def mount(name: str, megabytes: int) -> None:
        path = home.root / name
        size = f"remount,size={megabytes}m" if path in mounted else f"size={megabytes}m"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path)], capture_output=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"A file system can't be mounted here: {done.stderr.decode().strip()}")
        mounted.append(path)

    if not Path("/bin/mount").exists():
        pytest.skip("There is no mount here.")
    yield mount
    for path in set(mounted):
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def assert_nothing_was_made(database: Database, home: Home, run: Run) -> None:
    assert (run.status, run.adapter) == (RunStatus.FAILED, None)
    with database.reading() as session:
        assert adapters.list_all(session) == []
    assert [path for path in home.adapters.rglob("*") if path.is_file()] == []
    assert not supervisor.is_alive(run)


def wait_until_gone(database: Database, home: Home, run_id: str) -> Run:
    """Its end, recorded by the worker itself; then its process ends too."""
    run = wait(database, home, run_id, ended)
    give_up = time.monotonic() + 10
    while supervisor.is_alive(run) and time.monotonic() < give_up:
        time.sleep(0.05)
    return run


@pytest.mark.skipif(not LIMITS, reason="the limits of another process can't be set here")
def test_memory_that_runs_out_is_named_with_remedies(database, home, launch) -> None:
    run_id = launch(batch_size=8, max_steps=50)
    run = wait(database, home, run_id, lambda run: run.stage == "training")
    worker, least = psutil.Process(run.pid), None
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        try:  # what it holds now, and a little: a step needs much more than it leaves behind
            most = worker.memory_info().data + 60 * MEGABYTE
            least = min(most, least or most)
            worker.rlimit(psutil.RLIMIT_DATA, (least, least))
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    run = wait_until_gone(database, home, run_id)
    assert_nothing_was_made(database, home, run)
    assert run.failure == RunFailure.OUT_OF_MEMORY, run.error
    assert "Memory ran out" in run.error
    with database.reading() as session:
        remedies = describe(runs.get(session, run_id)).remedies
    assert {"gradient_checkpointing": True} in [remedy.values for remedy in remedies]


@pytest.mark.skipif(not LIMITS, reason="the limits of another process can't be set here")
def test_a_file_larger_than_may_be_is_named(database, home, launch) -> None:
    run_id = launch()
    run = wait(database, home, run_id, lambda run: run.pid is not None)
    psutil.Process(run.pid).rlimit(psutil.RLIMIT_FSIZE, (8 * MEGABYTE, 8 * MEGABYTE))
    run = wait_until_gone(database, home, run_id)
    assert_nothing_was_made(database, home, run)
    assert run.failure == RunFailure.DISK_FULL, run.error
    assert "larger than may be" in run.error
    assert list((home.runs / run_id / "checkpoints").glob("checkpoint-*")) == []


def test_a_disk_that_fills_up_at_a_checkpoint_is_named(database, home, launch, small_disk) -> None:
    small_disk("runs", 24)
    run_id = launch()
    run = wait_until_gone(database, home, run_id)
    assert_nothing_was_made(database, home, run)
    assert run.failure == RunFailure.DISK_FULL, run.error
    assert "most likely the disk is full. Free some space" in run.error
    assert list((home.runs / run_id / "checkpoints").glob("checkpoint-*")) == []


def test_a_run_whose_adapter_found_no_room_goes_on_once_there_is(database, home, launch, small_disk) -> None:
    small_disk("adapters", 4)
    run_id = launch()
    run = wait_until_gone(database, home, run_id)
    assert_nothing_was_made(database, home, run)
    assert run.failure == RunFailure.DISK_FULL, run.error
    assert "The disk is full. Free some space, then resume" in run.error
    small_disk("adapters", 100)
    supervisor.resume(database, home, run_id)
    assert wait(database, home, run_id, ended).adapter == "emergency@1"
    assert "step 1:" not in record.read_log(home, run_id).partition("Traceback")[2]  # from the checkpoint
