"""Warnings about settings that are allowed, but seldom wise for as much data as there is."""

from collections.abc import Iterator

from adapters.hyperparameters import Hyperparameters

FEW_ROWS, MANY_ROWS = 1000, 5000
SMALLEST_TO_MEASURE = 50  # from here on it costs little to hold some examples out


def find_hints(settings: Hyperparameters, rows: int | None = None) -> list[str]:
    """What is unusual, one sentence each.

    Args:
        settings: the checked settings.
        rows: examples to learn from, where known.
    """
    return [*settings.hints(), *([] if rows is None else _hints_for(settings, rows))]


def _hints_for(settings: Hyperparameters, rows: int) -> Iterator[str]:
    """The bounds are those that each field's explanation gives for small and for large sets."""
    if rows < FEW_ROWS:
        yield from _hints_for_few(settings, rows)
    if rows >= MANY_ROWS:
        yield from _hints_for_many(settings, rows)
    batch = settings.batch_size * settings.gradient_accumulation_steps
    if batch > max(1, rows // 4):
        yield (
            f"Each update looks at {batch} of {rows} examples, so there are few updates: a smaller "
            "batch size or accumulation learns more."
        )
    if rows >= SMALLEST_TO_MEASURE and not settings.eval_fraction:
        yield "Nothing is held out, so nobody will see how the adapter does on new questions: 0.1 is usual."


def _hints_for_few(settings: Hyperparameters, rows: int) -> Iterator[str]:
    if settings.lora_r > 16:
        yield (
            f"Rank {settings.lora_r} is large for {rows} examples, which it may learn by heart: 4 to 8 is "
            "usual for hundreds."
        )
    if settings.lora_dropout == 0 and settings.objective == "sft":
        yield f"No dropout with only {rows} examples invites learning by heart: 0.1 to 0.3 is usual."


def _hints_for_many(settings: Hyperparameters, rows: int) -> Iterator[str]:
    if settings.lora_r < 8:
        yield f"Rank {settings.lora_r} is small for {rows} examples: 16 to 32 is usual for thousands."
    if settings.lora_dropout > 0.1:
        yield f"Dropout {settings.lora_dropout:g} is much for {rows} examples: 0 to 0.05 is usual."
    if settings.num_epochs > 3:
        yield f"{settings.num_epochs} epochs are many for {rows} examples: 1 to 3 are usual."
