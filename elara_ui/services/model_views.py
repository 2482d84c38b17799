"""Base models as the page and the command line show them, and who says what of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.base_model import BaseModel, Weights
from adapters.engines.choice import Choice, EngineKind
from adapters.memory_fit import Fit, MemoryNeed
from adapters.model_store import StoredWeights
from elara_ui.services.model_downloads import Download


@dataclass(frozen=True)
class FormView:
    """One form in which a model's weights can be had.

    Args:
        weights: the form.
        size: of its files, bytes: as they are on disk, else as reckoned; 0 when not known.
        need: memory that it takes to answer; None when not known.
        fit: whether this machine has it.
        stored: where it is here; None when it isn't, or not whole.
        brought: of an unfinished download, bytes that are there.
        download: how one stands that was started since the app was; None for none.
        served: whether it answers now.
    """

    weights: Weights
    size: int
    need: MemoryNeed | None
    fit: Fit
    stored: StoredWeights | None
    brought: int
    download: Download | None
    served: bool


@dataclass(frozen=True)
class ModelView:
    """A base model as the page lists it.

    Args:
        model: what is known of it.
        forms: in which its weights can be had.
        added: whether somebody added it to the catalogue.
        served: whether it answers now.
        adapters: versions trained on it.
    """

    model: BaseModel
    forms: tuple[FormView, ...]
    added: bool
    served: bool
    adapters: tuple[str, ...]

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine in any form."""
        return any(form.stored is not None for form in self.forms)


def forms_of(model: BaseModel, stored: Mapping[Weights, StoredWeights]) -> tuple[Weights, ...]:
    """In which forms a model is offered: all of the hub's, one of a path's."""
    if model.embedded:
        return (Weights.Q4,)
    return tuple(stored) if model.local else tuple(Weights)


def is_of(served: Choice, model: BaseModel, weights: Weights) -> bool:
    """Whether what answers are these very weights."""
    if served.kind is EngineKind.LLAMACPP:
        return model.embedded or model.local or served.weights == weights.value
    return served.kind is EngineKind.TRANSFORMERS and weights is Weights.FULL
