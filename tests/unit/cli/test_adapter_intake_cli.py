"""Bringing in an adapter and trying it, from a terminal."""

import json
from functools import partial
from pathlib import Path

import pytest
from adapter_factory import make_base_folder, make_tiny_peft
from fake_engine import FakeEngine

from db.home import Home
from elara_ui.cli import main as cli
from elara_ui.cli import parts as cli_parts
from elara_ui.services import build_services


def test_an_adapter_is_added_tried_and_only_then_promoted(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = str(make_base_folder(tmp_path / "base"))
    peft = str(make_tiny_peft(tmp_path / "peft"))
    engine = FakeEngine("The same words whoever speaks.")
    engine.base_model = base
    build = partial(build_services, engine_factory=lambda *_: engine)
    monkeypatch.setattr(cli_parts, "build_services", build)
    monkeypatch.setenv("ELARA_BASE", base)

    def call(*arguments: str) -> tuple[int, str, str]:
        status = cli.main([*arguments, "--home", str(home.root)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    promote = ("adapters", "promote", "patient@1", "--by", "A reviewer", "--why", "a trial")
    added = ("adapters", "add", peft, "--audience", "patient", "--base", base)
    document = json.loads(call(*added, "--by", "Dr A", "--json")[1])
    assert (document["name"], document["found"]["rank"], document["has_gguf"]) == ("patient@1", 2, True)
    status, _, said = call(*added)
    assert (status, "patient@1 already" in said) == (1, True)

    assert "probe: untried" in call("adapters")[1]
    status, out, _ = call("adapters", "probe", "patient@1", "--json")
    assert (status, json.loads(out)["passed"]) == (1, False)
    assert "word for word" in call(*promote)[2]
    engine.reply = "This is what {adapter} has to say about that."
    status, out, _ = call("adapters", "probe", "patient@1")
    assert (status, "patient@1 has passed" in out) == (0, True)
    assert call(*promote)[0] == 0
