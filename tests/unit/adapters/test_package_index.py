import hashlib
import shutil
import sys
import threading

import pytest
from file_server import serving

from adapters import package_index
from adapters.package_index import NotOffered

WHEEL = "small-1.0-py3-none-any.whl"
METADATA = b"Metadata-Version: 2.1\nName: small\nVersion: 1.0\n"
SHA256 = "a" * 64  # of the wheel, which is never downloaded to learn where it is


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """A pip without the settings of whoever runs the tests."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def index(monkeypatch):
    with serving() as server:
        apart = f"sha256={hashlib.sha256(METADATA).hexdigest()}"
        link = f'<a href="/f/{WHEEL}#sha256={SHA256}" data-core-metadata="{apart}">{WHEEL}</a>'
        server.files["/simple/small/"] = link.encode()
        server.files[f"/f/{WHEEL}.metadata"] = METADATA
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        yield server


def locate(folder):
    return package_index.locate("small==1.0", folder, lambda: None)


def test_pip_says_where_the_wheel_lies_without_bringing_it(index, tmp_path):
    origin = locate(tmp_path)
    assert origin.url == f"{index.url}/f/{WHEEL}"
    assert index.ranges(f"/f/{WHEEL}") == []


def test_certificates_and_proxy_come_from_pips_settings(index, tmp_path, monkeypatch):
    """The server plays a proxy to a host that doesn't exist."""
    config = tmp_path / "pip.conf"
    config.write_text(
        f"[global]\ncert = /etc/theirs.pem\ntrusted-host = wheels.invalid\n"
        f"proxy = 127.0.0.1:{index.server_port}\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_INDEX_URL", "http://wheels.invalid/simple")
    monkeypatch.setenv("PIP_CERT", "/etc/mine.pem")
    index.files |= {f"http://wheels.invalid{path}": content for path, content in index.files.items()}
    origin = locate(tmp_path)
    assert origin.url == f"http://wheels.invalid/f/{WHEEL}"
    assert (origin.certificates, origin.proxy) == ("/etc/mine.pem", index.url)


def test_a_package_that_no_index_has_is_said(index, tmp_path):
    index.files.clear()
    with pytest.raises(NotOffered, match="No matching distribution"):
        locate(tmp_path)


def test_a_pip_that_does_not_say_is_left(tmp_path, monkeypatch):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 'unknown command index' >&2\nexit 2\n")
    old.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(old))
    assert locate(tmp_path) is None


def test_growth_is_measured_while_folders_come_and_go(tmp_path):
    (tmp_path / "steady").write_bytes(bytes(100))
    ended = threading.Event()

    def churn():
        while not ended.is_set():
            (tmp_path / "a" / "b").mkdir(parents=True)
            (tmp_path / "a" / "b" / "file").touch()
            shutil.rmtree(tmp_path / "a")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        assert {package_index.grown(tmp_path) for _ in range(500)} == {100}
    finally:
        ended.set()
        thread.join()
