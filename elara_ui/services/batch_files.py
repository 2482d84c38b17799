"""The file that a batch writes its answers to, and what lies beside it so that it can go on.

`answers.jsonl` holds one record a line, in the order of the questions. Beside it `answers.jsonl.batch/` holds
what the answers are to (`header.json`), a lock, and, while rows that had failed are asked again, their new
records: those are put in their places when all are there, by a new file that takes the old one's place.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from elara_ui.errors import Conflict, StorageError
from elara_ui.services.files import write_atomically

FORMAT = 1
Record = dict[str, Any]
Key = tuple[int, str]
"""A row's number and its audience."""


@dataclass(frozen=True)
class BatchHeader:
    """What the answers of a file are to. A file goes on only with the same.

    Args:
        input_sha256: of the file of questions.
        settings: everything that changes an answer.
        voices: audience → the adapter version that answers, as chosen at the start; ``base`` for none.
        format: of the records.
    """

    input_sha256: str
    settings: Mapping[str, Any]
    voices: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def differences(self, other: "BatchHeader") -> list[str]:
        """What isn't the same in another, in words; the voices are the first one's to say."""
        found = [] if self.format == other.format else ["the format of the records"]
        if self.input_sha256 != other.input_sha256:
            found.append("the questions")
        names = dict.fromkeys([*self.settings, *other.settings])
        found += [
            f"{name} ({self.settings.get(name)} then, {other.settings.get(name)} now)"
            for name in names
            if self.settings.get(name) != other.settings.get(name)
        ]
        return found


def key_of(record: Mapping[str, Any]) -> Key:
    """What a record answers."""
    return int(record["row"]), str(record["audience"] or "")


class BatchFile:
    """The answers of one batch on disk.

    Args:
        path: of the file of answers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._side = path.with_name(f"{path.name}.batch")
        self._header = self._side / "header.json"
        self._retries = self._side / "retries.jsonl"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else writes it meanwhile.

        Raises:
            Conflict: somebody does.
            StorageError: its folder can't be written.
        """
        with _disk(self._side):
            self._side.mkdir(mode=0o700, exist_ok=True)
            lock = FileLock(self._side / "lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise Conflict(
                    f"Another batch is writing {self.path}. Wait for it, stop it, or choose another --out."
                ) from None
        try:
            yield
        finally:
            lock.release()

    def begin(self, header: BatchHeader, *, restart: bool) -> BatchHeader:
        """Start the file, or get ready to go on with it.

        Args:
            restart: throw away what a batch has written there.

        Returns:
            The header that holds: that of the start.

        Raises:
            Conflict: the file is no batch's, or another batch's.
            StorageError: the disk refuses, or the header can't be read.
        """
        with _disk(self.path):
            known = self._read_header()
            if known is None and self.path.exists():
                raise Conflict(
                    f"{self.path} is there already and no batch has written it. Choose another --out, or "
                    "move it away."
                )
            if known is not None and not restart:
                if changed := known.differences(header):
                    raise Conflict(
                        f"{self.path} holds the answers to something else; changed: {'; '.join(changed)}. "
                        "Give what was given then to go on, --restart to begin anew, or another --out."
                    )
                self._recover()
                return known
            self._retries.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
            write_atomically(self._header, json.dumps(asdict(header), ensure_ascii=False, indent=2))
            self.path.touch(mode=0o600)
            return header

    def records(self) -> Iterator[Record]:
        """What is written, in order.

        Raises:
            StorageError: a line is no record.
        """
        with _disk(self.path):
            yield from _read_records(self.path)

    @contextmanager
    def appending(self, *, retries: bool = False) -> Iterator[Callable[[Record], None]]:
        """Yields what writes a record so that it is there, whatever happens next.

        Args:
            retries: the records replace others; `merge` puts them in their places.
        """
        path = self._retries if retries else self.path
        with _disk(path):
            file = path.open("ab")

        def append(record: Record) -> None:
            with _disk(path):
                file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

        try:
            yield append
        finally:
            with _disk(path):
                file.close()

    def merge(self) -> None:
        """Put the records that replace others in their places. Broken off, it can be done again."""
        with _disk(self.path):
            if not self._retries.exists():
                return
            fresh = {key_of(record): record for record in _read_records(self._retries)}
            whole = self._side / "merged.jsonl"
            with whole.open("wb") as file:
                for record in _read_records(self.path):
                    line = json.dumps(fresh.get(key_of(record), record), ensure_ascii=False)
                    file.write(line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            whole.chmod(0o600)
            whole.replace(self.path)
            self._retries.unlink()

    def _read_header(self) -> BatchHeader | None:
        try:
            return BatchHeader(**json.loads(self._header.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise StorageError(
                f"{self._header} is damaged, so the batch can't go on. Remove {self._side} and choose "
                "another --out."
            ) from error

    def _recover(self) -> None:
        """Take away a line that a killed process had begun, and finish what it was putting in place."""
        self.path.touch(mode=0o600)
        for path in (self.path, self._retries):
            if path.exists():
                with path.open("rb+") as file:
                    file.truncate(_whole_lines(file))
        self.merge()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        StorageError: it can't be read.
    """
    digest = sha256()
    with _disk(path), path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _whole_lines(file: BinaryIO) -> int:
    """Bytes up to the last line's end."""
    end = file.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - 2**16)
        file.seek(begin)
        if (found := file.read(end - begin).rfind(b"\n")) >= 0:
            return begin + found + 1
        end = begin
    return 0


def _read_records(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line)
                key_of(record), record["error"]
            except (ValueError, TypeError, KeyError) as error:
                raise StorageError(
                    f"Line {number} of {path} isn't as a batch wrote it. Put the file back as it was, or "
                    "begin anew with --restart."
                ) from error
            yield record


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Says what the disk refuses."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} can't be used: {error.strerror or error}. Free some space or make it writable, then "
            "give the same command; it goes on from here."
        ) from error
