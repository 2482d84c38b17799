"""Making the engine that a choice asks for; it isn't loaded yet."""

from collections.abc import Callable
from pathlib import Path

from adapters import catalog, embedded
from adapters.engines.base import Engine
from adapters.engines.choice import Choice, EngineKind
from adapters.engines.llamacpp import LlamaCppEngine
from adapters.engines.remote import RemoteEngine
from adapters.gguf_header import read_header
from adapters.processors import Threads, choose_threads
from elara_ui.errors import ModelError
from elara_ui.settings import Settings

EngineFactory = Callable[[Choice, embedded.Report], Engine]
"""Makes the engine of a choice, not loaded yet, telling how far any download is."""


class EngineMaker:
    """Makes engines by the settings; an `EngineFactory`.

    A model that was trained for a smaller window than ELARA_CONTEXT_TOKENS gets its own: otherwise one
    setting would decide which models can be switched to.

    Args:
        settings: windows, slots, threads, addresses.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models = settings.folders.models

    def __call__(self, choice: Choice, report: embedded.Report) -> Engine:
        """Make it.

        Raises:
            ModelError: its files can't be had.
        """
        match choice.kind:
            case EngineKind.REMOTE:
                return self._make_remote(choice)
            case EngineKind.TRANSFORMERS:
                return self._make_transformers(choice, report)
            case EngineKind.LLAMACPP:
                return self._make_llamacpp(choice, report)

    def _make_remote(self, choice: Choice) -> Engine:
        settings = self._settings
        if not settings.engine_url:
            raise ModelError(
                "Another machine answers only where ELARA_ENGINE_URL names it. Set it, or choose another."
            )
        return RemoteEngine(
            base_model=choice.base_model,
            url=settings.engine_url,
            key=settings.engine_key.get_secret_value() if settings.engine_key else None,
            names=settings.remote_names,
            context_tokens=settings.context_tokens,
        )

    def _make_llamacpp(self, choice: Choice, report: embedded.Report) -> Engine:
        gguf = choice.path
        if gguf is None:
            if choice.base_model != catalog.EMBEDDED:
                raise ModelError(f"llama.cpp needs a GGUF file of {choice.base_model}. Download one first.")
            gguf = self._fetch(report)
        return LlamaCppEngine(
            base_model=choice.base_model,
            gguf=gguf,
            context_tokens=_shorter(
                self._settings.context_tokens, read_header(gguf).number("context_length")
            ),
            slots=self._settings.slots,
            threads=self._threads(),
        )

    def _make_transformers(self, choice: Choice, report: embedded.Report) -> Engine:
        from adapters.engines.transformers.engine import TransformersEngine  # loads torch

        if choice.base_model == catalog.EMBEDDED:
            self._fetch(report)
            own = catalog.find(choice.base_model).context_tokens
        else:
            own = catalog.find(str(choice.path or choice.base_model)).context_tokens
        return TransformersEngine(
            base_model=choice.base_model,
            models=self._models,
            context_tokens=_shorter(self._settings.context_tokens, own),
            dtype=choice.dtype,
            rows=self._settings.batch_rows,
            waiting=self._settings.max_waiting,
            threads=self._settings.threads or None,
            folder=choice.path,
        )

    def _threads(self) -> Threads:
        """Threads of llama.cpp.

        A page for this machine alone has its browser beside it, and threads that wait for each other suffer
        from any other program on their cores: on two cores one thread wrote 38 tokens a second into a browser
        there and two wrote 30; through the API one wrote 41 and two 57.
        """
        if wanted := self._settings.threads:
            return Threads(wanted, wanted)
        return choose_threads(spared=int(self._settings.is_local))

    def _fetch(self, report: embedded.Report) -> Path:
        return embedded.fetch(self._models, report, placed=self._settings.model_file)


def _shorter(wanted: int, own: int) -> int:
    """The window, tokens; a model that doesn't tell its own (0) is taken at its word when it is loaded."""
    return min(wanted, own) if own else wanted
