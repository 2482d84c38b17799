"""What could answer on this machine without fetching anything more."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from adapters import catalog
from adapters.base_files import find_base_files
from adapters.engines.choice import QUANTIZATIONS, Choice, EngineKind
from db import serving as choice_store
from db.home import Home
from db.session import Database
from elara_ui.errors import ElaraError, InvalidInput
from elara_ui.services.serving_choice import name_base
from elara_ui.settings import Settings


def list_options(settings: Settings, database: Database, served: Choice | None = None) -> tuple[Choice, ...]:
    """Every base model that is here with every engine that can read it, the embedded one first.

    For transformers once, with its usual weights: it quantises while it loads.

    Args:
        settings: where models are, and whether another machine may be asked.
        database: knows the models that people have added.
        served: what answers now; listed too where it isn't otherwise.
    """
    with database.reading() as session:
        added = choice_store.added_ids(session)
    names = dict.fromkeys(
        _names([catalog.EMBEDDED, settings.base, *added, *_downloaded(settings.folders.models)])
    )
    found = [choice for name in names for choice in _choices(settings.folders.models, name)]
    if settings.engine_url:
        found.append(Choice(EngineKind.REMOTE, settings.engine_base))
    if served is not None and served not in found:
        found.append(served)
    return tuple(found)


def check_open(settings: Settings) -> None:
    """Refuse a switch from a page that other people can reach: it changes what everybody is answered by.

    Raises:
        InvalidInput: it is such a page.
    """
    if not settings.is_local:
        raise InvalidInput(
            "Another model is switched to from the page only where Elara listens on this machine alone, and "
            "other machines can reach this one. Use `python -m elara_ui serving switch` on it."
        )


def is_served(home: Home) -> bool:
    """Whether an app runs on a home now: it holds the home's lock as long as it does."""
    lock = FileLock(home.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def _choices(models: Path, name: str) -> Iterator[Choice]:
    if name == catalog.EMBEDDED:
        yield from (Choice(EngineKind.LLAMACPP, name), Choice(EngineKind.TRANSFORMERS, name))
        return
    labelled = [
        Choice(EngineKind.LLAMACPP, name, file, weights)
        for weights in QUANTIZATIONS
        if not Path(name).is_absolute()
        and (file := find_base_files(models, name, EngineKind.LLAMACPP, weights))
    ]
    usual = find_base_files(models, name, EngineKind.LLAMACPP)
    yield from labelled or ([Choice(EngineKind.LLAMACPP, name, usual)] if usual else [])
    if folder := find_base_files(models, name, EngineKind.TRANSFORMERS):
        yield Choice(EngineKind.TRANSFORMERS, name, folder)


def _downloaded(models: Path) -> Iterator[str]:
    """Hub ids, by the names of their folders (`adapters.base_files.folder_of`)."""
    for folder in sorted(models.glob("*--*")):
        if folder.is_dir():
            yield folder.name.replace("--", "/", 1)


def _names(texts: Iterable[str]) -> Iterator[str]:
    """The ids of those that are models at all: files may have gone since one was added."""
    for text in texts:
        try:
            yield name_base(text)
        except ElaraError:
            continue
