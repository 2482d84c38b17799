"""One llama.cpp server inside this process, with a fixed set of adapters. `llamacpp.LlamaCppEngine` owns it.

llama.cpp keeps a prompt cache a slot, and reuses it without asking which adapter computed it. So the caches
are separate, every request names its slot and the scale of every adapter, zeros included, and a slot's cache
is used only in the voice (the base model or one adapter) that filled it: `llama_slots` knows which that was.

A prompt that is partly remembered is computed in other batches than a new one, and rounds differently in the
last bits: where two tokens are all but equally likely, the same greedy request may then choose the other. So
a request that asks for repeatable words (greedy, or with a seed) computes its prompt anew.
"""

import json
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.engines.base import GenerationRequest, Sampling, Turn
from adapters.engines.gguf_template import read_fallback_template
from adapters.engines.llama_slots import Seat
from adapters.engines.text import defuse
from adapters.errors import AdapterError, EngineError, ModelError
from adapters.processors import Threads
from adapters.templating import TEMPLATE_SETTINGS, open_with_system, puts_system_first

Chunk = dict[str, Any]

# Prompt tokens computed at a time. Cancelling is looked at between two batches, so a batch must be short
# (0.3 s on two cores for a 135M model); larger ones are hardly faster.
_BATCH_TOKENS = 128
# llama.cpp's own default. At a penalty of 1.3 a longer memory also punishes the words every sentence needs:
# with 256 tokens the embedded model rambles on to its limit, with the whole context it says nothing at all.
_PENALTY_TOKENS = 64
# Cutting comes first: tempering and summing a whole vocabulary for every token costs a fifth of the speed.
_SAMPLERS = ("penalties", "top_k", "temperature", "top_p")
# Likeliest tokens that are drawn from at temperatures up to this; the others then have next to no chance.
_CANDIDATES, _COOL = 256, 0.7
_TIMEOUT_SECONDS = 60.0
# Turns of the waiting loop; 100,000 take about a millisecond, says libgomp (config/linux/wait.h, env.c).
_WAITING = {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "300000"}


