"""What went wrong with a run, by name, and the remedies of `docs/fine-tune.md` as changed settings."""

import errno
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.errors import NotANumber
from adapters.recipe import Hyperparameters
from adapters.training.exits import Exit
from db.errors import ElaraError
from db.vocabulary import RunFailure

MOST_ACCUMULATED = 1024  # as the hyperparameter's rule has it
LEAST_LENGTH = 64  # tokens; a shorter limit leaves no room for an answer
CRASHES = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE", "SIGTRAP")

_NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_DISK_FULL = ("no space left", "disk is full", "disk quota exceeded")
_TOO_LARGE = "file too large"
_TORN = ("inline_container", "pytorchstreamwriter")  # torch's, which doesn't say why a file can't be written
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a failure.

    Args:
        failure: its name.
        message: one clear sentence or two, with the remedy.
    """

    failure: RunFailure
    message: str


@dataclass(frozen=True)
class Remedy:
    """A change of settings that may help.

    Args:
        label: what it does, in plain words.
        values: hyperparameters by name.
    """

    label: str
    values: dict[str, Any]


def classify(error: Exception) -> Diagnosis:
    """Name what ended a training; the traceback goes to the log alone."""
    lowered = " ".join(str(each).lower() for each in _causes(error))
    if message := _explain_disk(error, lowered):
        return Diagnosis(RunFailure.DISK_FULL, message)
    if isinstance(error, MemoryError) or any(words in lowered for words in _OUT_OF_MEMORY):
        return Diagnosis(
            RunFailure.OUT_OF_MEMORY,
            "Memory ran out. Take a smaller batch_size or max_length, switch gradient_checkpointing on, "
            "or quantise the base model.",
        )
    if isinstance(error, NotANumber):
        return Diagnosis(RunFailure.NOT_A_NUMBER, error.message)
    if isinstance(error, ElaraError):
        return Diagnosis(RunFailure.REFUSED, error.message)
    text = str(error).strip()
    first = text.splitlines()[0][:200] if text else "no message"
    return Diagnosis(
        RunFailure.UNEXPECTED,
        f"Training stopped by an unexpected {type(error).__name__}: {first}. The log has the details.",
    )


def classify_exit(end: Exit) -> Diagnosis:
    """Name why a worker's process is gone without having said so itself; what isn't known isn't claimed."""
    if end.restarted:
        return Diagnosis(
            RunFailure.INTERRUPTED,
            "The machine was restarted while the run was going. Resume the run; it goes on from its last "
            "checkpoint.",
        )
    name = _signal_name(end.status)
    if end.memory_kills and name in ("SIGKILL", None) and not (end.status or 0) > 0:
        many = f"{end.memory_kills} processes" if end.memory_kills > 1 else "1 process"
        how = "was ended by SIGKILL" if name else "is gone"
        return Diagnosis(
            RunFailure.OUT_OF_MEMORY,
            f"The training process {how}, and since it began the system has ended {many} for lack of memory: "
            "most likely this one. Start again with less to hold, or free memory and resume.",
        )
    if name in CRASHES:
        return Diagnosis(
            RunFailure.UNEXPECTED,
            f"The training process crashed with {name}. The log's last lines may tell more; resume it once.",
        )
    if name:
        memory = (
            "nothing says that memory ran out"
            if end.memory_kills == 0
            else "whether memory ran out, this system doesn't tell"
        )
        return Diagnosis(
            RunFailure.KILLED,
            f"The training process was ended from outside by {name}; {memory}. "
            "Resume the run; it goes on from its last checkpoint.",
        )
    if end.status is not None:
        return Diagnosis(
            RunFailure.UNEXPECTED,
            f"The training process ended with exit status {end.status} and could not record why. "
            "The log's last lines tell more.",
        )
    return Diagnosis(
        RunFailure.INTERRUPTED,
        "The training process ended without a word and nobody saw how: it may have been killed, or memory "
        "ran out. Resume the run, or start it again with a smaller batch.",
    )


