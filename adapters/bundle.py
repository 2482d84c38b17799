"""An adapter as a folder for someone else: it appears whole or not at all, and never over what is there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters import registry
from adapters.card import write_card
from adapters.errors import AdapterError
from adapters.manifest import CARD, GGUF, MANIFEST, Form, Manifest
from adapters.scratch import EXPORT, scratch

SPARE_BYTES = 64 * 2**20  # what an export must leave free: a full disk stops everything else too


@contextmanager
def staged(destination: Path) -> Iterator[Path]:
    """An empty folder that takes its name when everything in it is written.

    Args:
        destination: the name; must not exist. Missing folders above it are made.

    Raises:
        AdapterError: there is something of that name, or the disk refuses.
    """
    require_absent(destination)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with scratch(destination.parent, EXPORT) as beside:
            folder = beside / destination.name
            folder.mkdir(mode=0o700)
            yield folder
            require_absent(destination)  # renaming would replace an empty folder
            folder.rename(destination)
    except OSError as error:
        raise AdapterError(
            f"The export can't be written to {destination}: {error.strerror or error}. Free some space, or "
            "choose another place."
        ) from error


def require_absent(destination: Path) -> None:
    """Never write over anything.

    Raises:
        AdapterError: there is something of that name.
    """
    if destination.exists() or destination.is_symlink():
        raise AdapterError(
            f"An export never replaces anything, and {destination} exists already. Use what is there, remove "
            "it, or give another destination."
        )


def require_room(folder: Path, needed: int) -> None:
    """Make sure that the disk has room before anything is written.

    Args:
        folder: where it shall go.
        needed: bytes.

    Raises:
        AdapterError: there isn't enough.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise AdapterError(
            f"The export takes {needed / 2**30:.2f} GiB, but its disk has only {free / 2**30:.2f} GiB "
            "free. Free some space, or choose another destination."
        )


def write_peft(source: Path, destination: Path) -> None:
    """Copy an adapter as it is kept: weights, configuration, GGUF, card, and the manifest that seals them.

    Args:
        source: the adapter's folder.
        destination: the folder to make.

    Raises:
        AdapterError: the adapter is damaged, the destination exists, or the disk refuses.
    """
    manifest = registry.verify(source)
    names = (*manifest.files, MANIFEST)
    with staged(destination) as folder:
        require_room(folder, sum((source / name).stat().st_size for name in names))
        for name in names:
            shutil.copyfile(source / name, folder / name)
        registry.verify(folder)


def write_gguf(source: Path, destination: Path) -> None:
    """Write the file that llama.cpp reads, with its card.

    Args:
        source: the adapter's folder.
        destination: the folder to make.

    Raises:
        AdapterError: the adapter is damaged or has no GGUF, the destination exists, or the disk refuses.
    """
    manifest = registry.verify(source)
    require_gguf(manifest)
    with staged(destination) as folder:
        require_room(folder, (source / GGUF).stat().st_size)
        shutil.copyfile(source / GGUF, folder / GGUF)
        (folder / CARD).write_text(write_card(manifest, Form.GGUF), encoding="utf-8")


def require_gguf(manifest: Manifest) -> None:
    """Make sure that an adapter has a form for llama.cpp.

    Raises:
        AdapterError: it has none.
    """
    if GGUF not in manifest.files:
        raise AdapterError(
            f"{manifest.name} has no GGUF: there is no converter for the architecture of "
            f"{manifest.provenance.base_model}. Export it as merged, and convert that with llama.cpp's tools."
        )
