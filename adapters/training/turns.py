"""From the messages of a training row to checked turns. Every fault is a `BadRow`; nothing is repaired."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.engines.base import Turn
from adapters.training.rejects import BadRow
from db.vocabulary import Role

MAX_ROW_CHARACTERS = 100_000
# Words of the ``conversations`` form (``from``, ``value``) that its collections use for our roles.
_ROLE_NAMES = {"human": Role.USER, "gpt": Role.ASSISTANT} | {role.value: role for role in Role}


def read_turns(messages: object) -> tuple[Turn, ...]:
    """The turns of ``[{"role", "content"}, …]`` or ``[{"from", "value"}, …]``, in their order.

    Raises:
        BadRow: it is not such a list, or a message in it is empty or of an unknown role.
    """
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise BadRow("malformed messages", 'has messages that are not a list of {"role", "content"}')
    return tuple(_read_turn(message) for message in messages)


def check_turns(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Make sure that there is a question, and an answer at the end to learn.

    Raises:
        BadRow: one of them is missing, a system message stands late, or it is too long altogether.
    """
    if not turns or turns[-1].role is not Role.ASSISTANT:
        raise BadRow(
            "no answer at the end", "does not end with an assistant message: there is no answer to learn"
        )
    if not any(turn.role is Role.USER for turn in turns):
        raise BadRow("no user message", "has no user message: there is no question to answer")
    if any(turn.role is Role.SYSTEM for turn in turns[1:]):
        raise BadRow("late system message", "has a system message that is not its first")
    check_length(sum(len(turn.content) for turn in turns))
    return tuple(turns)


def read_text(value: object, name: str) -> str:
    """A text that says something, without the space around it.

    Args:
        value: as it stands in the row.
        name: how messages call it, e.g. ``answer``.

    Raises:
        BadRow: it is not text, or empty.
    """
    if not isinstance(value, str):
        raise BadRow(f"no text as {name}", f"has no text as {name}")
    if not value.strip():
        raise BadRow(f"empty {name}", f"has an empty {name}")
    return value.strip()


def check_length(characters: int) -> None:
    """Hold a row to 100,000 characters.

    Raises:
        BadRow: it is longer.
    """
    if characters > MAX_ROW_CHARACTERS:
        raise BadRow(
            f"over {MAX_ROW_CHARACTERS:,} characters",
            f"has {characters:,} characters, where {MAX_ROW_CHARACTERS:,} are allowed; split or shorten it",
        )


def _read_turn(message: Mapping[str, Any]) -> Turn:
    name = message.get("role", message.get("from"))
    role = _ROLE_NAMES.get(name) if isinstance(name, str) else None
    if role is None:
        known = ", ".join(role.value for role in Role)
        raise BadRow("unknown role", f"has the role {str(name)[:40]!r}; use {known}")
    called = "answer" if role is Role.ASSISTANT else f"{role} message"
    return Turn(role, read_text(message.get("content", message.get("value")), called))
