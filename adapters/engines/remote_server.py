"""The connection to a server that speaks OpenAI's API. `remote.RemoteEngine` owns it.

One thread runs an event loop for all requests. A request that is cancelled there closes its connection at
once, in whatever phase it is, which is how these servers are told to stop.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from adapters.engines.base import Sampling
from adapters.engines.llama_call import Call
from adapters.engines.remote_errors import explain, may_pass
from adapters.engines.remote_probe import QUESTION, TOKENS, Saying
from adapters.engines.text import defuse
from adapters.errors import EngineError
from adapters.templating import TEMPLATE_SETTINGS

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a request is tried that fails before its first word; after it, something has been said."""
_PAUSE_SECONDS = 0.25  # before the second attempt; doubled before the third
_CONNECT_SECONDS = 5.0

Result = TypeVar("Result")


class RemoteServer:
    """Sends requests, tries again what may pass, and looks from time to time whether the server is well.

    Args:
        url: of its API, such as ``http://gpu:8000/v1``.
        key: sent along; None for servers that ask for none.
        silence: longest wait for the next piece of an answer, s.
        health_pause: between two looks, s; a request that failed has it looked at once.
    """

    def __init__(self, url: str, key: str | None, silence: float, health_pause: float) -> None:
        self.url = url
        self._key = key
        self._silence = silence
        self._health_pause = health_pause
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None
        self._doubted: asyncio.Event | None = None
        self._changed = threading.Lock()  # guards what follows
        self._calls: dict[str, tuple[Call, asyncio.Task[None] | None]] = {}
        self.models: frozenset[str] = frozenset()
        """What it listed when it was last looked at."""
        self.trouble = ""
        """Why it could not be looked at the last time; empty when it could."""

    @property
    def is_connected(self) -> bool:
        """Whether `connect` was called, and `hang_up` wasn't since."""
        return self._loop is not None

    @property
    def running(self) -> int:
        """Requests that haven't ended."""
        return len(self._calls)

    def connect(self) -> None:
        """Start the loop and look at the server.

        Raises:
            EngineError: it can't be asked.
        """
        import openai  # takes most of a second, and most installations never need it

        loop = asyncio.new_event_loop()
        threading.Thread(target=_run, args=(loop,), name="remote-engine", daemon=True).start()
        self._loop, self._doubted, self.trouble = loop, asyncio.Event(), ""
        self._client = openai.AsyncOpenAI(
            base_url=self.url,
            api_key=self._key or "none",
            max_retries=0,
            timeout=openai.Timeout(self._silence, connect=_CONNECT_SECONDS),
        )
        try:
            self.list_models()
        except EngineError:
            self.hang_up()
            raise
        asyncio.run_coroutine_threadsafe(self._watch(self._doubted), loop)

    def hang_up(self) -> None:
        """Cancel what is in progress and end the loop."""
        for request_id in list(self._calls):
            self.cancel(request_id)
        loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._leave(), loop).result(_CONNECT_SECONDS)
            loop.call_soon_threadsafe(loop.stop)

    def list_models(self) -> frozenset[str]:
        """The names that it answers to.

        Raises:
            EngineError: it can't be asked.
        """
        self.models = self._wait(self._list)
        return self.models

    def say(self, model: str) -> Saying:
        """A few greedy words, with their log-probabilities where the server tells them.

        Raises:
            EngineError: it can't be asked.
        """
        return self._wait(lambda: self._say(model))

    def ask(self, call: Call, model: str) -> None:
        """Send a request; what comes goes to `call`."""
        loop, request_id = self._connected(), call.request.request_id
        with self._changed:
            self._calls[request_id] = (call, None)

        def start() -> None:
            with self._changed:
                if request_id in self._calls:  # else it is cancelled already
                    self._calls[request_id] = (call, loop.create_task(self._follow(call, model)))

        loop.call_soon_threadsafe(start)

    def cancel(self, request_id: str) -> None:
        """End a request and close its connection. Unknown ids are ignored."""
        with self._changed:
            call, task = self._calls.pop(request_id, (None, None))
        if call is not None:
            call.cancel()
        if task is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(task.cancel)

    async def _follow(self, call: Call, model: str) -> None:
        """Hand a request's chunks over."""
        begun, failed = threading.Event(), None
        try:
            await self._try(lambda: self._read(call, model, begun), begun.is_set)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it belongs to the reader
            failed = explain(error, self.url, self._silence, call.request.adapter)
            if self._doubted is not None:
                self._doubted.set()
        finally:
            call.end(failed)
            with self._changed:
                self._calls.pop(call.request.request_id, None)

    async def _try(self, asking: Callable[[], Awaitable[Result]], begun: Callable[[], bool]) -> Result:
        """Ask, and ask again where what failed may pass and nothing has come yet."""
        attempt = 1
        while True:
            try:
                return await asking()
            except Exception as error:
                if begun() or attempt == ATTEMPTS or not may_pass(error):
                    raise
                log.warning("%s failed (%s); trying again", self.url, type(error).__name__)
            await asyncio.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
            attempt += 1

    async def _read(self, call: Call, model: str, begun: threading.Event) -> None:
        """One attempt.

        Raises:
            EngineError: it answers with another model, or breaks off.
        """
        request, sampling = call.request, call.request.sampling
        stream = await self._client.chat.completions.create(
            model=model,
            messages=[{"role": turn.role.value, "content": defuse(turn.content)} for turn in request.turns],
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            **({} if sampling.seed is None else {"seed": sampling.seed}),
            extra_body=_beyond_openai(sampling),
            stream=True,
            stream_options={"include_usage": True},
        )
        finished = False
        async with stream:
            async for piece in stream:
                chunk = piece.to_dict()
                if chunk.get("model") not in (None, "", model):
                    raise EngineError(
                        f"{self.url} was asked for {model!r} and answers with {chunk['model']!r}, so the "
                        "answer isn't used. Have it serve each adapter under a name of its own."
                    )
                choices = chunk.get("choices", ())
                finished = finished or any(choice.get("finish_reason") for choice in choices)
                if any(choice.get("delta", {}).get("content") for choice in choices):
                    begun.set()
                call.receive_seldom(chunk)
        if not finished:
            raise EngineError(f"{self.url} broke off in the middle of its answer. Try again.")

    async def _say(self, model: str) -> Saying:
        import openai

        asked = {
            "model": model,
            "messages": [{"role": "user", "content": QUESTION}],
            "temperature": 0,
            "max_tokens": TOKENS,
        }
        try:
            answer = await self._client.chat.completions.create(**asked, logprobs=True)
        except openai.BadRequestError:  # some don't know log-probabilities
            answer = await self._client.chat.completions.create(**asked)
        return Saying.of(answer.choices[0])

    async def _list(self) -> frozenset[str]:
        return frozenset([model.id async for model in self._client.models.list()])

    async def _watch(self, doubted: asyncio.Event) -> None:
        """Look at the server now and then, until the loop ends."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._health_pause):  # wait_for may swallow a cancellation
                    await doubted.wait()
            doubted.clear()
            try:
                self.models, trouble = await self._list(), ""
            except Exception as error:  # noqa: BLE001 -- whatever it is, it is what there is to tell
                trouble = explain(error, self.url, self._silence).message
            if trouble and not self.trouble:
                log.warning("%s", trouble)
            self.trouble = trouble

    async def _leave(self) -> None:
        """End every task of the loop but this one."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.close()

    def _wait(self, asking: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """The outcome of one request, for a thread that can wait.

        Raises:
            EngineError: it failed.
        """
        trying = self._try(asking, lambda: False)
        future = asyncio.run_coroutine_threadsafe(trying, self._connected())
        try:
            return future.result(self._silence * ATTEMPTS)
        except Exception as error:
            future.cancel()
            raise EngineError(explain(error, self.url, self._silence).message) from error

    def _connected(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise EngineError("The server must be connected to answer, and isn't yet. Try again in a moment.")
        return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _beyond_openai(sampling: Sampling) -> dict[str, Any]:
    """Sampling by the names of vLLM and of llama-server, so that it means the same as in other engines.

    Each passes over the other's names. vLLM would else take what is missing from the model's own settings.
    """
    return {
        "repetition_penalty": sampling.repetition_penalty,
        "repeat_penalty": sampling.repetition_penalty,
        "top_k": -1,
        "min_p": 0.0,
        "chat_template_kwargs": dict(TEMPLATE_SETTINGS),
    }
