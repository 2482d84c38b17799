"""The small networks that tell emergencies from other messages by their features, and how they learn.

Beside each feature's own weight, hidden units weigh them all together: `hidden.py` beside the rules reads
what is learned here. Some of the features and units are left out at every step, each time others, so that no
message rests on one (dropout: N. Srivastava et al., 2014). Widths, shares and rates were chosen by
cross-validation over sets.
"""

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix

from elara_ui.clinical.redflags.hidden import HiddenLayer
from elara_ui.clinical.redflags.weighing import Weighing

NETWORKS, UNITS, EPOCHS, BATCH = 3, 32, 20, 256  # units a network, messages a batch
FEATURES_LEFT_OUT, UNITS_LEFT_OUT = 0.4, 0.5  # shares
RATE, LAST_RATE, DECAY = 5e-3, 1e-4, 1e-5  # AdamW; the rate falls in a line from the first to the last
SPREAD = 0.1  # standard deviation of the weights that it begins with


class Network(torch.nn.Module):
    """Features' shares in, log odds of an emergency out."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.direct = torch.nn.EmbeddingBag(features, 1, mode="sum")
        self.weights = torch.nn.EmbeddingBag(features, units, mode="sum")
        self.bases = torch.nn.Parameter(torch.zeros(units))
        self.outputs = torch.nn.Linear(units, 1)
        torch.nn.init.zeros_(self.direct.weight)
        torch.nn.init.normal_(self.weights.weight, std=SPREAD)

    def forward(self, rows: csr_matrix) -> torch.Tensor:
        """Log odds, one a row."""
        columns = torch.from_numpy(rows.indices.astype(np.int64))
        begins = torch.from_numpy(rows.indptr[:-1].astype(np.int64))
        shares = torch.from_numpy(rows.data.astype(np.float32))
        shares = torch.nn.functional.dropout(shares, FEATURES_LEFT_OUT, self.training)
        units = torch.relu(self.weights(columns, begins, per_sample_weights=shares) + self.bases)
        units = torch.nn.functional.dropout(units, UNITS_LEFT_OUT, self.training)
        direct = self.direct(columns, begins, per_sample_weights=shares)
        return (self.outputs(units) + direct).squeeze(1)


def train(
    rows: csr_matrix, labels: npt.NDArray[np.bool_], networks: int = NETWORKS, units: int = UNITS
) -> Weighing:
    """What tells the rows that are labelled from the others.

    Args:
        rows: messages × features, their shares.
        labels: whether each is one of those that are to be told.
        networks: how many learn it, each from other first weights; what counts is what they say on average.
        units: of each network.
    """
    wanted = torch.from_numpy(labels.astype(np.float32))
    learned = [_train_one(rows, wanted, seed, units) for seed in range(networks)]
    weights = np.concatenate([each.weights.weight.detach().numpy() for each in learned], axis=1)
    bases = np.concatenate([each.bases.detach().numpy() for each in learned])
    outputs = np.concatenate([each.outputs.weight.detach().numpy()[0] for each in learned]) / networks
    direct = sum(each.direct.weight.detach().numpy()[:, 0] for each in learned) / networks
    base = sum(each.outputs.bias.item() for each in learned) / networks
    return Weighing(direct, HiddenLayer.of(weights, bases, outputs), round(base, 2))


def _train_one(rows: csr_matrix, wanted: torch.Tensor, seed: int, units: int) -> "Network":
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(rows.shape[1], units)
        _descend(network, rows, wanted)
    return network


def _descend(network: Network, rows: csr_matrix, wanted: torch.Tensor) -> None:
    steps = EPOCHS * -(-len(wanted) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, LAST_RATE / RATE, steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(wanted)).split(BATCH):
            log_odds = network(rows[batch.numpy()])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(log_odds, wanted[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
