"""What each objective learns from, and whether a set of examples has it. No torch here.

- ``sft`` imitates the answers that are wanted: Ouyang et al. 2022, section 3.5, step 1.
- ``dpo`` tells a better answer from a worse one to the same prompt: Rafailov et al. 2023, "Direct Preference
  Optimization".
- ``kto`` learns from single answers marked as wanted or not: Ethayarajh et al. 2024, "KTO: Model Alignment as
  Prospect Theoretic Optimization".

The last two compare the model with what it was before; the adapter then says by how much it has moved.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from adapters.engines.base import Turn
from adapters.errors import DatasetError
from adapters.training.examples import Example
from db.vocabulary import Role


def require_supervision(examples: Sequence[Example], objective: str) -> None:
    """Make sure that every example says what the objective learns from.

    Args:
        examples: as read.
        objective: ``sft``, ``dpo`` or ``kto``.

    Raises:
        DatasetError: rows without a rejected answer for dpo, or without one and a label for kto.
    """
    if objective == "dpo":
        lacking = sum(not example.rejected for example in examples)
        if lacking:
            raise DatasetError(
                "DPO learns from pairs of a better and a worse answer to the same prompt, but "
                f"{lacking} of {len(examples)} rows have no rejected answer. Give rows with prompt, chosen "
                "and rejected, or set objective to sft (kto, if a label says which answers are wanted)."
            )
    elif objective == "kto":
        lacking = sum(not example.rejected and example.label is None for example in examples)
        if lacking:
            raise DatasetError(
                "KTO learns from answers marked as wanted or not, but "
                f"{lacking} of {len(examples)} rows have no label that is true or false, and no rejected "
                "answer either. Give rows with prompt, completion and label, or set objective to sft."
            )


def require_both_labels(labels: Sequence[bool | None]) -> None:
    """Make sure that labelled answers are of both kinds.

    Args:
        labels: of what is learned from; None for answers without one, which are left alone.

    Raises:
        DatasetError: all are wanted, or none is.
    """
    marked = {label for label in labels if label is not None}
    if len(marked) == 1:
        kind = "wanted" if marked.pop() else "not wanted"
        raise DatasetError(
            "KTO learns from the difference between answers that are wanted and answers that are not, but "
            f"all {len(labels)} to learn from are {kind}. Add answers of the other kind, or set objective to "
            "sft."
        )


def unpair(examples: Iterable[Example]) -> list[Example]:
    """Preferences as single answers: the chosen ones are wanted, the rejected ones are not.

    The rejected ones come after all others, so that the two answers to a prompt don't stand side by side:
    KTO reckons how far the model has moved from answers to other prompts nearby.

    Args:
        examples: preferences and labelled answers, mixed as they come.
    """
    given = list(examples)
    wanted = [replace(item, rejected="", label=True) if item.rejected else item for item in given]
    unwanted = [
        replace(item, messages=with_answer(item, item.rejected), rejected="", label=False)
        for item in given
        if item.rejected
    ]
    return wanted + unwanted


def with_answer(example: Example, answer: str) -> tuple[Turn, ...]:
    """The conversation of an example as it would be with another answer."""
    return (*example.prompt, Turn(Role.ASSISTANT, answer))
