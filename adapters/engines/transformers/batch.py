"""The answers being written: rows that come and go, each with its own adapter, one token each a step."""

from collections.abc import Sequence
from typing import Any

from adapters.engines.transformers.cache import merge, new_cache, rewind
from adapters.engines.transformers.drawing import next_tokens
from adapters.engines.transformers.request import Answer
from adapters.engines.transformers.voices import Voices


class Batch:
    """Rows side by side. What a row says doesn't depend on the others, but for the last bits of rounding.

    Rows are of different lengths: the shorter ones are padded on the left, where the mask hides it, and each
    has its own positions.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        """The rows, oldest first."""
        self._lengths: list[int] = []  # tokens of each row whose keys and values are there
        self._cache = new_cache()

    def change(self, keep: Sequence[int], arrived: Sequence[tuple[Answer, Any]]) -> None:
        """Let rows go and come.

        Nothing has changed where memory doesn't suffice.

        Args:
            keep: the rows that stay.
            arrived: answers with the caches of their prompts.
        """
        if len(keep) == len(self.answers) and not arrived:
            return
        kept = [self._lengths[row] for row in keep]
        parts = [(cache, [0], 0) for _, cache in arrived]
        if keep:
            parts.insert(0, (self._cache, list(keep), self._length - max(kept)))
        cache = merge(parts)[0] if parts else new_cache()
        self._cache = cache
        self._lengths = kept + [int(part[0].get_seq_length()) for part in parts[bool(keep) :]]
        self.answers = [self.answers[row] for row in keep] + [answer for answer, _ in arrived]

    def step(self, voices: Voices) -> list[int]:
        """The next token of each row; the row takes it to the next step as the last of its `tokens`."""
        length = self._length
        try:
            logits = voices.forward(
                [answer.tokens[-1:] for answer in self.answers],
                self._lengths,
                [length - own for own in self._lengths],
                self._cache,
                [answer.voice for answer in self.answers],
            )
            tokens = next_tokens(logits, [answer.drawing for answer in self.answers])
        except BaseException:
            rewind(self._cache, length)
            raise
        self._lengths = [own + 1 for own in self._lengths]
        return tokens

    @property
    def _length(self) -> int:
        return max(self._lengths, default=0)
