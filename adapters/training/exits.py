"""How a worker's process ended, as far as anybody can know.

Whoever started it hears its exit status and notes it in the run's folder, where any process can read it.
Whether the system ended a process for lack of memory is told by the kernel's counters, read at start and end.
"""

import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

START, EXIT = "process.json", "exit.json"
NOTE_SECONDS = 0.3  # a process is seen to be gone a moment before its exit status is noted

_KERNEL_COUNTERS = (
    Path("/sys/fs/cgroup/memory.events"),  # of this container
    Path("/sys/fs/cgroup/memory/memory.oom_control"),
    Path("/proc/vmstat"),  # of the machine
)


@dataclass(frozen=True)
class Exit:
    """The end of a worker.

    Args:
        status: its exit status, negative for the signal that ended it; None when nobody was there to see.
        memory_kills: processes that the system ended for lack of memory since it started; None: not told.
        restarted: whether the machine was restarted after the worker's last sign of life.
    """

    status: int | None = None
    memory_kills: int | None = None
    restarted: bool = False


def note_start(folder: Path, pid: int) -> None:
    """Keep what the end will be compared with; what the disk refuses is missed then, no more."""
    (folder / EXIT).unlink(missing_ok=True)
    _write(folder / START, {"pid": pid, "memory_kills": count_memory_kills()})


def note_exit(folder: Path, pid: int, status: int) -> None:
    """Keep how a process ended."""
    _write(folder / EXIT, {"pid": pid, "status": status})


def read_exit(folder: Path, pid: int | None, last_seen: datetime | None) -> Exit:
    """What is known of how a process ended.

    Args:
        folder: of the run.
        pid: the process; None when the run never had one.
        last_seen: its last sign of life.
    """
    restarted = last_seen is not None and psutil.boot_time() > last_seen.timestamp()
    status = _await_status(folder, pid) if pid is not None and not restarted else None
    before, now = _read(folder / START, pid).get("memory_kills"), count_memory_kills()
    if before is None or now is None or restarted:
        return Exit(status, None, restarted)
    return Exit(status, max(0, now - before))


def count_memory_kills() -> int | None:
    """Processes that the system has ended for lack of memory since it started; None when it doesn't say."""
    counts = [count for path in _KERNEL_COUNTERS if (count := _read_counter(path)) is not None]
    return max(counts, default=None)


def _await_status(folder: Path, pid: int) -> int | None:
    deadline = time.monotonic() + NOTE_SECONDS
    while (status := _read(folder / EXIT, pid).get("status")) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return status


def _read_counter(path: Path) -> int | None:
    with suppress(OSError):
        if found := re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE):
            return int(found[1])
    return None


def _write(path: Path, content: dict[str, int | None]) -> None:
    with suppress(OSError):
        path.write_text(json.dumps(content), encoding="utf-8")


def _read(path: Path, pid: int | None) -> dict[str, int]:
    """A note about a process; empty when there is none, or one about another process."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("pid") == pid:
            return {name: value for name, value in content.items() if isinstance(value, int)}
    return {}
