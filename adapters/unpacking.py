"""An adapter that somebody brings, out of a zip, a folder or single files: what it needs, and nothing else.

A zip may come from anybody, so nothing in it is believed: names, links, sizes and their sum are looked at
before anything is written, and sizes again while it is. Only the few files named here are written at all,
under names of ours. Weights are taken as safetensors only: other formats can run code when they are opened.
"""

import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from adapters.errors import AdapterError
from adapters.manifest import CARD, CONFIG, LICENCE, MANIFEST, WEIGHTS

MOST_FILES = 64
"""Entries of a zip or a folder; an adapter has about ten."""
MOST_RATIO = 100
"""How much smaller than its content an entry may be: weights hardly shrink at all, text to about a fifth."""
MOST_TEXT_BYTES = 2**20  # of a configuration, manifest or licence
_SMALL = 2**20  # an entry of this size may shrink as it likes
_CATALOGUE_BYTES = 2**18  # of a zip's list of entries: zipfile would read gigabytes of them into memory
_BLOCK = 2**20
_TEXTS = frozenset({CONFIG, MANIFEST, LICENCE})
_LICENCES = frozenset({"license", "license.txt", "license.md", "licence", "licence.txt", "licence.md"})
# What PEFT and transformers leave beside an adapter: harmless, and not needed.
_BESIDE = frozenset(
    {
        *(CARD.lower(), "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
        *("added_tokens.json", "vocab.json", "generation_config.json", "trainer_state.json"),
        *("merges.txt", "chat_template.jinja", "notice", "notice.txt"),
    }
)
_JUNK = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_AS_SAFETENSORS = (
    "Load it where it was trained and save it with model.save_pretrained(folder, safe_serialization=True), "
    f"which writes {WEIGHTS}."
)


@dataclass(frozen=True)
class Gathered:
    """What was taken.

    Args:
        source: its name, for people.
        left_out: names of files that aren't needed and weren't taken.
    """

    source: str
    left_out: tuple[str, ...]


def gather(sources: Sequence[Path], target: Path, most_bytes: int) -> Gathered:
    """Copy what an adapter needs into an empty folder.

    Args:
        sources: one zip, one folder, or the adapter's files.
        target: the folder; gets ``adapter_model.safetensors`` and ``adapter_config.json``, and the manifest
            and the licence if there are any.
        most_bytes: of everything together, unpacked.

    Raises:
        AdapterError: something is missing, too large, not allowed, or leads out of its folder.
    """
    if not sources:
        raise AdapterError(f"An adapter must be given as a zip, or as {WEIGHTS} with {CONFIG}; nothing was.")
    first = sources[0]
    try:
        if len(sources) == 1 and first.is_dir():
            gathered = _gather_folder(first, target, most_bytes)
        elif len(sources) == 1 and first.suffix.lower() == ".zip":
            gathered = _gather_zip(first, target, most_bytes)
        else:
            gathered = _gather_files(sources, target, most_bytes)
    except OSError as error:
        raise AdapterError(
            f"The adapter can't be read from {first.name}: {error.strerror or error}. Check that it is there "
            "and that there is room for it, then try again."
        ) from error
    _require_both(target, gathered.left_out)
    return gathered


def _require_both(target: Path, left_out: Sequence[str]) -> None:
    pickled = next((name for name in left_out if name.lower().endswith(_PICKLES)), None)
    for name in (WEIGHTS, CONFIG):
        if (target / name).is_file():
            continue
        if name == WEIGHTS and pickled:
            raise AdapterError(_refuse_pickle(pickled))
        if name == WEIGHTS and any(each.lower().endswith(".gguf") for each in left_out):
            raise AdapterError(
                f"An adapter must come with {WEIGHTS}; there is only a GGUF, from which it can't be made "
                "again. Give the PEFT folder that the GGUF was made from."
            )
        raise AdapterError(
            f"An adapter must come with {WEIGHTS} and {CONFIG}; {name} is missing. Take the folder that "
            "PEFT's save_pretrained wrote, and zip that."
        )


def _gather_zip(path: Path, target: Path, most_bytes: int) -> Gathered:
    with _opened(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_junk(entry)]
        _check_entries(entries, most_bytes)
        root = _root_of(entries)
        left_out, taken = [], set()
        for entry in entries:
            name = _stored_name(PurePosixPath(entry.filename).relative_to(root).as_posix(), strict=True)
            if name is None:
                left_out.append(PurePosixPath(entry.filename).name)
            elif name in taken:
                raise AdapterError(
                    f"A zip must hold each file once; {path.name} has {name} twice. Zip the folder again."
                )
            else:
                taken.add(name)
                with archive.open(entry) as stream:
                    _copy(stream, target / name, _limit_of(name, entry.file_size))
    return Gathered(path.name, tuple(left_out))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip whose list of entries is short; whatever is wrong with it becomes a refusal."""
    _check_catalogue(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise AdapterError(
            f"An adapter's zip must be whole; {path.name} can't be read ({error}). Zip the folder again."
        ) from error


def _check_catalogue(path: Path) -> None:
    """Look at the end of a zip, where it says how long its list is, before anything reads that list.

    The layout is that of PKWARE's APPNOTE 6.3, 4.3.16. The 64-bit form is for what no adapter is.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 22 - 0xFFFF))
        end = file.read()
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) - at < 22:
        raise AdapterError(
            f"An adapter's zip must be one; {path.name} isn't, or is cut off. Zip the folder again."
        )
    entries, length = struct.unpack_from("<HL", end, at + 10)
    if (
        end[max(0, at - 20) : at].startswith(b"PK\x06\x07")
        or length > _CATALOGUE_BYTES
        or entries > MOST_FILES
    ):
        raise AdapterError(
            f"An adapter's zip may have at most {MOST_FILES} files and must be an ordinary (32-bit) one; "
            f"{path.name} isn't. Zip {WEIGHTS} and {CONFIG} alone."
        )


