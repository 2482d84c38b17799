"""`python app.py` as a process that tests start, kill and start again."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 60


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class AppProcess:
    """The real app on a home.

    Args:
        home: ELARA_HOME.
        model: the embedded model's file; one that isn't there lets the app do without.
        log: receives all that it prints and logs, in every detail; the test's own output if not given.
    """

    def __init__(self, home: Path, model: Path, log: Path | None = None) -> None:
        self.home, self.model, self.log = home, model, log
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Start it and wait for its page."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "app.py", "--home", str(self.home), "--port", str(port)],
            cwd=ROOT,
            env={"ELARA_STARTERS": "false"}
            | os.environ
            | {"ELARA_MODEL_FILE": str(self.model)}
            | ({"ELARA_LOG_LEVEL": "DEBUG"} if self.log else {}),
            stdout=self.log.open("wb") if self.log else None,
            stderr=subprocess.STDOUT if self.log else None,
        )
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            assert self.process.poll() is None, "The app ended at once."
            try:
                if httpx.get(self.url).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError(f"The page did not come up in {START_SECONDS} s.")

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
