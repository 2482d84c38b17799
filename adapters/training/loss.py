"""The loss of the supervised positions alone: what training takes, and what its memory is reckoned from."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from adapters.training.rendering import IGNORED

# Their logits are the head's product and nothing else, so that a loss on chosen positions is exact.
PLAIN_HEADS = frozenset({"llama", "mistral", "qwen2", "qwen3", "gpt2", "bloom"})

_READ = ("input_ids", "attention_mask", "position_ids")


def sum_loss(core: Any, inputs: Mapping[str, Tensor], positions: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy summed over the supervised positions; only they are projected onto the vocabulary.

    Args:
        core: a causal language model whose architecture is among `PLAIN_HEADS`.
        inputs: ``input_ids`` with ``attention_mask``, or with ``position_ids`` that begin again at each
            example of a packed row; [rows, length].
        positions: which are supervised, counted through all rows of ``length − 1`` predictions each, [n].
        targets: the token to learn at each of them, [n].

    Returns:
        nats, a scalar.
    """
    return _cross_entropies(core, inputs, positions, targets, "sum")


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
    entropies = _cross_entropies(core, inputs, positions, targets[wanted], "none")
    return entropies.new_zeros(targets.shape).masked_scatter(wanted, -entropies)


def _cross_entropies(
    core: Any, inputs: Mapping[str, Tensor], positions: Tensor, targets: Tensor, reduction: str
) -> Tensor:
    read = {name: inputs[name] for name in _READ if name in inputs}
    hidden = core.base_model(**read, use_cache=False).last_hidden_state[:, :-1]
    logits = core.get_output_embeddings()(hidden.flatten(0, 1)[positions])
    return cross_entropy(logits.float(), targets, reduction=reduction)
