"""Base models from a hub: which files are brought, and what happens when they can't be."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from file_server import FileServer, serving
from model_hub import COMMIT, put_model

from adapters import model_download, model_store
from adapters.base_model import BaseModel, Weights
from adapters.errors import ModelError
from adapters.hub_files import Hub, HubFile, choose_gguf

TINY = BaseModel("clinic/tiny", "Tiny", "clinic/tiny")
BYTES = bytes(range(256)) * 4096  # a megabyte


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr("adapters.download._PAUSE_SECONDS", 0)
    monkeypatch.setattr("adapters.model_download._SPARE_BYTES", 0)
    with serving() as server:
        yield server


def fetch(
    server: FileServer, models: Path, weights: Weights, stop: Event | None = None, token: str = ""
) -> tuple[model_store.StoredWeights, list[int]]:
    told: list[int] = []
    hub = Hub(server.url, token)
    plan = hub.plan(TINY, weights)
    return model_download.fetch_model(hub, plan, models, told.append, stop or Event()), told


def test_a_folder_is_brought_without_what_could_run_code(server: FileServer, tmp_path: Path) -> None:
    wanted = {"model.safetensors": BYTES, "config.json": b"{}", "tokenizer.json": b"{ }"}
    unwanted = {"pytorch_model.bin": BYTES, "modeling_x.py": b"import os", "onnx/model.safetensors": BYTES}
    put_model(server, "clinic/tiny", wanted | unwanted)
    stored, told = fetch(server, tmp_path, Weights.FULL)
    assert {path.name for path in stored.place.iterdir()} == {*wanted, "model.json"}
    assert (stored.size, stored.revision) == (len(BYTES) + 5, COMMIT)
    assert told == sorted(told)
    assert told[-1] == stored.size


def test_a_gguf_file_is_found_by_its_form_and_its_parts_go_together(tmp_path: Path) -> None:
    names = [
        *("m-Q4_K_S.gguf", "m-Q4_K_M.gguf", "m-Q4_K_M-imat.gguf", "mmproj-m-F16.gguf", "m-Q3_K_L.gguf"),
        *("big/m-f16-00002-of-00002.gguf", "big/m-f16-00001-of-00002.gguf", "m-IQ4_XS.gguf", "imatrix.gguf"),
    ]
    files = [HubFile(name, 1) for name in names]
    assert [file.name for file in choose_gguf(files, Weights.Q4)] == ["m-Q4_K_M.gguf"]
    assert [file.name for file in choose_gguf(files, Weights.F16)] == sorted(names[5:7])
    assert choose_gguf(files, Weights.Q8) == ()
    assert model_store.first_part(names[5:7]) == "big/m-f16-00001-of-00002.gguf"


def test_a_form_that_a_repository_lacks_is_refused_with_those_it_has(server: FileServer) -> None:
    put_model(server, "clinic/tiny", {"m-Q4_K_M.gguf": BYTES})
    with pytest.raises(
        ModelError, match=r"GGUF file of the form Q8 must be in clinic/tiny, .* There are Q4:"
    ):
        Hub(server.url).plan(TINY, Weights.Q8)
    with pytest.raises(ModelError, match="has none"):
        Hub(server.url).plan(TINY, Weights.FULL)


def test_the_next_repository_is_looked_through_for_a_form_that_the_first_lacks(server: FileServer) -> None:
    put_model(server, "maker/tiny-GGUF", {"m-Q8_0.gguf": BYTES})
    put_model(server, "other/tiny-GGUF", {"m-Q8_0.gguf": BYTES, "m-Q4_K_M.gguf": BYTES})
    model = replace(TINY, gguf=("maker/gone-GGUF", "maker/tiny-GGUF", "other/tiny-GGUF"))
    plans = [Hub(server.url).plan(model, weights) for weights in (Weights.Q8, Weights.Q4)]
    assert [plan.repository for plan in plans] == ["maker/tiny-GGUF", "other/tiny-GGUF"]


def test_a_stopped_download_keeps_what_came_and_goes_on_from_there(
    server: FileServer, tmp_path: Path
) -> None:
    put_model(server, "clinic/tiny", {"m-Q4_K_M.gguf": BYTES})
    hub, stop = Hub(server.url), Event()
    plan = hub.plan(TINY, Weights.Q4)
    folder = model_store.folder_of(tmp_path, TINY, Weights.Q4)
    with pytest.raises(model_download.Cancelled):
        model_download.fetch_model(hub, plan, tmp_path, lambda done: done > 300_000 and stop.set(), stop)
    brought = model_store.brought_bytes(folder)
    assert 0 < brought < len(BYTES)
    assert model_store.find_weights(tmp_path, TINY, Weights.Q4) is None
    stored, _ = fetch(server, tmp_path, Weights.Q4)
    assert stored.place.read_bytes() == BYTES
    asked = server.ranges(f"/clinic/tiny/resolve/{COMMIT}/m-Q4_K_M.gguf")
    assert asked == [None, f"bytes={brought}-"]


def test_a_connection_that_breaks_off_is_taken_up_again_another_time(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_model(server, "clinic/tiny", {"m-Q8_0.gguf": BYTES})
    server.status = None
    plan = Hub(server.url).plan(TINY, Weights.Q8)
    server.status = 503
    with pytest.raises(ModelError, match="answers 503"):
        model_download.fetch_model(Hub(server.url), plan, tmp_path, lambda _: None, Event())
    server.status = None
    assert fetch(server, tmp_path, Weights.Q8)[0].place.read_bytes() == BYTES


@pytest.mark.parametrize("name", ["m-Q4_K_M.gguf", "small-Q4_K_M.gguf"])
def test_a_file_that_isn_t_the_promised_one_is_not_taken(
    server: FileServer, tmp_path: Path, name: str
) -> None:
    right = BYTES if name.startswith("m") else b"small"  # one has a SHA-256, the other git's hash
    put_model(server, "clinic/tiny", {name: right})
    server.files[f"/clinic/tiny/resolve/{COMMIT}/{name}"] = right[::-1]
    with pytest.raises(ModelError, match="isn't the"):
        fetch(server, tmp_path, Weights.Q4)
    assert model_store.list_weights(tmp_path, TINY) == ()


def test_terms_that_were_not_accepted_are_told_with_what_to_do(server: FileServer, tmp_path: Path) -> None:
    put_model(server, "clinic/tiny", {"m-Q4_K_M.gguf": BYTES}, gated=True)
    with pytest.raises(ModelError, match=r"no token.*HF_TOKEN"):
        Hub(server.url).plan(TINY, Weights.Q4)
    with pytest.raises(ModelError, match="isn't among them") as refused:
        Hub(server.url, "hf_secret").plan(TINY, Weights.Q4)
    assert "hf_secret" not in refused.value.message
    assert "Bearer hf_secret" in server.tokens


def test_the_token_of_somebody_who_accepted_opens_a_gated_model(server: FileServer, tmp_path: Path) -> None:
    put_model(server, "clinic/tiny", {"m-Q4_K_M.gguf": BYTES}, gated=True, lets_in=True)
    stored, _ = fetch(server, tmp_path, Weights.Q4, token="hf_secret")
    assert stored.size == len(BYTES)
    assert server.tokens == {"Bearer hf_secret"}
    assert b"hf_secret" not in b"".join(path.read_bytes() for path in stored.place.parent.iterdir())


def test_a_model_that_isn_t_there_and_a_hub_that_isn_t_are_told_apart(server: FileServer) -> None:
    server.refusals["/api/models/clinic/tiny?blobs=true"] = (503, "")
    with pytest.raises(ModelError, match="it says 503"):
        Hub(server.url).plan(TINY, Weights.Q4)
    server.refusals["/api/models/clinic/tiny?blobs=true"] = (404, "RepoNotFound")
    with pytest.raises(ModelError, match="has no model clinic/tiny"):
        Hub(server.url).plan(TINY, Weights.Q4)
    with pytest.raises(ModelError, match="must answer"):
        Hub("http://127.0.0.1:9").plan(TINY, Weights.Q4)


def test_without_room_nothing_is_begun(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_model(server, "clinic/tiny", {"m-Q4_K_M.gguf": BYTES})
    monkeypatch.setattr("adapters.model_download._SPARE_BYTES", 1 << 60)
    with pytest.raises(ModelError, match="GB free"):
        fetch(server, tmp_path, Weights.Q4)


def test_what_the_hub_says_of_a_model_is_read(server: FileServer) -> None:
    config = {"model_type": "qwen3", "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16}
    config |= {"hidden_size": 64, "vocab_size": 259, "max_position_embeddings": 512}
    put_model(
        server,
        "clinic/tiny",
        {"model.safetensors": BYTES, "config.json": json.dumps(config).encode()},
        cardData={"license": "mit", "language": ["en", "fr"]},
        safetensors={"parameters": {"BF16": 1000}, "total": 1000},
        tags=["conversational", "medical"],
    )
    found = Hub(server.url).describe("clinic/tiny")
    assert (found.architecture, found.parameters, found.licence) == ("qwen3", 1000, "mit")
    assert (found.languages, found.context_tokens, found.medical, found.instruct) == (
        "en, fr",
        512,
        True,
        True,
    )
    assert found.shape is not None
    assert (found.shape.layers, found.shape.kv_heads, found.shape.head_size) == (2, 4, 16)
    put_model(server, "clinic/pickles", {"pytorch_model.bin": BYTES})
    with pytest.raises(ModelError, match="neither"):
        Hub(server.url).describe("clinic/pickles")
