"""Messages to token ids and labels: the one place where training text is made.

The prompt is what `adapters.templating` makes of it, as it is when the model answers. Only the answer and the
token that ends it are learned: a model trained on questions learns to ask, and one that never sees the end
never stops.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.engines.base import Turn
from adapters.engines.text import defuse
from adapters.errors import DatasetError, ModelError
from adapters.templating import render_answered, render_prompt
from adapters.training.examples import Example
from db.vocabulary import Role

IGNORED = -100  # the label that torch's cross-entropy leaves out


@dataclass(frozen=True)
class Encoded:
    """One example as the trainer takes it.

    Args:
        input_ids: prompt and answer, tokens.
        labels: the same where the answer is, `IGNORED` elsewhere.
    """

    input_ids: list[int]
    labels: list[int]

    @property
    def supervised(self) -> int:
        """How many tokens are learned."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True)
class EncodedSet:
    """Examples as the trainer takes them, and what became of those that were too long.

    Args:
        rows: what is trained on.
        lengths: of every example as it came, tokens.
        left_out: how many were too long and are not in `rows`.
        shortened: how many of `rows` lost the beginning of their prompt.
    """

    rows: list[Encoded]
    lengths: list[int]
    left_out: int = 0
    shortened: int = 0


def encode_all(
    examples: Iterable[Example], tokenizer: Any, system_prompt: str, max_length: int, overlong: str = "drop"
) -> EncodedSet:
    """Encode examples; no answer is ever cut.

    Args:
        examples: what to encode.
        tokenizer: the base model's.
        system_prompt: for examples that have none of their own.
        max_length: most tokens of prompt and answer together.
        overlong: what to do with longer ones: ``drop``, ``truncate_prompt`` or ``stop``.

    Raises:
        ModelError: the tokenizer can't be trained with, see `encode`.
        DatasetError: an example is too long and `overlong` is ``stop``, or an answer is and its prompt should
            have been cut.
    """
    encoded = [encode(with_system(example.messages, system_prompt), tokenizer) for example in examples]
    lengths = [len(row.input_ids) for row in encoded]
    over = sum(length > max_length for length in lengths)
    if over and overlong == "stop":
        raise DatasetError(
            f"No example may have more than {max_length} tokens, as overlong is stop, but {over} of "
            f"{len(encoded)} do; the longest has {max(lengths)}. Raise max_length, shorten them, or set "
            "overlong to drop or truncate_prompt."
        )
    if over and overlong == "truncate_prompt":
        _require_whole_answers(encoded, max_length)
        rows = [_cut_prompt(row, max_length, tokenizer.bos_token_id) for row in encoded]
        return EncodedSet(rows, lengths, shortened=over)
    fitting = [row for row in encoded if len(row.input_ids) <= max_length]
    return EncodedSet(fitting, lengths, left_out=over)


def require_rows(rows: Sequence[Encoded], max_length: int) -> None:
    """Make sure that something is left to learn.

    Raises:
        DatasetError: no example fits into `max_length` tokens.
    """
    if not rows:
        raise DatasetError(
            f"No example fits into {max_length} tokens. Raise max_length, shorten the answers, or set "
            "overlong to truncate_prompt."
        )


def _require_whole_answers(encoded: Sequence[Encoded], max_length: int) -> None:
    """A prompt can only be cut down to its last two tokens: what opens a text, and what opens the answer."""
    answers = [row.supervised + 2 for row in encoded if len(row.input_ids) > max_length < row.supervised + 2]
    if answers:
        raise DatasetError(
            f"An answer is never cut, but {len(answers)} of {len(encoded)} don't fit into {max_length} "
            f"tokens even without their prompt. Raise max_length to {max(answers)}, or set overlong to drop."
        )


def _cut_prompt(row: Encoded, max_length: int, opening: int | None) -> Encoded:
    """Take the oldest tokens of the prompt away, but for the one that opens every text this model reads."""
    surplus = len(row.input_ids) - max_length
    if surplus <= 0:
        return row
    kept = 1 if row.input_ids[0] == opening else 0
    return Encoded(
        row.input_ids[:kept] + row.input_ids[kept + surplus :],
        row.labels[:kept] + row.labels[kept + surplus :],
    )


def with_system(messages: Sequence[Turn], system_prompt: str) -> tuple[Turn, ...]:
    """The messages, opened by the system prompt unless they bring their own."""
    if messages[0].role is Role.SYSTEM or not system_prompt:
        return tuple(messages)
    return Turn(Role.SYSTEM, system_prompt), *messages


def encode(messages: Sequence[Turn], tokenizer: Any) -> Encoded:
    """Encode one conversation whose last turn is the answer to learn.

    Args:
        messages: system prompt first.
        tokenizer: the base model's.

    Raises:
        ModelError: the tokenizer has no end-of-text token, or its template hides the answer.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise ModelError("The base model's tokenizer names no end-of-text token. Choose another base model.")
    prompt = render_prompt(messages[:-1], tokenizer)
    whole = render_answered(messages, tokenizer)
    if whole[: len(prompt)] != prompt:
        raise ModelError(
            "The base model's chat template shows a question differently once it is answered, so training "
            "and real questions would not match. Choose another base model."
        )
    answer = whole[len(prompt) :]
    while end in answer and answer[-1] != end:
        answer.pop()  # what a template puts after the end (a line break) is never generated
    _require_shown(defuse(messages[-1].content), answer, tokenizer)
    return _masked(prompt, answer if answer and answer[-1] == end else [*answer, end])


def _require_shown(text: str, answer: list[int], tokenizer: Any) -> None:
    """Some templates leave answers out, or parts of them such as their reasoning."""

    def squeeze(tokens: list[int]) -> str:
        return "".join(tokenizer.decode(tokens).split())

    shown = squeeze(answer)
    if "".join(text.split()) in shown:
        return
    spelled = squeeze(tokenizer(text, add_special_tokens=False)["input_ids"])  # tokenizers may normalise text
    if spelled not in shown:
        raise ModelError(
            f"The base model's chat template must show an answer whole, but of {text[:60]!r} it shows "
            f"{tokenizer.decode(answer)[:60]!r}. Take out what it hides, or choose another base model."
        )


def _masked(prompt: list[int], answer: list[int]) -> Encoded:
    return Encoded(prompt + answer, [IGNORED] * len(prompt) + answer)
