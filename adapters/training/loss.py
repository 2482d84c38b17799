"""The loss of the supervised positions alone: what training takes, and what its memory is reckoned from."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from adapters.training.rendering import IGNORED, WORTH_SHARING

# Their logits are the head's product and nothing else, so that a loss on chosen positions is exact.
PLAIN_HEADS = frozenset({"llama", "mistral", "qwen2", "qwen3", "gpt2", "bloom"})

_READ = ("input_ids", "attention_mask", "position_ids")


def sum_loss(
    core: Any, inputs: Mapping[str, Tensor], positions: Tensor, targets: Tensor, shared: int = 0
) -> Tensor:
    """Cross-entropy summed over the supervised positions; only they are projected onto the vocabulary.

    Args:
        core: a causal language model whose architecture is among `PLAIN_HEADS`.
        inputs: ``input_ids`` with ``attention_mask``, or with ``position_ids`` that begin again at each
            example of a packed row; [rows, length].
        positions: which are supervised, counted through all rows of ``length − 1`` predictions each, [n].
        targets: the token to learn at each of them, [n].
        shared: tokens with which all rows begin and which are read once, see `count_shared`.

    Returns:
        nats, a scalar.
    """
    if shared:
        return _entropies(core, _read_shared(core, inputs["input_ids"], positions, shared), targets, "sum")
    return _entropies(core, _read_apart(core, inputs, positions), targets, "sum")


def count_shared(core: Any, inputs: Mapping[str, Tensor], positions: Tensor) -> int:
    """How many tokens a batch can read once for all its rows: the audience's system prompt, as a rule.

    Nothing that follows changes what a causal model makes of a beginning, so reading it once, and letting
    every row attend to that, gives the same loss and the same gradients.

    Args:
        core: the model.
        inputs: as for `sum_loss`.
        positions: as for `sum_loss`.

    Returns:
        tokens; 0 where it isn't worth it or can't be done: packed rows, rows padded on the left, layers
        that are computed again for the backward pass.
    """
    ids = inputs["input_ids"]
    if len(ids) < 2 or "position_ids" in inputs or (core.training and core.is_activation_checkpointing):
        return 0
    if "attention_mask" in inputs and not bool(inputs["attention_mask"][:, 0].all()):
        return 0
    alike = int((ids == ids[:1]).all(0).cumprod(0).sum())
    first = int((positions % (ids.shape[1] - 1)).min()) if len(positions) else 0
    shared = min(alike, first)
    return shared if shared >= WORTH_SHARING else 0


def score_answers(core: Any, inputs: Mapping[str, Tensor], labels: Tensor) -> Tensor:
    """How likely each token of the answers is; only they are projected onto the vocabulary.

    Args:
        core: a causal language model whose architecture is among `PLAIN_HEADS`.
        inputs: ``input_ids`` and ``attention_mask``, [rows, length].
        labels: the token to score at each position, `IGNORED` where there is none, [rows, length].

    Returns:
        log-probabilities in nats, 0 where nothing is scored, [rows, length − 1].
    """
    targets = labels[:, 1:]
    wanted = targets != IGNORED
    positions = wanted.flatten().nonzero().flatten()
    entropies = _entropies(core, _read_apart(core, inputs, positions), targets[wanted], "none")
    return entropies.new_zeros(targets.shape).masked_scatter(wanted, -entropies)


def _read_apart(core: Any, inputs: Mapping[str, Tensor], positions: Tensor) -> Tensor:
    """What the model makes of each row by itself, at the wanted positions, [n, width]."""
    read = {name: inputs[name] for name in _READ if name in inputs}
    hidden = core.base_model(**read, use_cache=False).last_hidden_state[:, :-1]
    return hidden.flatten(0, 1)[positions]


def _read_shared(core: Any, ids: Tensor, positions: Tensor, shared: int) -> Tensor:
    """The same, with the common beginning read once.

    Rows are padded on the right, where no token looks: they need no mask.
    """
    beginning = core.base_model(input_ids=ids[:1, :shared], use_cache=True).past_key_values
    beginning.batch_repeat_interleave(len(ids))
    hidden = core.base_model(
        input_ids=ids[:, shared:], past_key_values=beginning, use_cache=True
    ).last_hidden_state
    predictions = ids.shape[1] - 1
    return hidden[positions // predictions, positions % predictions - shared]


def _entropies(core: Any, hidden: Tensor, targets: Tensor, reduction: str) -> Tensor:
    logits = core.get_output_embeddings()(hidden)
    return cross_entropy(logits.float(), targets, reduction=reduction)
