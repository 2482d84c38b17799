"""Folders of unfinished work in ELARA_HOME: gone when it is done, and swept up later where it was killed.

Whoever works in one holds a lock in it, which ends with the process however that ends. So a folder that is
in use, by the app, a command line or a process either has left behind, is told from one that nobody needs.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from db.home import Home

PREVIEW, EXPORT, PUSH, INTAKE = "preview-", ".export-", "push-", ".intake-"  # begin their names
YOUNG_SECONDS = 5.0  # one that has just been made may not be held yet


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """An empty folder, its owner's to read only, that is gone at the end.

    Args:
        parent: where it is made.
        prefix: begins its name.
    """
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as folder,
        hold(Path(folder)),
    ):
        yield Path(folder)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep a folder from being swept up while this process works in it.

    Args:
        folder: what `scratch` gave, to this process or to the one that started it.
    """
    with FileLock(folder / f"{os.getpid()}.lock"):
        yield


def sweep(home: Home) -> None:
    """Delete what processes left behind that were killed; what a living one holds stays."""
    places = (home.runs, PREVIEW), (home.exports, EXPORT), (home.exports, PUSH), (home.adapters, INTAKE)
    for parent, prefix in places:
        for folder in parent.glob(f"{prefix}*"):
            if folder.is_dir() and not _is_young(folder) and not _is_held(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_young(folder: Path) -> bool:
    return time.time() - folder.stat().st_mtime < YOUNG_SECONDS


def _is_held(folder: Path) -> bool:
    for path in folder.glob("*.lock"):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return True
    return False
