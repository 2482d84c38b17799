"""Telling that memory ran out, and giving back what can be given."""

import torch

_SAID = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no room, on the graphics card or off it, where torch has no error class for that."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _SAID)


def give_back() -> None:
    """Return to the graphics card what torch keeps for later use."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
