"""What the command line tells of agreement."""

import json
import re

import pytest
from curation_factory import compare
from factories import add_response, add_review

from db.home import Home
from db.session import Database
from db.vocabulary import PairChoice
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


@pytest.mark.usefixtures("judged")
def test_stats_count_the_queue_every_adapter_and_every_comparison(
    home: Home, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.session() as session:
        first, second = add_response(session), add_response(session, text="Other.", adapter="patient@2")
        compare(session, first, second, PairChoice.FIRST)
        add_review(session, add_response(session), "Rater C", disposition="out_of_scope")
    assert cli.main(["reviews", "stats", "--home", str(home.root)]) == 0
    told = capsys.readouterr().out
    assert "Counted: 40 reviews of 20 answers by 2 reviewers" in told
    assert re.search(r"patient@1 +patient +20 +40 +Aligned 100% +None 50% +Right 100% +Accept 100%", told)
    assert re.search(r"patient@1 +patient@2 +patient +100% \(\d+% to 100%\) +1 +1", told)
    assert cli.main(["reviews", "stats", "--json", "--home", str(home.root)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["items"], document["overview"]["reviews"], document["reviews"]["out_of_scope"]) == (
        22,
        40,
        1,
    )
    assert document["origins"][0]["shares"]["harm"][0]["value"] == 0.5
    assert document["pairs"][0]["wins"] == 1.0


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
