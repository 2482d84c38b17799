"""Which engine suits this machine, found without loading torch where there is no graphics card."""

import shutil
from pathlib import Path

_DRIVER = Path("/proc/driver/nvidia/version")


def wants_transformers(engine: str) -> bool:
    """Whether the transformers engine is to answer rather than llama.cpp.

    Args:
        engine: ``auto``, ``llamacpp`` or ``transformers``; ``auto`` is transformers where torch sees a
            graphics card. Loading torch takes seconds, so it is asked only where NVIDIA's driver is.
    """
    if engine != "auto":
        return engine == "transformers"
    if not _has_driver():
        return False
    from adapters.engines.transformers.loading import has_graphics_card

    return has_graphics_card()


def _has_driver() -> bool:
    return _DRIVER.exists() or shutil.which("nvidia-smi") is not None
