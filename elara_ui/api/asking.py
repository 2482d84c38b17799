"""An answer on its way: its events come from a thread of their own, so that the server's loop never waits."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing, suppress
from threading import Event, Thread

from elara_ui.services.answers import ChatEvent, Started


class Asking:
    """Follows one answer.

    Args:
        events: the answer; it is begun, followed and closed in the thread.
        cancel: stops a request in the engine, by its id.
        ended: called in the thread when all is over, whatever happened.
    """

    def __init__(
        self,
        events: Generator[ChatEvent, None, None],
        cancel: Callable[[str], None],
        ended: Callable[[], None],
    ) -> None:
        self._events = events
        self._cancel = cancel
        self._ended = ended
        self._request_id: str | None = None
        self._left = Event()
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[ChatEvent | Exception | None] = asyncio.Queue()
        Thread(target=self._follow, name="api-answer", daemon=True).start()

    def leave(self) -> None:
        """Nobody waits any more: stop the engine. Harmless when all is over."""
        self._left.set()
        if self._request_id is not None:
            self._cancel(self._request_id)

    async def events(self) -> AsyncGenerator[ChatEvent, None]:
        """The events as they come; to be followed once.

        Raises:
            Exception: whatever went wrong in the thread.
        """
        while (item := await self._arrived.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def _follow(self) -> None:
        try:
            with closing(self._events):  # left early, it frees the engine
                for event in self._events:
                    if isinstance(event, Started):
                        self._request_id = event.request_id
                    if self._left.is_set():
                        break
                    self._hand_over(event)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it belongs to whoever asked
            self._hand_over(error)
        finally:
            self._ended()
            self._hand_over(None)

    def _hand_over(self, item: ChatEvent | Exception | None) -> None:
        with suppress(RuntimeError):  # the server has stopped meanwhile
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, item)
