import hashlib
import random

import pytest
from file_server import serving

from adapters import download
from adapters.download import DownloadFailed, Origin, Unavailable

CONTENT = random.Random(7).randbytes(1_500_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = 700_000
PATH = "/a.whl"


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server():
    with serving() as server:
        server.files[PATH] = CONTENT
        yield server


@pytest.fixture
def origin(server):
    return Origin(server.url + PATH, SHA256)


@pytest.fixture
def part(tmp_path):
    return tmp_path / "a.whl.part"


def test_a_file_is_brought_whole_and_its_growth_is_told(server, origin, part):
    told = []
    download.download(origin, part, told.append)
    assert part.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None]
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


def test_what_an_earlier_start_brought_is_not_asked_for_again(server, origin, part):
    part.write_bytes(CONTENT[:HALF])
    told = []
    download.download(origin, part, told.append)
    assert part.read_bytes() == CONTENT
    assert server.ranges(PATH) == [f"bytes={HALF}-"]
    assert min(told) > HALF


def test_a_connection_dropped_midway_goes_on_where_it_broke(server, origin, part):
    server.drops = [HALF, 100_000]
    download.download(origin, part, lambda _: None)
    assert part.read_bytes() == CONTENT
    assert server.ranges(PATH) == [None, f"bytes={HALF}-", f"bytes={HALF + 100_000}-"]


def test_a_connection_that_keeps_breaking_is_given_up_with_what_came_kept(server, origin, part):
    server.drops = [1000] * 50
    with pytest.raises(DownloadFailed, match=r"broke off 10 times.*kept"):
        download.download(origin, part, lambda _: None)
    assert part.read_bytes() == CONTENT[:10_000]
    server.drops = []
    download.download(origin, part, lambda _: None)
    assert part.read_bytes() == CONTENT


def test_a_server_that_ignores_range_starts_over(server, origin, part):
    server.knows_range = False
    part.write_bytes(CONTENT[:HALF])
    download.download(origin, part, lambda _: None)
    assert part.read_bytes() == CONTENT
    assert server.ranges(PATH) == [f"bytes={HALF}-"]


def test_a_part_that_was_complete_is_taken_without_another_byte(server, origin, part):
    part.write_bytes(CONTENT)
    download.download(origin, part, lambda _: None)
    assert server.ranges(PATH) == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_starts_over(server, origin, part):
    part.write_bytes(CONTENT + b"more")
    download.download(origin, part, lambda _: None)
    assert part.read_bytes() == CONTENT
    assert server.ranges(PATH) == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_part_of_another_file_is_replaced(server, origin, part):
    part.write_bytes(b"x" * HALF)
    download.download(origin, part, lambda _: None)
    assert part.read_bytes() == CONTENT
    assert server.ranges(PATH) == [f"bytes={HALF}-", None]


def test_a_file_other_than_the_promised_one_is_refused_after_one_more_try(server, part):
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 .*isn't the one.*it should be 0000"):
        download.download(Origin(server.url + PATH, "0" * 64), part, lambda _: None)
    assert server.ranges(PATH) == [None, None]
    assert not part.exists()


@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_a_refusal_leaves_the_part_and_the_way_to_others(server, origin, part, status):
    server.status = status
    part.write_bytes(CONTENT[:HALF])
    with pytest.raises(Unavailable, match=str(status)):
        download.download(origin, part, lambda _: None)
    assert part.read_bytes() == CONTENT[:HALF]


def test_nobody_listening_leaves_the_way_to_others(part):
    with serving() as gone:
        url = gone.url
    with pytest.raises(Unavailable):
        download.download(Origin(url + PATH, SHA256), part, lambda _: None)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a.whl", "git+https://127.0.0.1/a", "file:///no/such/a.whl"])
def test_an_address_that_cannot_be_used_leaves_the_way_to_others(part, url):
    with pytest.raises(Unavailable):
        download.download(Origin(url), part, lambda _: None)


@pytest.mark.parametrize("broken", [{"certificates": "/no/such/file.pem"}, {"proxy": "gopher://x"}])
def test_unusable_settings_leave_the_way_to_others(server, part, broken):
    with pytest.raises(Unavailable):
        download.download(Origin(server.url + PATH, SHA256, **broken), part, lambda _: None)


def test_a_file_of_this_machine_is_copied(tmp_path, part):
    source = tmp_path / "a b.whl"
    source.write_bytes(CONTENT)
    part.write_bytes(b"x")
    download.download(Origin(source.as_uri(), SHA256), part, lambda _: None)
    assert part.read_bytes() == CONTENT


def test_the_proxy_of_the_settings_is_used(server, part):
    server.files["http://wheels.invalid/a.whl"] = CONTENT
    download.download(Origin("http://wheels.invalid/a.whl", SHA256, proxy=server.url), part, lambda _: None)
    assert part.read_bytes() == CONTENT


def test_the_proxy_of_the_environment_is_used(server, part, monkeypatch):
    server.files["http://wheels.invalid/a.whl"] = CONTENT
    monkeypatch.setenv("HTTP_PROXY", server.url)
    download.download(Origin("http://wheels.invalid/a.whl", SHA256), part, lambda _: None)
    assert part.read_bytes() == CONTENT
