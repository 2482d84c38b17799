"""Answers kept for a while, for requests that would be answered word for word the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

from cachetools import TTLCache

from adapters.engines.base import Completion, Turn
from adapters.engines.choice import Choice
from db.vocabulary import FinishReason
from elara_ui.services.questions import Question

_OVERHEAD = 512  # bytes; what an entry takes beside its texts


@dataclass(frozen=True)
class Written:
    """An answer as the engine wrote it and its audience's limits left it.

    Args:
        text: as shown.
        finish_reason: why it ended.
        completion: the engine's figures.
        cached: whether it was found here instead of written anew.
    """

    text: str
    finish_reason: FinishReason
    completion: Completion
    cached: bool = False

    def recall(self, seconds: float) -> "Written":
        """The same, found again.

        Args:
            seconds: from the request until it was found, s.
        """
        found = replace(
            self.completion,
            cached_tokens=self.completion.prompt_tokens,
            seconds=seconds,
            first_token_seconds=seconds,
            tokens_per_second=0.0,
        )
        return replace(self, completion=found, cached=True)


class AnswerCache:
    """Remembers answers by everything that decides their words.

    Only a request that repeats itself is remembered (greedy, or with a seed), and only where its question
    allows it: `Question.cache_scope` keeps those of one client from another, and private conversations out.

    Args:
        bytes_kept: of texts, at most; the longest unused go first. 0 keeps nothing.
        seconds: until an answer is written anew, s.
    """

    def __init__(self, bytes_kept: int, seconds: float) -> None:
        self._kept: TTLCache[object, Written] = TTLCache(bytes_kept, seconds, getsizeof=_measure)
        self._lock = Lock()

    def find(self, key: object | None) -> Written | None:
        """What was answered to it, or None.

        Args:
            key: from `make_key`; None finds nothing.
        """
        if key is None:
            return None
        with self._lock:
            return self._kept.get(key)

    def keep(self, key: object | None, written: Written) -> None:
        """Remember an answer, unless it was broken off or is larger than everything kept."""
        if key is None or written.finish_reason is FinishReason.CANCELLED:
            return
        with self._lock:
            if _measure(written) <= self._kept.maxsize:
                self._kept[key] = written


def make_key(question: Question, choice: Choice, adapter: str | None, turns: Sequence[Turn]) -> object | None:
    """Everything that decides the words of an answer; None where they may differ or must not be kept.

    Args:
        choice: base model and engine that answer.
        adapter: versioned name; None for the base model alone.
        turns: as the model is given them, the system prompt first.
    """
    sampling = question.sampling
    repeats = sampling.temperature == 0 or sampling.seed is not None
    if question.cache_scope is None or not repeats:
        return None
    limits = (question.recipe.max_explanation_length, question.stop)
    served = (choice, adapter)
    return (question.cache_scope, *served, tuple(turns), sampling, limits)


def _measure(written: Written) -> int:
    """Bytes that an entry takes, its key's turns taken to be about as long as the prompt's tokens are."""
    return _OVERHEAD + 8 * written.completion.prompt_tokens + 4 * len(written.text)
