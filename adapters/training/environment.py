"""On what a run works: machine, device and library versions, so that its figures can be understood later."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from adapters.processors import count_cores

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "bitsandbytes",
    "datasets",
    "tokenizers",
    "safetensors",
    "numpy",
)


def describe_environment(precision: str) -> dict[str, Any]:
    """What this process runs on, as ``environment.json`` holds them.

    Args:
        precision: what is computed in: bf16, fp16 or fp32.
    """
    import torch

    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_properties(0) if cuda else None
    return {
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "machine": platform.machine(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(),
        "usable_cores": count_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "device": device.name if device else "cpu",
        "devices": torch.cuda.device_count() if cuda else 0,
        "device_memory_bytes": device.total_memory if device else None,
        "cuda": torch.version.cuda if cuda else None,
        "precision": precision,
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "threads_set": os.environ.get("OMP_NUM_THREADS"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's name; Linux has it in a file only."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
            return next(names, platform.processor())
    except OSError:
        return platform.processor()
