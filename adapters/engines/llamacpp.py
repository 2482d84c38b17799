"""The engine for laptops: llama.cpp in this process, on a GGUF base model. Loads no torch.

A set of published adapters is one *generation*: one server whose slots are dealt out to whoever asks.
llama.cpp can't take an adapter in while it runs, so publishing builds the next generation beside the current
one, flips the pointer, and lets the old one go when its last answer has ended.
"""

import atexit
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.engines.base import Completion, EngineStats, GenerationRequest, Token, Turn
from adapters.engines.heap import Heap
from adapters.engines.llama_call import Call, Draft
from adapters.engines.llama_server import LlamaServer
from adapters.engines.llama_slots import Slots
from adapters.engines.tally import Tally
from adapters.engines.window import check_room
from adapters.errors import AdapterError, EngineError, ModelError
from adapters.processors import Threads, choose_threads
from db.errors import ElaraError

ADAPTER_FILE = "adapter.gguf"
_CLOSE_SECONDS = 10.0
_SMALL_WINDOW = 256  # tokens; enough to see whether a file loads
# What a chat template adds to a turn and to all, tokens, with much to spare; text has one a byte at most.
_TURN_TOKENS, _TEMPLATE_TOKENS = 64, 256


@dataclass(eq=False)
class _Generation:
    """A server and its slots.

    Args:
        server: what computes.
        slots: whose turn it is.
        users: answers in progress and threads that only count; the server may be freed at none.
        retired: another generation has taken its place.
    """

    server: LlamaServer
    slots: Slots
    users: int = 0
    retired: bool = False

    @property
    def finished(self) -> bool:
        """Whether nobody uses it and nobody will."""
        return self.retired and not self.users


