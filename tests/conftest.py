"""What most tests need: a home of their own and a migrated database in it."""

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from adapter_factory import make_adapter
from fake_engine import FakeEngine

from adapters import embedded
from adapters.training.base_models import ensure_trainable
from db.home import Home
from db.session import Database, migrate
from elara_ui.services import Services, build_services, triage
from elara_ui.settings import Settings

# Two processes share the tests. A thread each: the tiny models are too small to be parted, and threads that
# wait for each other on a busy machine cost several times what they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A home of a test begins empty, unless the test is about the adapters that come with Elara.
os.environ.setdefault("ELARA_STARTERS", "false")

_LONG = frozenset({"browser", "integration", "training"})
"""Folders of tests that take long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let files that train or drive a browser go first, so that none is left for one process at the end."""
    items.sort(key=lambda item: _LONG.isdisjoint(item.path.parts))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database with nothing in it, to copy: migrating anew takes 0.2 s a test."""
    home = Home(tmp_path_factory.mktemp("migrated") / "home")
    home.create()
    migrate(home)
    return home.database


@pytest.fixture
def empty_home(tmp_path: Path) -> Home:
    """A fresh ELARA_HOME with its folders and without a database."""
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def home(empty_home: Home, migrated: Path) -> Home:
    """A fresh ELARA_HOME with its folders and a migrated database."""
    shutil.copyfile(migrated, empty_home.database)
    return empty_home


@pytest.fixture
def database(home: Home) -> Iterator[Database]:
    """The migrated database of `home`, closed afterwards."""
    database = Database.open(home.database)
    yield database
    database.close()


@pytest.fixture(scope="session")
def small_lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA folder for the embedded model, as small as one can be, for tests to register."""
    folder = tmp_path_factory.mktemp("small-lora") / "lora"
    return make_adapter(folder, seed=1, rank=1, modules=("q_proj",))


@pytest.fixture(scope="session")
def test_models() -> Path:
    """Where the real models are kept between test runs."""
    return Path(os.environ.get("ELARA_TEST_MODELS", "~/.cache/elara-test-models")).expanduser()


@pytest.fixture(scope="session")
def embedded_gguf(test_models: Path) -> Path:
    """The embedded model, fetched at its first use."""
    return embedded.fetch(test_models)


@pytest.fixture(scope="session")
def embedded_hf(test_models: Path, embedded_gguf: Path) -> Path:
    """The embedded model unpacked for training."""
    return ensure_trainable(test_models, embedded_gguf)


@pytest.fixture(scope="session", autouse=True)
def red_flag_rules() -> Iterator[None]:
    """Read the red-flag rules once, not for every service of every test: they never change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triage, "load_rules", cache(triage.load_rules))
        yield


@pytest.fixture
def engine() -> FakeEngine:
    """What answers in `services`; tests change its reply."""
    return FakeEngine()


@pytest.fixture
def services(home: Home, engine: FakeEngine) -> Iterator[Services]:
    """Every service, on a fresh home and an engine without weights."""
    services = build_services(Settings.read(home=home.root), engine_factory=lambda *_: engine)
    yield services
    services.close()
