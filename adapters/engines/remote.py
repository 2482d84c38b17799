"""The engine on another server: anything that speaks OpenAI's API and has an adapter for each model name.

Such a server has no way to take an adapter in, so publishing here means looking: the server must list the
adapter's name, and what it says under it must differ from what it says under the base model's. A server that
passes over an adapter (vLLM does where its target modules are unknown) answers as the base, and says nothing.

One thread runs an event loop for all requests. A request that is cancelled there closes its connection at
once, in whatever phase it is, which is how these servers are told to stop.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from adapters.engines.base import Completion, GenerationRequest, Sampling, Token, Turn
from adapters.engines.llama_call import Call, Draft
from adapters.engines.remote_errors import explain, may_pass
from adapters.engines.text import defuse
from adapters.errors import AdapterError, ContextOverflow, EngineError, ModelError
from adapters.templating import TEMPLATE_SETTINGS

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a request is tried that fails before its first word; after it, something has been said."""
_PAUSE_SECONDS = 0.25  # before the second attempt; doubled before the third
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 60.0  # longest wait for the next piece
_BYTES_A_TOKEN = 3  # English has about 4 in today's vocabularies; counting high keeps answers from being cut
_TURN_TOKENS = 8  # what a chat template puts around a turn, about
_PROBE = "What is asthma? Explain it to me."
_PROBE_TOKENS = 8

Result = TypeVar("Result")
Saying = tuple[tuple[str, float], ...] | str
"""What a model says to the probe: its tokens with their log-probabilities, or words where it tells none."""


