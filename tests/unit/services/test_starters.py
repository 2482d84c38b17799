"""The adapters that come with Elara: packed, and taken in by a home that is new."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from adapter_factory import EMBEDDED_CONFIG, make_adapter, register_adapter
from gguf import GGUFReader
from safetensors.numpy import load_file

from adapters import registry
from adapters.manifest import CONFIG, GGUF, WEIGHTS
from adapters.starters import list_trained, pack
from db import adapters as adapter_store
from db import releases
from db.home import Home
from db.models import Conversation
from db.session import Database, migrate
from db.vocabulary import AdapterStatus, ReleaseAction
from elara_ui.services import Services, build_services
from elara_ui.services.adapter_shelf import list_shelf
from elara_ui.services.lineage import LineageService
from elara_ui.services.starters import adopt_starters
from elara_ui.settings import Settings

BOTH = ("doctor", "patient")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of an adapter as it is registered, in single precision, with a path of its machine in it."""
    place = tmp_path_factory.mktemp("trained")
    home = Home(place / "home")
    home.create()
    migrate(home)
    database = Database.open(home.database)
    base = "/somewhere/models/SmolLM2"
    folder = make_adapter(place / "peft", 1, rank=1, modules=("q_proj",), base_model_name_or_path=base)
    register_adapter(database, home, folder, run_id=None, audience="patient")
    register_adapter(database, home, folder, run_id=None, audience="doctor")
    database.close()
    return home.adapters


@pytest.fixture(scope="module")
def starters(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starters")
    for audience in BOTH:
        pack(trained / audience / "1", folder / audience, EMBEDDED_CONFIG)
    return folder


def test_packing_halves_an_adapter_and_seals_it_anew(trained: Path, starters: Path) -> None:
    before, after = trained / "patient" / "1", starters / "patient"
    manifest = registry.verify(after)
    assert (manifest.name, manifest.provenance.source) == ("patient@1", "starter")
    single, half = load_file(before / WEIGHTS), load_file(after / WEIGHTS)
    assert all(np.array_equal(half[name], single[name].astype(np.float16)) for name in single)
    tensors = {each.name: each.data for each in GGUFReader(after / GGUF).tensors}
    assert {each.dtype for each in tensors.values()} == {np.dtype("float16")}
    assert (after / WEIGHTS).stat().st_size < 0.7 * (before / WEIGHTS).stat().st_size
    assert "/somewhere" not in (after / CONFIG).read_text()


def test_packing_again_replaces_what_was_there(trained: Path, starters: Path, tmp_path: Path) -> None:
    for audience in BOTH:
        pack(trained / audience / "1", tmp_path / "mine", EMBEDDED_CONFIG)
    assert registry.verify(tmp_path / "mine").name == "patient@1"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_new_home_begins_with_them_live(database: Database, home: Home, starters: Path) -> None:
    began = time.perf_counter()
    assert adopt_starters(database, home, BOTH, starters) == ("doctor@1", "patient@1")
    assert time.perf_counter() - began < 1
    with database.reading() as session:
        found = adapter_store.list_all(session)
        assert {(each.name, each.status, each.run_id) for each in found} == {
            ("doctor@1", AdapterStatus.LIVE, None),
            ("patient@1", AdapterStatus.LIVE, None),
        }
        assert found[0].metrics["eval_loss_after"] == 2.125
        told = releases.history(session, "patient")
        assert [(each.action, each.before, each.after, each.by) for each in told] == [
            (ReleaseAction.PROMOTED, None, "patient@1", "Elara")
        ]
        assert registry.verify(registry.folder(home, found[0])).provenance.rows == 27
    assert adopt_starters(database, home, BOTH, starters) == ()


def test_what_is_trained_next_is_the_second_version(
    database: Database, home: Home, starters: Path, tmp_path: Path
) -> None:
    adopt_starters(database, home, BOTH, starters)
    folder = make_adapter(tmp_path / "peft", 2, rank=1, modules=("q_proj",))
    assert register_adapter(database, home, folder) == "patient@2"


def test_a_home_with_a_conversation_keeps_what_it_has(database: Database, home: Home, starters: Path) -> None:
    with database.session() as session:
        session.add(Conversation(audience="patient", title="Gout"))
    assert adopt_starters(database, home, BOTH, starters) == ()
    assert list(home.adapters.iterdir()) == []


def test_what_comes_with_elara_says_so_until_a_run_here_made_it(
    database: Database, home: Home, starters: Path
) -> None:
    adopt_starters(database, home, BOTH, starters)
    shelved = {each.name: each.is_starter for each in list_shelf(database, home, "smollm2-135m")}
    assert shelved == {"doctor@1": True, "patient@1": True}
    said = LineageService(database, home).trace("patient@1").summary
    assert said == (
        "patient@1 comes with Elara and learned from its starter examples: no review has shaped it."
    )


def test_an_audience_that_is_gone_gets_none(database: Database, home: Home, starters: Path) -> None:
    assert adopt_starters(database, home, ("patient", "nurse"), starters) == ("patient@1",)


def test_a_start_that_was_cut_off_is_taken_up(database: Database, home: Home, starters: Path) -> None:
    """The folder was copied, and the process killed before its record was written."""
    adopt_starters(database, home, BOTH, starters)
    other = Database.open(home.root / "other.sqlite3")
    migrate_to(home, other)
    assert adopt_starters(other, home, BOTH, starters) == ("doctor@1", "patient@1")
    other.close()


def migrate_to(home: Home, database: Database) -> None:
    """Give a second database the tables of a new one."""
    fresh = Home(home.root / "fresh")
    fresh.create()
    migrate(fresh)
    database.path.write_bytes(fresh.database.read_bytes())


def test_a_damaged_one_leaves_all_to_the_base_model_and_the_log_says_so(
    database: Database, home: Home, starters: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for audience in BOTH:
        (tmp_path / audience).mkdir()
        for path in (starters / audience).iterdir():
            (tmp_path / audience / path.name).write_bytes(path.read_bytes())
    (tmp_path / "patient" / GGUF).write_bytes(b"changed")
    assert adopt_starters(database, home, BOTH, tmp_path) == ()
    assert "begins without its starter adapters" in caplog.text
    with database.reading() as session:
        assert adapter_store.list_all(session) == []


def live_of(home: Home, **settings: object) -> dict[str, str]:
    services: Services = build_services(Settings.read(home=home.root, **settings))
    try:
        return services.adapters.live()
    finally:
        services.close()


def test_the_setting_and_what_answers_decide(home: Home) -> None:
    assert live_of(home, starters=False) == {}
    assert live_of(home, starters=True, engine_url="http://127.0.0.1:9/v1") == {}
    assert live_of(home, starters=True) == {path.name: f"{path.name}@1" for path in list_trained()}


def test_their_details_are_told_though_there_was_no_run_here(services: Services, starters: Path) -> None:
    adopt_starters(services.database, services.settings.folders, BOTH, starters)
    details = services.adapters.details("patient@1")
    assert (details.source, details.run_id, details.status) == ("starter", "", AdapterStatus.LIVE)
    assert json.dumps(details.recipe)
    assert services.lineage.trace("patient@1")
