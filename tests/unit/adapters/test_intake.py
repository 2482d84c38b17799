"""An adapter from elsewhere becomes a candidate as a whole, or leaves nothing behind."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from adapter_factory import TINY_CONFIG, lora_tensors, make_base_folder, make_tiny_peft
from hostile_zips import zip_folder
from safetensors.numpy import save_file

from adapters import catalog, registry
from adapters.base_model import BaseModel
from adapters.claims import choose_base
from adapters.errors import AdapterError
from adapters.intake import Accepted, Arrival, take_in
from db import adapters as adapter_store
from db.home import Home
from db.session import Database
from db.vocabulary import AdapterStatus

Bring = Callable[..., Accepted]


@pytest.fixture
def base(tmp_path: Path) -> BaseModel:
    return catalog.find(str(make_base_folder(tmp_path / "base")))


@pytest.fixture
def bring(database: Database, home: Home, base: BaseModel) -> Bring:
    def bring(*sources: Path, audience: str = "patient", **values: object) -> Accepted:
        arrival = Arrival(sources, audience, **({"base": base} | values))
        return take_in(database, home, arrival, (*catalog.CATALOG, base), 10**8)

    return bring


def leftovers(home: Home) -> list[Path]:
    return [path for path in home.adapters.rglob("*") if path.is_file()]


def test_a_zip_becomes_a_candidate_with_manifest_card_and_gguf(
    bring: Bring, database: Database, home: Home, tmp_path: Path
) -> None:
    peft = make_tiny_peft(tmp_path / "peft", base_model_name_or_path="/lab/model")
    (peft / "LICENSE").write_text("Apache-2.0", "utf-8")
    accepted = bring(zip_folder(peft, tmp_path / "clinic.zip"), by="Dr A")
    with database.reading() as session:
        adapter = adapter_store.get(session, accepted.name)
        folder = registry.folder(home, adapter)
    manifest = registry.verify(folder)
    upload = manifest.provenance.upload
    assert (accepted.name, adapter.status, accepted.has_gguf) == ("patient@1", AdapterStatus.CANDIDATE, True)
    assert manifest.files.keys() >= {"adapter.gguf", "LICENSE", "README.md", "adapter_model.safetensors"}
    assert (upload["file"], upload["by"], upload["said_base"]) == ("clinic.zip", "Dr A", "model")
    assert upload["at"]
    assert manifest.provenance.source == "uploaded"
    card = (folder / "README.md").read_text("utf-8")
    assert "brought into Elara from elsewhere" in card
    assert "Rows learned from: not known" in card
    assert not any("/lab" in path.read_text("utf-8") for path in folder.glob("*.json"))
    assert {path.name for path in home.adapters.iterdir()} == {"patient"}


def test_the_same_weights_are_taken_in_once(bring: Bring, tmp_path: Path) -> None:
    peft = make_tiny_peft(tmp_path / "peft")
    bring(peft)
    with pytest.raises(AdapterError, match="are patient@1 already"):
        bring(zip_folder(peft, tmp_path / "again.zip"))
    assert bring(peft, audience="doctor").name == "doctor@1"


def test_what_does_not_fit_leaves_nothing_behind(bring: Bring, home: Home, tmp_path: Path) -> None:
    peft = make_tiny_peft(tmp_path / "peft", use_dora=True)
    with pytest.raises(AdapterError):
        bring(peft)
    assert leftovers(home) == []


def test_an_uploaded_adapter_is_not_promoted_before_its_probe(
    bring: Bring, database: Database, home: Home, tmp_path: Path
) -> None:
    name = bring(make_tiny_peft(tmp_path / "peft")).name
    folder = home.adapters / "patient" / "1"
    with database.session() as session:
        with pytest.raises(AdapterError, match=f"adapters probe {name}"):
            registry.promote(session, home, name)
        registry.record_probe(folder, {"passed": False, "faults": ["its answers don't end"]})
        with pytest.raises(AdapterError, match="its answers don't end"):
            registry.promote(session, home, name)
        registry.record_probe(folder, {"passed": True, "faults": []})
        assert registry.promote(session, home, name).status == AdapterStatus.LIVE
    registry.verify(folder)


def exported(bring: Bring, home: Home, tmp_path: Path, **made: object) -> Path:
    """A folder as another Elara exports it."""
    bring(make_tiny_peft(tmp_path / "made"), audience="doctor")
    folder = home.adapters / "doctor" / "1"
    provenance = registry.verify(folder).provenance
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["provenance"] |= vars(replace(provenance, **made)) | {"upload": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def test_what_its_own_manifest_claims_is_taken_over_as_a_claim(
    bring: Bring, database: Database, home: Home, base: BaseModel, tmp_path: Path
) -> None:
    folder = exported(
        bring,
        home,
        tmp_path,
        rows=212,
        source="reviews",
        base_model=base.id,
        metrics={"eval_loss_before": 2.5, "eval_loss_after": 2.0, "odd": {"<b>": 1}, "train_loss": "x"},
        recipe={"system_prompt": "Be kind.", "hyperparameters": {"lora_r": 99, "x": {"deep": 1}}, "evil": []},
    )
    accepted = bring(folder, base=None)
    made = registry.verify(home.adapters / "patient" / "1").provenance
    assert (made.rows, made.source, made.base_model) == (212, "reviews", base.id)
    assert made.metrics == {"eval_loss_before": 2.5, "eval_loss_after": 2.0}
    assert made.recipe["system_prompt"] == "Be kind."
    assert made.recipe["hyperparameters"]["lora_r"] == 2  # what was found goes before what is said
    assert "evil" not in made.recipe
    assert made.upload["claimed_name"] == "doctor@1"
    assert any("spoke for doctor" in note for note in accepted.notes)


def test_a_manifest_of_other_weights_is_refused(bring: Bring, home: Home, tmp_path: Path) -> None:
    folder = exported(bring, home, tmp_path)
    save_file(
        lora_tensors(7, 2, ("q_proj", "v_proj"), config=TINY_CONFIG), folder / "adapter_model.safetensors"
    )
    with pytest.raises(AdapterError, match="that of these weights"):
        bring(folder)


@pytest.mark.parametrize("content", ["[]", "{", '{"provenance": 1, "files": {}}', "[" * 100_000])
def test_a_manifest_that_is_none_is_refused(bring: Bring, tmp_path: Path, content: str) -> None:
    peft = make_tiny_peft(tmp_path / "peft")
    (peft / "manifest.json").write_text(content, "utf-8")
    with pytest.raises(AdapterError, match="must be Elara's"):
        bring(peft)


def test_the_base_is_known_by_any_of_its_names(base: BaseModel) -> None:
    known = (*catalog.CATALOG, base)
    for named in (
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "/home/x/.elara/models/SmolLM2-135M-Instruct.Q4_1.trainable",
        "C:\\models\\SmolLM2-135M-Instruct",
        "smollm2-135m",
    ):
        assert choose_base(None, named, known).embedded
    assert choose_base(None, base.id, known) is base
    assert choose_base(base, "", known) is base
    assert choose_base(base, "someone/unknown", known) is base


def test_a_base_that_contradicts_the_file_or_is_not_known_is_refused(base: BaseModel) -> None:
    known = (*catalog.CATALOG, base)
    with pytest.raises(AdapterError, match="was chosen"):
        choose_base(base, "HuggingFaceTB/SmolLM2-135M-Instruct", known)
    with pytest.raises(AdapterError, match="isn't known here"):
        choose_base(None, "someone/unknown", known)
    with pytest.raises(AdapterError, match="names none"):
        choose_base(None, "", known)
