"""Base models in a home: listed with what the machine makes of them, added, downloaded, deleted, served."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest
from base_gguf import write_head
from factories import add_run
from file_server import FileServer, serving
from model_hub import put_model
from tiny_models import save_tiny

from adapters import model_store
from adapters.base_model import Weights
from adapters.engines.choice import Choice, EngineKind
from adapters.hub_files import Hub
from adapters.machine import MachineMemory, Memory
from adapters.memory_fit import Fit, Window
from adapters.training.loading import load_as, locate
from adapters.training.progress import Silence
from db.home import Home
from db.session import Database
from elara_ui.errors import Conflict, InvalidInput, ModelError, NotFound
from elara_ui.services.model_downloads import DownloadState
from elara_ui.services.models import ModelService

BYTES = bytes(range(256)) * 4096
MACHINE = MachineMemory(Memory(16_000_000_000, 12_000_000_000))
SMALL = "HuggingFaceTB/SmolLM2-360M-Instruct"
LLAMA = "meta-llama/Llama-3.2-1B-Instruct"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr("adapters.model_download._SPARE_BYTES", 0)
    with serving() as server:
        yield server


class Answering:
    """What answers, as tests set it."""

    choice: Choice | None = Choice(EngineKind.LLAMACPP, "smollm2-135m")


@pytest.fixture
def answering() -> Answering:
    return Answering()


@pytest.fixture
def models(
    database: Database, home: Home, server: FileServer, answering: Answering
) -> Iterator[ModelService]:
    service = ModelService(
        database,
        home,
        Window(4096, 4),
        lambda: answering.choice,
        hub=lambda: Hub(server.url),
        look=lambda: MACHINE,
    )
    yield service
    service.close()


def wait_for(models: ModelService, model_id: str, weights: Weights) -> DownloadState:
    """Until a download has ended."""
    for thread in models.downloads._threads:
        thread.join(10)
    found = models.downloads.find(model_id, weights)
    assert found is not None
    return found.state


def bring(models: ModelService, server: FileServer, name: str = "m-Q8_0.gguf") -> None:
    put_model(server, f"{SMALL}-GGUF", {name: BYTES})
    models.download(SMALL, Weights.Q8)
    assert wait_for(models, SMALL, Weights.Q8) is DownloadState.DONE


def test_every_model_says_whether_it_fits_and_what_answers(models: ModelService) -> None:
    views = {view.model.id: view for view in models.list()}
    assert views["smollm2-135m"].served
    assert [form.weights for form in views["smollm2-135m"].forms] == [Weights.Q4]
    forms = {form.weights: form.fit for form in views["Qwen/Qwen3-8B"].forms}
    assert forms[Weights.Q4] is Fit.FITS
    assert forms[Weights.F16] is Fit.TOO_LARGE
    assert not views["Qwen/Qwen3-8B"].is_here
    models._look = lambda: MachineMemory(Memory(16_000_000_000, 0))  # type: ignore[method-assign]
    assert models.view("smollm2-135m").forms[0].fit is Fit.FITS  # what answers has its memory already
    assert models.view(SMALL).forms[0].fit is Fit.TIGHT


def test_a_downloaded_file_is_served_from_where_it_is(models: ModelService, server: FileServer) -> None:
    with pytest.raises(ModelError, match="Download them first"):
        models.choice(SMALL, Weights.Q8)
    bring(models, server)
    form = next(form for form in models.view(SMALL).forms if form.weights is Weights.Q8)
    assert form.stored is not None
    assert (form.size, form.brought) == (len(BYTES), 0)
    choice = models.choice(SMALL, Weights.Q8)
    assert (choice.kind, choice.path, choice.weights) == (EngineKind.LLAMACPP, form.stored.place, "Q8")
    with pytest.raises(ModelError, match="here already"):
        models.download(SMALL, Weights.Q8)


def test_a_stopped_download_is_told_and_goes_on(models: ModelService, server: FileServer) -> None:
    put_model(server, f"{SMALL}-GGUF", {"m-Q8_0.gguf": BYTES})
    server.stalls_after = 400_000
    models.download(SMALL, Weights.Q8)
    assert server.stalled.wait(10)
    with pytest.raises(Conflict, match="already"):
        models.download(SMALL, Weights.Q8)
    with pytest.raises(ModelError, match="Stop that"):
        models.delete(SMALL, Weights.Q8)
    models.stop(SMALL, Weights.Q8)
    server.go_on.set()
    assert wait_for(models, SMALL, Weights.Q8) is DownloadState.STOPPED
    form = next(form for form in models.view(SMALL).forms if form.weights is Weights.Q8)
    assert 0 < form.brought < len(BYTES)
    models.download(SMALL, Weights.Q8)
    assert wait_for(models, SMALL, Weights.Q8) is DownloadState.DONE


def test_terms_are_accepted_before_anything_is_asked_of_the_hub(
    models: ModelService, server: FileServer
) -> None:
    with pytest.raises(InvalidInput, match="say that you accept"):
        models.download(LLAMA, Weights.Q4)
    assert server.asked == []
    put_model(server, "bartowski/Llama-3.2-1B-Instruct-GGUF", {"x-Q4_K_M.gguf": BYTES}, gated=True)
    models.download(LLAMA, Weights.Q4, accepted=True)
    assert wait_for(models, LLAMA, Weights.Q4) is DownloadState.FAILED
    found = models.downloads.find(LLAMA, Weights.Q4)
    assert found is not None
    assert "HF_TOKEN" in found.message


def test_what_is_in_use_is_not_deleted(
    models: ModelService, server: FileServer, answering: Answering, database: Database
) -> None:
    bring(models, server)
    answering.choice = models.choice(SMALL, Weights.Q8)
    with pytest.raises(ModelError, match="are served"):
        models.delete(SMALL, Weights.Q8)
    answering.choice = Choice(EngineKind.LLAMACPP, SMALL, None, "Q4")  # another form of it
    assert models.delete(SMALL, Weights.Q8) >= len(BYTES)
    assert not models.view(SMALL).is_here
    with pytest.raises(ModelError, match="Nothing was deleted"):
        models.delete(SMALL, Weights.Q8)
    with pytest.raises(ModelError, match="belongs to Elara"):
        models.delete("smollm2-135m", Weights.Q4)


def test_a_run_s_base_model_is_not_deleted(
    models: ModelService, server: FileServer, database: Database
) -> None:
    put_model(server, SMALL, {"model.safetensors": BYTES, "config.json": b'{"model_type": "llama"}'})
    models.download(SMALL, Weights.FULL)
    assert wait_for(models, SMALL, Weights.FULL) is DownloadState.DONE
    with database.session() as session:
        add_run(session, base_model=SMALL)
    with pytest.raises(ModelError, match="needed by run"):
        models.delete(SMALL, Weights.FULL)


def test_a_model_is_added_by_its_hub_id_and_taken_off_again(models: ModelService, server: FileServer) -> None:
    put_model(
        server,
        "clinic/tiny",
        {"model.safetensors": BYTES, "config.json": b'{"model_type": "llama"}'},
        cardData={"license": "mit"},
    )
    models.add(" clinic/tiny ")
    view = models.view("clinic/tiny")
    assert (view.added, view.model.licence, view.model.architecture) == (True, "mit", "llama")
    assert "clinic/tiny" in {model.id for model in models.trainable()}
    models.add("clinic/tiny")  # looked at anew
    models.remove("clinic/tiny")
    with pytest.raises(NotFound, match="none yet"):
        models.remove("clinic/tiny")


def test_a_model_is_added_by_its_path(models: ModelService, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "mine", "llama")
    added = models.add(str(folder))
    view = models.view(added.id)
    assert view.is_here
    choice = models.choice(added.id, Weights.FULL)
    assert (choice.kind, choice.path) == (EngineKind.TRANSFORMERS, folder)
    assert models.trainable()[1].id == str(folder)  # after the embedded one, before what must be fetched


def test_a_file_that_is_damaged_later_doesn_t_hide_the_others(models: ModelService, tmp_path: Path) -> None:
    path = write_head(tmp_path / "mine.gguf", layers=2, heads=4, kv_heads=2, width=64, context=512)
    models.add(str(path))
    assert models.view(str(path)).is_here
    path.write_bytes(b"GGUF")
    assert not next(view for view in models.list() if view.model.id == str(path)).is_here
    with pytest.raises(ModelError, match="aren't"):
        models.choice(str(path), Weights.Q4)


def test_a_file_named_by_its_path_is_unpacked_for_training(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_head(tmp_path / "mine.gguf", layers=2, heads=4, kv_heads=2, width=64, context=512)
    monkeypatch.setattr("adapters.training.base_models.dequantise", lambda gguf, folder: folder.mkdir())
    source = locate(home.models, str(path), Silence())
    assert Path(source.location).parent == home.models
    assert source.sha256 == sha256(path.read_bytes()).hexdigest()
    (tmp_path / "other").mkdir()
    path = path.rename(tmp_path / "other" / "mine.gguf")  # another file may be called alike
    assert locate(home.models, str(path), Silence()).location != source.location


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("", "Give one"),
        ("/nowhere/at/all", "none of them"),
        ("microsoft/DialoGPT-medium", "in the catalogue"),
    ],
)
def test_what_is_no_model_or_is_there_isn_t_added(models: ModelService, reference: str, says: str) -> None:
    with pytest.raises((InvalidInput, ModelError), match=says):
        models.add(reference)


def test_others_pages_can_t_change_what_is_here(database: Database, home: Home) -> None:
    shared = ModelService(database, home, Window(4096, 4), lambda: None, is_local=False)
    with pytest.raises(InvalidInput, match="from the page only where"):
        shared.check_open()


def test_downloaded_weights_are_what_a_run_trains_on(
    models: ModelService, server: FileServer, home: Home, tmp_path: Path
) -> None:
    folder = save_tiny(tmp_path / "mine", "llama")
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    put_model(server, "clinic/tiny", files)
    models.add("clinic/tiny")
    models.download("clinic/tiny", Weights.FULL)
    assert wait_for(models, "clinic/tiny", Weights.FULL) is DownloadState.DONE
    source = locate(home.models, "clinic/tiny", Silence())
    stored = model_store.find_weights(home.models, models.find("clinic/tiny"), Weights.FULL)
    assert stored is not None
    assert source.location == str(stored.place)
    loaded = load_as(source, "fp32", "float32")
    assert loaded.revision == stored.revision  # as if the hub had been asked for it


def test_closing_ends_what_is_downloaded(
    models: ModelService, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_model(server, f"{SMALL}-GGUF", {"m-Q8_0.gguf": BYTES})
    told = Event()
    monkeypatch.setattr("adapters.model_download._check_room", lambda plan, folder: told.wait(5))
    models.download(SMALL, Weights.Q8)
    for stop in models.downloads._stops.values():
        stop.set()
    told.set()
    assert wait_for(models, SMALL, Weights.Q8) is DownloadState.STOPPED