def _check_entries(entries: Sequence[zipfile.ZipInfo], most_bytes: int) -> None:
    """Look at all there is before anything is written."""
    if len(entries) > MOST_FILES:
        raise AdapterError(
            f"An adapter's zip may have at most {MOST_FILES} files; this has {len(entries)}. "
            f"Zip {WEIGHTS} and {CONFIG} alone."
        )
    for entry in entries:
        _check_entry(entry)
    _check_total(sum(entry.file_size for entry in entries), most_bytes)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.orig_filename
    parts = name.replace("\\", "/").split("/")
    if "\0" in name or "\\" in name or name.startswith("/") or ".." in parts or ":" in parts[0]:
        raise AdapterError(
            f"A zip's files must stay in its own folder; “{_show(name)}” leads out of it. It was made to do "
            "harm, or by a faulty program: don't use it."
        )
    mode = entry.external_attr >> 16
    if mode and not (stat.S_ISREG(mode) or stat.S_IFMT(mode) == 0):
        raise AdapterError(
            f"A zip must hold plain files; “{_show(name)}” is a link or a device. Zip the files themselves."
        )
    if entry.flag_bits & 1:
        raise AdapterError(f"A zip must not be encrypted; “{_show(name)}” is. Zip it without a password.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise AdapterError(
            f"A zip must be stored or deflated, as usual; “{_show(name)}” isn't. Zip it with another program."
        )
    if entry.file_size > max(_SMALL, MOST_RATIO * max(1, entry.compress_size)):
        raise AdapterError(
            f"A zip's files may be at most {MOST_RATIO} times as large as in the zip; “{_show(name)}” "
            f"grows from {entry.compress_size:,} to {entry.file_size:,} bytes. Don't use this zip."
        )


def _root_of(entries: Sequence[zipfile.ZipInfo]) -> PurePosixPath:
    """The one folder that everything is in; most programs put it into the zip."""
    folders = {PurePosixPath(entry.filename).parent for entry in entries}
    if len(folders) > 1:
        named = ", ".join(sorted(_show(str(folder)) for folder in folders)[:3])
        raise AdapterError(
            f"An adapter's zip must hold one folder; this has files in {named}. Zip the adapter's folder "
            "alone, without checkpoints."
        )
    return next(iter(folders), PurePosixPath())


def _gather_folder(path: Path, target: Path, most_bytes: int) -> Gathered:
    """What of a folder is needed; whatever else is in it is not even opened."""
    names = {}
    left_out = []
    for item in sorted(path.iterdir()):
        name = _stored_name(item.name, strict=False)
        if name is None or item.is_symlink() or not item.is_file():
            if name in (WEIGHTS, CONFIG):
                raise AdapterError(
                    f"An adapter's files must be plain files; {item} is a link or a folder. Give the folder "
                    "that holds the files themselves."
                )
            left_out.append(item.name)
        else:
            names[name] = item
    _check_total(sum(item.stat().st_size for item in names.values()), most_bytes)
    for name, item in names.items():
        _copy_file(item, target / name)
    return Gathered(path.name, tuple(left_out))


