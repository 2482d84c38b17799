"""Messages to token ids and labels: the one place where training text is made.

The model's own chat template is used, as it is when the model answers. Only the answer and the token that
ends it are learned: a model trained on questions learns to ask, and one that never sees the end never stops.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.engines.base import Turn
from adapters.engines.text import defuse
from adapters.errors import ModelError
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


def encode_all(
    examples: Iterable[Example], tokenizer: Any, system_prompt: str, max_length: int
) -> tuple[list[Encoded], int]:
    """Encode examples, leaving out those that don't fit whole.

    Args:
        examples: what to encode.
        tokenizer: the base model's.
        system_prompt: for examples that have none of their own.
        max_length: most tokens of prompt and answer together.

    Returns:
        The encoded examples, and how many were left out.
    """
    encoded = [encode(with_system(example.messages, system_prompt), tokenizer) for example in examples]
    fitting = [row for row in encoded if len(row.input_ids) <= max_length]
    return fitting, len(encoded) - len(fitting)


def with_system(messages: Sequence[Turn], system_prompt: str) -> tuple[Turn, ...]:
    """The messages, opened by the system prompt unless they bring their own."""
    if messages[0].role is Role.SYSTEM or not system_prompt:
        return tuple(messages)
    return Turn(Role.SYSTEM, system_prompt), *messages


def encode(messages: Sequence[Turn], tokenizer: Any) -> Encoded:
    """Encode one conversation whose last turn is the answer to learn.

    Args:
        messages: system prompt first.
        tokenizer: the base model's; without a chat template its EOS ends every turn, as in DialoGPT.

    Raises:
        ModelError: the tokenizer has no end-of-text token, or its template hides the answer.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise ModelError("The base model's tokenizer names no end-of-text token. Choose another base model.")
    # As when the model is asked: what someone wrote into a row must not end a turn and open another.
    messages = [Turn(turn.role, defuse(turn.content)) for turn in messages]
    if not tokenizer.chat_template:
        turns = [[*tokenizer(turn.content, add_special_tokens=False)["input_ids"], end] for turn in messages]
        return _masked([token for turn in turns[:-1] for token in turn], turns[-1])
    prompt = _template(tokenizer, messages[:-1], add_generation_prompt=True)
    whole = _template(tokenizer, messages, add_generation_prompt=False)
    if whole[: len(prompt)] != prompt:
        raise ModelError(
            "The base model's chat template shows a question differently once it is answered, so training "
            "and real questions would not match. Choose another base model."
        )
    answer = whole[len(prompt) :]
    while end in answer and answer[-1] != end:
        answer.pop()  # what a template puts after the end (a line break) is never generated
    return _masked(prompt, answer if answer and answer[-1] == end else [*answer, end])


def _masked(prompt: list[int], answer: list[int]) -> Encoded:
    return Encoded(prompt + answer, [IGNORED] * len(prompt) + answer)


def _template(tokenizer: Any, messages: Sequence[Turn], *, add_generation_prompt: bool) -> list[int]:
    from jinja2.exceptions import TemplateError

    def render(turns: Sequence[Turn]) -> list[int]:
        rows = [{"role": turn.role.value, "content": turn.content} for turn in turns]
        ids: list[int] = tokenizer.apply_chat_template(
            rows, add_generation_prompt=add_generation_prompt, tokenize=True, return_dict=False
        )
        return list(ids)

    try:
        return render(messages)
    except TemplateError:  # some templates know no system role: what it says then opens the first question
        system, first, *rest = messages
        return render([Turn(first.role, f"{system.content}\n\n{first.content}"), *rest])
