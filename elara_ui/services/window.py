"""Deliberate limits: what of a conversation is sent to the model, and how long an answer may grow."""

import re
from collections.abc import Sequence

from adapters.engines.base import Engine, Turn
from db.vocabulary import Role
from elara_ui.errors import InvalidInput

# The end of a sentence or of a line; the dot after a list's number ends nothing.
CUT_POINT = re.compile(r"""(?<!^\d)(?<!^\d\d)[.!?]["')\]]*(?=\s|$)|(?<=\S)(?=\n)""", re.MULTILINE)
LEAST_KEPT = 0.75
"""Share of the allowed text that a cut at a sentence's end must keep; else it is cut in the sentence."""


def fit_window(
    engine: Engine, system: Turn, turns: Sequence[Turn], max_new_tokens: int
) -> tuple[list[Turn], int]:
    """Drop the oldest exchanges until the rest and the answer fit the engine's context window.

    Args:
        system: always kept, first.
        turns: oldest to newest; the last one is the question and is always kept.
        max_new_tokens: room to keep for the answer, tokens.

    Returns:
        The turns to send, and how many were dropped.

    Raises:
        InvalidInput: the question alone doesn't fit.
    """
    room = engine.context_tokens - max_new_tokens
    kept = list(turns)
    while (length := engine.count_tokens([system, *kept])) > room:
        if len(kept) == 1:
            raise InvalidInput(
                f"The question is {length:,} tokens long with its instructions; {max(room, 0):,} fit beside "
                f"an answer of {max_new_tokens:,}. Shorten the question, or allow fewer new tokens."
            )
        del kept[0]
        while len(kept) > 1 and kept[0].role is not Role.USER:
            del kept[0]
    return [system, *kept], len(turns) - len(kept)


class LimitedText:
    """An answer as it grows, held to its audience's length.

    Args:
        max_words: most words kept; the text then ends with a whole sentence or line, where one is near.
    """

    def __init__(self, max_words: int) -> None:
        self._max_words = max_words
        self.text = ""
        self.full = False

    def add(self, piece: str) -> bool:
        """Append a piece; once the limit is passed the text is cut and takes no more.

        Returns:
            Whether the limit has been passed.
        """
        if self.full:
            return True
        self.text += piece
        words = list(re.finditer(r"\S+", self.text))
        # The word past the limit may still be growing, but it is one too many already.
        if len(words) <= self._max_words:
            return False
        self.full = True
        cut = self.text[: words[self._max_words - 1].end()]
        end = max((match.end() for match in CUT_POINT.finditer(cut)), default=0)
        self.text = cut[:end] if end >= LEAST_KEPT * len(cut) else f"{cut}…"
        return True