class LlamaServer:
    """A loaded base model and its adapters, ready to answer.

    Args:
        gguf: the base model's file.
        adapters: versioned name → GGUF LoRA file.
        slots: how many answers can be written at once.
        context_tokens: window of one slot, tokens.
        threads: that compute.

    Raises:
        ModelError: the base model can't be loaded.
        AdapterError: an adapter can't be loaded on it.
    """

    def __init__(
        self,
        gguf: Path,
        adapters: Mapping[str, Path],
        slots: int,
        context_tokens: int,
        threads: Threads,
    ) -> None:
        self.adapters = dict(adapters)
        self._key = secrets.token_urlsafe(32)  # the server also listens on a local port; nobody else may ask
        template = read_fallback_template(gguf)
        self._server = self._start(gguf, slots, context_tokens, threads, template)
        # The server's destructor waits for ever when its loop has not begun yet: one token proves it has.
        self._probe()
        self._check_window(context_tokens)
        self._system_first = template is None and puts_system_first(self._render_as_given)

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        """Length of the turns rendered by the model's own chat template, tokens.

        Raises:
            EngineError: the server refuses them.
        """
        answer = self._ask("/v1/chat/completions/input_tokens", _conversation(self._place(turns)))
        return int(answer["input_tokens"])

    def render(self, turns: Sequence[Turn]) -> str:
        """The prompt that the model sees for these turns.

        Raises:
            EngineError: the server refuses them.
        """
        return self._render_as_given(self._place(turns))

    def generate(self, request: GenerationRequest, seat: Seat, receive: Callable[[Chunk], bool]) -> None:
        """Answer in this thread, until the end or until told to stop.

        Args:
            request: what to answer.
            seat: where; nobody else may speak there, nor in another voice anywhere.
            receive: called with every chunk, also between batches of the prompt; True stops.
        """
        sampling = request.sampling
        body = {
            **_conversation(self._place(request.turns)),
            "id_slot": seat.slot.index,
            "lora": self._scales(request.adapter),
            "cache_prompt": seat.may_reuse and sampling.seed is None and sampling.temperature > 0,
            "temperature": sampling.temperature,
            "repeat_penalty": sampling.repetition_penalty,
            "repeat_last_n": _PENALTY_TOKENS,
            "top_k": _candidates(sampling),
            "top_p": sampling.top_p,
            "min_p": 0.0,
            "samplers": _SAMPLERS,
            "seed": -1 if sampling.seed is None else sampling.seed,
            "max_tokens": sampling.max_new_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            "timings_per_token": True,
            "return_progress": True,
        }
        self._server.handle_chat_completions(body, receive)

    def close(self) -> None:
        """Free the model. No answer may be in progress."""
        self._server = None

    def _render_as_given(self, turns: Sequence[Turn]) -> str:
        return str(self._ask("/apply-template", _conversation(turns))["prompt"])

    def _place(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """The system prompt where training puts it for this template."""
        return turns if self._system_first else open_with_system(turns)

    def _scales(self, adapter: str | None) -> list[dict[str, float]]:
        """Every adapter's scale: 1 for the one that speaks, an explicit 0 for all others."""
        return [{"id": i, "scale": float(name == adapter)} for i, name in enumerate(self.adapters)]

    def _start(
        self, gguf: Path, slots: int, context_tokens: int, threads: Threads, template: str | None
    ) -> Any:
        """Load the base model and the adapters; `template` stands in for one that the file lacks."""
        xllamacpp = _load_library()
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(gguf)
        parameters.n_parallel = slots
        parameters.n_ctx = context_tokens * slots
        parameters.kv_unified = False
        parameters.n_batch = parameters.n_ubatch = _BATCH_TOKENS
        parameters.cache_ram_mib = 0  # its cache of prompts is shared between voices
        parameters.fit_params = False  # never a smaller window than asked for
        parameters.verbosity = 0
        parameters.ui = parameters.endpoint_slots = False
        if template is not None:
            parameters.use_jinja, parameters.chat_template = True, template
        parameters.api_keys = [self._key]
        parameters.cpuparams.n_threads = threads.writing
        parameters.cpuparams_batch.n_threads = threads.reading
        parameters.lora_adapters = [
            xllamacpp.CommonAdapterLoraInfo(str(path), 1.0) for path in self.adapters.values()
        ]
        try:
            return xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise self._load_error(gguf, error) from error

    def _load_error(self, gguf: Path, error: RuntimeError) -> ModelError | AdapterError:
        """Whose fault it is that loading failed, as far as can be told."""
        if not self.adapters:
            return ModelError(
                f"The base model must be a whole GGUF file; {gguf} can't be loaded ({error}). "
                "Remove it and start again to have it fetched anew."
            )
        return AdapterError(
            f"An adapter must be made for the base model {gguf.name}; {' or '.join(self.adapters)} can't be "
            f"loaded on it ({error}). Train it again on this base model."
        )

    def _probe(self) -> None:
        """Have one token generated."""
        body = {"messages": [{"role": "user", "content": "?"}], "max_tokens": 1, "lora": self._scales(None)}
        self._server.handle_chat_completions(body | {"stream": True, "id_slot": 0}, lambda _: False)

    def _check_window(self, context_tokens: int) -> None:
        """The model must be able to look back as far as promised."""
        window = int(self._ask("/props")["default_generation_settings"]["n_ctx"])
        if window < context_tokens:
            raise ModelError(
                f"The context window must be within what the base model was trained for, {window} tokens; "
                f"{context_tokens} were asked for. Set a smaller one."
            )

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request to the server's own address: past any proxy, with its key."""
        request = urllib.request.Request(  # noqa: S310 -- always http on 127.0.0.1
            self._server.listening_address + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                answer: dict[str, Any] = json.load(response)
        except (OSError, ValueError) as error:
            raise EngineError(f"The engine didn't take the request ({error}). Try again.") from error
        return answer


def _load_library() -> Any:
    """xllamacpp, whose threads wait for each other awake.

    GNU's OpenMP reads how they wait from the environment, once, when it is loaded. As it comes, threads lie
    down at once where a process has more of them than cores, as while one server takes over from another: two
    threads on two cores then wrote 18 tokens a second, awake 80. Three milliseconds awake are enough; without
    an end to it a server that nobody asks would keep the cores busy.
    """
    wanted = {name: value for name, value in _WAITING.items() if name not in os.environ}
    os.environ.update(wanted)
    try:
        import xllamacpp
    finally:
        for name in wanted:  # not for the processes that are started from here
            del os.environ[name]
    return xllamacpp


def _candidates(sampling: Sampling) -> int:
    """How many of the likeliest tokens are drawn from; 0 is all."""
    if sampling.temperature == 0:
        return 1
    return _CANDIDATES if sampling.temperature <= _COOL else 0


def _conversation(turns: Sequence[Turn]) -> dict[str, Any]:
    """Turns in the form that chat templates take, and what templates are told besides."""
    messages = [{"role": turn.role.value, "content": defuse(turn.content)} for turn in turns]
    return {"messages": messages, "chat_template_kwargs": dict(TEMPLATE_SETTINGS)}
