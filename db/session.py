"""The SQLite file: opening it, sessions on it, and bringing its tables up to date."""

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, configure_mappers

from db.errors import StorageError
from db.home import Home
from db.models import utc_now

HEAD = "0012"
"""The newest migration; kept here so that a start with nothing to migrate needn't import Alembic."""

MIGRATIONS = Path(__file__).parent / "migrations"
BACKUPS_KEPT = 5
BACKUP_TIME = "%Y%m%dT%H%M%S%fZ"
BUSY_TIMEOUT_SECONDS = 30
REBUILT = 1
"""SQLite's user_version of a file that `Database.rebuild_once` has written anew."""
CLEAR_SECONDS = 2
"""How long the log's emptying waits for whoever reads; the next time comes."""
_RETRY_SECONDS = 0.001, 0.02

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full. Free some space, then try again; nothing was stored.",
    sqlite3.SQLITE_READONLY: "it is read-only. Make the file and its folder writable, then try again.",
    sqlite3.SQLITE_IOERR: "the disk is full or failing. Check the free space, then try again.",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened. Check that its folder exists and is yours.",
    sqlite3.SQLITE_CORRUPT: "the file is damaged. Stop Elara and put a copy from the backups folder there.",
    sqlite3.SQLITE_NOTADB: "the file isn't a SQLite database. Move it away or choose another home.",
    sqlite3.SQLITE_BUSY: f"another process kept it busy for {BUSY_TIMEOUT_SECONDS} s. Try again.",
}
"""By SQLite's primary result code (https://sqlite.org/rescode.html)."""


@dataclass(frozen=True)
class Database:
    """One open SQLite file. Safe to share between threads; sessions are not."""

    path: Path
    _writer: Engine
    _reader: Engine

    @classmethod
    def open(cls, path: Path) -> "Database":
        """Open a database that `migrate` has brought up to date. Connects at the first session.

        Args:
            path: the SQLite file.
        """
        configure_mappers()  # now rather than within the first transaction, while others wait for it
        return cls(
            path, _engine(path, begin="BEGIN IMMEDIATE"), _engine(path, begin="BEGIN", query_only=True)
        )

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session to read and write in; commits at the end, rolls back on an exception.

        It holds SQLite's one write lock from its first statement: what it reads stays true until it
        has written. Keep it short; other writers wait. Objects stay usable after it.

        Raises:
            StorageError: disk full, read-only, damaged, or locked for more than 30 s.
        """
        with (
            _clear_errors(self.path),
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session to read in: sees one moment of the database, never waits for a writer nor delays one.

        Writing in it is refused by SQLite.

        Raises:
            StorageError: damaged or unreadable.
        """
        with _clear_errors(self.path), Session(self._reader, expire_on_commit=False) as session:
            yield session

    def clear_log(self) -> bool:
        """Empty SQLite's write-ahead log into the file: what was deleted is then in neither.

        Returns:
            Whether it is empty; not while somebody reads what stood there before.

        Raises:
            StorageError: the disk refuses.
        """
        with self._plain(CLEAR_SECONDS) as connection:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    def rebuild_once(self) -> None:
        """Write the whole file anew, if that was never done; other writers wait.

        What was deleted before `secure_delete` was on still lies in pages that were given free, and in gaps
        of others. Afterwards that can't come about any more.

        Raises:
            StorageError: the disk is full, or another process keeps the file busy.
        """
        with self._plain(BUSY_TIMEOUT_SECONDS) as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] < REBUILT:
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("VACUUM")
                connection.execute(f"PRAGMA user_version = {REBUILT}")

    @contextmanager
    def _plain(self, timeout: float) -> Iterator[sqlite3.Connection]:
        """A connection outside any transaction, waiting so many seconds for others."""
        with (
            _clear_errors(self.path),
            closing(sqlite3.connect(self.path, timeout=timeout, isolation_level=None)) as connection,
        ):
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._reader.dispose()
        self._writer.dispose()


