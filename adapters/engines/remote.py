"""The engine on another server: anything that speaks OpenAI's API and has an adapter for each model name.

Such a server has no way to take an adapter in, so publishing here means looking: the server must list the
adapter's name, and what it says under it must differ from what it says under the base model's. A server that
passes over an adapter (vLLM does where its target modules are unknown) answers as the base, and says nothing.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path

from adapters.engines.base import Completion, EngineStats, GenerationRequest, Token, Turn
from adapters.engines.llama_call import Call, Draft
from adapters.engines.remote_probe import TOKENS, Saying, differ
from adapters.engines.remote_server import RemoteServer
from adapters.engines.tally import Tally
from adapters.errors import AdapterError, ContextOverflow, EngineError, ModelError

_SILENCE_SECONDS = 60.0  # longest wait for the next piece
_HEALTH_SECONDS = 20.0
_BYTES_A_TOKEN = 3  # English has about 4 in today's vocabularies; counting high keeps answers from being cut
_TURN_TOKENS = 8  # what a chat template puts around a turn, about


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
        health_pause: between two looks whether the server is well, s.
    """

    def __init__(
        self,
        base_model: str,
        url: str,
        key: str | None = None,
        names: Mapping[str, str] | None = None,
        context_tokens: int = 4096,
        silence: float = _SILENCE_SECONDS,
        health_pause: float = _HEALTH_SECONDS,
    ) -> None:
        self._base_model = base_model
        self._names = dict(names or {})
        self._context_tokens = context_tokens
        self._server = RemoteServer(url, key, silence, health_pause)
        self._adapters: frozenset[str] = frozenset()
        self._tally = Tally()

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
        if self._server.is_connected:
            return
        try:
            self._server.connect()
        except EngineError as error:
            raise ModelError(error.message) from error
        name = self._name_of(None)
        if name not in self._server.models:
            listed = ", ".join(sorted(self._server.models)) or "nothing"
            self.close()
            raise ModelError(
                f"The server at {self._server.url} must list the base model as {name!r}; it lists {listed}. "
                "Start it with the command of `python -m elara_ui serve-command vllm`, or name it in "
                "ELARA_ENGINE_NAMES."
            )
        self._tally.start()

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
            self._check_listed(sorted(fresh))
            base, again = (self._server.say(self._name_of(None)) for _ in range(2))
            for name in sorted(fresh):
                self._check_voice(name, base, again)
        self._adapters = frozenset(adapters)

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        """About how long the messages are, tokens: the server's tokenizer can't be asked, so it errs high."""
        return sum(
            len(turn.content.encode("utf-8", "replace")) // _BYTES_A_TOKEN + _TURN_TOKENS for turn in turns
        )

    def stream(self, request: GenerationRequest) -> Iterator[Token | Completion]:
        """Answer, piece by piece; the last item is the `Completion`.

        Closing the iterator early closes the connection, as `cancel` does.

        Raises:
            AdapterError: the adapter isn't published, or the server has it no more.
            ContextOverflow: the turns leave no room for the answer.
            EngineError: the server failed, answered with another model, or fell silent.
        """
        return self._tally.follow(self._stream(request))

    def _stream(self, request: GenerationRequest) -> Generator[Token | Completion, None, None]:
        self._check_request(request)
        call = Call(request)
        draft = Draft(prompt_tokens=self.count_tokens(request.turns))
        self._server.ask(call, self._name_of(request.adapter))
        try:
            for arrived, chunk in call.read():
                added = draft.take(arrived, chunk)
                if usage := chunk.get("usage"):
                    draft.prompt_tokens = usage["prompt_tokens"]
                    draft.completion_tokens = usage["completion_tokens"]
                    details = usage.get("prompt_tokens_details") or {}
                    draft.cached_tokens = details.get("cached_tokens") or draft.cached_tokens
                elif added:
                    draft.completion_tokens += 1
                if added:
                    yield Token(added)
            yield draft.complete(call)
        finally:
            self._server.cancel(request.request_id)

    def cancel(self, request_id: str) -> None:
        """Stop a request; its stream ends with a cancelled `Completion`. Unknown ids are ignored."""
        self._server.cancel(request_id)

    def stats(self) -> EngineStats:
        """What it does now and has done so far; never waits. The server alone knows who waits there."""
        return self._tally.read(self._server.running, None, len(self._adapters), self._trouble())

    def close(self) -> None:
        """Cancel what is in progress and hang up. It may be loaded again."""
        self._server.hang_up()
        self._adapters = frozenset()
        self._tally.stop()

    def _trouble(self) -> str:
        """What is wrong with the server, as it was last seen."""
        if self._server.trouble or not self._server.is_connected:
            return self._server.trouble
        wanted = [None, *sorted(self._adapters)]
        lost = [name or "the base model" for name in wanted if self._name_of(name) not in self._server.models]
        if not lost:
            return ""
        return f"{self._server.url} no longer has {', '.join(lost)}. Start it with that again."

    def _check_request(self, request: GenerationRequest) -> None:
        if request.adapter is not None and request.adapter not in self._adapters:
            known = ", ".join(sorted(self._adapters)) or "none"
            raise AdapterError(
                f"An adapter must be published before it can answer; “{request.adapter}” isn't "
                f"(published: {known}). Ask again, or ask one of these or the base model."
            )
        length = self.count_tokens(request.turns)
        room = self._context_tokens - request.sampling.max_new_tokens
        if length > room:
            raise ContextOverflow(
                f"Messages and answer must fit {self._context_tokens} tokens; the messages take about "
                f"{length} and up to {request.sampling.max_new_tokens} are kept for the answer. Shorten the "
                "messages or the answer.",
                prompt_tokens=length,
                limit=room,
            )

    def _check_listed(self, names: Sequence[str]) -> None:
        """Whether the server has adapters.

        Raises:
            AdapterError: it lacks one.
        """
        listed = self._server.list_models()
        for name in names:
            if (remote := self._name_of(name)) not in listed:
                raise AdapterError(
                    f"The server at {self._server.url} has no model {remote!r}, which {name} would be. Start "
                    "it with the command of `python -m elara_ui serve-command vllm`."
                )

    def _check_voice(self, name: str, base: Saying, again: Saying) -> None:
        """Whether the server speaks with an adapter's voice under its name.

        Raises:
            AdapterError: nothing shows that it does.
        """
        said = self._server.say(self._name_of(name))
        if differ(said, base, again):
            return
        if said.tokens:
            raise AdapterError(
                f"{self._server.url} answers for {name} exactly as its base model does, token by token, so "
                "it doesn't apply the adapter. Look in its log for modules that it passed over, and start "
                "it again."
            )
        raise AdapterError(
            f"{self._server.url} says for {name} the same {TOKENS} tokens as for its base model, and tells "
            "no log-probabilities, so nothing shows that it applies the adapter. Have it tell them "
            "(logprobs), or look in its log for modules that it passed over."
        )

    def _name_of(self, adapter: str | None) -> str:
        own = adapter or self._base_model
        return self._names.get(own, own)
