"""Trying an adapter that was brought in: a few fixed questions to it and to the base model, in what serves.

A probe goes on in the background, whoever leaves the page. What came of it is kept in the adapter's manifest,
by which `adapters.registry.promote` goes.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from threading import Event, Lock, Thread

from adapters import registry
from adapters.engines.base import Completion, Engine, GenerationRequest, Sampling, Turn
from adapters.probing import QUESTIONS, ROOM_TOKENS, Probe, Tried, judge
from adapters.recipe import Recipe
from db import adapters as adapter_store
from db.home import Home
from db.models import Adapter, utc_now
from db.session import Database
from db.vocabulary import FinishReason, Role
from elara_ui.errors import AdapterError, ElaraError, EngineError
from elara_ui.services.serving import ServingService

CLOSE_SECONDS = 10.0
"""How long closing waits for the answer that is being written."""

log = logging.getLogger(__name__)


class ProbeState(StrEnum):
    """How a probe in the background stands."""

    WAITING = "waiting"
    ASKING = "asking"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Probing:
    """A probe in the background.

    Args:
        name: of the adapter.
        done: questions that both have answered.
        total: questions in all.
        probe: what came of it; None before.
        error: why it couldn't be carried out; nothing is said of the adapter by that.
    """

    name: str
    state: ProbeState
    done: int = 0
    total: int = len(QUESTIONS)
    probe: Probe | None = None
    error: str = ""

    @property
    def is_under_way(self) -> bool:
        """Whether there is something to wait for."""
        return self.state in (ProbeState.WAITING, ProbeState.ASKING)


class AdapterProbes:
    """Probes adapters, one after the other.

    Args:
        database: where adapters are recorded.
        home: where their manifests are.
        serving: what they are tried in.
        recipes: audience → prompt and sampling.
    """

    def __init__(
        self, database: Database, home: Home, serving: ServingService, recipes: Mapping[str, Recipe]
    ) -> None:
        self._database = database
        self._home = home
        self._serving = serving
        self._recipes = recipes
        self._lock = Lock()  # guards the two below
        self._known: dict[str, Probing] = {}
        self._thread: Thread | None = None
        self._stop = Event()
        self._request_id = ""

    def state(self, name: str) -> Probing | None:
        """How an adapter's probe stands; None when there was none since the start of this app."""
        return self._known.get(name)

    def start(self, name: str) -> Probing:
        """Probe an adapter in the background; harmless when that goes on already.

        Raises:
            NotFound: no adapter of that name.
            AdapterError: it isn't for the base model that answers now.
        """
        with self._database.reading() as session:
            _check_base(adapter_store.get(session, name), self._serving.base_model)
        with self._lock:
            present = self._known.get(name)
            if present is not None and present.is_under_way:
                return present
            begun = self._known[name] = Probing(name, ProbeState.WAITING)
            if self._thread is None:
                self._thread = Thread(target=self._work, name="probing", daemon=True)
                self._thread.start()
        return begun

    def run(self, name: str, report: Callable[[int], None] = lambda done: None) -> Probe:
        """Probe an adapter now, and keep what came of it.

        Args:
            name: such as ``patient@3``.
            report: told how many questions both have answered.

        Raises:
            NotFound: no adapter of that name.
            AdapterError: it is damaged, isn't for the base model that answers, or the engine refuses it.
            EngineError: the model isn't ready or failed; nothing is said of the adapter by that.
        """
        with self._database.reading() as session:
            adapter = adapter_store.get(session, name)
        folder = registry.folder(self._home, adapter)
        registry.verify(folder)
        with self._serving.hold() as held:
            _check_base(adapter, held.engine.base_model)
            held.publish({name})
            tried = []
            for answered in self._ask(held.engine, adapter):
                tried.append(answered)
                report(len(tried))
            engine = held.choice.title
        looked_at, faults = judge(tried)
        at = utc_now().isoformat(timespec="seconds")
        probe = Probe(not faults, faults, looked_at, adapter.base_model, engine, at)
        registry.record_probe(folder, probe.to_document())
        return probe

    def close(self) -> None:
        """Stop, and wait a moment for it."""
        self._stop.set()
        if self._request_id:
            self._serving.cancel(self._request_id)
        thread = self._thread
        if thread is not None:
            thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        """Probe whatever waits, until nothing does."""
        while (name := self._next()) is not None:
            try:
                probe = self.run(name, lambda done, name=name: self._tell(name, done=done))  # type: ignore[misc]
                self._tell(name, state=ProbeState.DONE, probe=probe)
            except ElaraError as error:
                self._tell(name, state=ProbeState.FAILED, error=error.message)
            except Exception:  # nobody else would hear of it
                log.exception("The probe of %s failed", name)
                said = "The probe failed unexpectedly; the log has the details. Start it again."
                self._tell(name, state=ProbeState.FAILED, error=said)

    def _next(self) -> str | None:
        """The adapter that has waited longest; without one the thread ends."""
        with self._lock:
            waiting = [each.name for each in self._known.values() if each.state is ProbeState.WAITING]
            if not waiting or self._stop.is_set():
                self._thread = None
                return None
            self._known[waiting[0]] = replace(self._known[waiting[0]], state=ProbeState.ASKING)
            return waiting[0]

    def _tell(self, name: str, **changes: object) -> None:
        with self._lock:
            self._known[name] = replace(self._known[name], **changes)  # type: ignore[arg-type]

    def _ask(self, engine: Engine, adapter: Adapter) -> Iterator[Tried]:
        recipe = self._recipes[adapter.audience]
        # Greedy, so that a difference is the adapter's and not chance; else as its audience is answered.
        room = max(recipe.sampling.max_new_tokens, ROOM_TOKENS)
        sampling = replace(recipe.sampling, temperature=0.0, seed=None, max_new_tokens=room)
        for question in QUESTIONS:
            turns = (Turn(Role.SYSTEM, recipe.system_prompt), Turn(Role.USER, question))
            base = self._say(engine, turns, None, sampling)
            own = self._say(engine, turns, adapter.name, sampling)
            ended = own.finish_reason is FinishReason.STOP
            yield Tried(question, base.text.strip(), own.text.strip(), ended)

    def _say(
        self, engine: Engine, turns: tuple[Turn, ...], voice: str | None, sampling: Sampling
    ) -> Completion:
        request = GenerationRequest(turns, voice, sampling)
        self._request_id = request.request_id
        completion = None
        for event in engine.stream(request):
            if self._stop.is_set():
                engine.cancel(request.request_id)
            if isinstance(event, Completion):
                completion = event
        self._request_id = ""
        if completion is None or completion.finish_reason is FinishReason.CANCELLED:
            raise EngineError("The probe was stopped before its end. Start it again.")
        return completion


def _check_base(adapter: Adapter, served: str) -> None:
    if adapter.base_model != served:
        raise AdapterError(
            f"An adapter is tried on its own base model; {adapter.name} is for {adapter.base_model}, and "
            f"{served} answers now. Have {adapter.base_model} answer (Models tab), then probe it."
        )
