import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_models import tiny_llama, tiny_tokenizer

from adapters.catalog import BaseModel
from adapters.engines.base import Turn
from adapters.errors import ModelError
from adapters.recipe import Hyperparameters
from adapters.training import worker
from adapters.training.examples import Example
from adapters.training.loading import LoadedBase, Source, load, outline
from adapters.training.record import FrozenRecipe, add_environment
from db.errors import NotFound
from db.vocabulary import Role

ROOT = Path(__file__).parents[3]


def test_a_run_that_is_not_ours_is_not_trained(home, database, capsys):
    with pytest.raises(NotFound, match="no run 'abc'"):
        worker.main(["abc", "--home", str(home.root)])


def test_niceness_does_not_add_up_over_a_chain_of_workers():
    give_way = "worker._give_way(); "
    code = f"import os; from adapters.training import worker; {2 * give_way}print(os.nice(0))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) == max(worker.NICENESS, os.nice(0))


AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this system doesn't schedule sessions as one")
def test_a_workers_session_gives_way_too():
    code = (
        "from adapters.training import worker; worker._give_way(); print(open('/proc/self/autogroup').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert done.stdout.split()[-1] == str(worker.NICENESS)


def test_working_offline_is_not_handed_down_to_the_next_worker(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from adapters.training import loading\n"
        "loading.locate(Path('.'), sys.argv[1], None)\n"
        "import huggingface_hub; print(huggingface_hub.is_offline_mode(), os.environ.get('HF_HUB_OFFLINE'))"
    )
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").touch()
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "None"]


def test_no_example_is_longer_than_the_model_can_read(caplog):
    tiny = Source(BaseModel("tiny", "Tiny", "/tiny"), "/tiny", "0" * 64)
    base = LoadedBase(tiny, tiny_llama(), tiny_tokenizer(), "", "fp32")  # reads 2048 tokens, a byte each
    recipe = FrozenRecipe("patient", "tiny", "Be brief.", 300, Hyperparameters(max_length=4096))
    examples = [Example((Turn(Role.USER, "x"), Turn(Role.ASSISTANT, "y" * size))) for size in (300, 3000)]
    with caplog.at_level("INFO"):
        assert len(worker._encode(examples, base, recipe).rows) == 1
    assert "1 of 2 examples left out: longer than 2048 tokens" in caplog.text


HUB = Source(BaseModel("clinic/tiny", "Tiny", "clinic/tiny"), "clinic/tiny", "")
LOCAL = Source(BaseModel("/tiny", "Tiny", "/tiny"), "/tiny", "0" * 64)


@pytest.mark.parametrize("noted", [{}, {"precision": "fp32"}])
def test_the_first_attempt_takes_the_weights_as_they_are(tmp_path, noted):
    assert worker._keep_weights(tmp_path, LOCAL) == LOCAL
    add_environment(tmp_path, noted)  # of an older Elara
    assert worker._keep_weights(tmp_path, HUB) == HUB


def test_a_resumed_run_keeps_to_the_weights_of_before(tmp_path):
    add_environment(tmp_path, {"base_sha256": "", "base_revision": "a" * 40})
    assert worker._keep_weights(tmp_path, HUB) == replace(HUB, revision="a" * 40)


def test_a_resumed_run_refuses_other_weights(tmp_path):
    add_environment(tmp_path, {"base_sha256": LOCAL.sha256, "base_revision": ""})
    assert worker._keep_weights(tmp_path, LOCAL) == LOCAL
    with pytest.raises(ModelError, match="weights of /tiny have changed since this run began"):
        worker._keep_weights(tmp_path, replace(LOCAL, sha256="1" * 64))


def test_a_hub_model_is_loaded_and_outlined_at_the_commit_asked_for(tmp_path, monkeypatch):
    """In the hub's own cache, as it is after two downloads."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cache = tmp_path / "models--clinic--tiny"
    for commit, width in (("a" * 40, 32), ("b" * 40, 64)):
        tiny_llama(width).save_pretrained(cache / "snapshots" / commit)
        tiny_tokenizer().save_pretrained(cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("b" * 40)
    for read in (load, outline):
        for revision, width in (("", 64), ("a" * 40, 32)):
            base = read(replace(HUB, revision=revision), Hyperparameters(precision="fp32"))
            assert base.model.config.hidden_size == width
            if read is load:  # what comes of it is recorded with the commit, so that it can be had again
                assert base.revision == (revision or "b" * 40)
