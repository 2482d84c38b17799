"""Bringing a base model's files from the hub: resumed where it was cut off, checked, stopped on a word."""

import hashlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event

from filelock import FileLock, Timeout

from adapters import download, model_store
from adapters.download import Origin
from adapters.errors import ModelError
from adapters.hub_files import DownloadPlan, Hub, HubFile
from adapters.model_store import StoredWeights

_SPARE_BYTES = 500_000_000  # left for the database and everything else
_LOCK = ".download.lock"
_BLOCK = 1 << 20
BytesReport = Callable[[int], None]


class Cancelled(Exception):
    """Somebody stopped the download; what has come is kept."""


def fetch_model(
    hub: Hub, plan: DownloadPlan, models: Path, report: BytesReport, stop: Event
) -> StoredWeights:
    """Bring what is planned, beginning with what is there already.

    Args:
        hub: where from.
        plan: from `Hub.plan`.
        models: folder of base models.
        report: called with the bytes there are, earlier ones included, as they grow.
        stop: set to stop; seen within a quarter of a megabyte, or 30 s where nothing comes.

    Raises:
        Cancelled: `stop` was set; the next call goes on from there.
        ModelError: it can't be had, isn't what the hub promised, or there is no room.
    """
    folder = model_store.folder_of(models, plan.model, plan.weights)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(folder / _LOCK, timeout=0):
            _check_room(plan, folder)
            done = 0
            for file in plan.files:
                _bring(hub, plan, file, folder, partial(_tell, report, stop, done))
                done += file.size
            files = {_name(file): {"size": file.size, "sha256": file.sha256} for file in plan.files}
            model_store.write_record(folder, plan.model, plan.repository, plan.revision, files)
    except Timeout as error:
        raise ModelError(
            f"The {plan.weights.value} weights of {plan.model.id} are being downloaded already, by another "
            "program on this ELARA_HOME. Wait for it, or stop it."
        ) from error
    except OSError as error:
        raise ModelError(
            f"{plan.model.title} can't be kept in {folder}: {error.strerror or error}. Make room or allow "
            "writing there, or choose another place with ELARA_HOME."
        ) from error
    (folder / _LOCK).unlink(missing_ok=True)
    stored = model_store.find_weights(models, plan.model, plan.weights)
    if stored is None:
        raise ModelError(f"{folder} was changed while it was filled. Download the model again.")
    return stored


def _tell(report: BytesReport, stop: Event, before: int, grown: int) -> None:
    if stop.is_set():
        raise Cancelled
    report(before + grown)


def _bring(hub: Hub, plan: DownloadPlan, file: HubFile, folder: Path, tell: BytesReport) -> None:
    """One file, unless it is there and has the size it should; checked before it gets its name."""
    target = folder / _name(file)
    if target.is_file() and _is_right(file, target):  # from an earlier start, perhaps of another commit
        tell(file.size)
        return
    part = target.with_name(target.name + model_store.PART)
    tell(part.stat().st_size if part.exists() else 0)
    origin = Origin(
        hub.address_of(plan.repository, plan.revision, file.name),
        file.sha256 or None,
        token=hub.token or None,
    )
    try:
        download.download(origin, part, tell)
    except download.Refused as error:
        raise _explain_refusal(hub, plan, file, error) from error
    except (download.Unavailable, download.DownloadFailed) as error:
        raise ModelError(
            f"{plan.model.title} can't be downloaded whole: of {file.name}, {str(error).rstrip('.')}. What "
            "has come is kept; check the connection and download again, and it goes on from there."
        ) from error
    if not _is_right(file, part, hashed=bool(file.sha256)):
        size = part.stat().st_size
        part.unlink()
        raise ModelError(
            f"{file.name} of {plan.repository} isn't the file that the hub promised ({size:,} bytes, "
            f"expected {file.size:,}). It was removed; download again."
        )
    part.replace(target)


def _name(file: HubFile) -> str:
    """What it is called here: its last part, whatever folder it is in there."""
    return file.name.rpartition("/")[2]


def _explain_refusal(hub: Hub, plan: DownloadPlan, file: HubFile, error: download.Refused) -> ModelError:
    if error.status in (401, 403):
        return hub.refuse_gated(plan.repository)
    return ModelError(
        f"The hub doesn't hand out {file.name} of {plan.repository}: {error}. Try again later; the "
        "repository may just be changing."
    )


def _is_right(file: HubFile, path: Path, *, hashed: bool = False) -> bool:
    """Whether a file has the size and the hash that the hub says, as far as it says them.

    Args:
        hashed: its SHA-256 has been checked already.
    """
    if path.stat().st_size != file.size:
        return False
    if file.sha256:
        return hashed or _sha256(path) == file.sha256
    return not file.blob or _git_hash(path) == file.blob


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_hash(path: Path) -> str:
    """SHA-1 of a git blob: the word, its length, a zero byte, its content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _check_room(plan: DownloadPlan, folder: Path) -> None:
    """Refuse to begin what can't end."""
    needed = plan.size - model_store.brought_bytes(folder) + _SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"Downloading the {plan.weights.value} weights of {plan.model.title} needs {needed / 1e9:.1f} GB "
            f"free in {folder}, {_SPARE_BYTES / 1e9:.1f} of them to spare; there are {free / 1e9:.1f} GB. "
            "Free some space, choose a smaller form, or another place with ELARA_HOME."
        )
