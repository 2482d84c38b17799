"""Sessions: what is kept, what is rolled back, and many writers at once."""

import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from db.errors import StorageError
from db.home import Home
from db.models import Conversation, Message, Snapshot
from db.session import Database

ROOT = Path(__file__).parents[3]

COUNT_UP = """
import sys
from pathlib import Path
from db.models import Snapshot
from db.session import Database

database = Database.open(Path(sys.argv[1]))
for _ in range(50):
    with database.session() as session:
        session.get_one(Snapshot, "counter").rows += 1
"""


def test_a_session_keeps_what_was_written(database: Database):
    with database.session() as session:
        session.add(Conversation(title="Asthma", audience="patient"))
    with database.reading() as session:
        assert session.scalars(select(Conversation.title)).all() == ["Asthma"]


def test_an_exception_rolls_everything_back(database: Database):
    with pytest.raises(KeyError), database.session() as session:
        session.add(Conversation(title="Asthma", audience="patient"))
        session.flush()
        raise KeyError
    with database.reading() as session:
        assert session.scalars(select(Conversation)).all() == []


def test_objects_stay_usable_after_their_session(database: Database):
    with database.session() as session:
        conversation = Conversation(title="Asthma", audience="patient")
        session.add(conversation)
    assert conversation.title == "Asthma"
    assert conversation.created_at.utcoffset() is not None


def test_times_come_back_aware(database: Database):
    with database.session() as session:
        session.add(Conversation(title="Asthma", audience="patient"))
    with database.reading() as session:
        stored = session.scalars(select(Conversation.created_at)).one()
    assert stored.utcoffset() is not None


def test_foreign_keys_are_enforced(database: Database):
    with pytest.raises(IntegrityError), database.session() as session:
        session.add(Message(conversation_id="nowhere", position=0, role="user", content="hello"))


def test_a_reading_session_can_not_write(database: Database):
    with pytest.raises((OperationalError, StorageError)), database.reading() as session:
        session.execute(text("DELETE FROM conversations"))


def test_readers_go_on_while_a_writer_holds_its_lock(database: Database):
    with database.session() as writing:
        writing.add(Conversation(title="Asthma", audience="patient"))
        writing.flush()
        started = time.monotonic()
        with database.reading() as session:
            assert session.scalars(select(Conversation)).all() == []
        assert time.monotonic() - started < 1


def test_two_processes_that_read_then_write_lose_no_update(home: Home, database: Database):
    with database.session() as session:
        session.add(Snapshot(id="counter", sha256="0" * 64, path="", rows=0, source="", manifest={}))
    command = [sys.executable, "-c", COUNT_UP, str(home.database)]
    writers = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    with database.reading() as session:
        assert session.get_one(Snapshot, "counter").rows == 100


def test_a_full_disk_gives_a_clear_error_and_loses_nothing(home: Home, database: Database):
    with database.session() as session:
        session.add(Conversation(title="kept", audience="patient"))
    with pytest.raises(StorageError, match="disk is full"), database.session() as session:
        pages = session.execute(text("PRAGMA page_count")).scalar_one()
        session.execute(text(f"PRAGMA max_page_count = {pages}"))
        session.add(Conversation(title="x" * 1_000_000, audience="patient"))
    with database.reading() as session:
        assert session.scalars(select(Conversation.title)).all() == ["kept"]


def test_a_read_only_file_gives_a_clear_error(database: Database):
    with pytest.raises(StorageError, match="read-only"), database.session() as session:
        session.execute(text("PRAGMA query_only = ON"))
        session.add(Conversation(title="Asthma", audience="patient"))


def test_a_file_that_is_no_database_gives_a_clear_error(tmp_path: Path):
    path = tmp_path / "elara.sqlite3"
    path.write_bytes(b"not a database, " * 100)
    with (
        pytest.raises(StorageError, match="isn't a SQLite database"),
        Database.open(path).session() as session,
    ):
        session.scalars(select(Conversation)).all()


def test_a_missing_folder_gives_a_clear_error(tmp_path: Path):
    path = tmp_path / "gone" / "elara.sqlite3"
    with pytest.raises(StorageError, match=re.escape(str(path))), Database.open(path).session() as session:
        session.scalars(select(Conversation)).all()


def test_a_lock_that_is_never_released_gives_a_clear_error(
    home: Home, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("db.session.BUSY_TIMEOUT_SECONDS", 0.05)
    hasty = Database.open(home.database)
    with closing(sqlite3.connect(home.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="busy"), hasty.session() as session:
            session.scalars(select(Conversation)).all()
    hasty.close()
