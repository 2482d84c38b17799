"""Zips as strangers make them: built byte by byte where zipfile itself would refuse to."""

import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

LINK = stat.S_IFLNK | 0o777


def zip_folder(folder: Path, path: Path, inside: str = "") -> Path:
    """An ordinary zip of a folder's files.

    Args:
        inside: the folder in the zip that they are in; empty for none.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in sorted(folder.iterdir()):
            archive.write(item, f"{inside}/{item.name}" if inside else item.name)
    return path


def zip_entries(path: Path, entries: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> Path:
    """A zip of these entries under just these names.

    Args:
        modes: Unix modes of some, by name.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.filename = name  # ZipInfo tidies some of them
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)
    return path


def understate(path: Path, name: str, size: int) -> Path:
    """Have a zip say that an entry is smaller than it is, in both places where it says so."""
    data = bytearray(path.read_bytes())
    for signature, size_at, name_at in ((b"PK\x03\x04", 22, 30), (b"PK\x01\x02", 24, 46)):
        for at in _places(data, signature):
            if bytes(data[at + name_at : at + name_at + len(name)]) == name.encode():
                data[at + size_at : at + size_at + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    return path


def encrypt_flag(path: Path) -> Path:
    """Have a zip say that its entries are encrypted."""
    data = bytearray(path.read_bytes())
    for signature, at_flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for at in _places(data, signature):
            data[at + at_flag] |= 1
    path.write_bytes(data)
    return path


def _places(data: bytearray, signature: bytes) -> Iterable[int]:
    at = data.find(signature)
    while at >= 0:
        yield at
        at = data.find(signature, at + 4)
