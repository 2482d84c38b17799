"""Writing files so that a reader never meets half of one."""

import os
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from tempfile import NamedTemporaryFile

from elara_ui.errors import StorageError


@dataclass(frozen=True)
class Document:
    """A text file made for one person; it goes to the browser and is never kept on the server."""

    name: str
    text: str


@dataclass(frozen=True)
class StoredFile:
    """A file in a folder.

    Args:
        size: bytes.
    """

    name: str
    size: int
    sha256: str


def list_files(folder: Path) -> tuple[StoredFile, ...]:
    """The files of a folder with their sizes and hashes, by name.

    Raises:
        StorageError: one of them can't be read.
    """
    found = []
    try:
        for path in sorted(folder.iterdir()):
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            found.append(StoredFile(path.name, path.stat().st_size, digest))
    except OSError as error:
        raise StorageError(
            f"The folder {folder} can't be read: {error.strerror}. Make it readable, then try again."
        ) from error
    return tuple(found)


def write_atomically(path: Path, text: str) -> Path:
    """Write text beside its place and move it there when complete.

    Args:
        path: where the file shall stand; its folder must exist.
        text: its contents, written as UTF-8.

    Returns:
        The path.

    Raises:
        StorageError: the disk refuses; nothing is left behind.
    """
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as partial:
            try:
                partial.write(text)
                partial.flush()
                os.fsync(partial.fileno())
                Path(partial.name).replace(path)
            except BaseException:
                Path(partial.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise StorageError(
            f"The file {path.name} could not be written to {path.parent}: {error.strerror}. "
            "Free some space or choose another place, then try again."
        ) from error
    return path
