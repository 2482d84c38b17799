"""The root of every error that Elara shows to a person, and those of the database.

The root lives in the lowest room so that each room can raise its own kind; the whole tree is drawn in
`elara_ui/errors.py`.
"""


class ElaraError(Exception):
    """A mistake or limit that a person can understand and act on.

    Args:
        message: one sentence or two that state the rule, the value met and the remedy. It is shown
            as it is, so it never holds a traceback or a secret.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(ElaraError):
    """Something named by the user does not exist (any more)."""


class InvalidValue(ElaraError):
    """A value that breaks the rule of the column it is meant for."""


class Conflict(ElaraError):
    """What is to be stored exists already and may exist only once."""


class StorageError(ElaraError):
    """The database can't be read or written now: disk full, file damaged, locked or from a newer Elara."""
