"""The memory that this machine has to give, seen without loading torch."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_DRIVER = Path("/proc/driver/nvidia/version")
_ASK_CARDS = ("--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
_CARD_SECONDS = 5.0
# What the kernel calls a group's limit, use, statistics and file pages: version 2, then version 1.
_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat",
     "total_inactive_file"),
)  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """Memory of one kind.

    Args:
        total: all that programs could have here, bytes.
        available: what they could have now, bytes.
    """

    total: int
    available: int


@dataclass(frozen=True)
class MachineMemory:
    """What a model could be put into.

    Args:
        main: the machine's own memory, within the limit of a container.
        card: of all graphics cards together; None without one.
        card_name: of the first.
    """

    main: Memory
    card: Memory | None = None
    card_name: str = ""


def look_at_memory(root: Path = _CONTROL_GROUPS) -> MachineMemory:
    """The machine as it is now.

    Args:
        root: where the kernel shows the container's control group.
    """
    whole = psutil.virtual_memory()
    main = Memory(
        min(int(whole.total), container_limit(root)), min(int(whole.available), left_in_container(root))
    )
    name, card = _look_at_cards()
    return MachineMemory(main, card, name)


def left_in_container(root: Path = _CONTROL_GROUPS) -> int:
    """Memory that a container's limit leaves, bytes; a very large number where none is set.

    Pages of files that it has read count as used there, but are given back when asked for.

    Args:
        root: where the kernel shows the container's control group, of version 2 or 1.
    """
    for limit, used, statistics, cached in _FILES:
        try:
            most, taken = int((root / limit).read_text()), int((root / used).read_text())
            lines = (line.split() for line in (root / statistics).read_text().splitlines())
            returned = next((int(value) for name, value in lines if name == cached), 0)
        except (OSError, ValueError):  # no such file, or “max”
            continue
        return max(0, most - taken + returned)
    return sys.maxsize


def container_limit(root: Path = _CONTROL_GROUPS) -> int:
    """Most memory that a container may take, bytes; a very large number where nothing is set."""
    for limit, *_ in _FILES:
        try:
            return int((root / limit).read_text())
        except (OSError, ValueError):
            continue
    return sys.maxsize


def _look_at_cards() -> tuple[str, Memory | None]:
    """Name of the first card and the memory of all, as NVIDIA's own tool tells; it takes some 50 ms."""
    tool = shutil.which("nvidia-smi")
    if tool is None or not (_DRIVER.exists() or sys.platform == "win32"):
        return "", None
    try:
        asked = subprocess.run(
            [tool, *_ASK_CARDS], capture_output=True, text=True, timeout=_CARD_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return "", None
    return read_cards(asked.stdout)


def read_cards(told: str) -> tuple[str, Memory | None]:
    """What nvidia-smi printed, a line ``name, total MiB, free MiB`` for each card.

    Returns:
        the first card's name, and the memory of all together; None when there is no line to be understood.
    """
    cards = []
    for line in told.splitlines():
        parts = [part.strip() for part in line.rsplit(",", 2)]
        if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
            cards.append((parts[0], int(parts[1]) << 20, int(parts[2]) << 20))
    if not cards:
        return "", None
    return cards[0][0], Memory(sum(total for _, total, _ in cards), sum(free for _, _, free in cards))
