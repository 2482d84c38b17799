"""How long Elara takes to start, and how much memory it then holds.

    python benchmarks/startup.py            # a first start on an empty home, then a second on the same
    python benchmarks/startup.py --json

The first start fetches the embedded model unless ELARA_MODEL_FILE names a copy of it. Times are wall-clock
seconds from the start of the process; memory is the resident set of the app's process when it is ready.
"""

import argparse
import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Start:
    """The figures of one start.

    Args:
        name: which start.
        import_seconds: importing app.py and the page, in a process of their own, s.
        page_seconds: until the page answers with 200, s.
        ready_seconds: until the model can answer, s.
        resident_mb: resident set of the app's process when ready, 10⁶ bytes.
    """

    name: str
    import_seconds: float
    page_seconds: float
    ready_seconds: float
    resident_mb: float


def main() -> None:
    """Measure two starts and print them."""
    parser = argparse.ArgumentParser(description="Measure how fast Elara starts.")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    as_json = parser.parse_args().json
    with tempfile.TemporaryDirectory() as home:
        starts = [measure_start(name, Path(home)) for name in ("first", "second")]
    print(json.dumps([asdict(start) for start in starts], indent=2) if as_json else format_table(starts))


def measure_start(name: str, home: Path) -> Start:
    """Start the app on a home, wait until it is ready, and stop it."""
    import_seconds = measure_import()
    port = find_free_port()
    command = [sys.executable, "-u", "app.py", "--home", str(home), "--port", str(port)]
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ.copy()
    )
    try:
        lines = read_lines(process)
        page_seconds = wait_for_page(process, port, began)
        ready_seconds = wait_for_ready(process, lines, began)
        resident = psutil.Process(process.pid).memory_info().rss
    finally:
        process.terminate()
        process.wait(timeout=30)
    return Start(name, import_seconds, page_seconds, ready_seconds, resident / 1e6)


def measure_import() -> float:
    """Seconds that a fresh interpreter takes to import the app and its page."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import app, elara_ui.blocks"], cwd=ROOT, check=True)
    return time.monotonic() - began


def find_free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def read_lines(process: subprocess.Popen[str]) -> queue.Queue[tuple[float, str]]:
    """What the app prints, each line with the moment it came, read in the background."""
    lines: queue.Queue[tuple[float, str]] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put((time.monotonic(), line))

    threading.Thread(target=read, daemon=True).start()
    return lines


def wait_for_page(process: subprocess.Popen[str], port: int, began: float) -> float:
    """Seconds until the page answers.

    Raises:
        RuntimeError: the app ended or never answered.
    """
    while time.monotonic() - began < TIMEOUT_SECONDS and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                if answer.status == 200:
                    return time.monotonic() - began
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.02)
    raise RuntimeError(f"No page came; the app's exit status is {process.poll()}.")


def wait_for_ready(
    process: subprocess.Popen[str], lines: queue.Queue[tuple[float, str]], began: float
) -> float:
    """Seconds until the app prints that it is ready.

    Raises:
        RuntimeError: the app ended or never said so.
    """
    seen: list[str] = []
    while time.monotonic() - began < TIMEOUT_SECONDS:
        try:
            moment, line = lines.get(timeout=1)
        except queue.Empty:
            if process.poll() is not None:
                break
            continue
        seen.append(line)
        if line.strip().lower().startswith("ready"):
            return moment - began
    raise RuntimeError(f"The app did not get ready. It printed:\n{''.join(seen)}")


def format_table(starts: list[Start]) -> str:
    """The figures as a small table."""
    rows = [f"{'start':<8}{'import s':>10}{'page s':>10}{'ready s':>10}{'resident MB':>13}"]
    rows += [
        f"{start.name:<8}{start.import_seconds:>10.2f}{start.page_seconds:>10.2f}"
        f"{start.ready_seconds:>10.2f}{start.resident_mb:>13.0f}"
        for start in starts
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
