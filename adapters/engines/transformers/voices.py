"""The base model and the adapters on it, each row of a batch answered in its own voice.

A published adapter gets a key of its own that is never used again, so that two publications under one name
can't be taken for each other. One thread at a time.
"""

from collections.abc import Sequence
from inspect import signature
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapters.engines.transformers.folder import check_folder
from adapters.engines.transformers.loras import Unfit, read_loras
from adapters.engines.transformers.memory import is_out_of_memory
from adapters.engines.transformers.mixing import Mixing
from adapters.errors import AdapterError


class Voices:
    """A causal language model that computes each row with its own adapter.

    Args:
        model: a transformers model, which is changed in place.
        base_model: its catalogue id.
        base_sha256: hash of its weights; empty where not known.
    """

    def __init__(self, model: Any, base_model: str, base_sha256: str) -> None:
        self._model = model.eval()
        self._base_model = base_model
        self._base_sha256 = base_sha256
        self._keys: list[str] = []
        # BLOOM has none: it tells positions from the mask.
        self._takes_positions = "position_ids" in signature(model.forward).parameters
        self._numbers = count(1)
        self._mixing = Mixing()

    @property
    def device(self) -> Any:
        """Where inputs go."""
        return self._model.get_input_embeddings().weight.device

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def forward(
        self,
        tokens: Sequence[Sequence[int]],
        starts: Sequence[int],
        padding: Sequence[int],
        cache: Any,
        voices: Sequence[str | None],
    ) -> Tensor:
        """Read the next tokens of each row.

        Args:
            tokens: of each row; equally many.
            starts: how many tokens each row had before.
            padding: how many places at the left of each row's cache hold nothing.
            cache: keys and values so far; takes in the new ones.
            voices: each row's adapter; None for the base model.

        Returns:
            logits after the last token, (rows, vocabulary).
        """
        device = self.device
        ids = torch.tensor(tokens, device=device)
        width = ids.shape[1]
        total = starts[0] + padding[0] + width
        places = torch.arange(total, device=device)
        mask = (places >= torch.tensor(padding, device=device)[:, None]).long()
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
        if self._takes_positions:
            steps = torch.arange(width, device=device)
            inputs["position_ids"] = torch.tensor(starts, device=device)[:, None] + steps
        self._mixing.speak(voices)
        logits: Tensor = self._model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        return logits[:, -1]

    @property
    def keys(self) -> tuple[str, ...]:
        """Adapters that are loaded."""
        return tuple(self._keys)

    def add(self, name: str, folder: Path) -> str:
        """Load an adapter beside the others.

        Args:
            name: for messages.
            folder: as PEFT saves it.

        Returns:
            its key.

        Raises:
            AdapterError: it is damaged or doesn't fit; the others are as they were.
        """
        check_folder(name, folder, self._base_model, self._base_sha256)
        key = f"voice{next(self._numbers)}"
        try:
            self._mixing.add(key, read_loras(self._model, folder))
        except Exception as error:  # safetensors and torch raise whatever comes
            if is_out_of_memory(error):
                raise AdapterError(
                    f"{name} finds no room in memory beside the {len(self.keys)} adapters that are there. "
                    "Retire one, or free some memory, and restart Elara."
                ) from error
            reason = str(error) if isinstance(error, Unfit) else _say(error)
            raise AdapterError(_UNFIT.format(name=name, base=self._base_model, reason=reason)) from error
        self._keys.append(key)
        return key

    def remove(self, key: str) -> None:
        """Free an adapter's memory; no row may speak with it any more."""
        self._mixing.remove(key)
        self._keys.remove(key)


def _say(error: Exception) -> str:
    """What a library complains of, in one line; torch's first one only announces the others."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = lines[1] if lines[0].endswith(":") and lines[1:] else lines[0]
    return line[:200].rstrip(".") + "."


_UNFIT = "{name} must be made for {base}, and doesn't fit it: {reason} Train it again on this base model."
