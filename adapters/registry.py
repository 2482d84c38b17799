"""Adapters on disk: one folder a version, sealed by a manifest of hashes, recorded in the database.

``adapters/<audience>/<version>/`` holds ``adapter_model.safetensors``, ``adapter_config.json``,
``adapter.gguf`` (where llama.cpp can serve it), ``manifest.json`` and a card, ``README.md``.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from adapters.card import write_card
from adapters.errors import AdapterError
from adapters.files import write_whole
from adapters.manifest import (
    CARD,
    CONFIG,
    FORMAT_VERSION,
    GGUF,
    LICENCE,
    MANIFEST,
    NOT_REVIEWED,
    WEIGHTS,
    Form,
    Manifest,
    Provenance,
)
from db import adapters
from db.home import Home
from db.models import Adapter, utc_now

__all__ = [
    "CARD",
    "CONFIG",
    "FORMAT_VERSION",
    "GGUF",
    "MANIFEST",
    "NOT_REVIEWED",
    "WEIGHTS",
    "Manifest",
    "Provenance",
    "adopt",
    "folder",
    "library_versions",
    "promote",
    "read_manifest",
    "record_probe",
    "register",
    "remove_unfinished",
    "require_probe",
    "verify",
]

STAGED = ".staged-"  # begins the name of a folder that isn't complete yet
_LIBRARIES = ("torch", "transformers", "peft", "trl", "safetensors", "gguf")


def register(session: Session, home: Home, source: Path, provenance: Provenance) -> Adapter:
    """Take a trained adapter in as its audience's next version, a candidate.

    The folder appears under its final name only when it is complete. If the caller's session doesn't
    commit, the folder stays behind unrecorded and its number is passed over.

    Args:
        session: a writing session; it holds the version number until the caller commits.
        home: where adapters are kept.
        source: folder with the weights and the configuration, and ``adapter.gguf`` if there is one.
        provenance: goes into the manifest.

    Raises:
        AdapterError: the source is incomplete, or the disk refuses.
    """
    parent = home.adapters / provenance.audience
    number = adapters.next_version(session, provenance.audience)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while (parent / str(number)).exists():
            number += 1
        staged = Path(tempfile.mkdtemp(dir=parent, prefix=STAGED))
        try:
            manifest = _seal(source, staged, number, provenance)
            staged.rename(parent / str(number))
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise AdapterError(f"The adapter can't be stored in {parent}: {error.strerror or error}.") from error
    return adapters.add(
        session,
        audience=provenance.audience,
        version=number,
        base_model=provenance.base_model,
        run_id=provenance.run_id,
        path=(parent / str(number)).relative_to(home.root).as_posix(),
        sha256=manifest.files[WEIGHTS],
        metrics=dict(provenance.metrics),
    )


def adopt(session: Session, home: Home, sealed: Path) -> Adapter:
    """Take in an adapter that comes with its manifest, as a candidate under the name that it has there.

    The folder is copied, and every file held to its hash. An equal one that is in its place already, as after
    a start that was cut off, is kept.

    Args:
        session: a writing session.
        home: where adapters are kept.
        sealed: the folder; it stays as it is.

    Raises:
        AdapterError: a file is missing or changed, the place is taken by something else, or the disk refuses.
        Conflict: the audience has that version already.
    """
    manifest = verify(sealed)
    made = manifest.provenance
    target = home.adapters / made.audience / str(manifest.version)
    try:
        if not target.exists():
            _copy_sealed(sealed, target, manifest)
    except OSError as error:
        raise AdapterError(f"The adapter can't be stored in {target}: {error.strerror or error}.") from error
    if verify(target) != manifest:
        raise AdapterError(
            f"{target} holds another adapter than {manifest.name}, without a record of it. Move it away."
        )
    return adapters.add(
        session,
        audience=made.audience,
        version=manifest.version,
        base_model=made.base_model,
        run_id=None,
        path=target.relative_to(home.root).as_posix(),
        sha256=manifest.files[WEIGHTS],
        metrics=dict(made.metrics),
    )


def remove_unfinished(session: Session, home: Home) -> None:
    """Delete what processes left behind that were killed while they took an adapter in.

    Args:
        session: a writing session: while it lasts nobody else takes one in, so that all there is was left.
        home: where adapters are kept.
    """
    for path in home.adapters.glob(f"*/{STAGED}*"):
        shutil.rmtree(path, ignore_errors=True)


def folder(home: Home, adapter: Adapter) -> Path:
    """Where an adapter's files are.

    Raises:
        AdapterError: the recorded path leads out of the adapters folder.
    """
    path = (home.root / adapter.path).resolve()
    if not path.is_relative_to(home.adapters.resolve()):
        raise AdapterError(
            f"The recorded folder of {adapter.name} is outside {home.adapters}. Train it again."
        )
    return path


def verify(path: Path) -> Manifest:
    """Check that a folder is what its manifest says: every file there, unchanged, and nothing besides.

    Raises:
        AdapterError: a file is missing, changed, foreign or can't be read, or the manifest can't.
    """
    manifest = read_manifest(path)
    try:
        _compare(path, manifest)
    except OSError as error:
        raise AdapterError(
            f"The adapter folder {path} can't be read ({error.strerror or error}). "
            "Make it readable, or train the adapter again."
        ) from error
    return manifest


def promote(session: Session, home: Home, name: str) -> Adapter:
    """Make an adapter its audience's live one, once its files are found intact.

    Raises:
        NotFound: there is no such adapter.
        AdapterError: its files are missing or changed, or it was uploaded and hasn't passed its probe.
    """
    require_probe(verify(folder(home, adapters.get(session, name))))
    return adapters.promote(session, name)


def require_probe(manifest: Manifest) -> None:
    """Refuse an uploaded adapter that hasn't shown that it speaks.

    Raises:
        AdapterError: it hasn't been tried, or was and didn't pass.
    """
    if not manifest.provenance.upload or manifest.probe.get("passed") is True:
        return
    faults = [str(fault) for fault in manifest.probe.get("faults") or ()]
    found = "; ".join(faults[:2]) + (f"; and {len(faults) - 2} more" if len(faults) > 2 else "")
    state = f"has failed it: {found}" if manifest.probe else "hasn't been tried yet"
    remedy = (
        "Train it longer or otherwise, and bring it again."
        if manifest.probe
        else f"Press Probe in the page, or use `python -m elara_ui adapters probe {manifest.name}`."
    )
    raise AdapterError(
        f"An uploaded adapter must pass its probe before it answers people; {manifest.name} {state}. {remedy}"
    )


def came_with_elara(home: Home, adapter: Adapter) -> bool:
    """Whether an adapter is a starter: made by no run here, brought in by nobody. False when unreadable."""
    if adapter.run_id is not None:
        return False
    try:
        return not read_manifest(folder(home, adapter)).provenance.upload
    except AdapterError:
        return False


def record_probe(path: Path, probe: Mapping[str, Any]) -> None:
    """Note in an adapter's manifest what it said when it was tried.

    Args:
        path: the adapter's folder.
        probe: what `adapters.probing.Probe.to_document` gives.

    Raises:
        AdapterError: the folder is damaged, or can't be written.
    """
    manifest = replace(verify(path), probe=dict(probe))
    try:
        write_whole(path / MANIFEST, _spell(manifest))
    except OSError as error:
        raise AdapterError(
            f"The probe's result can't be stored in {path}: {error.strerror or error}. Free some space, then "
            "probe again."
        ) from error


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that make an adapter, without importing them."""
    return {name: found for name in _LIBRARIES if (found := _installed(name))}


