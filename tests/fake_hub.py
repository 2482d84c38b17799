"""A Hugging Face hub on this machine, for what is pushed to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeHub(ThreadingHTTPServer):
    """As much of the hub's protocol as creating a repository and committing files to it takes.

    Args:
        private: what it says of the repository.
    """

    def __init__(self, private: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _HubHandler)
        self.private = private
        self.refuses = False
        self.created: list[dict] = []
        self.validated: list[str] = []
        self.committed: dict[str, str] = {}
        self.tokens: set[str | None] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _HubHandler(BaseHTTPRequestHandler):
    server: FakeHub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(
            {"id": "clinic/patient", "private": self.server.private, "sha": "1" * 40, "siblings": []}
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.add(self.headers.get("Authorization"))
        if self.server.refuses:
            return self._answer({"error": "You don't have the rights"}, 403)
        if self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            return self._answer({"url": f"{self.server.address}/clinic/patient"})
        if self.path == "/api/validate-yaml":  # the hub's own look at the card's front matter
            self.server.validated.append(json.loads(body)["content"])
            return self._answer({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for file in json.loads(body)["files"]]  # fmt: skip
            return self._answer({"files": files})
        for line in body.splitlines():
            item = json.loads(line)
            if item["key"] == "file":
                self.server.committed[item["value"]["path"]] = item["value"]["content"]
        return self._answer(
            {
                "commitUrl": f"{self.server.address}/clinic/patient/commit/1",
                "commitOid": "1" * 40,
                "success": True,
            }
        )

    def _answer(self, document: dict, status: int = 200) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving_hub() -> Iterator[FakeHub]:
    """A hub that answers until the block ends."""
    server = FakeHub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
