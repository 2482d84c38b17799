"""Asking pip where a package's wheel lies: it knows the user's index, proxy and certificates."""

import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from adapters.download import Origin

POLL_SECONDS = 0.2


class NotOffered(Exception):
    """pip finds no such package, or no index; the message is what it printed."""


def locate(package: str, scratch: Path, beat: Callable[[], None]) -> Origin | None:
    """Ask pip where it would download a wheel from.

    pip's own report on an installation would say it too, but older pips bring the wheel before they report.

    Args:
        package: name and version, as in “name==1.0”.
        scratch: an empty folder for what pip needs meanwhile.
        beat: called every `POLL_SECONDS` while pip looks.

    Returns:
        where the wheel lies; None when this pip doesn't say.

    Raises:
        NotOffered: pip looked and found nothing, so its own download would find nothing either.
    """
    name, _, version = package.partition("==")
    said = _ask(["index", "versions", name, "-vv", "--no-input"], scratch, beat)
    wheel = rf"Found link (\S+/{name.replace('-', '_')}-{re.escape(version)}-\S+?\.whl)(?![\w.])"
    if found := re.search(wheel, said):
        return _origin(found.group(1))
    if "No matching distribution" in said:
        raise NotOffered(said)
    return None


def _ask(question: list[str], scratch: Path, beat: Callable[[], None]) -> str:
    """Run pip to its end and return what it printed."""
    log = scratch / "locate.log"
    with log.open("wb") as sink, start_pip(question, scratch, sink) as process:
        try:
            while process.poll() is None:
                beat()
                time.sleep(POLL_SECONDS)
        finally:
            process.kill()
    return log.read_text("utf-8", "replace")


def _origin(url: str) -> Origin:
    """A wheel's address, with the certificates and the proxy that pip would use to get there."""
    settings = {} if url.startswith("file:") else _settings()
    return Origin(url, None, settings.get("cert"), _with_scheme(settings.get("proxy")))


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
