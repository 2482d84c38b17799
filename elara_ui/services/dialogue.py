"""A conversation that somebody else kept, taken apart as the model is to be asked it."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from adapters.engines.base import Turn
from db.vocabulary import Role
from elara_ui.errors import InvalidInput


@dataclass(frozen=True)
class Dialogue:
    """What is asked.

    Args:
        instruction: the system's words, added to the audience's own prompt; empty for none.
        history: the turns before the question, oldest first.
        question: the user's last turn.
    """

    instruction: str
    history: tuple[Turn, ...]
    question: str

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that somebody wrote in it."""
        said = (self.instruction, *(turn.content for turn in self.history), self.question)
        return tuple(filter(None, said))


def take_apart(turns: Iterable[Turn], longest: int) -> Dialogue:
    """Find the question in a conversation.

    Neighbours of one role are read as one turn, as are several system messages.

    Args:
        turns: at least one, oldest first.
        longest: characters that a turn may have.

    Raises:
        InvalidInput: the order is none that a conversation can have, or a turn is empty or too long.
    """
    said = [
        Turn(role, "\n\n".join(turn.content for turn in group))
        for role, group in groupby(turns, key=lambda turn: turn.role)
    ]
    system = said.pop(0).content if said[0].role is Role.SYSTEM else ""
    if any(turn.role is Role.SYSTEM for turn in said):
        raise InvalidInput("System messages must stand before all others. Move them to the beginning.")
    if not said or said[-1].role is not Role.USER:
        raise InvalidInput("The last message must be the user's: it is what gets an answer.")
    if said[0].role is not Role.USER:
        raise InvalidInput(
            "After the system's, the first message must be the user's. Leave earlier ones out."
        )
    for turn in [Turn(Role.SYSTEM, system or "none"), *said]:
        _check_turn(turn, longest)
    return Dialogue(system.strip(), tuple(said[:-1]), said[-1].content)


def _check_turn(turn: Turn, longest: int) -> None:
    if not turn.content.strip():
        raise InvalidInput(f"A message of the {turn.role} is empty. Leave it out, or fill it.")
    if len(turn.content) > longest:
        raise InvalidInput(
            f"A turn of the {turn.role} has {len(turn.content):,} characters; at most {longest:,} are "
            "accepted. Shorten it."
        )
