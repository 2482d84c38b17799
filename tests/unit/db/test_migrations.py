"""Migrating: the tables match the models, nothing is lost, and a backup comes first."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from db import adapters, lineage, reading_grades, reviews, run_points, run_queue
from db import session as session_module
from db.errors import StorageError
from db.home import Home
from db.models import Base, Conversation
from db.review_figures import EVERYTHING
from db.session import BACKUPS_KEPT, HEAD, MIGRATIONS, Database, back_up, migrate

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(empty_home: Home) -> Home:
    """A home that hasn't been migrated."""
    return empty_home


NEXT_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversations", sa.Column("colour", sa.Text()))
    {then}
"""


def columns(path: Path, table: str) -> set[str]:
    """The names of a table's columns in a database file."""
    with closing(sqlite3.connect(path)) as connection:
        return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes this Elara one migration newer; that migration ends with the given statement."""

    def release(then: str = "") -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        migration = NEXT_MIGRATION.format(head=HEAD, then=then)
        (folder / "versions" / "9999_colour.py").write_text(migration)
        monkeypatch.setattr(session_module, "MIGRATIONS", folder)
        monkeypatch.setattr(session_module, "HEAD", "9999")

    return release


def add_conversation(home: Home) -> None:
    """Something to lose."""
    database = Database.open(home.database)
    with database.session() as session:
        session.add(Conversation(title="kept", audience="patient"))
    database.close()


def titles(path: Path) -> list[str]:
    """What of it is there."""
    with closing(sqlite3.connect(path)) as connection:
        return [title for (title,) in connection.execute("SELECT title FROM conversations")]


def test_a_migrated_database_equals_the_models(home: Home):
    migrate(home)
    engine = create_engine(f"sqlite:///{home.database}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_check_on_answered_axes_is_in_the_database(home: Home):
    migrate(home)
    row = "'1', 'i', 'r', 'patient', 'm', '1', 'accept', '[]', '', '2025-01-01 00:00:00'"
    with closing(sqlite3.connect(home.database)) as connection:
        insert = (
            "INSERT INTO reviews (id, item_id, reviewer_id, audience, made_by, rubric_version, disposition,"
            f" flags, comment, created_at) VALUES ({row})"
        )
        with pytest.raises(sqlite3.IntegrityError, match="ck_reviews_axes_answered"):
            connection.execute(insert)
        connection.execute(insert.replace("'accept'", "'out_of_scope'"))


def test_head_names_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_new_database_needs_no_backup(home: Home):
    migrate(home)
    assert list(home.backups.iterdir()) == []


def test_migrating_again_changes_nothing(home: Home):
    migrate(home)
    add_conversation(home)
    migrate(home)
    assert titles(home.database) == ["kept"]
    assert list(home.backups.iterdir()) == []


def test_migrating_again_does_not_import_alembic(home: Home):
    migrate(home)
    code = (
        "import sys; from pathlib import Path; from db.home import Home; from db.session import migrate; "
        "migrate(Home(Path(sys.argv[1]))); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(home.root)], check=True, cwd=ROOT)


def test_a_database_that_is_behind_is_backed_up_then_brought_up_to_date(home: Home, next_release):
    migrate(home)
    add_conversation(home)
    next_release()
    migrate(home)
    (backup,) = home.backups.iterdir()
    assert "colour" in columns(home.database, "conversations")
    assert titles(home.database) == ["kept"]
    assert "colour" not in columns(backup, "conversations")
    assert titles(backup) == ["kept"]


def test_a_migration_that_fails_leaves_the_database_as_it_was(home: Home, next_release):
    migrate(home)
    add_conversation(home)
    next_release(then='raise RuntimeError("halfway")')
    with pytest.raises(RuntimeError, match="halfway"):
        migrate(home)
    assert "colour" not in columns(home.database, "conversations")
    assert titles(home.database) == ["kept"]


def test_a_database_of_a_newer_elara_is_refused_and_untouched(home: Home):
    migrate(home)
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '7777'")
        connection.commit()
    with pytest.raises(StorageError, match=r"newer Elara \(schema 7777"):
        migrate(home)
    assert list(home.backups.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(home: Home):
    home.database.write_bytes(b"not a database, " * 100)
    with pytest.raises(StorageError, match="isn't a SQLite database"):
        migrate(home)


def test_only_the_newest_backups_are_kept(home: Home):
    migrate(home)
    copies = [back_up(home, "test") for _ in range(BACKUPS_KEPT + 2)]
    assert sorted(home.backups.iterdir()) == copies[2:]


def test_processes_that_start_at_once_migrate_once(home: Home):
    code = (
        "import sys; from pathlib import Path; from db.home import Home; from db.session import migrate; "
        "migrate(Home(Path(sys.argv[1])))"
    )
    starts = [subprocess.Popen([sys.executable, "-c", code, str(home.root)], cwd=ROOT) for _ in range(3)]
    assert [start.wait(timeout=60) for start in starts] == [0, 0, 0]
    assert list(home.backups.iterdir()) == []


@pytest.fixture
def first_release(home: Home, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database as the first release left it, with two runs in it."""
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(f"sqlite:///{home.database}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute(
            "INSERT INTO snapshots (id, sha256, path, rows, source, manifest, created_at)"
            " VALUES ('s', 'x', 'p', 1, 'starter', '{}', '2026-01-01 00:00:00')"
        )
        for name, day in (("late", "03"), ("early", "02")):
            connection.execute(
                "INSERT INTO runs (id, audience, base_model, snapshot_id, recipe, status, stage,"
                " cancel_requested, step, epoch, created_at)"
                " VALUES (?, 'patient', 'm', 's', '{}', 'queued', 'waiting', 0, 0, 0, ?)",
                (name, f"2026-01-{day} 00:00:00"),
            )
        connection.execute(
            "INSERT INTO run_points (run_id, step, train_loss, created_at)"
            " VALUES ('early', 1, 2.5, '2026-01-02 00:00:00')"
        )
        connection.commit()
    return home.database


