"""What the command line tells of agreement."""

import json

import pytest
from factories import add_response, add_review

from db.home import Home
from db.session import Database
from elara_ui.cli import main as cli


@pytest.fixture
def judged(database: Database) -> None:
    """Twenty answers that two people judged, alike on all axes but one."""
    with database.session() as session:
        for place in range(20):
            response = add_response(session)
            harm = "mild" if place % 2 else "none"
            for name in ("Rater A", "Rater B"):
                add_review(session, response, name, harm=harm, harm_likelihood="low" if place % 2 else None)


@pytest.mark.usefixtures("judged")
def test_agreement_is_a_table_or_a_document(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reviews", "agreement", "--home", str(home.root)]) == 0
    table = capsys.readouterr().out
    assert "patient patient@1  Harm if followed  1.00" in table
    assert "all the same" in table
    assert cli.main(["reviews", "agreement", "--audience", "doctor", "--json", "--home", str(home.root)]) == 0
    (row,) = json.loads(capsys.readouterr().out)["agreement"]
    assert row["axes"]["harm"]["missing"] == 20


def test_a_period_that_is_none_is_refused(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reviews", "agreement", "--days", "0", "--home", str(home.root)]) == 1
    assert "1 day or more" in capsys.readouterr().err


def test_reading_grades_are_a_table_or_a_document(
    database: Database, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.session() as session:
        for grade in (5.0, 6.0, 9.0):
            add_response(session, readability={"flesch_kincaid_grade": grade})
        add_response(session, audience="doctor", readability={"flesch_kincaid_grade": 14.0})
    assert cli.main(["adapters", "reading", "--home", str(home.root)]) == 0
    table = " ".join(capsys.readouterr().out.split())
    assert "patient patient@1 3 6.0 5.0 to 9.0 grade 6 or below 67%" in table
    assert "14.0 to 14.0 reported only" in table
    assert cli.main(["adapters", "reading", "--audience", "patient", "--json", "--home", str(home.root)]) == 0
    (row,) = json.loads(capsys.readouterr().out)["reading"]
    assert (row["median"], row["aim"], row["counts"]) == (6.0, 6.0, [[5.0, 1], [6.0, 1], [9.0, 1]])
