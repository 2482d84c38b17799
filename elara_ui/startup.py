"""What has to be settled before the page is served: arguments, one app a home, a free port."""

import argparse
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from db.home import Home
from elara_ui.errors import HomeInUse, InvalidInput, PortTaken, StorageError
from elara_ui.services.serving import ServingStatus


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line of `app.py`; what isn't given is None and falls to ELARA_* and the defaults."""
    parser = argparse.ArgumentParser(prog="app.py", description="Serve Elara's page.")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, help="port to listen on (default 7860)")
    parser.add_argument("--home", type=Path, help="folder for data, models and adapters (default .elara)")
    return parser.parse_args(arguments)


def hold_home(home: Home) -> FileLock:
    """Make sure that this is the only app on a home; the lock lasts as long as the process.

    Raises:
        HomeInUse: another app has it.
        StorageError: the folder can't be written.
    """
    home.create()
    lock = FileLock(home.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise HomeInUse(
            f"Another Elara already serves {home.root}, and one home takes one app. Use that one, stop it, "
            "or choose another folder with --home."
        ) from None
    except OSError as error:
        raise StorageError(
            f"ELARA_HOME {home.root} can't be written: {error.strerror}. Choose another folder with --home."
        ) from error
    # What an app that was killed had been given to read; nobody reads it any more.
    shutil.rmtree(home.uploads, ignore_errors=True)
    home.create()
    return lock


def check_port(host: str, port: int) -> None:
    """Make sure that the address is free, before anything is loaded.

    Raises:
        PortTaken: another program listens there, or this machine has no such address.
        InvalidInput: the host is no address at all.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror as error:
            raise InvalidInput(
                f"--host must be an address of this machine; {host!r} is none. Use 127.0.0.1 for this "
                "machine only, or 0.0.0.0 for every network it is in."
            ) from error
        except OSError as error:
            raise PortTaken(
                f"Elara can't listen on {host}:{port}: {error.strerror or error}. Stop the other program, or "
                f"choose another port, e.g. --port {port + 1 if port < 65535 else 7860}."
            ) from error


class StatusPrinter:
    """Tells on the terminal how the model is coming up.

    A terminal gets one line that counts up; a log file gets a line for every quarter.
    """

    def __init__(self) -> None:
        self._told: tuple[str, int] = ("", -1)
        self._inline = sys.stdout.isatty()

    def __call__(self, status: ServingStatus) -> None:
        """Print a status that differs enough from the last one."""
        percent = round(100 * (status.fraction or 0))
        told = (status.message, percent if self._inline else percent // 25)
        if told == self._told:
            return
        self._told = told
        counting = status.fraction is not None
        line = f"{status.message} {percent} %" if counting else status.message
        if self._inline and counting:
            print(f"\r{line:<70}", end="\n" if percent == 100 else "", flush=True)
        else:
            print(line, flush=True)
