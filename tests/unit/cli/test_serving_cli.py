"""Choosing what answers from a terminal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from base_gguf import write_head
from filelock import FileLock

from adapters.engines.serving_memory import ServingMemory
from db.home import Home
from elara_ui.cli import main as cli
from elara_ui.services import serving_choice
from elara_ui.settings import Settings

Call = Callable[..., Any]


@pytest.fixture
def call(home: Home, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs one verb on the test's home; its document, or what it wrote to stderr."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()
        status = cli.main(["serving", *arguments, "--json", "--home", str(home.root)])
        captured = capsys.readouterr()
        return json.loads(captured.out) if status == 0 else captured.err

    return run


@pytest.fixture
def other(tmp_path: Path) -> str:
    return str(write_head(tmp_path / "other.gguf"))


def test_a_choice_is_for_the_next_start_or_for_the_app_that_runs(call: Call, home: Home, other: str) -> None:
    assert (call("show")["base_model"], call("show")["engine"]) == ("smollm2-135m", "auto")
    chosen = call("switch", other)
    assert (chosen["base_model"], chosen["engine"], chosen["app_running"]) == (other, "llamacpp", False)
    with FileLock(home.lock):
        shown = call("show")
    assert (shown["base_model"], shown["engine"], shown["app_running"]) == (other, "llamacpp", True)
    assert {"base_model": "smollm2-135m", "engine": "transformers", "weights": "", "path": None} in shown[
        "options"
    ]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("owner/name", "--engine", "llamacpp"), "llama.cpp needs a GGUF file of owner/name"),
        (("/nowhere/x.gguf",), "there is none at /nowhere/x.gguf"),
        (("nonsense",), "“nonsense” is none of them"),
        (("smollm2-135m", "--engine", "remote"), "only where ELARA_ENGINE_URL names it"),
        (("smollm2-135m", "--engine", "vllm"), "The engine is one of auto, llamacpp"),
        (("smollm2-135m", "--engine", "transformers", "--dtype", "Q4"), "'Q4' is none of them"),
        (("smollm2-135m", "--engine", "llamacpp", "--weights", "F16"), "comes as Q4 only"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_remedy(call: Call, arguments, rule) -> None:
    assert rule in call("switch", *arguments)
    assert call("show")["base_model"] == "smollm2-135m"


def test_too_little_memory_is_told_unless_somebody_insists(call: Call, other: str, monkeypatch) -> None:
    monkeypatch.setattr(serving_choice, "reckon_serving", lambda *_: ServingMemory(9 << 30, 1 << 30))
    assert "needs about 9.0 GiB and 1.0 GiB are free" in call("switch", other)
    assert call("switch", other, "--insist")["base_model"] == other


def test_a_changed_setting_goes_before_a_choice(call: Call, other: str, monkeypatch) -> None:
    call("switch", other)
    monkeypatch.setenv("ELARA_ENGINE", "transformers")
    assert call("show")["base_model"] == Settings.read().base
