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
├── EngineError                 adapters.errors; no answer now
│   └── ContextOverflow         adapters.errors; the text exceeds the model's window
├── InvalidInput                what a user typed breaks a rule
├── HomeInUse                   another app serves the same ELARA_HOME
└── PortTaken                   another program listens on the address
"""

from adapters.errors import (
    AdapterError,
    ContextOverflow,
    DatasetError,
    EngineError,
    ModelError,
    NotANumber,
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
    "EngineError",
    "HomeInUse",
    "InvalidInput",
    "InvalidValue",
    "ModelError",
    "NotANumber",
    "NotFound",
    "PortTaken",
    "RecipeError",
    "RunError",
    "StorageError",
]


class InvalidInput(ElaraError):
    """What a user typed or chose breaks a rule."""


class HomeInUse(ElaraError):
    """Another Elara app already serves the same ELARA_HOME."""


class PortTaken(ElaraError):
    """Another program already listens on the wanted address."""
