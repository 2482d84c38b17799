"""Releasing from a terminal."""

import json
from pathlib import Path
from typing import Any

import pytest
from adapter_factory import register_adapter

from db.home import Home
from db.session import Database
from elara_ui.cli import main as cli


@pytest.fixture
def call(database: Database, home: Home, small_lora: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs one verb on a home with two versions; gives back its status and its document."""
    for _ in range(2):
        register_adapter(database, home, small_lora, metrics={})

    def run(*words: str) -> tuple[int, Any]:
        capsys.readouterr()
        status = cli.main(["release", *words, "--json", "--home", str(home.root)])
        return status, json.loads(capsys.readouterr().out)

    return run


def test_a_version_goes_live_and_back_and_the_history_says_so(call: Any) -> None:
    status, refused = call("promote", "patient@1", "--by", "Ada")
    assert (status, "say why" in refused["error"]) == (1, True)
    assert call("promote", "patient@1", "--by", "Ada", "--why", "first")[1]["status"] == "live"
    assert call("canary", "patient@2", "--by", "Ada", "--share", "0.2", "--why", "a try")[1]["share"] == 0.2
    patient = call("status", "patient")[1]["audiences"][0]
    assert (patient["live"]["name"], patient["trial"]["adapter"]) == ("patient@1", "patient@2")
    assert call("canary", "patient", "--stop", "--by", "Ada")[1] == {"stopped": "patient@2"}
    assert call("rollback", "patient", "--by", "Ben")[1] == {"audience": "patient", "live": None}
    told = call("history", "patient")[1]["history"]
    assert [(each["action"], each["by"]) for each in told] == [
        ("rolled_back", "Ben"),
        ("canary_stopped", "Ada"),
        ("canary_started", "Ada"),
        ("promoted", "Ada"),
    ]


def test_the_gates_exit_status_tells_whether_it_is_met(call: Any) -> None:
    status, gate = call("gate", "patient@1")
    assert (status, gate["met"], gate["blocked"]) == (1, False, False)
    assert {check["state"] for check in gate["checks"]} == {"not_measured"}