def find_remedies(
    failure: RunFailure | None, settings: Hyperparameters, targets: Sequence[str] = (), step: int = 0
) -> tuple[Remedy, ...]:
    """Changes of a run's settings that may keep it from failing again, the mildest first.

    Args:
        failure: what went wrong; most failures aren't a matter of settings.
        settings: the run's.
        targets: the layers that got an adapter.
        step: optimizer steps done when it failed; 0 is the base model.
    """
    match failure:
        case RunFailure.OUT_OF_MEMORY:
            return tuple(_need_less_memory(settings, targets))
        case (
            RunFailure.INTERRUPTED
        ):  # memory may have run out, so only what changes little of what is learned
            return tuple(_need_a_little_less_memory(settings))
        case RunFailure.NOT_A_NUMBER:
            return tuple(_keep_numbers(settings, learning=step > 0))
        case _:
            return ()


def change_rate(settings: Hyperparameters, factor: float) -> dict[str, Any]:
    """The learning rate times a factor, to two digits."""
    return {"learning_rate": float(f"{settings.learning_rate * factor:.2g}")}


def _need_a_little_less_memory(settings: Hyperparameters) -> Iterator[Remedy]:
    """Slower, and the adapter comes out about the same."""
    if not settings.gradient_checkpointing:
        yield Remedy(
            "Gradient checkpointing: much less memory, a third more time", {"gradient_checkpointing": True}
        )
    if settings.batch_size > settings.smallest_batch:
        batch = max(settings.smallest_batch, settings.batch_size // 2)
        together = round(settings.batch_size * settings.gradient_accumulation_steps / batch)
        accumulation = min(together, MOST_ACCUMULATED)
        yield Remedy(
            f"Batches of {batch} instead of {settings.batch_size}, {accumulation} added up for an update",
            {"batch_size": batch, "gradient_accumulation_steps": accumulation},
        )


def _need_less_memory(settings: Hyperparameters, targets: Sequence[str]) -> Iterator[Remedy]:
    yield from _need_a_little_less_memory(settings)
    if settings.quantization != "4bit":
        yield Remedy("Base model held in 4 bits: slow on a processor", {"quantization": "4bit"})
    if len(targets) > 1 and not settings.continue_from:  # then they are the former adapter's
        fewer = ",".join(targets[: len(targets) // 2])
        yield Remedy(f"Fewer target modules: {fewer}", {"target_modules": fewer})
    if settings.max_length > LEAST_LENGTH:
        shorter = max(LEAST_LENGTH, settings.max_length // 2)
        if settings.overlong == "truncate_prompt":
            fate = "longer ones lose the beginning of their prompt"
        else:
            fate = "longer ones are left out"
        changed = {"max_length": shorter} | ({"overlong": "drop"} if settings.overlong == "stop" else {})
        yield Remedy(f"Examples of at most {shorter} tokens; {fate}", changed)


def _keep_numbers(settings: Hyperparameters, *, learning: bool) -> Iterator[Remedy]:
    if learning:
        change = change_rate(settings, 1 / 3)
        yield Remedy(f"A third of the learning rate: {change['learning_rate']:g}", change)
    if settings.precision != "fp32":
        yield Remedy("Computing in fp32: slower, and safe from overflow", {"precision": "fp32"})


def _explain_disk(error: Exception, lowered: str) -> str | None:
    """How the disk refused and what to do about it; None when it wasn't the disk."""
    then = "then resume the run; it goes on from its last checkpoint."
    full = any(isinstance(each, OSError) and each.errno in _NO_SPACE for each in _causes(error))
    if full or any(words in lowered for words in _DISK_FULL):
        return f"The disk is full. Free some space, {then}"
    if any(words in lowered for words in _TORN):
        return f"A checkpoint can't be written; most likely the disk is full. Free some space, {then}"
    if _TOO_LARGE in lowered:
        return (
            "A file of the run is larger than may be written. Raise the limit (ulimit -f), or take a disk "
            f"for larger files, {then}"
        )
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came of."""
    while error is not None:
        yield error
        error = error.__cause__


def _signal_name(status: int | None) -> str | None:
    if status is None or status >= 0:
        return None
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
