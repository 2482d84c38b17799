"""Work that needs torch, asked of a process of its own: neither the page nor the command line loads it.

A request goes as a file. Documents come back on stdout, one JSON object a line, as they are made.
`adapters.training.preview` has its own, older way.
"""

import errno
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from adapters import errors
from adapters.errors import RunError
from adapters.training import supervisor
from adapters.training.worker import NICENESS
from db.errors import ElaraError

Document = dict[str, Any]
Work = Callable[[bytes], Iterator[Document]]

log = logging.getLogger(__name__)

DISK_FULL = "The disk is full. Free some space, then try again."


def ask(module: str, request: bytes) -> Generator[Document, None, None]:
    """Start ``python -m MODULE`` and yield what it answers, as it comes.

    Closing the iterator ends the process.

    Args:
        module: one whose `main` calls `serve`.
        request: what it is asked.

    Raises:
        ElaraError: what the process refused, as it put it.
        RunError: the process died.
    """
    with tempfile.TemporaryDirectory(prefix="elara-") as folder:  # its owner's to read only
        path, said = Path(folder) / "request.json", Path(folder) / "log.txt"
        path.write_bytes(request)
        with said.open("wb") as log_file:
            process = _start(module, path, log_file.fileno())
            try:
                yield from _read(process)
            finally:
                process.kill()  # harmless when it has ended
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()
            if process.returncode != 0:
                log.error("%s", said.read_text(encoding="utf-8", errors="replace"))
                raise RunError(_explain(process.returncode))


def serve(work: Work, arguments: list[str]) -> int:
    """Be such a process: do the work and write what it yields.

    Args:
        work: takes the request, yields documents.
        arguments: the path of the request.

    Returns:
        Exit status: 0 unless something unforeseen happened.
    """
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    logging.basicConfig(level=logging.WARNING)
    answers = sys.stdout
    with redirect_stdout(sys.stderr):  # libraries talk
        try:
            for document in work(Path(arguments[0]).read_bytes()):
                print(json.dumps(document), file=answers, flush=True)
        except ElaraError as known:
            _refuse(known.message, type(known).__name__, answers)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            _refuse(DISK_FULL, "RunError", answers)
    return 0


def _start(module: str, request: Path, stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, str(request)],
        cwd=supervisor.PROJECT_ROOT,
        env=os.environ | supervisor.QUIET,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def _read(process: subprocess.Popen[bytes]) -> Iterator[Document]:
    assert process.stdout is not None  # noqa: S101 (as it was started)
    for line in process.stdout:
        try:
            document: Document = json.loads(line)
        except ValueError:  # cut off: its process was ended, which its exit status will tell
            break
        if "error" in document:
            raise getattr(errors, str(document["kind"]), RunError)(document["error"])
        yield document
    process.wait()


def _refuse(message: str, kind: str, answers: Any) -> None:
    print(json.dumps({"error": message, "kind": kind}), file=answers, flush=True)


def _explain(status: int) -> str:
    if status < 0:
        return (
            f"The process that did the work was ended by signal {-status}; most likely memory ran out. Close "
            "other programs, or take a smaller base model."
        )
    return "The process that did the work failed unexpectedly; the log has the details. Try again."
