"""Reading one prompt, segment by segment, alone.

Where a segment ends depends on the prompt only: at the end of the system prompt, and then every so many
tokens. So a prompt whose beginning is remembered is computed in the same steps as one that is read whole, and
gives the same numbers to the last bit; and between two segments others get their tokens, and a cancelled
request ends.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from torch import Tensor

from adapters.engines.base import Turn
from adapters.engines.transformers.cache import new_cache, rewind
from adapters.engines.transformers.prefixes import Layers, Prefixes
from adapters.engines.transformers.voices import Voices
from adapters.templating import render_prompt
from db.vocabulary import Role

_QUESTIONS = ("A", "B")


class Prompt:
    """A prompt being read.

    Args:
        tokens: of the prompt, and of the answer so far where one goes on.
        system_tokens: how many of them are the system prompt's.
        voice: who reads it; None is the base model.
        segment_tokens: most tokens of a segment.
        prefixes: what is remembered.
    """

    def __init__(
        self,
        tokens: Sequence[int],
        system_tokens: int,
        voice: str | None,
        segment_tokens: int,
        prefixes: Prefixes,
    ) -> None:
        self.cache = new_cache()
        self._voice = voice
        self._segments = segments(tokens, system_tokens, segment_tokens)
        self._prefixes = prefixes
        # The last one is never kept: what comes of it is the first token, which is drawn anew.
        self._found = prefixes.find(voice, self._segments[:-1])
        self._next = len(self._found)
        self.cached_tokens = sum(map(len, self._segments[: self._next]))
        """Tokens that needn't be computed again."""

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return int(self.cache.get_seq_length()) if self.cache.layers else 0

    def read_on(self, voices: Voices) -> Tensor | None:
        """Read the next segment.

        Returns:
            the logits after the prompt, (1, vocabulary), with the last segment; None before.
        """
        if self._found:
            self._recall(self._found)
            self._found = []
        segment, start = self._segments[self._next], self.length
        try:
            logits = voices.forward([segment], [start], [0], self.cache, [self._voice])
        except BaseException:
            rewind(self.cache, start)
            raise
        self._next += 1
        if self._next == len(self._segments):
            return logits
        self._prefixes.keep(self._voice, self._segments[: self._next], self._copy(start))
        return None

    def _copy(self, start: int) -> Layers:
        return [
            (layer.keys[..., start:, :].clone(), layer.values[..., start:, :].clone())
            for layer in self.cache.layers
        ]

    def _recall(self, found: Sequence[Layers]) -> None:
        for index, (keys, values) in enumerate(found[0]):
            self.cache.update(keys, values, index)
            for layers in found[1:]:
                self.cache.update(*layers[index], index)


def segments(tokens: Sequence[int], system_tokens: int, segment_tokens: int) -> list[list[int]]:
    """A prompt in pieces, none empty: the system prompt and what follows, each in pieces of bounded size."""
    bounds = sorted(
        {*range(0, system_tokens, segment_tokens), *range(system_tokens, len(tokens), segment_tokens)}
    )
    return [list(tokens[a:b]) for a, b in zip(bounds, [*bounds[1:], len(tokens)], strict=True)]


def count_system_tokens(prompt: Sequence[int], turns: Sequence[Turn], tokenizer: Any) -> int:
    """Tokens at the beginning of a prompt that any other question after the same system prompt has too.

    Args:
        prompt: the rendered turns.
        turns: with the system prompt first, if there is one.
        tokenizer: the base model's.
    """
    if turns[0].role is not Role.SYSTEM:
        return 0
    others = [render_prompt([turns[0], Turn(Role.USER, text)], tokenizer) for text in _QUESTIONS]
    same = takewhile(lambda ids: len(set(ids)) == 1, zip(prompt, *others, strict=False))
    return min(sum(1 for _ in same), len(prompt) - 1)
