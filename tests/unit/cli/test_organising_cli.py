"""Running the reviewing from a terminal."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from adapter_factory import make_adapter, register_adapter
from factories import add_response
from fake_engine import FakeEngine

from db import reviews
from db.home import Home
from db.session import Database
from elara_ui.cli import main as cli
from elara_ui.cli import parts as cli_parts
from elara_ui.services import build_services

Call = Callable[..., Any]


@pytest.fixture
def call(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs one verb on the test's home; its document, or what it wrote to stderr."""
    monkeypatch.setattr("adapters.embedded.fetch", lambda models, report, placed=None: models)
    build = partial(build_services, engine_factory=lambda *_: FakeEngine("I am {adapter}."))
    monkeypatch.setattr(cli_parts, "build_services", build)

    def run(*arguments: str) -> Any:
        capsys.readouterr()
        status = cli.main([*arguments, "--json", "--home", str(home.root)])
        captured = capsys.readouterr()
        return json.loads(captured.out) if status == 0 else captured.err

    return run


def test_answers_that_are_there_are_compared(call: Call, database: Database) -> None:
    with database.session() as session:
        for question in ("Q1", "Q2"):
            add_response(session, question=question)
            add_response(session, question=question, text="Other.", adapter=None)
    sent = call(
        "reviews", "compare", "patient@1", "base", "--audience", "patient", "--batch", "b", "--number", "1"
    )
    assert (sent["sent"], sent["batch"]) == (1, "b")
    refused = call("reviews", "compare", "patient@1:0.5", "base", "--audience", "patient", "--batch", "b")
    assert "where both are asked anew" in refused


def test_two_temperatures_are_asked_the_questions_of_a_file(
    call: Call, database: Database, home: Home, tmp_path: Path
) -> None:
    name = register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))
    (tmp_path / "questions.txt").write_text("What is gout?\n\nWhat is asthma?\n", encoding="utf-8")
    asked = ("--audience", "patient", "--questions", str(tmp_path / "questions.txt"), "--batch", "b")
    done = call("reviews", "compare", f"{name}:0", "base:0.7", *asked)
    assert (done["state"], done["done"], done["sent"]) == ("done", 2, 2)
    assert done["plan"]["second"] == {"adapter": "base", "temperature": 0.7}
    assert "it is 'warm'" in call("reviews", "compare", f"{name}:warm", "base", *asked)
    gone = call(
        "reviews", "compare", name, "base", "--audience", "patient", "--batch", "b", "--questions", "gone"
    )
    assert "gone can't be read" in gone


def test_an_answer_is_marked_by_its_own_id_listed_and_unmarked(call: Call, database: Database) -> None:
    with database.session() as session:
        answer = add_response(session)
        item, answer_id = reviews.send(session, answer.id).id, answer.id
    assert "Adjudicate it first" in call("reviews", "mark", answer_id)
    assert call("reviews", "mark", answer_id, "--set", "accuracy=aligned")["item_id"] == item
    (known,) = call("reviews", "known")["known"]
    assert (known["item_id"], known["expected"]) == (item, {"accuracy": "aligned"})
    assert call("reviews", "unmark", answer_id) == {"item_id": item, "known": False}
    assert call("reviews", "known")["known"] == []


def test_an_import_is_previewed_and_its_columns_named(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("Frage,Antwort\nQ?,A.\n", encoding="utf-8")
    named = ("--audience", "patient", "--columns", "prompt=Frage,response=Antwort")
    seen = call("reviews", "import", str(file), *named, "--preview")
    assert (seen["fresh"], seen["dropped"]) == (1, [])
    assert call("reviews", "stats")["items"] == 0
    assert call("reviews", "import", str(file), *named)["kept"] == 1
    assert "--columns takes prompt=NAME" in call("reviews", "import", str(file), "--columns", "text=Frage")
