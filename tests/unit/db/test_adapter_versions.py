"""Adapters: versions that aren't used twice, and one live adapter for each audience."""

import pytest
from sqlalchemy.exc import IntegrityError

from db import adapters
from db.errors import Conflict, NotFound
from db.session import Database
from db.vocabulary import AdapterStatus

BASE = "smollm2-135m"


@pytest.fixture
def session(database: Database):
    """A writing session."""
    with database.session() as session:
        yield session


def add(session, audience="patient", version=None, **values):
    """Record the audience's next adapter."""
    version = version or adapters.next_version(session, audience)
    described = {
        "base_model": BASE,
        "run_id": None,
        "path": f"adapters/{audience}/{version}",
        "sha256": "0" * 64,
        "metrics": {},
    }
    return adapters.add(session, audience=audience, version=version, **(described | values))


def test_versions_count_up_within_an_audience(session):
    assert [add(session).name for _ in range(2)] == ["patient@1", "patient@2"]
    assert add(session, "doctor").name == "doctor@1"


def test_a_new_adapter_is_a_candidate(session):
    assert add(session).status == AdapterStatus.CANDIDATE
    assert adapters.live(session, "patient", BASE) is None


def test_a_version_can_not_be_taken_twice_and_the_session_goes_on(session):
    add(session, version=1)
    with pytest.raises(Conflict, match="patient@1 exists already"):
        add(session, version=1)
    assert add(session).name == "patient@2"


def test_an_adapter_of_an_unknown_run_is_refused(session):
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        add(session, run_id="gone")


def test_promoting_retires_the_one_before(session):
    first, second = add(session), add(session)
    adapters.promote(session, "patient@1")
    adapters.promote(session, "patient@2")
    assert (first.status, second.status) == (AdapterStatus.RETIRED, AdapterStatus.LIVE)
    assert adapters.live(session, "patient", BASE) is second
    assert second.promoted_at is not None


def test_going_back_is_promoting_the_old_one(session):
    for name in (add(session).name, add(session).name):
        adapters.promote(session, name)
    assert adapters.promote(session, "patient@1").status == AdapterStatus.LIVE
    assert [adapter.name for adapter in adapters.all_live(session, BASE)] == ["patient@1"]


def test_promoting_the_live_one_changes_nothing(session):
    add(session)
    since = adapters.promote(session, "patient@1").promoted_at
    assert adapters.promote(session, "patient@1").promoted_at == since


def test_promoting_touches_no_other_base_model(session):
    ours, theirs = add(session), add(session, base_model="acme/other")
    for adapter in (ours, theirs):
        adapters.promote(session, adapter.name)
    assert adapters.live(session, "patient", BASE) is ours
    assert adapters.all_live(session, "acme/other") == [theirs]


def test_promoting_touches_no_other_audience(session):
    for audience in ("patient", "doctor"):
        adapters.promote(session, add(session, audience).name)
    assert [adapter.name for adapter in adapters.all_live(session, BASE)] == ["doctor@1", "patient@1"]


def test_the_database_itself_refuses_two_live_adapters(session):
    first, second = add(session), add(session)
    adapters.promote(session, first.name)
    with pytest.raises(IntegrityError), session.begin_nested():
        second.status = AdapterStatus.LIVE


def test_retiring_the_live_one_leaves_the_base_model(session):
    adapters.promote(session, add(session).name)
    adapters.retire(session, "patient@1")
    assert adapters.live(session, "patient", BASE) is None


def test_adapters_are_listed_by_audience_newest_first(session):
    for audience in ("patient", "doctor", "patient"):
        add(session, audience)
    names = [adapter.name for adapter in adapters.list_all(session)]
    assert names == ["doctor@1", "patient@2", "patient@1"]
    assert [adapter.name for adapter in adapters.list_all(session, "doctor")] == ["doctor@1"]


def test_a_missing_adapter_is_named_with_those_that_exist(session):
    with pytest.raises(NotFound, match="none yet"):
        adapters.get(session, "patient@9")
    add(session)
    with pytest.raises(NotFound, match=r"'patient@9'\. Known: patient@1"):
        adapters.promote(session, "patient@9")
