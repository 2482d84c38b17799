"""What killed processes leave is swept up, and what a living one works in stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters import scratch
from adapters.scratch import EXPORT, INTAKE, PREVIEW, PUSH
from db.home import Home
from elara_ui.services import Services
from elara_ui.settings import PROJECT_ROOT

WORK = """
import sys, time
from pathlib import Path
from adapters.scratch import scratch
with scratch(Path(sys.argv[1]), sys.argv[2]) as folder:
    (folder / "half").write_text("written")
    print(folder, flush=True)
    time.sleep(60)
"""
JOIN = """
import sys, time
from pathlib import Path
from adapters.scratch import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def start(program: str, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """A process that works, and what it says when it does."""
    command = [sys.executable, "-c", program, *arguments]
    process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize(
    ("place", "prefix"),
    [("runs", PREVIEW), ("exports", EXPORT), ("exports", PUSH), ("adapters", INTAKE)],
    ids=lambda part: part,
)
def test_a_killed_process_s_folder_is_swept_up_at_the_start_and_a_living_one_s_is_not(
    services: Services, home: Home, monkeypatch: pytest.MonkeyPatch, place: str, prefix: str
) -> None:
    monkeypatch.setattr(scratch, "YOUNG_SECONDS", 0.0)
    process, folder = start(WORK, str(home.root / place), prefix)
    other, _ = start(JOIN, folder)
    try:
        services.runs.tidy()
        assert (Path(folder) / "half").exists()
        kill(process)
        services.runs.tidy()
        assert Path(folder).exists()  # the process it had started works on
    finally:
        kill(other)
        kill(process)
    services.runs.tidy()
    assert not Path(folder).exists()


def test_what_an_older_elara_left_goes_and_what_was_just_made_stays(home: Home) -> None:
    old, young = home.runs / "preview-old", home.runs / "preview-young"
    run, file = home.runs / "0123456789ab", home.runs / "preview-notes.txt"
    for folder in (old, young, run):
        folder.mkdir()
    file.write_text("mine")
    for path in (old, run, file):
        os.utime(path, (0, 0))
    scratch.sweep(home)
    assert sorted(home.runs.iterdir()) == sorted([young, run, file])


def test_work_that_fails_leaves_nothing(home: Home) -> None:
    with pytest.raises(ZeroDivisionError), scratch.scratch(home.exports, EXPORT) as folder:
        (folder / "half").write_text("written")
        raise ZeroDivisionError
    assert list(home.exports.iterdir()) == []