def test_runs_of_the_first_release_keep_their_order_and_their_dots(home: Home, first_release: Path):
    migrate(home)
    database = Database.open(first_release)
    with database.session() as session:
        assert [(run.id, run.position) for run in run_queue.waiting(session)] == [("early", 1), ("late", 2)]
        (dot,) = run_points.points(session, "early")
        assert (dot.train_loss, dot.grad_norm, dot.memory_bytes) == (2.5, None, None)
        assert [getattr(dot, name) for name in run_points.REWARDS] == [None] * 4
        run_points.record_sample(session, "early", 1, "Why?", "So.")
        run_points.record_point(session, "late", 1, memory_bytes=2**40, eval_reward_margin=0.5)
    database.close()
    (backup,) = home.backups.iterdir()
    assert "position" not in columns(backup, "runs")


def test_the_watching_of_runs_can_be_taken_back(home: Home, first_release: Path):
    from alembic import command

    before = columns(first_release, "runs"), columns(first_release, "run_points")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(f"sqlite:///{home.database}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        command.downgrade(config, "0001")
    engine.dispose()
    assert (columns(first_release, "runs"), columns(first_release, "run_points")) == before


def test_going_back_to_one_live_adapter_an_audience_keeps_the_one_promoted_last(home: Home):
    from alembic import command

    migrate(home)
    database = Database.open(home.database)
    with database.session() as session:
        for version, base_model in ((1, "one"), (2, "other")):
            adapters.add(
                session,
                audience="patient",
                version=version,
                base_model=base_model,
                run_id=None,
                path=f"adapters/patient/{version}",
                sha256="0" * 64,
                metrics={},
            )
            adapters.promote(session, f"patient@{version}")
    database.close()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(f"sqlite:///{home.database}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0009")
    engine.dispose()
    with closing(sqlite3.connect(home.database)) as connection:
        status = dict(connection.execute("SELECT name, status FROM adapters").fetchall())
    assert status == {"patient@1": "retired", "patient@2": "live"}
    assert not columns(home.database, "serving_choices")


@pytest.fixture
def reviewed_release(first_release: Path) -> Path:
    """The same, with an answer that one judged harmless and another one dangerous."""
    axes = "accuracy, wrong_content, omission, urgency, readability, relevance"
    good = "'aligned', 'none', 'none', 'correct', 'right', 'fully'"
    with closing(sqlite3.connect(first_release)) as connection:
        connection.execute(
            "INSERT INTO responses (id, audience, base_model, question, context, text, parameters,"
            " prompt_tokens, completion_tokens, seconds, first_token_seconds, tokens_per_second,"
            " finish_reason, dropped_turns, readability, created_at)"
            " VALUES ('a', 'doctor', 'm', 'Why?', '[]', 'So.', '{}', 1, 1, 1, 1, 1,"
            " 'stop', 0, '{}', '2026-01-01')"
        )
        connection.execute("INSERT INTO review_items VALUES ('i', 'a', 'requested', '2026-01-01 00:00:00')")
        for name, harm in (("Rater A", "none"), ("Rater B", "severe")):
            connection.execute(
                f"INSERT INTO reviews (id, item_id, reviewer, rubric_version, harm, {axes}, disposition,"
                f" flags, comment, created_at)"
                f" VALUES (?, 'i', ?, '1', ?, {good}, 'accept', '[]', '', '2026-01-03')",
                (name, name, harm),
            )
        connection.commit()
    return first_release


def test_reviews_keep_their_authors_who_become_people_with_a_profile(home: Home, reviewed_release: Path):
    migrate(home)
    database = Database.open(reviewed_release)
    with database.reading() as session:
        listed = reviews.list_reviews(session)
        assert {review.reviewer.name: review.harm for review in listed} == {
            "Rater A": "none",
            "Rater B": "severe",
        }
        (item,) = {review.item for review in listed}
        assert (item.judged, item.wanted, item.audience, item.contested) == (2, 1, "doctor", True)
        assert item.response.origin == "chat"
        flags = item.response.red_flags, item.response.rules_version, item.response.reassures
        assert flags == (None, None, False)  # nobody looked back then
        assert {(review.audience, review.made_by) for review in listed} == {("doctor", "m")}
    database.close()


def test_answers_of_an_earlier_release_are_counted_by_their_grade(home: Home, reviewed_release: Path):
    with closing(sqlite3.connect(reviewed_release)) as connection:
        connection.execute("""UPDATE responses SET readability = '{"flesch_kincaid_grade": 7.3}'""")
        connection.commit()
    migrate(home)
    database = Database.open(reviewed_release)
    with database.reading() as session:
        assert [(found.grade, found.answers) for found in reading_grades.count(session, EVERYTHING)] == [
            (7.3, 1)
        ]
    database.close()


def test_rows_of_earlier_sets_keep_the_judgement_that_they_named(home: Home, first_release: Path):
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(f"sqlite:///{home.database}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")
    engine.dispose()
    with closing(sqlite3.connect(first_release)) as connection:
        rows = [("s", 0, "x", "r", "p"), ("s", 1, "y", None, None), ("s", 2, "z", "elsewhere", None)]
        connection.executemany(
            "INSERT INTO snapshot_rows (snapshot_id, position, sha256, review_id, reviewer_id)"
            " VALUES (?, ?, ?, ?, ?)",
            rows,
        )
        connection.commit()
    migrate(home)
    database = Database.open(first_release)
    with database.reading() as session:
        assert [(held.id, rows) for held, rows in lineage.holding(session, reviewer_id="p")] == [("s", 1)]
        assert [(held.id, rows) for held, rows in lineage.holding(session, judgement_id="r")] == [("s", 1)]
    database.close()