def _copy_sealed(sealed: Path, target: Path, manifest: Manifest) -> None:
    """Copy an adapter's files; the folder appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(dir=target.parent, prefix=STAGED))
    try:
        for name in (*manifest.files, MANIFEST):
            shutil.copyfile(sealed / name, staged / name)
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _compare(path: Path, manifest: Manifest) -> None:
    """Hold the files in a folder to what its manifest says of them."""
    present = {item.name for item in path.iterdir()} - {MANIFEST}
    if foreign := sorted(present - set(manifest.files)):
        raise AdapterError(
            f"The adapter folder {path} holds {foreign[0]}, which its manifest doesn't name; weights "
            "are taken as safetensors only. Remove the file, or train the adapter again."
        )
    for name, expected in manifest.files.items():
        if name not in present:
            raise AdapterError(
                f"The adapter folder {path} lacks {name}. Restore it, or train the adapter again."
            )
        if _sha256(path / name) != expected:
            raise AdapterError(
                f"{path / name} was changed after training. Restore it, or train the adapter again."
            )


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _seal(source: Path, staged: Path, number: int, provenance: Provenance) -> Manifest:
    """Copy the known files, write the card, and the manifest last."""
    for name in (WEIGHTS, CONFIG):
        if not (source / name).is_file():
            raise AdapterError(f"An adapter needs {name}, but {source} has none.")
    for name in (WEIGHTS, CONFIG, GGUF, LICENCE):
        if (source / name).is_file():
            shutil.copyfile(source / name, staged / name)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name=f"{provenance.audience}@{number}",
        version=number,
        provenance=provenance,
        libraries={} if provenance.upload else library_versions(),  # those here didn't make it
        created_at=utc_now().isoformat(timespec="seconds"),
        files={item.name: _sha256(item) for item in sorted(staged.iterdir())},
    )
    (staged / CARD).write_text(write_card(manifest, Form.PEFT), encoding="utf-8")
    manifest = replace(manifest, files={**manifest.files, CARD: _sha256(staged / CARD)})
    (staged / MANIFEST).write_bytes(_spell(manifest))
    return manifest


def _spell(manifest: Manifest) -> bytes:
    return f"{json.dumps(asdict(manifest), indent=2)}\n".encode()


def read_manifest(path: Path) -> Manifest:
    """What an adapter's folder says of itself; its files aren't checked against it, as `verify` does.

    Raises:
        AdapterError: there is no manifest that can be read.
    """
    try:
        content = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if content["format_version"] != FORMAT_VERSION:
            raise AdapterError(
                f"{path / MANIFEST} has format {content['format_version']}; only {FORMAT_VERSION} is known."
            )
        provenance = Provenance(**content.pop("provenance"))
        manifest = Manifest(provenance=provenance, **content)
        if {WEIGHTS, CONFIG} - set(manifest.files):
            raise AdapterError(
                f"{path / MANIFEST} doesn't name {WEIGHTS} and {CONFIG}. Train the adapter again."
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AdapterError(
            f"{path} has no readable {MANIFEST}. Restore it, or train the adapter again."
        ) from error
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