class RemoteEngine:
    """Asks a server for everything; implements `adapters.engines.base.Engine`.

    Args:
        base_model: catalogue id of the base model that it serves.
        url: of its API, such as ``http://gpu:8000/v1``.
        key: sent along; None for servers that ask for none.
        names: Elara's name of the base model or of an adapter → the server's; those that aren't in it have
            the same.
        context_tokens: window of one request, prompt and answer together, tokens.
        silence: longest wait for the next piece of an answer, s.
    """

    def __init__(
        self,
        base_model: str,
        url: str,
        key: str | None = None,
        names: Mapping[str, str] | None = None,
        context_tokens: int = 4096,
        silence: float = _SILENCE_SECONDS,
    ) -> None:
        self._base_model = base_model
        self._url = url
        self._key = key
        self._names = dict(names or {})
        self._context_tokens = context_tokens
        self._silence = silence
        self._adapters: frozenset[str] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None
        self._changed = threading.Lock()  # guards what follows
        self._calls: dict[str, tuple[Call, asyncio.Task[None] | None]] = {}

    @property
    def is_remote(self) -> bool:
        """What is asked leaves this process, and likely this machine."""
        return True

    @property
    def base_model(self) -> str:
        """Catalogue id of the base model served."""
        return self._base_model

    @property
    def context_tokens(self) -> int:
        """Context window of one request, prompt and answer together, tokens."""
        return self._context_tokens

    @property
    def adapters(self) -> frozenset[str]:
        """Names published now."""
        return self._adapters

    def load(self) -> None:
        """Connect, and look whether the base model is there.

        Raises:
            ModelError: the server can't be reached, or doesn't have it.
        """
        if self._loop is not None:
            return
        import openai  # takes most of a second, and most installations never need it

        self._loop = asyncio.new_event_loop()
        threading.Thread(target=_run, args=(self._loop,), name="remote-engine", daemon=True).start()
        self._client = openai.AsyncOpenAI(
            base_url=self._url,
            api_key=self._key or "none",
            max_retries=0,
            timeout=openai.Timeout(self._silence, connect=_CONNECT_SECONDS),
        )
        try:
            listed = self._list_models()
        except EngineError as error:
            self.close()
            raise ModelError(error.message) from error
        name = self._name_of(None)
        if name not in listed:
            self.close()
            raise ModelError(
                f"The server at {self._url} must list the base model as {name!r}; it lists "
                f"{', '.join(sorted(listed)) or 'nothing'}. Start it with the command of `python -m elara_ui "
                "serve-command vllm`, or name it in ELARA_ENGINE_NAMES."
            )

    def publish(self, adapters: dict[str, Path]) -> None:
        """Use exactly these adapters, once each is seen to be there and to speak otherwise than the base.

        Args:
            adapters: versioned name → folder, which isn't looked at: the server has its own.

        Raises:
            AdapterError: the server lacks one, or answers under its name as the base does.
            EngineError: it can't be asked.
        """
        fresh = adapters.keys() - self._adapters
        if fresh:
            listed = self._list_models()
            base = self._say(None)
            for name in sorted(fresh):
                self._check(name, listed, base)
        self._adapters = frozenset(adapters)

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        """About how long the messages are, tokens: the server's tokenizer can't be asked, so it errs high."""
        return sum(len(turn.content.encode()) // _BYTES_A_TOKEN + _TURN_TOKENS for turn in turns)

    def stream(self, request: GenerationRequest) -> Iterator[Token | Completion]:
        """Answer, piece by piece; the last item is the `Completion`.

        Closing the iterator early closes the connection, as `cancel` does.

        Raises:
            AdapterError: the adapter isn't published, or the server has it no more.
            ContextOverflow: the turns leave no room for the answer.
            EngineError: the server failed, answered with another model, or fell silent.
        """
        self._check_request(request)
        call = Call(request)
        draft = Draft(prompt_tokens=self.count_tokens(request.turns))
        self._begin(call)
        try:
            for arrived, chunk in call.read():
                added = draft.take(arrived, chunk)
                if usage := chunk.get("usage"):
                    draft.prompt_tokens = usage["prompt_tokens"]
                    draft.completion_tokens = usage["completion_tokens"]
                elif added:
                    draft.completion_tokens += 1
                if added:
                    yield Token(added)
            yield draft.complete(call)
        finally:
            self.cancel(request.request_id)

    def cancel(self, request_id: str) -> None:
        """Stop a request; its stream ends with a cancelled `Completion`. Unknown ids are ignored."""
        with self._changed:
            call, task = self._calls.pop(request_id, (None, None))
        if call is not None:
            call.cancel()
        if task is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(task.cancel)

    def close(self) -> None:
        """Cancel what is in progress and hang up. It may be loaded again."""
        for request_id in list(self._calls):
            self.cancel(request_id)
        loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._client.close(), loop).result(_CONNECT_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
        self._adapters = frozenset()

    def _begin(self, call: Call) -> None:
        """Send the request; its task runs in the loop."""
        loop = self._connected()
        with self._changed:
            self._calls[call.request.request_id] = (call, None)

        def start() -> None:
            with self._changed:
                if call.request.request_id not in self._calls:
                    return  # cancelled already
                self._calls[call.request.request_id] = (call, loop.create_task(self._follow(call)))

        loop.call_soon_threadsafe(start)

    async def _follow(self, call: Call) -> None:
        """Hand a request's chunks over; try again what fails before the first of them."""
        try:
            for attempt in range(1, ATTEMPTS + 1):
                begun = threading.Event()
                try:
                    await self._read(call, begun)
                    return
                except Exception as error:  # noqa: BLE001 -- whatever it is, it belongs to the reader
                    if begun.is_set() or attempt == ATTEMPTS or not may_pass(error):
                        call.arrivals.put(explain(error, self._url, self._silence, call.request.adapter))
                        return
                    log.warning("%s failed (%s); trying again", self._url, type(error).__name__)
                    await asyncio.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
        finally:
            call.arrivals.put(None)
            with self._changed:
                self._calls.pop(call.request.request_id, None)

    async def _read(self, call: Call, begun: threading.Event) -> None:
        """One attempt.

        Raises:
            EngineError: it answers with another model, or breaks off.
        """
        request, name = call.request, self._name_of(call.request.adapter)
        sampling = request.sampling
        stream = await self._client.chat.completions.create(
            model=name,
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
                if chunk.get("model") not in (None, "", name):
                    raise EngineError(
                        f"{self._url} was asked for {name!r} and answers with {chunk['model']!r}, so the "
                        "answer isn't used. Have it serve each adapter under a name of its own."
                    )
                choices = chunk.get("choices", ())
                finished = finished or any(choice.get("finish_reason") for choice in choices)
                if any(choice.get("delta", {}).get("content") for choice in choices):
                    begun.set()
                call.arrivals.put((time.perf_counter(), chunk))
        if not finished:
            raise EngineError(f"{self._url} broke off in the middle of its answer. Try again.")

    def _check_request(self, request: GenerationRequest) -> None:
        if request.adapter is not None and request.adapter not in self._adapters:
            known = ", ".join(sorted(self._adapters)) or "none"
            raise AdapterError(
                f"An adapter must be published before it can answer; “{request.adapter}” isn't "
                f"(published: {known}). Ask again, or ask one of these or the base model."
            )
        length, room = (
            self.count_tokens(request.turns),
            self._context_tokens - request.sampling.max_new_tokens,
        )
        if length > room:
            raise ContextOverflow(
                f"Messages and answer must fit {self._context_tokens} tokens; the messages take about "
                f"{length} and up to {request.sampling.max_new_tokens} are kept for the answer. Shorten the "
                "messages or the answer.",
                prompt_tokens=length,
                limit=room,
            )

    def _check(self, name: str, listed: frozenset[str], base: Saying) -> None:
        """Whether the server speaks with an adapter's voice under its name.

        Raises:
            AdapterError: it doesn't.
        """
        remote = self._name_of(name)
        if remote not in listed:
            raise AdapterError(
                f"The server at {self._url} has no model {remote!r}, which {name} would be. Start it with "
                "the command of `python -m elara_ui serve-command vllm`, then restart Elara."
            )
        said = self._say(name)
        if said != base:
            return
        if isinstance(said, str):  # words alone may well be the same
            log.warning("%s says for %s what it says for the base model", self._url, name)
            return
        raise AdapterError(
            f"{self._url} answers for {name} exactly as its base model does, token by token, so it doesn't "
            "apply the adapter. Look in its log for modules that it passed over, then restart Elara."
        )

    def _say(self, adapter: str | None) -> Saying:
        """A few greedy tokens with their log-probabilities, where the server tells them."""
        name = self._name_of(adapter)
        answer = self._wait(
            self._client.chat.completions.create(
                model=name,
                messages=[{"role": "user", "content": _PROBE}],
                temperature=0,
                max_tokens=_PROBE_TOKENS,
                logprobs=True,
            )
        )
        choice = answer.choices[0]
        tokens = choice.logprobs.content if choice.logprobs else None
        if not tokens:
            return str(choice.message.content)
        return tuple((token.token, round(token.logprob, 3)) for token in tokens)

    def _list_models(self) -> frozenset[str]:
        async def names() -> frozenset[str]:
            return frozenset([model.id async for model in self._client.models.list()])

        return self._wait(names())

    def _wait(self, asking: Coroutine[Any, Any, Result]) -> Result:
        """The outcome of one request, for a thread that can wait.

        Raises:
            EngineError: it failed.
        """
        try:
            return asyncio.run_coroutine_threadsafe(asking, self._connected()).result(self._silence)
        except Exception as error:
            raise EngineError(explain(error, self._url, self._silence).message) from error

    def _connected(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise EngineError("The server must be connected to answer, and isn't yet. Try again in a moment.")
        return self._loop

    def _name_of(self, adapter: str | None) -> str:
        own = adapter or self._base_model
        return self._names.get(own, own)


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
