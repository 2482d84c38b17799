"""The processors that this process may compute on, and how many threads answer best there."""

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
# Where the kernel writes the time that a group may compute, and in how much time: version 2, then version 1.
_QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))


def count_cores(root: Path = _CONTROL_GROUPS) -> int:
    """Logical processors that this process may use: those it is bound to, within a container's limit.

    Args:
        root: where the kernel shows the container's control group, of version 2 or 1.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(bound, _container_limit(root))))


@dataclass(frozen=True)
class Threads:
    """Threads that compute an answer.

    Args:
        reading: of the prompt.
        writing: of the answer; these wait for each other many times a token.
    """

    reading: int
    writing: int


def choose_threads(spared: int = 0, root: Path = _CONTROL_GROUPS) -> Threads:
    """All cores for prompts, and for answers as many as are cores of their own.

    Two threads that share a core would take turns, and some of Apple's cores are slow: where it may be so,
    half of the logical processors write.

    Args:
        spared: cores that writing leaves to other programs, where there are more.
        root: as for `count_cores`.
    """
    cores = count_cores(root)
    alone = psutil.cpu_count(logical=False) == psutil.cpu_count() and sys.platform != "darwin"
    return Threads(cores, max(1, min(cores if alone else cores // 2, cores - spared)))


def _container_limit(root: Path) -> float:
    """Processors' worth of time that a container may take; infinite where nothing is set."""
    for files in _QUOTAS:
        try:
            quota, period = (part for file in files for part in (root / file).read_text().split())
            share = int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):  # no such file, or “max”
            continue
        return share if share > 0 else math.inf  # version 1 writes -1 where nothing is set
    return math.inf