def migrate(home: Home) -> None:
    """Create the tables or bring them up to date, after a backup copy when there is something to lose.

    Safe when several processes start at once: one migrates, the others wait and find it done.

    Args:
        home: where the database and its backups are.

    Raises:
        StorageError: the database is from a newer Elara, damaged, or the disk is full or read-only.
    """
    engine = _engine(home.database, begin="BEGIN IMMEDIATE", foreign_keys=False)
    try:
        with _clear_errors(home.database), engine.connect() as connection:
            if _revision(connection) == HEAD:
                return
            connection.rollback()
            with connection.begin():
                _upgrade(connection, home)
    finally:
        engine.dispose()


def _upgrade(connection: Connection, home: Home) -> None:
    """Run the missing migrations in the open transaction."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    stored = _revision(connection)
    if stored is not None and stored not in known:
        raise StorageError(
            f"The database {home.database} was made by a newer Elara (schema {stored}; this one knows up to "
            f"{HEAD}). Update Elara, or choose another home."
        )
    if stored != HEAD:
        if _tables(connection):
            back_up(home, label=stored or "unversioned")
        command.upgrade(config, "head")


def back_up(home: Home, label: str) -> Path:
    """Copy the database as it is at this moment, and keep the newest five copies.

    Args:
        home: whose database to copy.
        label: a word for the file's name.

    Returns:
        The copy.
    """
    copy = home.backups / f"elara-{utc_now().strftime(BACKUP_TIME)}-{label}.sqlite3"
    unfinished = copy.with_suffix(".part")
    with closing(sqlite3.connect(home.database)) as source, closing(sqlite3.connect(unfinished)) as target:
        source.backup(target)
    unfinished.rename(copy)
    for old in sorted(home.backups.glob("elara-*.sqlite3"))[:-BACKUPS_KEPT]:
        old.unlink()
    return copy


def backed_up_at(copy: Path) -> datetime:
    """When `back_up` made a copy, by its name; of a file with another name, when it was last changed."""
    try:
        named = datetime.strptime(copy.name.split("-")[1], BACKUP_TIME)
    except (IndexError, ValueError):
        return datetime.fromtimestamp(copy.stat().st_mtime, UTC)
    return named.replace(tzinfo=UTC)


def _engine(path: Path, begin: str, *, query_only: bool = False, foreign_keys: bool = True) -> Engine:
    """An engine whose transactions start with the given statement.

    Python's own sqlite3 starts them late and in its own way, so it is told not to. A transaction that
    reads first and then writes must begin IMMEDIATE: upgrading a stale read fails at once, whatever
    the busy timeout (https://sqlite.org/isolation.html).
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
        hide_parameters=True,  # what people wrote must not reach the log with an error
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        if not query_only:
            connection.execute("PRAGMA journal_mode = WAL")
            # What is deleted is overwritten with zeros, not only given free.
            connection.execute("PRAGMA secure_delete = ON")
        # What was acknowledged survives a power cut: the log is synced at each commit (0.4 ms instead of
        # 0.02 on an SSD), not only at checkpoints as with NORMAL (https://sqlite.org/pragma.html).
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        connection.execute(f"PRAGMA query_only = {'ON' if query_only else 'OFF'}")

    @event.listens_for(engine, "begin")
    def start_transaction(connection: Connection) -> None:
        _begin(connection, begin)

    return engine


def _begin(connection: Connection, begin: str) -> None:
    """Begin a transaction; whoever waits for the write lock tries again at short random times.

    SQLite's own waiting favours newcomers: the longer one has waited, the more seldom it looks. With twenty
    writers at full speed the unlucky ones waited ten times as long as the others.
    """
    raw: Any = connection.connection.driver_connection
    give_up = time.monotonic() + BUSY_TIMEOUT_SECONDS
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                raw.execute(begin)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(random.uniform(*_RETRY_SECONDS))  # noqa: S311 - chance only parts the waiting
            else:
                return
    finally:
        raw.execute(f"PRAGMA busy_timeout = {1000 * BUSY_TIMEOUT_SECONDS}")


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """Turn the troubles that a person can mend into a `StorageError`; let the others through."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        advice = _ADVICE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
        if advice is None:
            raise
        raise StorageError(f"The database {path} can't be used: {advice}") from error


def _tables(connection: Connection) -> set[str]:
    """Names of the tables that exist."""
    return set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())


def _revision(connection: Connection) -> str | None:
    """The migration the database is at; None when it has had none."""
    if "alembic_version" not in _tables(connection):
        return None
    stored: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return stored