class LlamaCppEngine:
    """Serves one GGUF base model and its adapters; implements `adapters.engines.base.Engine`.

    Each slot keeps `context_tokens` of keys and values in memory (23 kB a token for the embedded model);
    adapters add their own weights only.

    Args:
        base_model: catalogue id of the base model.
        gguf: its file.
        context_tokens: window of one request, prompt and answer together, tokens.
        slots: answers written at once, in the same voice; others wait their turn (`llama_slots`).
        threads: that compute; None as `choose_threads`.
    """

    def __init__(
        self,
        base_model: str,
        gguf: Path,
        context_tokens: int = 4096,
        slots: int = 4,
        threads: Threads | None = None,
    ) -> None:
        self._base_model = base_model
        self._gguf = gguf
        self._context_tokens = context_tokens
        self._slots = slots
        self._threads = threads or choose_threads()
        self._tally = Tally()
        self._heap = Heap()
        self._building = threading.Lock()  # held while a generation is made; answers go on meanwhile
        self._changed = threading.Condition()  # guards everything below
        self._current: _Generation | None = None
        self._calls: set[Call] = set()
        self._in_memory: set[_Generation] = set()  # the current one and those that still drain

    @property
    def is_remote(self) -> bool:
        """It computes in this process: nothing leaves the machine."""
        return False

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
        current = self._current
        return frozenset(current.server.adapters) if current else frozenset()

    def load(self) -> None:
        """Bring the base model into memory; does nothing when it is there.

        Raises:
            ModelError: the model's file is missing or damaged.
        """
        with self._building:
            if self._current is None:
                self._flip(self._build({}))

    def publish(self, adapters: dict[str, Path]) -> None:
        """Make exactly these adapters available, without dropping an answer in progress.

        Args:
            adapters: versioned name → adapter folder. Names not given are retired.

        Raises:
            AdapterError: a folder is damaged or doesn't fit the base; what was published stays.
            ModelError: the base model had still to be loaded, and can't be.
        """
        files = {name: _adapter_file(name, folder) for name, folder in adapters.items()}
        with self._building:
            if self._current is None or self._current.server.adapters != files:
                self._flip(self._build(files))
                self._heap.trim()  # what reading the files took, and the generation before

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        """Length of the messages rendered by the model's own chat template, tokens.

        Raises:
            EngineError: the engine isn't loaded or refuses them.
        """
        with self._current_generation() as generation:
            return generation.server.count_tokens(turns)

    def stream(self, request: GenerationRequest) -> Iterator[Token | Completion]:
        """Answer, piece by piece; the last item is the `Completion`.

        Closing the iterator early frees the compute at once, as `cancel` does.

        Raises:
            AdapterError: the adapter isn't published.
            ContextOverflow: the turns leave no room for the answer.
            EngineError: the engine isn't loaded or failed.
        """
        return self._tally.follow(self._stream(request))

    def _stream(self, request: GenerationRequest) -> Generator[Token | Completion, None, None]:
        call = Call(request)
        draft = Draft(prompt_tokens=self._start(call))
        try:
            for arrived, chunk in call.read():
                if added := draft.take(arrived, chunk):
                    yield Token(added)
            yield draft.complete(call)
        finally:
            call.cancel()

    def cancel(self, request_id: str) -> None:
        """Stop a request; its stream ends with a cancelled `Completion`. Unknown ids are ignored."""
        with self._changed:
            calls = [call for call in self._calls if call.request.request_id == request_id]
        for call in calls:
            call.cancel()

    def stats(self) -> EngineStats:
        """What it does now and has done so far; never waits."""
        with self._changed:
            slots = [generation.slots for generation in self._in_memory]
        running, waiting = sum(each.running for each in slots), sum(each.waiting for each in slots)
        return self._tally.read(running, waiting, len(self.adapters))

    def close(self) -> None:
        """Cancel what is in progress, wait for it to end, and free everything. It may be loaded again."""
        with self._building:
            self._flip(None)
            with self._changed:
                for call in self._calls:
                    call.cancel()
                self._changed.wait_for(lambda: not self._in_memory, timeout=_CLOSE_SECONDS)
        atexit.unregister(self.close)

    def _start(self, call: Call) -> int:
        """Send the request to its worker thread; returns the prompt's length, tokens."""
        generation = self._enter(call)
        try:
            prompt_tokens = self._check_room(call.request, generation.server)
            worker = threading.Thread(target=self._work, args=(call, generation), daemon=True)
            worker.start()
        except BaseException:
            self._leave(call, generation)
            raise
        return prompt_tokens

    def _check_room(self, request: GenerationRequest, server: LlamaServer) -> int:
        """The prompt's length, tokens; 0, until the server tells, where it is plain that it fits.

        Raises:
            ContextOverflow: the turns leave no room for the answer.
        """
        longest = request.sampling.max_new_tokens
        at_most = sum(
            _TURN_TOKENS + 2 * len(turn.content.encode("utf-8", "replace")) for turn in request.turns
        )
        if _TEMPLATE_TOKENS + at_most + longest <= self._context_tokens:
            return 0
        prompt_tokens = server.count_tokens(request.turns)
        check_room(prompt_tokens, longest, self._context_tokens)
        return prompt_tokens

    def _work(self, call: Call, generation: _Generation) -> None:
        """The life of a worker thread: one answer, once it is its turn."""
        failed = None
        try:
            if seat := generation.slots.take(call.request, call.cancelled):
                try:
                    generation.server.generate(call.request, seat, call.receive)
                finally:
                    generation.slots.give_back(seat)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it belongs to the reader of the stream
            failed = _as_elara_error(error)
        finally:
            self._leave(call, generation)
            call.end(failed)
            if not self._calls:
                self._heap.trim_seldom()

    def _enter(self, call: Call) -> _Generation:
        """Take a place in the current generation, which now can't be freed."""
        with self._changed:
            generation = self._loaded()
            adapter = call.request.adapter
            if adapter is not None and adapter not in generation.server.adapters:
                known = ", ".join(generation.server.adapters) or "none"
                raise AdapterError(
                    f"An adapter must be published before it can answer; “{adapter}” isn't "
                    f"(published: {known}). Ask again, or ask one of these or the base model."
                )
            generation.users += 1
            self._calls.add(call)
            return generation

    def _leave(self, call: Call, generation: _Generation) -> None:
        """Give the place back."""
        with self._changed:
            self._calls.discard(call)
        self._release(generation)

    @contextmanager
    def _current_generation(self) -> Iterator[_Generation]:
        """The current generation for a while without an answer; meanwhile it can't be freed."""
        with self._changed:
            generation = self._loaded()
            generation.users += 1
        try:
            yield generation
        finally:
            self._release(generation)

    def _release(self, generation: _Generation) -> None:
        """One user less; the last one out of a retired generation frees it."""
        with self._changed:
            generation.users -= 1
            free = generation.finished
        if free:
            self._free(generation)

    def _free(self, generation: _Generation) -> None:
        """Give back the memory of a generation that nobody uses any more."""
        generation.server.close()
        with self._changed:
            self._in_memory.discard(generation)
            self._changed.notify_all()

    def _loaded(self) -> _Generation:
        """The current generation."""
        current = self._current
        if current is None:
            raise EngineError("The model must be loaded to answer, and isn't yet. Try again in a moment.")
        return current

    def _build(self, files: dict[str, Path]) -> _Generation:
        """Load a server with these adapters, beside whatever serves now."""
        if not self._gguf.is_file():
            raise ModelError(
                f"The base model's file must be at {self._gguf}; it isn't. Start again to fetch it."
            )
        # A thread inside llama.cpp at the interpreter's end would abort the process.
        atexit.register(self.close)
        try:
            server = LlamaServer(self._gguf, files, self._slots, self._context_tokens, self._threads)
        except AdapterError as error:
            raise self._narrow(error, files) from error
        return _Generation(server, Slots(self._slots))

    def _narrow(self, error: AdapterError, files: dict[str, Path]) -> AdapterError:
        """Find which of several adapters can't be loaded by loading each alone; a bad base shows too."""
        LlamaServer(self._gguf, {}, 1, _SMALL_WINDOW, self._threads).close()
        for name, file in files.items():
            try:
                LlamaServer(self._gguf, {name: file}, 1, _SMALL_WINDOW, self._threads).close()
            except AdapterError as found:
                return found
        return error

    def _flip(self, fresh: _Generation | None) -> None:
        """Send new requests to `fresh` and free the old generation, now or when it has drained."""
        with self._changed:
            old, self._current = self._current, fresh
            if fresh is not None:
                self._in_memory.add(fresh)
                self._tally.start()
            else:
                self._tally.stop()
            if old is None:
                return
            old.retired = True
            free = old.finished
        if free:
            self._free(old)


def _adapter_file(name: str, folder: Path) -> Path:
    """The GGUF LoRA in an adapter's folder."""
    path = folder / ADAPTER_FILE
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise AdapterError(
            f"Adapter {name} must have the file {ADAPTER_FILE} in {folder}; it can't be read "
            f"({error.strerror}). Restore the file, or train the adapter again."
        ) from error
    if magic != b"GGUF":
        raise AdapterError(
            f"Adapter {name} is damaged: {path} isn't a GGUF file. "
            "Restore the file, or train the adapter again."
        )
    return path


def _as_elara_error(error: Exception) -> ElaraError:
    """An error fit to be shown."""
    if isinstance(error, ElaraError):
        return error
    return EngineError(f"The engine failed to answer: {error}. Try again, or restart Elara.")
