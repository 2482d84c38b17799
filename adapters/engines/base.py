"""What every engine can do, whatever runs beneath it. Knows neither audiences nor the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from db.vocabulary import FinishReason, Role


@dataclass(frozen=True)
class Turn:
    """One message as the model sees it."""

    role: Role
    content: str


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Args:
        temperature: 0 is greedy; the defaults follow the fine-tuning guide in `docs/fine-tune.md`.
        repetition_penalty: divides the logits of recent tokens; 1 is none.
        top_p: nucleus mass kept, in (0, 1].
        max_new_tokens: bound on the answer's length, tokens.
        seed: makes a draw repeatable; None draws afresh.
    """

    temperature: float = 0.15
    repetition_penalty: float = 1.3
    top_p: float = 0.95
    max_new_tokens: int = 256
    seed: int | None = None


@dataclass(frozen=True)
class GenerationRequest:
    """One answer wanted.

    Args:
        turns: system prompt first, oldest to newest, ending with the user's turn.
        adapter: published versioned name, e.g. ``patient@2``; None for the base model alone.
        sampling: how to draw.
        request_id: names the request for `Engine.cancel`.
    """

    turns: tuple[Turn, ...]
    adapter: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    request_id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Token:
    """A piece of text as it arrives (one or more tokens)."""

    text: str


@dataclass(frozen=True)
class Completion:
    """The last thing a stream yields: the whole answer and its figures.

    Args:
        text: the answer.
        finish_reason: why it ended.
        prompt_tokens: rendered prompt, tokens.
        cached_tokens: of those, how many were not computed again, tokens.
        completion_tokens: generated, tokens.
        seconds: from request to end, s (waiting included).
        first_token_seconds: from request to first token, s.
        tokens_per_second: decode rate, 1/s.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    first_token_seconds: float
    tokens_per_second: float


@dataclass(frozen=True)
class EngineStats:
    """What an engine does now and has done since it was made. Refused requests aren't counted.

    Args:
        running: answers being written.
        waiting: requests that wait for their turn; None where only another machine knows.
        answered: answers that came to their end.
        cancelled: answers that were stopped, or left by their reader.
        failed: requests that the engine could not answer.
        prompt_tokens: in all that ended, tokens.
        cached_tokens: of those, how many were not computed again, tokens.
        generated_tokens: in all that ended, tokens; not in those that were left without waiting for it.
        adapters: how many are published now.
        seconds: since the base model was loaded, s; 0 before.
        trouble: what keeps it from answering as it should, as far as it is known; empty for nothing.
    """

    running: int
    waiting: int | None
    answered: int
    cancelled: int
    failed: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    adapters: int
    seconds: float
    trouble: str = ""


class Engine(Protocol):
    """Owns one base model. Safe to call from any thread; nobody else touches adapter state."""

    @property
    def base_model(self) -> str:
        """Catalogue id of the base model served."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether what is asked leaves this machine."""
        ...

    @property
    def context_tokens(self) -> int:
        """Context window of one request, prompt and answer together, tokens."""
        ...

    @property
    def adapters(self) -> frozenset[str]:
        """Names published now."""
        ...

    def load(self) -> None:
        """Bring the base model into memory; does nothing when it is there.

        Raises:
            ModelError: the model's file is missing or damaged.
        """
        ...

    def publish(self, adapters: dict[str, Path]) -> None:
        """Make exactly these adapters available, without dropping an answer in progress.

        Args:
            adapters: versioned name → adapter folder (as `adapters.registry` lays it out). Names not
                given are retired: requests already streaming with them finish, new ones are refused.

        Raises:
            AdapterError: a folder is damaged or doesn't fit the base; what was published stays.
        """
        ...

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        """Length of the messages rendered by the model's own chat template, tokens."""
        ...

    def stream(self, request: GenerationRequest) -> Iterator[Token | Completion]:
        """Answer, piece by piece; the last item is the `Completion`.

        Closing the iterator early frees the compute at once, as `cancel` does.

        Raises:
            AdapterError: the adapter isn't published.
            ContextOverflow: the turns leave no room for the answer.
            EngineError: the engine failed.
        """
        ...

    def cancel(self, request_id: str) -> None:
        """Stop a request; its stream ends with a cancelled `Completion`. Unknown ids are ignored."""
        ...

    def stats(self) -> EngineStats:
        """What it does now and has done so far; never waits."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...
