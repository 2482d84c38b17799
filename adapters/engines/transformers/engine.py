"""The engine for graphics cards: any mix of adapters in one batch of one transformers model.

One thread computes, and alone touches model and adapters; everybody else hands it requests. It goes round by
round (`worker`), and between two rounds takes new adapters in and lets those go that nobody speaks with.
"""

import atexit
import copy
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.engines.base import Completion, EngineStats, GenerationRequest, Token, Turn
from adapters.engines.tally import Tally
from adapters.engines.transformers import loading
from adapters.engines.transformers.drawing import Drawing
from adapters.engines.transformers.line import Line
from adapters.engines.transformers.memory import give_back
from adapters.engines.transformers.pieces import Pieces
from adapters.engines.transformers.prefixes import Prefixes
from adapters.engines.transformers.prompt import count_system_tokens
from adapters.engines.transformers.request import Answer, Arrival
from adapters.engines.transformers.voices import Voices
from adapters.engines.transformers.worker import Worker
from adapters.engines.window import check_room
from adapters.errors import AdapterError, EngineBusy, EngineError
from adapters.templating import render_prompt
from db.errors import ElaraError

PREFIX_BYTES = 512 << 20
# Longer segments use a graphics card better; on a processor shorter ones let others speak meanwhile.
_SEGMENT_TOKENS = {True: 512, False: 128}


@dataclass(frozen=True)
class _Published:
    """An adapter that may be asked for.

    Args:
        folder: where it came from.
        voice: its key in `Voices`.
    """

    folder: Path
    voice: str


