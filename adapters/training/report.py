"""What a preview tells before a run is launched. Plain data, for a page to draw and a terminal to print."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from adapters.recipe import Hyperparameters
from adapters.training.calibration import Pace
from adapters.training.memory import BatchShape, MemoryEstimate
from adapters.training.packing import count_examples
from adapters.training.rendering import IGNORED, WORTH_SHARING, Encoded, EncodedSet, padded_tokens

# What measuring takes of a step's work: with frozen weights, going back costs about what going forward does.
# The answers of dpo go forward twice, those of kto four times, twice with answers to other prompts.
FORWARD_SHARES = {"sft": 1 / 2, "dpo": 2 / 3, "kto": 4 / 5}


@dataclass(frozen=True)
class TextPiece:
    """A stretch of a rendered row, all of it learned or none."""

    text: str
    supervised: bool


@dataclass(frozen=True)
class RenderedRow:
    """One example as the model will read it.

    Args:
        pieces: prompt and answer with the template's own marks.
        tokens: of the whole.
        supervised_tokens: of what is learned from.
        rejected: for dpo, the same prompt with the worse answer.
        wanted: for kto, whether the answer is.
    """

    pieces: tuple[TextPiece, ...]
    tokens: int
    supervised_tokens: int
    rejected: "RenderedRow | None" = None
    wanted: bool | None = None


@dataclass(frozen=True)
class LengthBin:
    """A bar of the histogram: rows with ``low`` ≤ tokens < ``high``."""

    low: int
    high: int
    rows: int


@dataclass(frozen=True)
class Lengths:
    """How long the examples are, held-out ones included, before anything is done about long ones.

    Of a pair, the longer answer counts.

    Args:
        bins: the histogram.
        shortest: tokens.
        median: tokens.
        longest: tokens.
        limit: most tokens allowed.
        over_limit: how many examples are longer.
        policy: what is done with those: ``drop``, ``truncate_prompt`` or ``stop``.
        left_out: how many are not trained on.
        shortened: how many lose the beginning of their prompt.
    """

    bins: tuple[LengthBin, ...]
    shortest: int
    median: int
    longest: int
    limit: int
    over_limit: int
    policy: str
    left_out: int
    shortened: int


@dataclass(frozen=True)
class Plan:
    """How much work the run is.

    Args:
        steps: updates in the whole run.
        steps_per_epoch: updates.
        effective_batch: examples behind one update; their mean when they are packed.
        tokens_per_epoch: without padding.
        supervised_share: of these tokens, the part that is learned from, 0 to 1.
        padding_share: of all tokens computed, those that only fill a batch up, 0 to 1.
        seconds: of the whole run, loading and measuring included; None without calibration.
        tokens_per_second: without padding; None without calibration.
    """

    steps: int
    steps_per_epoch: int
    effective_batch: int
    tokens_per_epoch: int
    supervised_share: float
    padding_share: float
    seconds: float | None
    tokens_per_second: float | None


@dataclass(frozen=True)
class Preview:
    """What a run would do, without doing it.

    Args:
        audience: for whom.
        base_model: catalogue id, hub id or folder.
        precision: what it would be computed in: bf16, fp16 or fp32.
        target_modules: the layers that would get a LoRA.
        train: rows to learn from.
        held_out: rows to measure on.
        samples: the first rows as rendered.
        lengths: of the rows, tokens.
        plan: steps and time.
        memory: the peak, by part.
        notes: what is allowed but worth knowing, one sentence each.
    """

    audience: str
    base_model: str
    precision: str
    target_modules: tuple[str, ...]
    train: int
    held_out: int
    samples: tuple[RenderedRow, ...]
    lengths: Lengths
    plan: Plan
    memory: MemoryEstimate
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, with the sums that the memory's parts come to."""
        document = asdict(self)
        document["memory"] |= {"total": self.memory.total, "fits": self.memory.fits}
        return document


def render_row(row: Encoded, tokenizer: Any) -> RenderedRow:
    """A row as text, cut where it changes from what is read to what is learned."""
    pieces = []
    pairs = zip(row.input_ids, row.labels, strict=True)
    for supervised, run in groupby(pairs, key=lambda pair: pair[1] != IGNORED):
        pieces.append(TextPiece(tokenizer.decode([token for token, _ in run]), supervised))
    rejected = None if row.rejected is None else render_row(row.rejected, tokenizer)
    return RenderedRow(tuple(pieces), len(row.input_ids), len(row.answer_ids), rejected, row.wanted)


