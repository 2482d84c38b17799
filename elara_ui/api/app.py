"""The addresses under /v1. Everything that is decided about an answer is decided by the chat's services."""

import hashlib
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from threading import BoundedSemaphore
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from elara_ui.api.access import KeyGuard
from elara_ui.api.answers import Reply, describe_model
from elara_ui.api.asking import Asking
from elara_ui.api.errors import SERVER, ApiError, answer_api_error, answer_http_error, answer_nobody
from elara_ui.api.requests import ChatBody, parse_body, split_messages
from elara_ui.api.telling import tell_stream, tell_whole
from elara_ui.services import Services
from elara_ui.services.answers import ChatEvent, Started
from elara_ui.services.questions import BASE_ALONE

PREFIX = "elara-"
BASE_MODEL = f"{PREFIX}{BASE_ALONE}"
BASE_AUDIENCE = "patient"
"""Whose prompt and limits hold for the base model alone, unless the client says another: the most careful."""
MOST_AT_ONCE = 32
"""Answers that run or wait for the engine; each is a thread."""
MOST_BYTES = 1024 * 1024
MODEL_SECONDS = 30.0
"""How long a request waits for a model that is coming up."""


def api_routes(services: Services) -> list[BaseRoute]:
    """What is added to the page's own addresses."""
    return [Mount("/v1", app=build_api(services))]


def build_api(services: Services) -> Starlette:
    """The API by itself, its addresses without /v1."""
    api = _Api(services)
    settings = services.settings
    guard = Middleware(KeyGuard, keys=settings.keys, closed=not settings.is_local and not settings.keys)
    return Starlette(
        routes=[
            Route("/models", api.list_models),
            Route("/models/{name}", api.show_model),
            Route("/chat/completions", api.complete, methods=["POST"]),
        ],
        middleware=[guard],
        exception_handlers={
            ApiError: answer_api_error,
            HTTPException: answer_http_error,
            ClientDisconnect: answer_nobody,
        },
    )


class _Api:
    """The handlers.

    Args:
        services: what they call.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._places = BoundedSemaphore(MOST_AT_ONCE)

    def list_models(self, request: Request) -> Response:
        """Every audience, and the base model alone."""
        return JSONResponse({"object": "list", "data": list(self._models().values())})

    def show_model(self, request: Request) -> Response:
        """One of them."""
        name = request.path_params["name"]
        models = self._models()
        if name not in models:
            raise _no_model(name, models)
        return JSONResponse(models[name])

    async def complete(self, request: Request) -> Response:
        """Answer a conversation, as a stream or in one piece."""
        body = parse_body(await _read_body(request))
        events = self._answer(body, _name_client(request))
        if not self._places.acquire(blocking=False):
            raise ApiError(
                503,
                f"{MOST_AT_ONCE} answers are on their way, which is the most at once. Try again in a moment.",
                kind=SERVER,
                code="overloaded",
            )
        asking = Asking(events, self._services.serving.cancel, self._places.release)
        reply = Reply(body.model, body.wants_usage)
        if body.stream:
            return await tell_stream(request, asking, reply)
        return await tell_whole(request, asking, reply)

    def _answer(self, body: ChatBody, client: str) -> Generator[ChatEvent, None, None]:
        """The chat's events; runs in a thread.

        Args:
            client: who may be given the same answer again; for one that is stored, everybody may.

        Raises:
            ApiError: the model isn't there, or the messages are none of a conversation.
        """
        services = self._services
        audience, adapter = self._choose(body)
        longest = services.settings.max_question_characters
        dialogue = split_messages(body.messages, longest)
        chat = services.chat if body.store else services.private_chat
        accept = body.elara.accept_identifiers
        question = chat.check(audience, dialogue.question, body.overrides, adapter, accept_identifiers=accept)
        scope = question.cache_scope if body.store else client
        instruction, stop = dialogue.instruction, body.stop or ()
        question = replace(question, instruction=instruction, stop=stop, cache_scope=scope)
        with closing(chat.ask_once(question, dialogue.history)) as events:
            for event in events:
                yield event
                if isinstance(event, Started):  # what fired is told first, the model may take its time
                    services.serving.engine(MODEL_SECONDS)

    def _choose(self, body: ChatBody) -> tuple[str, str | None]:
        """Audience and adapter that a model's name stands for.

        Raises:
            ApiError: it stands for none.
        """
        audience = body.elara.audience
        if body.model == BASE_MODEL:
            return audience or BASE_AUDIENCE, BASE_ALONE
        named = body.model.removeprefix(PREFIX)
        if not body.model.startswith(PREFIX) or named not in self._services.recipes:
            raise _no_model(body.model, [*(f"{PREFIX}{each}" for each in self._services.recipes), BASE_MODEL])
        if audience not in (None, named):
            raise ApiError(
                400,
                f"{body.model} answers for {named}, but elara.audience is {audience!r}. Leave that out, or "
                f"ask {BASE_MODEL}.",
                param="elara.audience",
            )
        return named, None

    def _models(self) -> dict[str, dict[str, Any]]:
        base = self._services.serving.base_model
        live = self._services.adapters.live_versions()
        models = {}
        for audience in self._services.recipes:
            found = live.get(audience)
            speaks = found if found is not None and found.base_model == base else None
            name = f"{PREFIX}{audience}"
            models[name] = describe_model(
                name,
                int(speaks.created_at.timestamp()) if speaks else 0,
                audience=audience,
                base_model=base,
                adapter=speaks.name if speaks else None,
            )
        models[BASE_MODEL] = describe_model(BASE_MODEL, 0, audience=None, base_model=base, adapter=None)
        return models


def _name_client(request: Request) -> str:
    """Tells clients with different keys apart, without the key."""
    shown = request.headers.get("authorization", "")
    return f"api {hashlib.sha256(shown.encode()).hexdigest()}"


async def _read_body(request: Request) -> bytes:
    """The body, bounded.

    Raises:
        ApiError: it is too large, or isn't declared as JSON. A page of another site can send that only after
            asking, which is refused.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, f"The body must be application/json; it is {kind or 'not declared'!r}.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise ApiError(
                413, f"The body has more than {MOST_BYTES:,} bytes. Send fewer or shorter messages."
            )
    return bytes(body)


def _no_model(name: str, known: Any) -> ApiError:
    return ApiError(
        404, f"There is no model {name!r}. Known: {', '.join(known)}.", param="model", code="model_not_found"
    )
