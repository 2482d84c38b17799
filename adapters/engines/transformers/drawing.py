"""Which token comes next in each row: repetition penalty, temperature, nucleus, in the order of transformers.

Each row draws with its own random numbers, one a token, so what is drawn doesn't depend on who else is
there. The penalty means what it means in the llama.cpp engine: every token among the last 64 of prompt and
answer has its logit divided (where positive) or multiplied (where negative) by it, once. transformers' own
looks at the whole context, with which a small model says nothing at all.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from adapters.engines.base import Sampling

PENALTY_TOKENS = 64
_HEAD = 256  # likeliest tokens looked at first; sorting a whole vocabulary takes ten times as long


@dataclass(eq=False)
class Drawing:
    """How one row's tokens are drawn.

    Args:
        sampling: as the request says.
        tokens: prompt and answer so far; whoever writes the answer adds to it.
    """

    sampling: Sampling
    tokens: list[int]
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.sampling.seed)  # noqa: S311 -- nothing to guard

    @property
    def recent(self) -> list[int]:
        """The tokens that the penalty is for."""
        return self.tokens[-PENALTY_TOKENS:]

    def pick(self, probabilities: np.ndarray, vocabulary: int) -> int | None:
        """Draw from the nucleus.

        Args:
            probabilities: of the likeliest tokens, falling.
            vocabulary: how many tokens there are in all.

        Returns:
            a place in `probabilities`; None when they don't hold the whole nucleus.
        """
        mass = np.cumsum(probabilities, dtype=np.float64)
        if mass[-1] < self.sampling.top_p and len(mass) < vocabulary:
            return None
        size = min(int(np.searchsorted(mass, self.sampling.top_p)) + 1, len(mass))
        drawn = self._random.random() * mass[size - 1]
        return min(int(np.searchsorted(mass[:size], drawn, side="right")), size - 1)


def next_tokens(logits: Tensor, rows: Sequence[Drawing]) -> list[int]:
    """One token for each row.

    Args:
        logits: (rows, vocabulary), as the model gave them.
        rows: how each is drawn.
    """
    scores = _penalise(logits.float(), rows)
    chosen: list[int] = scores.argmax(-1).tolist()
    drawn = [index for index, row in enumerate(rows) if row.sampling.temperature > 0]
    if drawn:
        temperatures = torch.tensor([rows[index].sampling.temperature for index in drawn])
        scaled = scores[drawn] / temperatures.to(scores.device)[:, None]
        for index, token in zip(drawn, _draw(scaled, [rows[index] for index in drawn]), strict=True):
            chosen[index] = token
    return chosen


def _draw(scaled: Tensor, rows: Sequence[Drawing]) -> list[int]:
    vocabulary = scaled.shape[-1]
    values, places = scaled.topk(min(_HEAD, vocabulary))
    # float64: with a temperature near 0 the differences are large, with one near 2 the tail is long
    shares = (values.double() - scaled.double().logsumexp(-1, keepdim=True)).exp().cpu().numpy()
    ids = places.cpu().numpy()
    tokens = []
    for number, row in enumerate(rows):
        place = row.pick(shares[number], vocabulary)
        tokens.append(_draw_from_all(scaled[number], row) if place is None else int(ids[number, place]))
    return tokens


def _draw_from_all(scaled: Tensor, row: Drawing) -> int:
    values, places = scaled.double().softmax(-1).sort(descending=True, stable=True)
    place = row.pick(values.cpu().numpy(), len(values))
    assert place is not None  # noqa: S101 -- it saw the whole vocabulary
    return int(places[place])


def _penalise(scores: Tensor, rows: Sequence[Drawing]) -> Tensor:
    if all(row.sampling.repetition_penalty == 1 for row in rows):
        return scores
    recent = [row.recent for row in rows]
    width = max(map(len, recent))
    # Short lists repeat their first token: it is looked up and written once more with the same value.
    ids = torch.tensor([ids + ids[:1] * (width - len(ids)) for ids in recent], device=scores.device)
    penalties = torch.tensor([row.sampling.repetition_penalty for row in rows], device=scores.device)[:, None]
    found = scores.gather(1, ids)
    return scores.scatter(1, ids, torch.where(found > 0, found / penalties, found * penalties))
