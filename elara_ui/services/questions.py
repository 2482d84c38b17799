"""What someone asks, as the model is to be asked it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.engines.base import Sampling, Turn
from adapters.recipe import Recipe
from db.vocabulary import Role
from elara_ui.errors import InvalidInput

TITLE_CHARACTERS = 60
BASE_ALONE = "base"

SAMPLING_LIMITS: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 2.0),
    "repetition_penalty": (1.0, 2.0),
    "top_p": (0.01, 1.0),
    "max_new_tokens": (1, 2048),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True)
class Question:
    """What someone asks, checked.

    Args:
        text: the user's turn.
        recipe: the audience's prompt and limits.
        sampling: the recipe's, with the user's overrides.
        adapter: None for the audience's live one, ``base`` for none, or a versioned name.
        accept_identifiers: whoever asks has said that likely identifiers may be sent as they are.
        instruction: added to the audience's prompt for this answer alone.
        stop: texts that end the answer before the first of them.
        cache_scope: within which its answer may be given again to whoever asks the same; None for nobody.
    """

    text: str
    recipe: Recipe
    sampling: Sampling
    adapter: str | None = None
    accept_identifiers: bool = False
    instruction: str = ""
    stop: tuple[str, ...] = ()
    cache_scope: str | None = ""

    @property
    def system_prompt(self) -> str:
        """What opens the conversation that the model is given."""
        return " ".join(filter(None, (self.recipe.system_prompt, self.instruction)))


def override_sampling(sampling: Sampling, overrides: Mapping[str, Any]) -> Sampling:
    """The recipe's sampling with some fields changed.

    Raises:
        InvalidInput: a value outside `SAMPLING_LIMITS`.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    for name, value in given.items():
        if name not in SAMPLING_LIMITS:
            continue
        low, high = SAMPLING_LIMITS[name]
        if not low <= value <= high:
            raise InvalidInput(f"{name} is {value}; it must lie between {low:g} and {high:g}.")
    return replace(sampling, **given)


def merge_unanswered(history: Sequence[Turn]) -> list[Turn]:
    """Drop questions that never got an answer, so that turns alternate as the model was taught."""
    following = [*history[1:], Turn(Role.USER, "")] if history else []
    return [
        turn
        for turn, after in zip(history, following, strict=True)
        if turn.role is not Role.USER or after.role is Role.ASSISTANT
    ]


def make_title(text: str) -> str:
    """The first words of a question, as a conversation's title."""
    line = " ".join(text.split())
    if len(line) <= TITLE_CHARACTERS:
        return line
    words = line[: TITLE_CHARACTERS - 1].rpartition(" ")[0]
    return f"{words or line[: TITLE_CHARACTERS - 1]}…"