class TransformersEngine:
    """Serves one transformers model and its adapters; implements `adapters.engines.base.Engine`.

    Args:
        base_model: catalogue id, hub id or folder of the base model.
        models: folder of base models.
        context_tokens: window of one request, prompt and answer together, tokens.
        dtype: one of `adapters.engines.choice.DTYPES`. In fp32 an answer doesn't depend on who else is
            answered; otherwise rounding, and in 8bit the choice of outliers, may turn a choice between two
            all but equally likely tokens.
        rows: most answers written at once.
        waiting: most that may wait for their turn.
        threads: compute threads on a processor; None takes half of the cores (see `loading.set_threads`).
        prefix_bytes: bound on what is remembered of prompts, bytes.
        folder: where a model of the hub lies on this machine; None has the hub's own cache looked up.
    """

    def __init__(
        self,
        base_model: str,
        models: Path,
        context_tokens: int = 4096,
        dtype: str = "auto",
        rows: int = 16,
        waiting: int = 64,
        threads: int | None = None,
        prefix_bytes: int = PREFIX_BYTES,
        folder: Path | None = None,
    ) -> None:
        self._base_model = base_model
        self._folder = folder
        self._models = models
        self._context_tokens = context_tokens
        self._dtype = dtype
        self._rows = rows
        self._waiting = waiting
        self._threads = threads
        self._prefix_bytes = prefix_bytes
        self._tally = Tally()
        self._loading = threading.Lock()  # held while the model is brought or freed
        self._rendering = threading.Lock()  # a tokenizer is for one thread at a time
        self._changed = threading.Condition()  # guards everything below
        self._closing = False
        self._thread: threading.Thread | None = None
        self._tokenizer: Any = None  # makes prompts
        self._decoder: Any = None  # the same once more, for the engine's thread
        self._line = Line()
        self._published: dict[str, _Published] = {}
        self._answers: set[Answer] = set()
        self._speakers: Counter[str | None] = Counter()  # answers in the engine, by voice
        self._errands: list[_Errand] = []  # for the engine's thread, between two rounds

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
        return frozenset(self._published)

    def load(self) -> None:
        """Bring the base model into memory; does nothing when it is there.

        Raises:
            ModelError: it can't be had, or can't be served so.
        """
        with self._loading:
            if self._thread is None:
                self._start()

    def publish(self, adapters: dict[str, Path]) -> None:
        """Make exactly these adapters available, without dropping an answer in progress.

        Args:
            adapters: versioned name → adapter folder. Names not given are retired.

        Raises:
            AdapterError: a folder is damaged, doesn't fit the base, or finds no memory; what was published
                stays.
            ModelError: the base model had still to be loaded, and can't be.
            EngineError: the engine is being closed.
        """
        self.load()
        self._have_done(lambda voices: self._publish(voices, adapters))

    def count_tokens(self, turns: Sequence[Turn]) -> int:
        """Length of the messages rendered by the model's own chat template, tokens.

        Raises:
            EngineError: the engine isn't loaded.
        """
        return len(self._render(turns))

    def stream(self, request: GenerationRequest) -> Iterator[Token | Completion]:
        """Answer, piece by piece; the last item is the `Completion`.

        Closing the iterator early frees the compute at the next step, as `cancel` does.

        Raises:
            AdapterError: the adapter isn't published.
            ContextOverflow: the turns leave no room for the answer.
            EngineBusy: too many wait.
            EngineError: the engine isn't loaded or failed.
        """
        return self._tally.follow(self._stream(request))

    def stats(self) -> EngineStats:
        """What the engine does now, and has done so far."""
        with self._changed:
            waiting = len(self._line)
            running = len(self._answers) - waiting
            adapters = len(self._published)
        return self._tally.read(max(running, 0), waiting, adapters)

    def _stream(self, request: GenerationRequest) -> Generator[Token | Completion, None, None]:
        answer = self._enter(request)
        try:
            for item in answer.read():
                if isinstance(item, Arrival):
                    if item.text:
                        yield Token(item.text)
                else:
                    yield item
        finally:
            answer.cancel()

    def cancel(self, request_id: str) -> None:
        """Stop a request; its stream ends with a cancelled `Completion`. Unknown ids are ignored."""
        with self._changed:
            answers = [answer for answer in self._answers if answer.request.request_id == request_id]
        for answer in answers:
            answer.cancel()

    def close(self) -> None:
        """Cancel what is in progress, wait for the thread, and free everything. It may be loaded again."""
        with self._loading:
            with self._changed:
                thread, self._closing = self._thread, True
                for answer in self._answers:
                    answer.cancel()
                self._changed.notify_all()
            if thread is not None:
                thread.join()
            with self._changed:
                self._thread, self._closing, self._tokenizer = None, False, None
                self._published = {}
                self._answers.clear()
                self._speakers.clear()
                self._line = Line()
        self._tally.stop()
        give_back()
        atexit.unregister(self.close)

    def _start(self) -> None:
        """Load the model, and let the thread begin that owns it from now on."""
        place = self._base_model if self._folder is None else str(self._folder)
        served = loading.load(self._models, place, self._dtype, self._context_tokens)
        if not served.on_card:
            loading.set_threads(self._threads)
        voices = Voices(served.model, self._base_model, served.sha256)
        prefixes = Prefixes(self._prefix_bytes)
        worker = Worker(
            voices,
            self._line,
            served.ends,
            self._rows,
            _SEGMENT_TOKENS[served.on_card],
            prefixes,
            self._leave,
        )
        self._decoder = copy.deepcopy(served.tokenizer)  # the engine's thread has one of its own
        thread = threading.Thread(
            target=self._run, args=(worker, voices, prefixes), name="transformers", daemon=True
        )
        # A thread inside torch at the interpreter's end could abort the process.
        atexit.register(self.close)
        with self._changed:
            self._tokenizer, self._thread = served.tokenizer, thread
        thread.start()
        self._tally.start()

    def _run(self, worker: Worker, voices: Voices, prefixes: Prefixes) -> None:
        """The life of the engine's thread."""
        while self._wait(worker):
            for errand in self._take_errands():
                errand.run(voices)
            try:
                self._retire(voices, prefixes)
                worker.work()
            except Exception as error:  # noqa: BLE001 -- whatever it is, it belongs to the readers
                worker.fail(_as_elara_error(error))
        for errand in self._take_errands():
            errand.outcome.set_exception(
                EngineError("The model is being stopped. Try again once it is back.")
            )

    def _wait(self, worker: Worker) -> bool:
        """Until there is something to do; False when the engine is to be closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self._errands or len(self._line) or not worker.is_idle
            )
            return not self._closing

    def _have_done(self, work: Callable[[Voices], None]) -> None:
        """Have the engine's thread do something between two rounds, and wait for it."""
        errand = _Errand(work)
        with self._changed:
            if self._thread is None or self._closing:
                raise EngineError(_NOT_LOADED)
            self._errands.append(errand)
            self._changed.notify_all()
        errand.outcome.result()

    def _take_errands(self) -> "list[_Errand]":
        with self._changed:
            errands, self._errands = self._errands, []
            return errands

    def _publish(self, voices: Voices, folders: dict[str, Path]) -> None:
        """Load what is new, and only when all of it fits let it be asked for."""
        published, fresh = {}, []
        try:
            for name, folder in folders.items():
                there = self._published.get(name)
                if there is None or there.folder != folder:
                    there = _Published(folder, voices.add(name, folder))
                    fresh.append(there.voice)
                published[name] = there
        except BaseException:
            for voice in fresh:
                voices.remove(voice)
            raise
        with self._changed:
            self._published = published

    def _retire(self, voices: Voices, prefixes: Prefixes) -> None:
        """Free the adapters that can't be asked for any more and that nobody speaks with."""
        with self._changed:
            wanted = {published.voice for published in self._published.values()}
            gone = [key for key in voices.keys if key not in wanted and not self._speakers[key]]
        for key in gone:
            voices.remove(key)
            prefixes.forget(key)

    def _enter(self, request: GenerationRequest) -> Answer:
        """Put a request in the line."""
        started = time.perf_counter()
        prompt = self._render(request.turns)
        check_room(len(prompt), request.sampling.max_new_tokens, self._context_tokens)
        with self._rendering:
            system_tokens = count_system_tokens(prompt, request.turns, self._tokenizer)
        with self._changed:
            if self._thread is None or self._closing:
                raise EngineError(_NOT_LOADED)
            self._check_queue()
            answer = Answer(
                request=request,
                prompt_tokens=len(prompt),
                system_tokens=system_tokens,
                voice=self._voice(request.adapter),
                drawing=Drawing(request.sampling, prompt),
                pieces=Pieces(self._decoder),
                started=started,
            )
            self._line.put(answer)
            self._answers.add(answer)
            self._speakers[answer.voice] += 1
            self._changed.notify_all()
        return answer

    def _check_queue(self) -> None:
        """Refuse who would wait behind too many; those who needn't wait don't count."""
        waiting = len(self._answers) - self._rows
        if waiting >= self._waiting:
            raise EngineBusy(
                f"At most {self._waiting} questions may wait for an answer at once, and {waiting} do. "
                "Try again in a moment."
            )

    def _voice(self, adapter: str | None) -> str | None:
        if adapter is None:
            return None
        if adapter not in self._published:
            known = ", ".join(sorted(self._published)) or "none"
            raise AdapterError(
                f"An adapter must be published before it can answer; “{adapter}” isn't "
                f"(published: {known}). Ask again, or ask one of these or the base model."
            )
        return self._published[adapter].voice

    def _leave(self, answer: Answer) -> None:
        """An answer is over and out of the thread's hands."""
        with self._changed:
            self._answers.discard(answer)
            self._speakers[answer.voice] -= 1

    def _render(self, turns: Sequence[Turn]) -> list[int]:
        with self._rendering:
            if self._tokenizer is None:
                raise EngineError(_NOT_LOADED)
            return render_prompt(turns, self._tokenizer)


@dataclass(eq=False)
class _Errand:
    """Something for the engine's thread to do between two rounds."""

    work: Callable[[Voices], None]
    outcome: "Future[None]" = field(default_factory=Future)

    def run(self, voices: Voices) -> None:
        """Do it, and tell whoever waits how it went."""
        try:
            self.work(voices)
            self.outcome.set_result(None)
        except Exception as error:  # noqa: BLE001 -- it belongs to whoever waits
            self.outcome.set_exception(error)


_NOT_LOADED = "The model must be loaded to answer, and isn't yet. Try again in a moment."


def _as_elara_error(error: Exception) -> ElaraError:
    """An error fit to be shown."""
    if isinstance(error, ElaraError):
        return error
    return EngineError(f"The engine failed to answer: {error}. Try again, or restart Elara.")
