"""Messages to token ids and labels: the one place where training text is made.

The prompt is what `adapters.templating` makes of it, as it is when the model answers. Only the answer and the
token that ends it are learned: a model trained on questions learns to ask, and one that never sees the end
never stops.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.engines.base import Turn
from adapters.engines.text import defuse
from adapters.errors import DatasetError, ModelError
from adapters.templating import render_answered, render_prompt
from adapters.training.examples import Example
from adapters.training.objectives import require_both_labels, unpair, with_answer
from db.vocabulary import Role

IGNORED = -100  # the label that torch's cross-entropy leaves out
WORTH_SHARING = 16  # tokens of a common beginning; reading fewer apart costs a batch less than a second pass


@dataclass(frozen=True)
class Encoded:
    """One example as the trainer takes it.

    Args:
        input_ids: prompt and answer, tokens.
        labels: the same where the answer is, `IGNORED` elsewhere.
        rejected: for dpo, the same prompt with the worse answer.
        wanted: for kto, whether the answer is.
    """

    input_ids: list[int]
    labels: list[int]
    rejected: "Encoded | None" = None
    wanted: bool | None = None

    @property
    def sequences(self) -> tuple["Encoded", ...]:
        """What the model reads of it: itself, and the worse answer if there is one."""
        return (self,) if self.rejected is None else (self, self.rejected)

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return max(len(sequence.input_ids) for sequence in self.sequences)

    @property
    def tokens(self) -> int:
        """Tokens of all sequences together."""
        return sum(len(sequence.input_ids) for sequence in self.sequences)

    @property
    def supervised(self) -> int:
        """How many tokens are learned from."""
        return sum(label != IGNORED for sequence in self.sequences for label in sequence.labels)

    @property
    def prompt_ids(self) -> list[int]:
        """The tokens before the answer."""
        return [token for token, label in zip(self.input_ids, self.labels, strict=True) if label == IGNORED]

    @property
    def answer_ids(self) -> list[int]:
        """The tokens of the answer, its end included."""
        return [label for label in self.labels if label != IGNORED]


@dataclass(frozen=True)
class EncodedSet:
    """Examples as the trainer takes them, and what became of those that were too long.

    Args:
        rows: what is trained on.
        lengths: of every example as it came, of a pair the longer one's, tokens.
        left_out: how many were too long and are not in `rows`.
        shortened: how many of `rows` lost the beginning of their prompt.
    """

    rows: list[Encoded]
    lengths: list[int]
    left_out: int = 0
    shortened: int = 0


def encode_all(
    examples: Iterable[Example],
    tokenizer: Any,
    system_prompt: str,
    max_length: int,
    overlong: str = "drop",
    objective: str = "sft",
) -> EncodedSet:
    """Encode examples as their objective reads them; no answer is ever cut.

    Args:
        examples: what to encode.
        tokenizer: the base model's.
        system_prompt: for examples that have none of their own.
        max_length: most tokens of prompt and answer together.
        overlong: what to do with longer ones: ``drop``, ``truncate_prompt`` or ``stop``.
        objective: for ``dpo`` two answers stand side by side, for ``kto`` they are two examples.

    Raises:
        ModelError: the tokenizer can't be trained with, see `encode`.
        DatasetError: an example is too long and `overlong` is ``stop``, or an answer is and its prompt should
            have been cut.
    """
    given = unpair(examples) if objective == "kto" else examples
    encoded = [_encode_example(example, tokenizer, system_prompt, objective) for example in given]
    lengths = [row.length for row in encoded]
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
    fitting = [row for row in encoded if row.length <= max_length]
    return EncodedSet(fitting, lengths, left_out=over)


def require_rows(rows: Sequence[Encoded], max_length: int) -> None:
    """Make sure that something is left to learn.

    Raises:
        DatasetError: no example fits into `max_length` tokens, or of labelled answers only one kind does.
    """
    if not rows:
        raise DatasetError(
            f"No example fits into {max_length} tokens. Raise max_length, shorten the answers, or set "
            "overlong to truncate_prompt."
        )
    require_both_labels([row.wanted for row in rows])


def padded_tokens(batch: Sequence[Encoded]) -> int:
    """What a batch costs: its sequences, each filled up to the longest."""
    return sum(len(row.sequences) for row in batch) * max(row.length for row in batch)


def _encode_example(example: Example, tokenizer: Any, system_prompt: str, objective: str) -> Encoded:
    def encode_answered(messages: Sequence[Turn]) -> Encoded:
        return encode(with_system(messages, system_prompt), tokenizer)

    encoded = encode_answered(example.messages)
    match objective:
        case "dpo":
            return replace(encoded, rejected=encode_answered(with_answer(example, example.rejected)))
        case "kto":
            return replace(encoded, wanted=example.label)
        case _:
            return encoded


def _require_whole_answers(encoded: Sequence[Encoded], max_length: int) -> None:
    """A prompt can only be cut down to its last two tokens: what opens a text, and what opens the answer."""
    answers = [
        len(sequence.answer_ids) + 2
        for row in encoded
        for sequence in row.sequences
        if row.length > max_length < len(sequence.answer_ids) + 2
    ]
    if answers:
        raise DatasetError(
            f"An answer is never cut, but {len(answers)} of {len(encoded)} don't fit into {max_length} "
            f"tokens even without their prompt. Raise max_length to {max(answers)}, or set overlong to drop."
        )


def _cut_prompt(row: Encoded, max_length: int, opening: int | None) -> Encoded:
    """Take the oldest tokens of the prompt away, but for the one that opens every text this model reads.

    Two answers keep the same prompt.
    """
    surplus = row.length - max_length
    if surplus <= 0:
        return row
    kept = 1 if row.input_ids[0] == opening else 0
    shortened = [
        replace(
            sequence,
            input_ids=sequence.input_ids[:kept] + sequence.input_ids[kept + surplus :],
            labels=sequence.labels[:kept] + sequence.labels[kept + surplus :],
        )
        for sequence in row.sequences
    ]
    return shortened[0] if row.rejected is None else replace(shortened[0], rejected=shortened[1])


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
