"""The page as launched: closed by default, and quiet about errors."""

import os
import socket
from collections.abc import Iterator
from urllib.parse import quote

import gradio
import httpx
import pytest
from fake_engine import FakeEngine

from db.home import Home
from elara_ui.errors import EngineError
from elara_ui.services import Services, build_services
from elara_ui.settings import Settings

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def services(home: Home) -> Iterator[Services]:
    settings = Settings.read(home=home.root, port=free_port(), max_upload_mb=1)
    services = build_services(settings, engine_factory=lambda *_: FakeEngine())
    yield services
    services.close()


@pytest.fixture
def page(services: Services, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(home.uploads))
    from elara_ui.blocks import build_page, launch_page

    page = build_page(services)
    launch_page(page, services.settings, wait=False)
    yield page
    page.close()


def address(services: Services) -> str:
    return f"http://{services.settings.host}:{services.settings.port}"


@pytest.mark.usefixtures("page")
def test_the_page_is_served_on_this_machine_only(services: Services) -> None:
    assert services.settings.host == "127.0.0.1"
    answer = httpx.get(address(services))
    assert answer.status_code == 200
    assert "Elara" in answer.text


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize(
    "name", ["elara.sqlite3", "exports/reviews.jsonl", "models/x.gguf", "runs/1/log.txt", "../home/app.lock"]
)
def test_nothing_in_the_home_can_be_downloaded(services: Services, home: Home, name: str) -> None:
    path = home.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text("secret")
    for form in (str(path), quote(str(path), safe=""), str(path.relative_to(home.root.parent.parent))):
        answer = httpx.get(f"{address(services)}/gradio_api/file={form}")
        assert answer.status_code in (403, 404), answer.text
        assert "secret" not in answer.text


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("path", ["app.py", "/etc/passwd", "requirements.txt"])
def test_nothing_outside_the_home_can_be_downloaded(services: Services, path: str) -> None:
    answer = httpx.get(f"{address(services)}/gradio_api/file={path}")
    assert answer.status_code in (403, 404)


@pytest.mark.usefixtures("page")
def test_uploads_are_limited_and_kept_inside_the_home(services: Services, home: Home) -> None:
    upload = f"{address(services)}/gradio_api/upload"
    small = httpx.post(upload, files={"files": ("rows.jsonl", b"{}")})
    assert small.status_code == 200
    assert small.json()[0].startswith(str(home.uploads))
    large = httpx.post(upload, files={"files": ("rows.jsonl", b"x" * 2_000_000)})
    assert large.status_code == 413


def test_the_closed_settings_are_in_force(page: object, services: Services) -> None:
    config = httpx.get(f"{address(services)}/config").json()
    assert config["analytics_enabled"] is False
    assert page.share is False  # type: ignore[attr-defined]
    assert page.is_running is True  # type: ignore[attr-defined]
    assert page.mcp_server is False  # type: ignore[attr-defined]
    assert page.allowed_paths == []  # type: ignore[attr-defined]
    assert page.show_error is False  # type: ignore[attr-defined]
    assert config.get("footer_links") == []
    assert not httpx.get(f"{address(services)}/gradio_api/mcp/sse").is_success
    assert not httpx.get(f"{address(services)}/monitoring").is_success


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("origin", ["null", "https://example.org"])
def test_another_site_s_page_cannot_read_answers(services: Services, origin: str) -> None:
    answer = httpx.get(f"{address(services)}/config", headers={"Origin": origin})
    assert answer.headers.get("access-control-allow-origin") not in (origin, "*")


def test_launch_leaves_every_door_shut(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    from elara_ui import blocks

    page = blocks.build_page(services)
    given: dict[str, object] = {}

    def record(**arguments: object) -> tuple[None, str, None]:
        given.update(arguments)
        return None, "http://127.0.0.1", None

    monkeypatch.setattr(page, "launch", record)
    blocks.launch_page(page, services.settings, wait=False)
    shut = {"share": False, "ssr_mode": False, "mcp_server": False, "strict_cors": True}
    shut |= {"enable_monitoring": False, "allowed_paths": [], "show_error": False, "footer_links": []}
    assert {name: given[name] for name in shut} == shut
    assert given["max_file_size"] == 2**20
    assert page.api_open is False


@pytest.mark.parametrize("answers", [(False, True), (False, False, False)])
def test_a_page_that_is_slow_to_answer_is_launched_again_and_its_absence_explained(
    services: Services, monkeypatch: pytest.MonkeyPatch, answers: tuple[bool, ...]
) -> None:
    from elara_ui import blocks

    page, given = blocks.build_page(services), iter(answers)
    monkeypatch.setattr(gradio.networking, "url_ok", lambda url: next(given))
    if answers[-1]:
        address = blocks.launch_page(page, services.settings, wait=False)
        assert httpx.get(address).status_code == 200
        page.close()
    else:
        with pytest.raises(EngineError, match="NO_PROXY"):
            blocks.launch_page(page, services.settings, wait=False)
    assert next(given, None) is None


@pytest.mark.usefixtures("page")
def test_no_address_outside_this_machine_is_named_for_loading(services: Services) -> None:
    html = httpx.get(address(services)).text
    assert "fonts.googleapis.com" not in html
