"""Deliberate limits: what of a conversation is sent to the model, and how long an answer may grow."""

import re
from collections.abc import Sequence

from adapters.engines.base import Engine, Turn
from db.vocabulary import FinishReason, Role
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
    """An answer as it grows, held to its audience's length and ended by whoever asks.

    Args:
        max_words: most words kept; the text then ends with a whole sentence or line, where one is near.
        stop: texts that end the answer where the first of them begins.
    """

    def __init__(self, max_words: int, stop: Sequence[str] = ()) -> None:
        self._max_words = max_words
        self._stop = tuple(stop)
        self._arrived = ""
        self._words = 0
        self.text = ""
        self.ended_by: FinishReason | None = None

    @property
    def full(self) -> bool:
        """Whether it takes no more."""
        return self.ended_by is not None

    @property
    def settled(self) -> str:
        """The beginning of `text` that no later cut takes back, for readers who can't unsee what they got.

        A cut keeps at least `LEAST_KEPT` of the longest text allowed, and never less than up to the last
        sentence's end; each word still to come takes two characters or more.
        """
        if self.full:
            return self.text
        longest = len(self.text.rstrip()) + 2 * (self._max_words - self._words)
        ended = self._last_end(len(self.text) - 1)  # at the very end, more may come to the dot
        return self.text[: max(int(LEAST_KEPT * longest), ended)]

    def add(self, piece: str) -> bool:
        """Append a piece; once the limit is passed the text is cut and takes no more.

        Returns:
            Whether it has ended.
        """
        if self.full:
            return True
        self._arrived += piece
        stops = [at for stop in self._stop if (at := self._arrived.find(stop)) >= 0]
        self.text = self._arrived[: min(stops)] if stops else self._without_half_a_stop()
        words = list(re.finditer(r"\S+", self.text))
        self._words = len(words)
        # The word past the limit may still be growing, but it is one too many already.
        if len(words) <= self._max_words:
            self.ended_by = FinishReason.STOP if stops else None
            return self.full
        self.ended_by = FinishReason.LENGTH
        cut = self.text[: words[self._max_words - 1].end()]
        end = self._last_end(len(cut))
        self.text = cut[:end] if end >= LEAST_KEPT * len(cut) else f"{cut}…"
        return True

    def finish(self) -> None:
        """The engine has ended by itself: what looked like the beginning of a stop belongs to the answer."""
        self._stop = ()
        self.add("")

    def _last_end(self, limit: int) -> int:
        """Where the last sentence or line ends, at most so many characters in; 0 where none does."""
        ends = (match.end() for match in CUT_POINT.finditer(self.text))
        return max((end for end in ends if end <= limit), default=0)

    def _without_half_a_stop(self) -> str:
        """What has arrived, without an end that may become one of the stops."""
        longest = max(
            (
                length
                for stop in self._stop
                for length in range(1, len(stop))
                if self._arrived.endswith(stop[:length])
            ),
            default=0,
        )
        return self._arrived[: len(self._arrived) - longest]
