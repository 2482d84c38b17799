"""Who may ask: keys where any are set, and this machine alone where none are."""

import hmac
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from elara_ui.api.errors import ApiError


class KeyGuard:
    """Lets through who shows a key.

    Args:
        app: what is guarded.
        keys: any of them will do; none lets everyone in.
        closed: lets nobody in, since other machines could ask and no keys are set.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[str], closed: bool) -> None:
        self._app = app
        self._keys = [key.encode() for key in keys]
        self._closed = closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or pass the request on."""
        if scope["type"] != "http" or (refusal := self._refuse(Headers(scope=scope))) is None:
            await self._app(scope, receive, send)
        else:
            await refusal.to_response()(scope, receive, send)

    def _refuse(self, headers: Headers) -> ApiError | None:
        if self._closed:
            return ApiError(
                401,
                "Other machines can reach this Elara, so its API needs keys, and none are set. "
                "Set ELARA_API_KEYS and restart it.",
                code="no_keys_set",
            )
        if not self._keys:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            message = "This API needs a key. Send it as “Authorization: Bearer KEY”."
        # Every key is compared, each in constant time: how long it takes tells nothing of any.
        elif sum(hmac.compare_digest(key, given.strip().encode()) for key in self._keys):
            return None
        else:
            message = "This key isn't one of ELARA_API_KEYS. Ask whoever runs this Elara for one."
        return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
