"""One answer on its way: the engine's thread writes it, whoever asked reads it as it arrives."""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from adapters.engines.base import Completion, GenerationRequest
from adapters.engines.transformers.drawing import Drawing
from adapters.engines.transformers.pieces import Pieces
from db.vocabulary import FinishReason


@dataclass(frozen=True)
class Arrival:
    """What one token brought.

    Args:
        at: when, on `time.perf_counter`'s clock, s.
        text: whole characters; often none.
        written: tokens of the answer so far.
        end: why it was the last; None where more will come.
    """

    at: float
    text: str
    written: int
    end: FinishReason | None


@dataclass(eq=False)
class Answer:
    """One answer, from the question's arrival to the last token.

    Args:
        request: what was asked.
        prompt_tokens: length of the rendered prompt, tokens.
        system_tokens: how many of them every question to this audience begins with.
        voice: key of the adapter in `voices.Voices`; None for the base model.
        drawing: how tokens are drawn; holds those of prompt and answer.
        pieces: makes text of tokens.
        started: when the question came, on `time.perf_counter`'s clock, s.
        cached_tokens: of the prompt, how many needn't be computed; None until that is known.
        failed_alone: whether it has found no memory before, with nobody else on the model.
    """

    request: GenerationRequest
    prompt_tokens: int
    system_tokens: int
    voice: str | None
    drawing: Drawing
    pieces: Pieces
    started: float
    cached_tokens: int | None = None
    failed_alone: bool = False
    _arrivals: "queue.SimpleQueue[Arrival | Exception | None]" = field(default_factory=queue.SimpleQueue)
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _ended: bool = False

    @property
    def tokens(self) -> list[int]:
        """Prompt and answer so far."""
        return self.drawing.tokens

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._cancelled.is_set()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be written."""
        return self._ended or self.is_cancelled

    def take(self, token: int, ends: frozenset[int]) -> None:
        """Write the next token.

        Args:
            ends: tokens that end an answer.
        """
        self.tokens.append(token)
        written = len(self.tokens) - self.prompt_tokens
        end = None
        if token in ends:
            end = FinishReason.STOP
        elif written >= self.request.sampling.max_new_tokens:
            end = FinishReason.LENGTH
        text = "" if end is FinishReason.STOP else self.pieces.add(token)
        self._ended = end is not None
        self._arrivals.put(Arrival(time.perf_counter(), text, written, end))

    def fail(self, error: Exception) -> None:
        """End it with an error."""
        self._ended = True
        self._arrivals.put(error)

    def cancel(self) -> None:
        """End it for the reader now; the engine's thread leaves it at its next step."""
        self._cancelled.set()
        self._arrivals.put(None)

    def read(self) -> Iterator[Arrival | Completion]:
        """What arrives, as it does; the last is the whole.

        Raises:
            Exception: what the answer failed with.
        """
        text, first, last = "", None, None
        while not self.is_cancelled and (item := self._arrivals.get()) is not None:
            if isinstance(item, Exception):
                raise item
            first, last = first or item, item
            text += item.text
            yield item
            if item.end:
                break
        yield self._complete(text, first, last)

    def _complete(self, text: str, first: Arrival | None, last: Arrival | None) -> Completion:
        now = time.perf_counter()
        written = last.written if last else 0
        decoding = last.at - first.at if first and last else 0.0
        return Completion(
            text=text,
            finish_reason=(last and last.end) or FinishReason.CANCELLED,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens or 0,
            completion_tokens=written,
            seconds=now - self.started,
            first_token_seconds=(first.at if first else now) - self.started,
            tokens_per_second=(written - 1) / decoding if decoding > 0 else 0.0,
        )
