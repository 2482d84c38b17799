"""The models tab: what its buttons do, and what is shown of models, downloads and adapters."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from adapter_factory import make_adapter, register_adapter
from file_server import FileServer, serving
from model_hub import put_model

from adapters.base_model import BaseModel, Weights
from adapters.memory_fit import Fit
from db.home import Home
from db.session import Database
from elara_ui.services import Services
from elara_ui.services.model_downloads import Download, DownloadState
from elara_ui.services.model_views import FormView, ModelView
from elara_ui.tabs import models_view
from elara_ui.tabs.models import ModelsTab, build_models_tab
from elara_ui.tabs.models_handlers import ModelHandlers, ModelsState
from elara_ui.tabs.models_view import ALL, HERE, Asked, item_of

SMALL = "HuggingFaceTB/SmolLM2-360M-Instruct"
LLAMA = "meta-llama/Llama-3.2-1B-Instruct"
BYTES = bytes(range(256)) * 64


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr("adapters.model_download._SPARE_BYTES", 0)
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def whole(services: Services) -> ModelsTab:
    with gr.Blocks():
        return build_models_tab(services)


@pytest.fixture
def tab(whole: ModelsTab) -> ModelHandlers:
    return whole.handlers


def press(tab: ModelHandlers, act: str, item: str, state: ModelsState = ModelsState()) -> Any:  # noqa: B008
    """What a press paints, by the names of the parts."""
    event = SimpleNamespace(act=act, item=item)
    updates = tab.act(state, ALL, event)  # type: ignore[arg-type]
    return SimpleNamespace(**{name: updates.get(part) for name, part in vars(tab.parts).items()})


def finish(services: Services) -> None:
    for thread in services.models.downloads._threads:
        thread.join(10)


def test_a_model_s_details_open_in_the_list_and_close_again(tab: ModelHandlers) -> None:
    opened = press(tab, "show", LLAMA)
    assert "Limits of use" in opened.list
    assert "HF_TOKEN; none is set" in opened.list
    assert opened.state.shown == LLAMA
    assert "Limits of use" not in press(tab, "show", LLAMA, opened.state).list


def test_a_download_is_followed_until_it_is_here_and_can_be_served(
    whole: ModelsTab, services: Services, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = whole.handlers
    put_model(server, f"{SMALL}-GGUF", {"m-Q8_0.gguf": BYTES})
    item = item_of(SMALL, Weights.Q8)
    begun = press(tab, "download", item)
    assert begun.message == ""
    finish(services)
    painted = whole.tick(begun.state, ALL)
    assert 'data-act="serve"' in painted[tab.parts.list]
    assert "on this machine" in painted[tab.parts.list]
    assert painted[tab.parts.clock].active is False
    assert f"{SMALL} Q8 · llama.cpp" in painted[whole.serving.parts.model]["choices"]
    switched: list[object] = []
    monkeypatch.setattr(services.serving, "switch", lambda choice, insist: switched.append((choice, insist)))
    assert "coming up" in press(tab, "serve", item).message
    assert switched == [(services.models.choice(SMALL, Weights.Q8), False)]
    asked = press(tab, "delete", item)
    assert services.models.view(SMALL).is_here
    assert "freed" in press(tab, "confirm-delete", item, asked.state).message
    assert not services.models.view(SMALL).is_here


def test_terms_are_shown_first_and_accepted_by_a_second_press(
    tab: ModelHandlers, services: Services, server: FileServer
) -> None:
    put_model(server, "bartowski/Llama-3.2-1B-Instruct-GGUF", {"x-Q4_K_M.gguf": BYTES})
    item = item_of(LLAMA, Weights.Q4)
    asked = press(tab, "download", item)
    assert "I have read and accept" in asked.list
    assert services.models.downloads.find(LLAMA, Weights.Q4) is None
    assert "say that you accept" in press(tab, "confirm-download", item).message  # without having been asked
    press(tab, "confirm-download", item, asked.state)
    finish(services)
    assert services.models.view(LLAMA).is_here


def test_a_model_is_added_and_taken_off_the_list(tab: ModelHandlers, server: FileServer) -> None:
    config = b'{"model_type": "llama"}'
    put_model(server, "clinic/tiny", {"model.safetensors": BYTES, "config.json": config})
    added = tab.add(ModelsState(), ALL, "clinic/tiny")
    assert "on the list" in added[tab.parts.added]
    assert 'data-act="forget"' in added[tab.parts.list]
    assert "off the list" in press(tab, "forget", "clinic/tiny").message
    assert "none of them" in tab.add(ModelsState(), ALL, "no such thing")[tab.parts.added]


def test_buttons_that_the_page_doesn_t_have_do_nothing(tab: ModelHandlers) -> None:
    for act, item in (("download", "Q9 x/y"), ("format-disk", "Q4 x/y"), ("serve", "")):
        assert "Reload" in press(tab, act, item).message, act


def test_a_page_that_others_can_reach_changes_nothing(
    tab: ModelHandlers, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.models, "_is_local", False)
    for act in ("download", "confirm-download", "cancel", "confirm-delete", "serve", "confirm-serve"):
        assert "machine alone" in press(tab, act, item_of(SMALL, Weights.Q4)).message, act
    assert "machine alone" in tab.add(ModelsState(), ALL, "clinic/tiny")[tab.parts.added]


def test_the_shelf_has_every_adapter_with_where_it_came_from(
    tab: ModelHandlers, database: Database, home: Home, tmp_path: Path
) -> None:
    name = register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))
    shelf = tab.refresh(ModelsState(), ALL)[tab.parts.shelf]
    assert name in shelf
    assert "rows of starter" in shelf
    assert "SmolLM2 135M" in shelf
    (home.adapters / "patient" / "1" / "manifest.json").unlink()
    assert "no readable" in tab.refresh(ModelsState(), ALL)[tab.parts.shelf]


TINY = BaseModel("clinic/<b>tiny</b>", "<script>x</script>", "clinic/tiny", licence="<i>", notes="<img>")
FORM = FormView(Weights.Q4, 5_000_000_000, None, Fit.UNKNOWN, None, 0, None, served=False)
VIEW = ModelView(TINY, (FORM,), added=True, served=False, adapters=())


def show(form: FormView, asked: Asked | None = None) -> str:
    return models_view.render_models([replace(VIEW, forms=(form,))], TINY.id, asked)


def test_nothing_that_a_hub_says_becomes_markup() -> None:
    html = show(FORM, Asked("delete", TINY.id, Weights.Q4, "<u>"))
    for tag in ("<script>", "<b>tiny", "<i>", "<img>", "<u>"):
        assert tag not in html


def test_a_download_tells_how_far_it_is_how_fast_and_how_long_it_takes() -> None:
    going = Download(TINY.id, Weights.Q4, DownloadState.RUNNING, 1_000_000_000, 4_000_000_000, 25_000_000)
    html = show(replace(FORM, download=going))
    assert "1.0 GB of 4.0 GB · 25.0 MB/s · 2 min left" in html
    assert 'aria-valuenow="25"' in html
    assert 'data-act="cancel"' in html
    failed = replace(going, state=DownloadState.FAILED, message="Check <it>.")
    html = show(replace(FORM, download=failed, brought=1_000_000_000))
    assert "Check &lt;it&gt;." in html
    assert "Go on" in html


def test_the_list_narrows_to_a_family_or_to_what_is_here() -> None:
    other = replace(VIEW, model=replace(TINY, id="b/b", family="Qwen3"), added=False)
    views = [VIEW, other]
    assert models_view.families_of(views) == [ALL, HERE, "Added", "Qwen3"]
    assert models_view.choose(views, "Qwen3") == [other]
    assert models_view.choose(views, HERE) == []
    assert models_view.choose(views, ALL) == views
