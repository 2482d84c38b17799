"""What is to answer: as the settings ask for it, as somebody chose it, or as it was chosen last."""

import json
from pathlib import Path

from adapters import catalog
from adapters.base_files import find_base_files, folder_of
from adapters.engines.choice import Choice, EngineKind, wants_transformers
from adapters.engines.serving_memory import reckon_serving
from db import serving as choice_store
from db.models import ServingChoice
from db.session import Database
from elara_ui.errors import ElaraError, ModelError, NotEnoughMemory
from elara_ui.settings import Settings

AUTO = "auto"


def configured_choice(settings: Settings) -> Choice:
    """What ELARA_ENGINE, ELARA_BASE, ELARA_DTYPE and ELARA_ENGINE_URL ask for.

    Where the engine is left to Elara, it is the one that suits the machine and the files that are there.

    Raises:
        ModelError: there is no such model, or the engine asked for can't read what is there of it.
    """
    if settings.engine_url:
        return Choice(EngineKind.REMOTE, settings.engine_base)
    chosen = choose(settings, settings.base, settings.engine)
    if chosen.kind is EngineKind.TRANSFORMERS and settings.dtype != AUTO:
        return Choice(chosen.kind, chosen.base_model, chosen.path, settings.dtype)
    return chosen


def choose(settings: Settings, base_model: str, engine: str = AUTO, weights: str = "") -> Choice:
    """A choice from what a person names.

    Args:
        settings: where models are, and whether another machine may be asked.
        base_model: catalogue id, hub id, or the path of a GGUF file or a model's folder.
        engine: llamacpp, transformers, remote or auto.
        weights: one of the engine's; empty for the usual.

    Raises:
        ModelError: there is no such model or engine, or the engine can't read what is there of the model.
    """
    if engine not in (AUTO, *EngineKind):
        known = ", ".join((AUTO, *EngineKind))
        raise ModelError(f"The engine is one of {known}; {engine[:40]!r} is none of them. Choose one.")
    if engine == EngineKind.REMOTE:
        return _choose_remote(settings, base_model)
    models, name = settings.folders.models, name_base(base_model)
    kind = _suit(models, name, engine)
    if name == catalog.EMBEDDED:
        if kind is EngineKind.LLAMACPP and weights not in ("", "Q4"):
            raise ModelError(
                f"{name} comes as Q4 only; {weights} was asked for. Leave it out, or choose transformers."
            )
        return Choice(kind, name, None, weights)
    path = find_base_files(models, name, kind, weights)
    if path is None and (kind is EngineKind.LLAMACPP or Path(name).is_absolute()):
        raise ModelError(_lack_of_files(models, name, kind, weights))
    return Choice(kind, name, path, weights)


def name_base(text: str) -> str:
    """The id of a base model as adapters' manifests have it.

    Args:
        text: catalogue id, hub id, or the path of a GGUF file or a model's folder.

    Raises:
        ModelError: it is none of these.
    """
    place = Path(text.strip()).expanduser()
    if place.suffix.lower() == ".gguf":
        if not place.is_file():
            raise ModelError(
                f"A GGUF file must be where it is named; there is none at {place}. Correct the path."
            )
        return str(place.resolve())
    return catalog.find(text).id


def configured_line(settings: Settings) -> str:
    """What the settings ask for, in one line that is compared with what they asked for later."""
    asked = {
        "engine": settings.engine,
        "base": settings.base,
        "dtype": settings.dtype,
        "engine_url": settings.engine_url,
        "engine_base": settings.engine_base,
    }
    return json.dumps(asked, sort_keys=True)


