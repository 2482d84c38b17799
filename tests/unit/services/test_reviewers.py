"""What reviewers declare, and who was verified or withdrawn."""

from dataclasses import replace

import pytest

from db.vocabulary import Audience
from elara_ui.errors import InvalidInput, NotFound
from elara_ui.services.reviewers import ReviewerProfile, ReviewersService

NURSE = ReviewerProfile(
    "Rater A", "Nurse", "Cardiology", 12, "Kenya", "N-1", audiences=("patient",), languages=("en", "sw")
)


@pytest.fixture
def service(database) -> ReviewersService:
    """The service on a fresh database."""
    return ReviewersService(database, tuple(Audience))


def test_a_profile_is_kept_as_declared(service):
    assert service.save(replace(NURSE, name=" Rater  A ", languages=("SW ", "en"))) == NURSE
    assert service.profile("Rater A") == NURSE
    assert service.everyone() == [NURSE]


def test_an_unknown_name_has_an_empty_profile_and_is_not_stored(service):
    assert service.profile("Nobody") == ReviewerProfile("Nobody")
    assert service.everyone() == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"years": -1}, "0 to 80; got -1"),
        ({"years": 81}, "0 to 80; got 81"),
        ({"country": "x" * 81}, "country has at most 80"),
        ({"languages": ("english",)}, "two letters.*'english'"),
        ({"audiences": ("nobody",)}, "Audience is one of"),
        ({"name": " "}, "1 to 120 characters"),
    ],
)
def test_a_field_that_breaks_its_rule_is_refused(service, change, says):
    with pytest.raises(InvalidInput, match=says):
        service.save(replace(NURSE, **change))
    assert service.everyone() == []


def test_only_an_administrator_verifies(service):
    service.save(replace(NURSE, verified=True))
    assert not service.profile("Rater A").verified
    assert service.verify("Rater A").verified
    assert service.save(replace(NURSE, specialty="Geriatrics", years=13)).verified
    assert not service.verify("Rater A", False).verified


@pytest.mark.parametrize("field", ["profession", "registration", "country"])
def test_what_was_verified_and_changes_is_unverified_again(service, field):
    service.save(NURSE)
    service.verify("Rater A")
    assert not service.save(replace(NURSE, **{field: "Another"})).verified


def test_withdrawing_is_remembered_with_its_first_date(service):
    service.save(NURSE)
    first = service.withdraw("Rater A").withdrawn_at
    assert first is not None
    assert service.withdraw("Rater A").withdrawn_at == first
    assert service.save(NURSE).withdrawn_at == first


def test_a_missing_reviewer_is_named_with_those_known(service):
    service.save(NURSE)
    for act in (service.verify, service.withdraw):
        with pytest.raises(NotFound, match=r"no reviewer .Nobody.\. Known: Rater A"):
            act("Nobody")
