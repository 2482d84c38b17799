"""How messages become the prompt that a model reads: the one place, for training and for serving alike.

A model's own chat template is used where it has one. Where it has none, one of two formats is:

- `JOINED` for models whose texts begin and end with the same token, as GPT-2's do: every turn is followed by
  that token, as DialoGPT was trained (Zhang et al. 2020, arXiv:1911.00536, section 3).
- `LABELLED` for other plain base models (Mistral 7B v0.1, BLOOM): questions and answers under headings, every
  answer followed by the end token.

The system prompt opens the first question wherever a template has no place for it before the first question.
Loads neither torch nor transformers; tokenizers come from outside.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from adapters.engines.base import Turn
from adapters.engines.text import defuse
from adapters.errors import EngineError, ModelError
from db.vocabulary import Role

_OPENING = (
    "{% set opening = '' %}{% if messages[0].role == 'system' %}"
    "{% set opening = messages[0].content ~ '\n\n' %}{% set messages = messages[1:] %}{% endif %}"
    "{% for message in messages %}{% set content = (opening if loop.first else '') ~ message.content %}"
)
JOINED = _OPENING + "{{ content }}{{ eos_token }}{% endfor %}"
LABELLED = (
    _OPENING + "{% if message.role == 'user' %}Question:\n{{ content | trim }}\n\nAnswer:\n"
    "{% else %}{{ content | trim }}{{ eos_token }}\n\n{% endif %}{% endfor %}"
)
# What templates are told besides the messages. Answers are learned and given without a train of thought:
# where a template can open one (Qwen3's), it closes it at once.
TEMPLATE_SETTINGS: Mapping[str, Any] = MappingProxyType({"enable_thinking": False})

_PROBE = (
    Turn(Role.SYSTEM, "The rule."),
    Turn(Role.USER, "First question?"),
    Turn(Role.ASSISTANT, "Yes."),
    Turn(Role.USER, "Second question?"),
)


def render_prompt(turns: Sequence[Turn], tokenizer: Any) -> list[int]:
    """The prompt that asks for the next answer.

    Args:
        turns: system prompt first, ending with the user's.
        tokenizer: the base model's, as transformers loads it.

    Returns:
        token ids.

    Raises:
        ModelError: the model's chat template refuses these turns.
    """
    return _render(turns, tokenizer, add_generation_prompt=True)


def render_answered(turns: Sequence[Turn], tokenizer: Any) -> list[int]:
    """A whole conversation whose last turn is the answer, in the same format.

    Args:
        turns: system prompt first, ending with the assistant's.
        tokenizer: the base model's.

    Returns:
        token ids; they may go on after the end token.

    Raises:
        ModelError: the model's chat template refuses these turns.
    """
    return _render(turns, tokenizer, add_generation_prompt=False)


def puts_system_first(render: Callable[[Sequence[Turn]], str]) -> bool:
    """Whether a template shows a system turn, and shows it before the first question.

    Some know no system role, some leave it out, and some (Mistral's) show it with the last question, so that
    a conversation reads differently once it has been answered.

    Args:
        render: turns → the prompt as text; raises what the template raises.
    """
    from jinja2.exceptions import TemplateError

    try:
        shown = render(_PROBE)
    except (TemplateError, EngineError):
        return False
    return -1 < shown.find(_PROBE[0].content) < shown.find(_PROBE[1].content)


def open_with_system(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The same turns with what the system says at the beginning of the first question."""
    if len(turns) < 2 or turns[0].role is not Role.SYSTEM:
        return tuple(turns)
    system, first, *rest = turns
    return Turn(first.role, f"{system.content}\n\n{first.content}"), *rest


def fallback_template(tokenizer: Any) -> str:
    """The format for a model without a chat template: `JOINED` or `LABELLED`, opened as its texts are."""
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    opened = begin is not None and tokenizer("")["input_ids"][:1] == [begin]
    return fallback_format(begin, end, opened=opened)


def fallback_format(begin: int | None, end: int | None, *, opened: bool) -> str:
    """The same from a tokenizer's figures.

    Args:
        begin: id of the token that texts begin with; None for none.
        end: id of the token that ends them.
        opened: whether the tokenizer puts the first before every text.
    """
    if begin in (None, end):
        return JOINED
    return ("{{ bos_token }}" if opened else "") + LABELLED


def _render(turns: Sequence[Turn], tokenizer: Any, *, add_generation_prompt: bool) -> list[int]:
    from jinja2.exceptions import TemplateError

    template = None if tokenizer.chat_template else fallback_template(tokenizer)

    def apply(turns: Sequence[Turn], **wanted: Any) -> Any:
        rows = [{"role": turn.role.value, "content": defuse(turn.content)} for turn in turns]
        return tokenizer.apply_chat_template(rows, chat_template=template, **TEMPLATE_SETTINGS, **wanted)

    def as_text(turns: Sequence[Turn]) -> str:
        return str(apply(turns, add_generation_prompt=True, tokenize=False))

    if turns[0].role is Role.SYSTEM and (template or not puts_system_first(as_text)):
        turns = open_with_system(turns)
    try:
        ids = apply(turns, add_generation_prompt=add_generation_prompt, tokenize=True, return_dict=False)
    except TemplateError as error:
        raise ModelError(
            f"The base model's chat template refuses a conversation: {error}. Mostly it wants questions and "
            "answers in turn, a question first; mend the rows, or choose another base model."
        ) from error
    return list(ids)
