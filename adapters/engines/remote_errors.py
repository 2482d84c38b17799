"""What another server's failures mean. Loads the client's library only once there is one."""

from adapters.errors import AdapterError, EngineError
from db.errors import ElaraError


def explain(error: Exception, url: str, silence: float, adapter: str | None = None) -> ElaraError:
    """What went wrong, fit to be shown; never what was asked.

    Args:
        url: of the server.
        silence: longest wait for it, s.
        adapter: who should have answered.
    """
    import openai

    if isinstance(error, ElaraError):
        return error
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return EngineError(f"{url} has said nothing for {silence:g} s. Try again, or look if it is busy.")
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return EngineError(f"{url} refuses the key. Set ELARA_ENGINE_KEY to one that it takes.")
    if isinstance(error, openai.NotFoundError) and adapter is not None:
        return AdapterError(
            f"{url} no longer has {adapter}. Start it with that adapter again, or restart Elara."
        )
    if isinstance(error, openai.APIStatusError):
        return EngineError(f"{url} answers with status {error.status_code}. Its log says why.")
    return EngineError(f"{url} can't be reached, or broke off. Look whether it runs, then try again.")


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 429) or error.status_code >= 500
    return not isinstance(error, ElaraError | openai.APITimeoutError)
