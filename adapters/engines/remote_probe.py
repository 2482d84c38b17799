"""Telling by a few words whether a model speaks otherwise than another."""

from dataclasses import dataclass
from typing import Any

QUESTION = "What is asthma? Explain it to me."
TOKENS = 24
"""Enough that an adapter which was learned shows, and a fraction of a second on a graphics card."""
_ROUNDING = 0.01
"""Difference of log-probabilities that says nothing, nats: servers compute in 16 bits and mixed batches."""


@dataclass(frozen=True)
class Saying:
    """What a model says to the question, greedily.

    Args:
        words: the text.
        tokens: the same with the log-probability of each; empty where the server tells none.
    """

    words: str
    tokens: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, choice: Any) -> "Saying":
        """What a server's answer says."""
        told = choice.logprobs.content if choice.logprobs else None
        return cls(str(choice.message.content), tuple((each.token, each.logprob) for each in told or ()))


def differ(said: Saying, base: Saying, again: Saying) -> bool:
    """Whether an adapter speaks otherwise than its base does.

    Args:
        base: what the base says.
        again: what the base says when asked once more; where that differs too, it is rounding.
    """
    if not (said.tokens and base.tokens and again.tokens):
        return said.words not in (base.words, again.words)
    spelt = [token for token, _ in said.tokens]
    if spelt not in ([token for token, _ in known.tokens] for known in (base, again)):
        return True
    return _gap(said, base) > max(_ROUNDING, 2 * _gap(base, again))


def _gap(one: Saying, other: Saying) -> float:
    """The largest difference of log-probabilities while both say the same, nats."""
    largest = 0.0
    for (token, mine), (its, theirs) in zip(one.tokens, other.tokens, strict=False):
        largest = max(largest, abs(mine - theirs))
        if token != its:
            break
    return largest
