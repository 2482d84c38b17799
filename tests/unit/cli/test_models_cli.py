"""Base models from a terminal."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from file_server import FileServer, serving
from model_hub import put_model

from db.home import Home
from elara_ui.cli import main as cli

Call = Callable[..., Any]
SMALL = "HuggingFaceTB/SmolLM2-360M-Instruct"
BYTES = bytes(range(256)) * 64


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr("adapters.model_download._SPARE_BYTES", 0)
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def call(home: Home, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs one verb on the test's home; its document, or what it wrote to stderr."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()
        status = cli.main(["models", *arguments, "--json", "--home", str(home.root)])
        captured = capsys.readouterr()
        return json.loads(captured.out) if status == 0 else captured.err

    return run


def test_models_are_added_downloaded_and_deleted_from_a_terminal(call: Call, server: FileServer) -> None:
    put_model(server, f"{SMALL}-GGUF", {"m-Q8_0.gguf": BYTES})
    shown = call("download", SMALL, "--weights", "Q8")
    (stored,) = [form["stored"] for form in shown["forms"] if form["stored"]]
    assert (stored["weights"], stored["size"]) == ("Q8", len(BYTES))
    assert "here already" in call("download", SMALL, "--weights", "Q8")
    assert call("remove", SMALL, "--weights", "Q8")["freed_bytes"] >= len(BYTES)

    config = b'{"model_type": "llama"}'
    put_model(server, "clinic/tiny", {"model.safetensors": BYTES, "config.json": config})
    assert call("add", "clinic/tiny")["architecture"] == "llama"
    put_model(server, "clinic/other", {"model.safetensors": BYTES, "config.json": config})
    assert call("download", "clinic/other", "--weights", "full")["added"]
    listed = {model["id"]: model for model in call("list")["models"]}
    assert listed["clinic/tiny"]["added"]
    assert listed["smollm2-135m"]["forms"][0]["memory"]["total"] > 98_000_000
    call("remove", "clinic/tiny")
    assert "isn't among the models" in call("remove", "clinic/tiny")


def test_terms_and_failures_are_told(call: Call, server: FileServer) -> None:
    assert "say that you accept" in call("download", "google/medgemma-4b-it", "--weights", "Q4")
    refused = call("download", "google/medgemma-4b-it", "--weights", "Q4", "--accept-licence")
    assert "HF_TOKEN" in refused


def test_what_is_recommended_is_told_with_the_machine_s_memory(call: Call) -> None:
    told = call("recommend")
    assert told["machine"]["main"]["total"] > 0
    assert all(each["weights"] in ("Q4", "Q8", "full") for each in told["recommended"])