class ChoiceBook:
    """Remembers what was chosen, from one start to the next.

    Args:
        database: where it is kept.
        settings: where they ask for something else than when a choice was made, it has lapsed.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._configured = configured_line(settings)

    def write(self, choice: Choice) -> int:
        """Remember a choice; returns its number, larger than those of all before."""
        with self._database.session() as session:
            return choice_store.remember(
                session,
                base_model=choice.base_model,
                engine=choice.kind,
                weights=choice.weights,
                configured=self._configured,
            ).id

    def newest(self) -> ServingChoice | None:
        """The choice made last; None where there is none. See `holds`."""
        with self._database.reading() as session:
            return choice_store.newest(session)

    def holds(self, chosen: ServingChoice) -> bool:
        """Whether the settings ask for the same now as when it was made: otherwise they go before it."""
        return chosen.configured == self._configured

    def intended(self) -> tuple[str, EngineKind | None]:
        """Base model and engine that are to come up; the engine None where that is left to Elara."""
        chosen = self.newest()
        if chosen is not None and self.holds(chosen):
            return chosen.base_model, EngineKind(chosen.engine)
        if self._settings.engine_url:
            return self._settings.engine_base, EngineKind.REMOTE
        try:
            return name_base(self._settings.base), None
        except ElaraError:  # told when it is to come up
            return self._settings.base, None

    def read(self, chosen: ServingChoice) -> Choice:
        """What a remembered choice stands for now.

        Raises:
            ModelError: what it needs is gone.
        """
        return choose(self._settings, chosen.base_model, chosen.engine, chosen.weights)


def _choose_remote(settings: Settings, base_model: str) -> Choice:
    if not settings.engine_url:
        raise ModelError(
            "Another machine answers only where ELARA_ENGINE_URL names it, and it is not set. Set it and "
            "start again, or choose llamacpp or transformers."
        )
    if base_model != settings.engine_base:
        raise ModelError(
            f"{settings.engine_url} serves {settings.engine_base}, as ELARA_ENGINE_BASE says; {base_model} "
            "was asked for. Choose that, or an engine of this machine."
        )
    return Choice(EngineKind.REMOTE, settings.engine_base)


def _suit(models: Path, name: str, engine: str) -> EngineKind:
    """The engine named, or the one that suits the machine and can read what is there."""
    if engine != AUTO:
        return EngineKind(engine)
    embedded = name == catalog.EMBEDDED
    has_gguf = embedded or find_base_files(models, name, EngineKind.LLAMACPP) is not None
    is_gguf = name.lower().endswith(".gguf")
    if not has_gguf or (not is_gguf and wants_transformers(engine) and _has_folder(models, name)):
        return EngineKind.TRANSFORMERS
    return EngineKind.LLAMACPP


def _has_folder(models: Path, name: str) -> bool:
    return name == catalog.EMBEDDED or find_base_files(models, name, EngineKind.TRANSFORMERS) is not None


def _lack_of_files(models: Path, name: str, kind: EngineKind, weights: str) -> str:
    place = Path(name) if Path(name).is_absolute() else folder_of(models, name)
    if kind is EngineKind.LLAMACPP:
        wanted = f"a GGUF file{f' of {weights} weights' if weights else ''}"
        return (
            f"llama.cpp needs {wanted} of {name}, and there is none in {place}. Download it, choose other "
            "weights, or serve the model with transformers."
        )
    return (
        f"transformers needs a folder with config.json and safetensors of {name}; {place} isn't one. "
        "Download those files, or serve the model with llama.cpp."
    )


def check_memory(choice: Choice, settings: Settings) -> None:
    """Refuse what likely doesn't fit the memory beside what runs now.

    Raises:
        NotEnoughMemory: it doesn't.
        ModelError: its file can't be read.
    """
    memory = reckon_serving(choice, settings.context_tokens, settings.slots)
    if memory.fits or memory.needed is None:
        return
    raise NotEnoughMemory(
        f"A model must fit the memory beside what answers until it takes over; {choice.title} needs about "
        f"{memory.needed / 2**30:.1f} GiB and {memory.available / 2**30:.1f} GiB are free. Choose a smaller "
        "one or smaller weights; lower ELARA_CONTEXT_TOKENS or ELARA_SLOTS; set ELARA_BASE and start again, "
        "so that it has the memory to itself; or insist."
    )
