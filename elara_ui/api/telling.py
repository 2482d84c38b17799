"""How an answer goes over the wire: in one piece or as server-sent events, until its reader leaves."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from elara_ui.api.answers import Reply, describe_flags
from elara_ui.api.asking import Asking
from elara_ui.api.errors import describe_error
from elara_ui.services.answers import ChatEvent, Finished, Piece, Started

DONE = "data: [DONE]\n\n"


async def tell_whole(request: Request, asking: Asking, reply: Reply) -> Response:
    """Wait for the answer's end."""
    elara: dict[str, Any] = {}
    async with _leaving_with(request, asking):
        try:
            async for event in asking.events():
                if isinstance(event, Started):
                    found = event.red_flags
                    elara = describe_flags(found) if found.emergency else {}
                elif isinstance(event, Finished):
                    return JSONResponse(reply.whole(event.answer, found))
        except Exception as error:
            raise describe_error(error, elara) from error
    raise ClientDisconnect


async def tell_stream(request: Request, asking: Asking, reply: Reply) -> Response:
    """Begin a stream.

    Without a red flag it waits for the first words, so that what goes wrong before them has a status of its
    own. With one it begins at once: advice doesn't wait for a model.
    """
    events = asking.events()
    async with _leaving_with(request, asking):
        try:
            started = await anext(events, None)
            if not isinstance(started, Started):
                raise ClientDisconnect
            first = None if started.red_flags.emergency else await anext(events, None)
        except ClientDisconnect:
            raise
        except Exception as error:
            raise describe_error(error) from error
    return _AnswerStream(asking, _tell(events, reply, started, first))


class _AnswerStream(StreamingResponse):
    """A stream that stops the engine when its client leaves, even before the first line.

    Args:
        asking: what is told.
        lines: it, line by line.
    """

    def __init__(self, asking: Asking, lines: AsyncGenerator[str, None]) -> None:
        headers = {
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",
        }  # proxies shall pass it on as it comes
        super().__init__(lines, media_type="text/event-stream", headers=headers)
        self._asking = asking

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._asking.leave()


async def _tell(
    events: AsyncGenerator[ChatEvent, None], reply: Reply, started: Started, first: ChatEvent | None
) -> AsyncGenerator[str, None]:
    """The lines of a stream.

    Args:
        first: an event that was taken from `events` already.
    """
    told = ""
    yield _line(reply.open(started.red_flags))
    try:
        async for event in _following(first, events):
            if isinstance(event, Piece):
                settled = event.settled.strip()
                if len(settled) > len(told):
                    yield _line(reply.add(settled[len(told) :]))
                    told = settled
            elif isinstance(event, Finished):
                if rest := event.answer.text[len(told) :]:
                    yield _line(reply.add(rest))
                yield _line(reply.end(event.answer))
                if reply.tells_usage:
                    yield _line(reply.usage(event.answer))
                yield DONE
    except Exception as error:  # noqa: BLE001 -- as above; the status has been sent already
        yield _line(describe_error(error).body)


async def _following(
    first: ChatEvent | None, events: AsyncGenerator[ChatEvent, None]
) -> AsyncGenerator[ChatEvent, None]:
    if first is not None:
        yield first
    async for event in events:
        yield event


@asynccontextmanager
async def _leaving_with(request: Request, asking: Asking) -> AsyncIterator[None]:
    """Meanwhile the answer is left when the client leaves; and when whoever waits for it is cancelled."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        asking.leave()

    watching = asyncio.create_task(watch())
    try:
        yield
    except BaseException:
        asking.leave()
        raise
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def _line(data: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False, allow_nan=False)}\n\n"