def _gather_files(paths: Sequence[Path], target: Path, most_bytes: int) -> Gathered:
    if len(paths) > MOST_FILES:
        raise AdapterError(f"An adapter has at most {MOST_FILES} files; {len(paths)} were given.")
    _check_total(sum(path.stat().st_size for path in paths), most_bytes)
    left_out = []
    for path in paths:
        name = _stored_name(path.name, strict=True)
        if name is None:
            left_out.append(path.name)
        elif (target / name).exists():
            raise AdapterError(f"Each file must be given once; {name} was given twice. Choose again.")
        else:
            _copy_file(path, target / name)
    weights = next((path.name for path in paths if path.name == WEIGHTS), paths[0].name)
    return Gathered(weights, tuple(left_out))


def _stored_name(given: str, *, strict: bool) -> str | None:
    """The name under which a file is kept; None when it isn't.

    Args:
        given: its name, relative to the adapter's folder.
        strict: refuse what has no business beside an adapter, rather than leave it where it is.

    Raises:
        AdapterError: it is refused.
    """
    lower = given.lower()
    if given in (WEIGHTS, CONFIG, MANIFEST):
        return given
    if lower in _LICENCES:
        return LICENCE
    if lower in _BESIDE or lower in _JUNK or lower.endswith(".gguf") or not strict:
        return None
    if lower.endswith(_PICKLES):
        raise AdapterError(_refuse_pickle(given))
    if lower.endswith(_ARCHIVES):
        raise AdapterError(
            f"An adapter must not be packed twice; it holds “{_show(given)}”. Zip the files themselves."
        )
    raise AdapterError(
        f"Beside an adapter only {CONFIG}, {WEIGHTS}, {CARD}, {LICENCE}, tokenizer files, a GGUF and Elara's "
        f"{MANIFEST} may lie; it holds “{_show(given)}”. Leave that out and try again."
    )


def _refuse_pickle(name: str) -> str:
    if "adapter" in name.lower():
        return (
            f"Weights must be safetensors; “{_show(name)}” is a pickle, which can run any program when it is "
            f"opened. {_AS_SAFETENSORS}"
        )
    return (
        f"“{_show(name)}” is a pickle, which can run any program when it is opened, and an adapter doesn't "
        f"need it. Leave it out; if the weights are in it, this helps: {_AS_SAFETENSORS}"
    )


def _check_total(total: int, most_bytes: int) -> None:
    if total > most_bytes:
        raise AdapterError(
            f"An adapter may take at most {most_bytes / 10**6:,.0f} MB unpacked; this takes "
            f"{total / 10**6:,.0f} MB. Raise ELARA_MAX_ADAPTER_MB, or train with a smaller rank."
        )


def _limit_of(name: str, declared: int) -> int:
    return min(declared, MOST_TEXT_BYTES) if name in _TEXTS else declared


def _copy_file(source: Path, target: Path) -> None:
    """Copy a plain file; a link put in its place meanwhile isn't followed."""
    descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise AdapterError(f"An adapter's files must be plain files; {source.name} isn't. Give the file.")
        _copy(stream, target, _limit_of(target.name, status.st_size))


def _copy(stream: IO[bytes], target: Path, limit: int) -> None:
    """Copy, and stop as soon as more comes than was announced or may come."""
    if shutil.disk_usage(target.parent).free < limit + 64 * 2**20:
        raise AdapterError(
            f"{target.name} takes {limit / 10**6:,.0f} MB, for which the disk of ELARA_HOME has no room. "
            "Free some space."
        )
    left = limit
    with target.open("xb") as sink:
        while block := stream.read(min(_BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                raise AdapterError(
                    f"{target.name} is larger than it may be: {limit:,} bytes were announced or are allowed. "
                    "Don't use this file."
                )
            sink.write(block)


def _is_junk(entry: zipfile.ZipInfo) -> bool:
    """What macOS and Windows slip into a zip. It isn't read, whatever it is."""
    path = PurePosixPath(entry.filename)
    return path.parts[:1] == ("__MACOSX",) or path.name.lower() in _JUNK


def _show(name: str) -> str:
    """A name from a stranger, for a message."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:80]
