"""Every error that may reach a user.

ElaraError                      db.errors; message = rule, value and remedy
├── NotFound                    db.errors; something named does not exist (any more)
├── InvalidValue                db.errors; a value breaks the rule of its column
├── Conflict                    db.errors; it exists already and may exist only once
├── StorageError                db.errors; the disk or the database refuses
├── RecipeError                 adapters.errors; a hyperparameter breaks its rule
├── DatasetError                adapters.errors; a training file can't be used
├── AdapterError                adapters.errors; missing, damaged or unfit adapter
├── RunError                    adapters.errors; a run can't be started or changed
│   └── NotANumber              adapters.errors; a loss or weight stopped being a number
├── ModelError                  adapters.errors; base model missing or damaged
│   └── NotEnoughMemory         adapters.errors; it likely doesn't fit beside what runs
├── EngineError                 adapters.errors; no answer now
│   ├── EngineBusy              adapters.errors; too many wait for one already
│   └── ContextOverflow         adapters.errors; the text exceeds the model's window
├── InvalidInput                what a user typed breaks a rule
│   └── IdentifiersFound        likely identifiers, and nobody has said yet what to do about them
├── ReleaseRefused              a version may not answer an audience as it is
├── HomeInUse                   another app serves the same ELARA_HOME
└── PortTaken                   another program listens on the address
"""

from collections.abc import Mapping

from adapters.errors import (
    AdapterError,
    ContextOverflow,
    DatasetError,
    EngineBusy,
    EngineError,
    ModelError,
    NotANumber,
    NotEnoughMemory,
    RecipeError,
    RunError,
)
from db.errors import Conflict, ElaraError, InvalidValue, NotFound, StorageError

__all__ = [
    "AdapterError",
    "Conflict",
    "ContextOverflow",
    "DatasetError",
    "ElaraError",
    "EngineBusy",
    "EngineError",
    "HomeInUse",
    "IdentifiersFound",
    "InvalidInput",
    "InvalidValue",
    "ModelError",
    "NotANumber",
    "NotEnoughMemory",
    "NotFound",
    "PortTaken",
    "RecipeError",
    "ReleaseRefused",
    "RunError",
    "StorageError",
]


class InvalidInput(ElaraError):
    """What a user typed or chose breaks a rule."""


class IdentifiersFound(InvalidInput):
    """Likely identifiers of people are in what would be stored or leave; nothing has happened to it yet.

    Args:
        message: see `ElaraError`.
        kinds: kind of identifier → how often it was found.
        previews: the texts, or the first of them in part, with the identifiers replaced by their kinds.
    """

    def __init__(self, message: str, kinds: Mapping[str, int], previews: tuple[str, ...]) -> None:
        super().__init__(message)
        self.kinds = kinds
        self.previews = previews


class ReleaseRefused(ElaraError):
    """A version may not answer an audience as it is, or not without a reason."""


class HomeInUse(ElaraError):
    """Another Elara app already serves the same ELARA_HOME."""


class PortTaken(ElaraError):
    """Another program already listens on the wanted address."""
