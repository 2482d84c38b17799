"""A download that goes on where the last one stopped, whichever process began it."""

import hashlib
import os
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

BytesReport = Callable[[int], None]

# Often enough for a progress bar, seldom enough for a report that writes to the database.
_BLOCK = 1 << 18
_TRIES = 10
_PAUSE_SECONDS = 1.0
_TIMEOUT_SECONDS = 30.0


class Unavailable(Exception):
    """The file can't be had in this way; another way may lead to it."""


class Refused(Unavailable):
    """The server answers that it won't send the file.

    Args:
        status: the number of its answer.
        reason: its words.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the server answers {status} {reason}")
        self.status = status


class DownloadFailed(Exception):
    """The download failed; the message is a clause that says how."""


@dataclass(frozen=True)
class Origin:
    """Where a file lies and how to get there.

    Args:
        url: an http, https or file address.
        sha256: what the file's SHA-256 should be, in hex; None when nobody says.
        certificates: a file of certificate authorities to trust instead of the usual ones.
        proxy: the address of a proxy to use instead of the environment's.
        token: sent to this server as bearer, and to no other that it redirects to.
    """

    url: str
    sha256: str | None = None
    certificates: str | None = None
    proxy: str | None = None
    token: str | None = field(default=None, repr=False)


def download(origin: Origin, part: Path, report: BytesReport) -> None:
    """Complete a file, beginning with the bytes that are already there.

    A file whose hash turns out wrong is brought once more from zero: its first half may stem from elsewhere.

    Args:
        origin: where it lies.
        part: the file to complete; kept when the download fails, so that the next one can go on.
        report: called with the bytes there are, earlier ones included, as they grow.

    Raises:
        Unavailable: the address can't be used from here, or refuses.
        DownloadFailed: the connection broke off again and again, or the file isn't the one promised.
        OSError: `part` can't be written.
    """
    for _ in range(2):
        _bring(origin, part, report)
        found = _sha256(part)
        if found == (origin.sha256 or found):
            return
        part.unlink()
    sender = urlsplit(origin.url).hostname or "this machine"
    raise DownloadFailed(
        f"the file that {sender} sends isn't the one expected: its SHA-256 is {found[:12]}…, "
        f"it should be {str(origin.sha256)[:12]}…"
    )


def _bring(origin: Origin, part: Path, report: BytesReport) -> None:
    """Choose the way by the address."""
    address = urlsplit(origin.url)
    if address.scheme == "file":
        _copy(Path(url2pathname(address.path)), part, report)
    elif address.scheme in ("http", "https"):
        with _connect(origin) as client:
            _persist(client, origin.url, part, report)
    else:
        raise Unavailable(f"“{address.scheme}” addresses aren't supported")


def _copy(source: Path, part: Path, report: BytesReport) -> None:
    """Copy a file of this machine; too quick to be worth resuming."""
    if not source.is_file():
        raise Unavailable(f"there is no file {source}")
    with source.open("rb") as stream, part.open("wb") as sink:
        while block := stream.read(_BLOCK):
            sink.write(block)
            report(sink.tell())


def _connect(origin: Origin) -> httpx.Client:
    """A client with the origin's certificates and proxy; what it leaves open comes from the environment."""
    try:
        return httpx.Client(
            verify=_trust(origin.certificates),
            proxy=origin.proxy,
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=True,
            headers={"Authorization": f"Bearer {origin.token}"} if origin.token else {},
        )
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:  # certificates or proxy unusable
        raise Unavailable(str(error)) from error


def _trust(certificates: str | None) -> ssl.SSLContext:
    """Whom to believe: the named authorities, else the environment's or the well-known and the system's."""
    named = certificates or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if named:
        return ssl.create_default_context(cafile=named)
    context = httpx.create_ssl_context()
    context.load_default_certs()  # an organisation's own authority is known to the system only
    return context


def _persist(client: httpx.Client, url: str, part: Path, report: BytesReport) -> None:
    """Ask for the rest as often as the connection breaks off, within reason."""
    before = _size(part)
    for _ in range(_TRIES):
        try:
            return _append(client, url, part, report)
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            if _size(part) == before:
                raise Unavailable(reason) from error
            time.sleep(_PAUSE_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # redirected in circles or to nowhere
            raise Unavailable(str(error)) from error
    raise DownloadFailed(
        f"the connection broke off {_TRIES} times ({reason.rstrip('.')}); what came, "
        f"{_size(part) / 1e6:.1f} MB, is kept for the next start"
    )


def _append(client: httpx.Client, url: str, part: Path, report: BytesReport) -> None:
    """Ask once for the bytes that are missing and write them as they come."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as response:
        beyond_the_end = have and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE
        if not beyond_the_end:
            return _write(response, _start(response, have), part, report)
        complete = response.headers.get("Content-Range") == f"bytes */{have}"
    if not complete:
        part.unlink()
        _append(client, url, part, report)
    return None


def _start(response: httpx.Response, have: int) -> int:
    """Where in the file the answer's bytes begin; a server may ignore the wish and send all of it."""
    if response.status_code == httpx.codes.OK:
        return 0
    given = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if response.status_code == httpx.codes.PARTIAL_CONTENT and given and int(given[1]) <= have:
        return int(given[1])
    raise Refused(response.status_code, response.reason_phrase)


def _write(response: httpx.Response, start: int, part: Path, report: BytesReport) -> None:
    """Put the answer's bytes into the file from `start` on, small pieces at once: a kill loses few."""
    with part.open("ab") as sink:
        sink.truncate(start)
        done = told = start
        for block in response.iter_raw():
            sink.write(block)
            done += len(block)
            if done >= told + _BLOCK:
                report(told := done)
        report(done)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
