"""What goes wrong, in the shape that clients of OpenAI's API understand."""

import logging
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from elara_ui.errors import (
    AdapterError,
    ContextOverflow,
    ElaraError,
    EngineBusy,
    EngineError,
    IdentifiersFound,
    ModelError,
    NotFound,
    StorageError,
)

log = logging.getLogger(__name__)

RETRY_SECONDS = 5
"""After how long a client may try again what is refused for now."""

ACCEPTING = ' To send it as it is, add {"elara": {"accept_identifiers": true}} to the request.'
INVALID, SERVER = "invalid_request_error", "server_error"

_KINDS: tuple[tuple[type[ElaraError], int, str, str | None], ...] = (
    (IdentifiersFound, 400, INVALID, "identifiers_found"),
    (ContextOverflow, 400, INVALID, "context_length_exceeded"),
    (NotFound, 404, INVALID, "not_found"),
    (ModelError, 503, SERVER, "model_unavailable"),
    (EngineBusy, 503, SERVER, "engine_busy"),
    (EngineError, 503, SERVER, "engine_unavailable"),
    (AdapterError, 503, SERVER, "adapter_unavailable"),
    (StorageError, 503, SERVER, "storage_unavailable"),
    (ElaraError, 400, INVALID, None),
)
"""The first that fits decides: status, type, code."""


class ApiError(Exception):
    """A request that gets an error for an answer.

    Args:
        status: of HTTP.
        message: rule, value and remedy.
        kind: OpenAI's `type`.
        param: the field at fault.
        code: a word for programs.
        elara: what Elara has to tell beside it, such as red flags.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
        elara: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param, self.code = status, message, kind, param, code
        self.elara = dict(elara or {})
        self.headers = dict(headers or {})
        if status == 503:
            self.headers.setdefault("Retry-After", str(RETRY_SECONDS))

    @property
    def body(self) -> dict[str, Any]:
        """The error as JSON."""
        told = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": told | ({"elara": self.elara} if self.elara else {})}

    def to_response(self) -> JSONResponse:
        """The error as an answer."""
        return JSONResponse(self.body, self.status, self.headers)


def describe_error(error: Exception, elara: Mapping[str, Any] | None = None) -> ApiError:
    """Whatever went wrong as an answer; a defect of ours goes to the log, and only its existence is told.

    Args:
        elara: what had been found before it went wrong.
    """
    if isinstance(error, ApiError):
        return error
    if not isinstance(error, ElaraError):
        log.error("The API failed", exc_info=error)
        return ApiError(500, "Something unexpected happened; the log says more.", kind=SERVER, elara=elara)
    told = dict(elara or {})
    if isinstance(error, IdentifiersFound):
        told |= {"kinds": dict(error.kinds), "redacted": list(error.previews)}
    status, kind, code = next(row[1:] for row in _KINDS if isinstance(error, row[0]))
    param = "messages" if isinstance(error, IdentifiersFound | ContextOverflow) else None
    remedy = ACCEPTING if isinstance(error, IdentifiersFound) else ""
    return ApiError(status, f"{error.message}{remedy}", kind=kind, param=param, code=code, elara=told)


async def answer_api_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for `ApiError`."""
    assert isinstance(error, ApiError)  # noqa: S101 -- it is registered for no other
    return error.to_response()


async def answer_http_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for addresses and methods that aren't there."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- it is registered for no other
    wrong_method = error.status_code == 405
    message = (
        f"{request.method} isn't answered at {request.url.path}."
        if wrong_method
        else f"There is nothing at {request.url.path}. Ask /v1/models or /v1/chat/completions."
    )
    code = "method_not_allowed" if wrong_method else "unknown_url"
    return ApiError(error.status_code, message, code=code, headers=error.headers).to_response()


async def answer_nobody(request: Request, error: Exception) -> Response:
    """Starlette's handler for a client who has left; the status is what proxies log then."""
    return Response(status_code=499)
