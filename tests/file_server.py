"""A server of files on this machine that can be told to behave as badly as real ones."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves bytes by path and remembers what it was asked for.

    Attributes:
        files: path → content.
        asked: (path, Range header or None) of every request, in order.
        knows_range: whether it honours Range at all.
        status: sent instead of any file, when set.
        refusals: path → status and the hub's word for it, sent instead of that file.
        tokens: the Authorization headers that came.
        drops: for each next wheel, after how many bytes of it the connection breaks; used up one by one.
        stalls_after: bytes of each answer after which nothing more comes until `go_on` is set.
        stalled: set when it has come to that.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.knows_range = True
        self.status: int | None = None
        self.refusals: dict[str, tuple[int, str]] = {}
        self.tokens: set[str | None] = set()
        self.drops: list[int] = []
        self.stalls_after: int | None = None
        self.stalled, self.go_on = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def ranges(self, path: str) -> list[str | None]:
        """The Range header of each request for a file."""
        return [wish for asked, wish in self.asked if asked == path]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_HEAD(self) -> None:
        self._send_headers(200, len(self.server.files[self.path]))

    def do_GET(self) -> None:
        wish = self.headers.get("Range")
        self.server.asked.append((self.path, wish))
        self.server.tokens.add(self.headers.get("Authorization"))
        if self.path in self.server.refusals:
            self._refuse(*self.server.refusals[self.path])
            return
        content = self.server.files.get(self.path)
        if content is None or self.server.status:
            self._answer(self.server.status or 404, b"no")
        elif wish is None or not self.server.knows_range:
            self._answer(200, content)
        else:
            self._answer_range(content, *re.fullmatch(r"bytes=(\d+)-(\d*)", wish).groups())

    def _refuse(self, status: int, word: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", word)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"no")

    def _answer_range(self, content: bytes, first: str, last: str) -> None:
        body = content[int(first) : int(last) + 1 if last else None]
        if body:
            end = int(first) + len(body) - 1
            self._answer(206, body, f"bytes {first}-{end}/{len(content)}")
        else:
            self._answer(416, b"", f"bytes */{len(content)}")

    def _answer(self, status: int, body: bytes, content_range: str | None = None) -> None:
        self._send_headers(status, len(body), content_range)
        if status < 300 and self.server.drops and self.path.endswith(".whl"):
            body = body[: self.server.drops.pop(0)]
        elif status < 300 and self.server.stalls_after is not None and len(body) > self.server.stalls_after:
            self.wfile.write(body[: self.server.stalls_after])
            body = body[self.server.stalls_after :]
            self.server.stalled.set()
            self.server.go_on.wait(30)
        self.wfile.write(body)

    def _send_headers(self, status: int, length: int, content_range: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if self.server.knows_range:
            self.send_header("Accept-Ranges", "bytes")
        if self.path.endswith("/"):
            self.send_header("Content-Type", "text/html")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quietly."""


@contextmanager
def serving() -> Iterator[FileServer]:
    """A server in a thread, gone afterwards."""
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.go_on.set()
            server.shutdown()
            thread.join()
