"""What can go wrong while learning and serving, in words for the person at the page."""

from db.errors import ElaraError


class RecipeError(ElaraError):
    """A hyperparameter outside its rule, or settings that contradict each other."""


class DatasetError(ElaraError):
    """A training file that can't be used as it is."""


class AdapterError(ElaraError):
    """An adapter that doesn't exist, doesn't fit the base model or is damaged."""


class RunError(ElaraError):
    """A training run that can't be started, changed or finished."""


class NotANumber(RunError):
    """A loss or a weight of a training stopped being a number."""


class ModelError(ElaraError):
    """A base model that is missing, damaged or can't be fetched."""


class NotEnoughMemory(ModelError):
    """A base model that likely doesn't fit beside what runs; whoever knows better may insist."""


class EngineError(ElaraError):
    """The engine can't answer now."""


class EngineBusy(EngineError):
    """So many wait for an answer already that nobody else may."""


class ContextOverflow(EngineError):
    """The messages don't fit the model's context window.

    Args:
        message: the sentence shown to the user.
        prompt_tokens: length of the rendered messages, tokens.
        limit: most prompt tokens that fit, tokens.
    """

    def __init__(self, message: str, prompt_tokens: int, limit: int) -> None:
        super().__init__(message)
        self.prompt_tokens = prompt_tokens
        self.limit = limit
