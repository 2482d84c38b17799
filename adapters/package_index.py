"""Asking pip where a package's wheel lies: it knows the user's index, proxy and certificates."""

import ast
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from adapters.download import Origin

POLL_SECONDS = 0.2

_WHEEL_ONLY = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input"]
# An index that doesn't serve metadata apart makes pip download the wheel just to look into it.
_LOOKING_BYTES = 4 << 20


class NotOffered(Exception):
    """pip finds no such package, or no index; the message is what it printed."""


def locate(package: str, scratch: Path, beat: Callable[[], None]) -> Origin | None:
    """Ask pip where it would download a wheel from.

    Args:
        package: name and version, as in “name==1.0”.
        scratch: an empty folder for what pip needs meanwhile.
        beat: called every `POLL_SECONDS` while pip looks.

    Returns:
        where the wheel lies; None when this pip or this index can't say without downloading it.

    Raises:
        NotOffered: pip looked and found nothing, so its own download would find nothing either.
    """
    answer, log = scratch / "report.json", scratch / "locate.log"
    question = ["install", package, "--dry-run", "--ignore-installed", "--quiet", "--report", str(answer)]
    with log.open("wb") as sink, start_pip(question + _WHEEL_ONLY, scratch, sink) as process:
        try:
            while process.poll() is None and grown(scratch) < _LOOKING_BYTES:
                beat()
                time.sleep(POLL_SECONDS)
        finally:
            process.kill()
    said = log.read_text("utf-8", "replace")
    if "No matching distribution" in said:
        raise NotOffered(said)
    return _read(answer)


def start_pip(arguments: list[str], scratch: Path, sink: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start pip in the background.

    Args:
        arguments: its command and options.
        scratch: where its temporary files go, so that their growth can be watched.
        sink: takes what it prints.

    Returns:
        the process.
    """
    command = [sys.executable, "-m", "pip", *arguments]
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    environment = {"PIP_RESUME_RETRIES": "10"} | os.environ | places  # a pip without the option ignores it
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment)


def grown(folder: Path) -> int:
    """Bytes that a folder holds now, while another process writes and removes there."""
    total = 0
    for place, _, names in os.walk(folder):  # unlike rglob it bears a folder that vanishes meanwhile
        for name in names:
            with suppress(OSError):  # so may a file
                total += (Path(place) / name).stat().st_size
    return total


def _read(answer: Path) -> Origin | None:
    """Read pip's report; an older pip writes none."""
    try:
        (item,) = json.loads(answer.read_text("utf-8"))["install"]
        info = item["download_info"]
        url, sha256 = str(info["url"]), info.get("archive_info", {}).get("hashes", {}).get("sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    settings = {} if url.startswith("file:") else _settings()
    return Origin(url, sha256, settings.get("cert"), _with_scheme(settings.get("proxy")))


def _settings() -> dict[str, str]:
    """Ask pip for its settings, from its files and environment; the environment wins."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for line in listed.stdout.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(f"{section}."):
                with suppress(ValueError, SyntaxError):
                    found[name.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    return found


def _with_scheme(proxy: str | None) -> str | None:
    """A proxy as pip takes it, “host:port” allowed, in the form of an address."""
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