def describe_lengths(parts: Sequence[EncodedSet], limit: int, policy: str) -> Lengths:
    """How long the examples of all parts are together, and what became of those over the limit."""
    lengths = [length for part in parts for length in part.lengths]
    return Lengths(
        bins=histogram(lengths),
        shortest=min(lengths),
        median=int(statistics.median(lengths)),
        longest=max(lengths),
        limit=limit,
        over_limit=sum(length > limit for length in lengths),
        policy=policy,
        left_out=sum(part.left_out for part in parts),
        shortened=sum(part.shortened for part in parts),
    )


def histogram(lengths: Sequence[int], bars: int = 12) -> tuple[LengthBin, ...]:
    """Equally wide bars over all lengths, the width a multiple of 8 tokens.

    Args:
        lengths: tokens; not empty.
        bars: most of them.
    """
    low, high = min(lengths) // 8 * 8, max(lengths) + 1
    width = max(8, -(-(high - low) // (8 * bars)) * 8)
    edges = range(low, high, width)
    return tuple(
        LengthBin(edge, edge + width, sum(edge <= length < edge + width for length in lengths))
        for edge in edges
    )


def largest_batch(rows: Sequence[Encoded], hyperparameters: Hyperparameters) -> BatchShape:
    """No batch of any epoch is larger: the longest row, and the most that as many rows teach."""
    size = min(hyperparameters.batch_size, len(rows))
    teaching = sorted((row.supervised for row in rows), reverse=True)
    return BatchShape(
        rows=size,
        length=max(row.length for row in rows),
        supervised=sum(teaching[:size]),
        answers=len(rows[0].sequences),
        compared=hyperparameters.objective != "sft",
        shared=_shared_beginning(rows, hyperparameters) if size > 1 else 0,
    )


def _shared_beginning(rows: Sequence[Encoded], hyperparameters: Hyperparameters) -> int:
    """Tokens that every batch reads once for all its rows; as `loss.count_shared` finds them."""
    if (
        hyperparameters.objective != "sft"
        or hyperparameters.packing
        or hyperparameters.gradient_checkpointing
    ):
        return 0
    prompts = [row.prompt_ids for row in rows]
    shared = min(map(len, prompts)) - 1  # the last token of a prompt predicts the first of its answer
    while shared >= WORTH_SHARING and any(prompt[:shared] != prompts[0][:shared] for prompt in prompts):
        shared -= 1
    return shared if shared >= WORTH_SHARING else 0


def pick_typical(batches: Sequence[Sequence[Encoded]], rank: float) -> Sequence[Encoded]:
    """The batch that costs as much as, or more than, that share of them, 0 to 1."""
    return sorted(batches, key=padded_tokens)[int(rank * (len(batches) - 1))]


def make_plan(
    batches: Sequence[Sequence[Encoded]],
    held_out: Sequence[Encoded],
    hyperparameters: Hyperparameters,
    steps: int,
    pace: Pace | None,
) -> Plan:
    """Steps and time of a run.

    Args:
        batches: those of an epoch.
        held_out: rows to measure on, before the first epoch and after each.
        hyperparameters: the checked settings.
        steps: updates in the whole run.
        pace: how fast the machine is; None when that was not measured.
    """
    tokens = sum(row.tokens for batch in batches for row in batch)
    padded = sum(padded_tokens(batch) for batch in batches)
    per_epoch = -(-len(batches) // hyperparameters.gradient_accumulation_steps)
    epochs = steps / per_epoch
    rows = hyperparameters.batch_size * hyperparameters.gradient_accumulation_steps
    examples = sum(count_examples(row) for batch in batches for row in batch)
    measured = [
        held_out[i : i + hyperparameters.batch_size]
        for i in range(0, len(held_out), hyperparameters.batch_size)
    ]
    share = FORWARD_SHARES[hyperparameters.objective]
    measuring = share * sum(map(padded_tokens, measured)) * (math.ceil(epochs) + 1)
    seconds = rate = None
    if pace is not None:
        seconds = pace.load_seconds + pace.seconds_per_token * (epochs * padded + measuring)
        rate = tokens / padded / pace.seconds_per_token
    return Plan(
        steps=steps,
        steps_per_epoch=per_epoch,
        effective_batch=round(examples / per_epoch) if hyperparameters.packing else rows,
        tokens_per_epoch=tokens,
        supervised_share=sum(row.supervised for batch in batches for row in batch) / tokens,
        padding_share=1 - tokens / padded,
        seconds=seconds,
        tokens_per_second=rate,
    )
