"""Several short examples in one row, none of which sees another. Loads no torch.

Where positions begin again at 0, transformers lets attention begin again too (`find_packed_sequence_indices`
in its `masking_utils`), provided that it is given neither an attention mask nor a cache. So a packed row is
its examples one after the other, and how long each is.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.errors import RecipeError
from adapters.recipe import Hyperparameters
from adapters.training.rendering import IGNORED, Encoded

# Those whose forward pass takes positions and makes its mask from them; a test compares each with rows apart.
# BLOOM takes none: its bias is reckoned from the attention mask.
PACKABLE = frozenset({"llama", "mistral", "qwen2", "qwen3", "gpt2"})


@dataclass(frozen=True)
class PackedRow(Encoded):
    """Examples one after the other.

    Args:
        seq_lengths: of each example, tokens; trl's collator knows them by this name.
    """

    seq_lengths: list[int] = field(default_factory=list)


def arrange(
    rows: Sequence[Encoded], hyperparameters: Hyperparameters, limit: int, architecture: str
) -> list[Encoded]:
    """The rows as they are shown in training: packed if the settings say so, else as they are.

    Args:
        rows: one example each, none longer than `limit`.
        hyperparameters: the checked settings.
        limit: most tokens of a packed row.
        architecture: transformers' ``model_type`` of the base model.

    Raises:
        RecipeError: packing is asked for and the architecture can't keep examples apart.
    """
    if not hyperparameters.packing:
        return list(rows)
    if architecture not in PACKABLE:
        raise RecipeError(
            "packing needs an architecture that keeps the examples of a row apart: "
            f"{', '.join(sorted(PACKABLE))}. The base model is {architecture}. Set packing to false."
        )
    return list(pack(rows, limit))


def pack(rows: Sequence[Encoded], limit: int) -> list[PackedRow]:
    """Fill rows up by best fit, the longest examples first; the same rows always give the same result.

    Args:
        rows: one example each, none longer than `limit`.
        limit: most tokens of a packed row.
    """
    bins: list[list[Encoded]] = []
    room: list[tuple[int, int]] = []  # (tokens left, number of the bin), in order
    for row in sorted(rows, key=lambda row: len(row.input_ids), reverse=True):
        length = len(row.input_ids)
        place = bisect_left(room, (length, 0))
        left, number = room.pop(place) if place < len(room) else (limit, len(bins))
        if number == len(bins):
            bins.append([])
        bins[number].append(row)
        insort(room, (left - length, number))
    return [_join(examples) for examples in bins]


def count_examples(row: Encoded) -> int:
    """How many examples a row holds."""
    return len(row.seq_lengths) if isinstance(row, PackedRow) else 1


def _join(examples: Sequence[Encoded]) -> PackedRow:
    return PackedRow(
        input_ids=[token for example in examples for token in example.input_ids],
        # What opens an example is predicted from nothing; certainly not from the end of the one before.
        labels=[label for example in examples for label in (IGNORED, *example.labels[1:])],
        seq_lengths=[len(example.input_ids) for example in examples],
    )
