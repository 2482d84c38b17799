"""Reading grades by adapter: quartiles and shares within the target, from what was stored."""

from datetime import UTC, datetime

import pytest
from factories import add_response
from sqlalchemy import event, text

from adapters.recipe import load_recipes
from db import reading_grades
from db.review_figures import Selection
from elara_ui.services.reading import ReadingService, find_quantile


@pytest.fixture
def service(database) -> ReadingService:
    return ReadingService(database, load_recipes())


def store(database, *grades: float | None, **values) -> None:
    with database.session() as session:
        for grade in grades:
            add_response(session, readability={"flesch_kincaid_grade": grade}, **values)


def test_nothing_stored_gives_nothing(service) -> None:
    assert service.grades() == []
    assert service.origins() == []


def test_each_maker_has_its_quartiles_and_its_share_within_the_target(database, service) -> None:
    store(database, 3.0, 5.0, 6.0, 7.0, 12.0)
    store(database, 9.0, 11.0, audience="student", adapter=None)
    patient, student = service.grades()
    assert (patient.audience, patient.made_by, patient.answers) == ("patient", "patient@1", 5)
    assert (patient.lower, patient.median, patient.upper) == (5.0, 6.0, 7.0)
    assert patient.within is not None
    assert (patient.within.value, patient.within.units) == (0.6, 5)
    assert patient.within.low < 0.6 < patient.within.high
    assert (student.made_by, student.aim, student.floor) == ("smollm2-135m", 12, 10)
    assert student.within is not None
    assert student.within.value == 0.5  # 9 is simpler than a student's answer should be


def test_an_audience_without_a_target_has_no_share(database, service) -> None:
    store(database, 15.0, audience="doctor", adapter="doctor@1")
    (doctor,) = service.grades()
    assert (doctor.median, doctor.aim, doctor.within) == (15.0, None, None)


def test_answers_too_short_for_a_grade_are_not_counted(database, service) -> None:
    store(database, None, 5.0)
    store(database, None, audience="doctor")
    assert [(row.audience, row.answers) for row in service.grades()] == [("patient", 1)]
    assert service.origins() == [("patient", "patient@1")]


def test_what_is_chosen_is_counted(database, service) -> None:
    store(database, 5.0, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    store(database, 7.0, created_at=datetime(2026, 2, 1, tzinfo=UTC))
    store(database, 9.0, adapter=None, created_at=datetime(2026, 2, 1, tzinfo=UTC))
    since = Selection(since=datetime(2026, 1, 15, tzinfo=UTC))
    assert [row.median for row in service.grades(since)] == [7.0, 9.0]
    assert [row.median for row in service.grades(Selection(made_by="smollm2-135m"))] == [9.0]
    assert service.grades(Selection(audience="doctor")) == []
    until = Selection(until=datetime(2026, 1, 15, tzinfo=UTC))
    assert [row.median for row in service.grades(until)] == [5.0]


@pytest.mark.parametrize(
    ("share", "grade"), [(0.01, 1.0), (0.25, 1.0), (0.26, 2.0), (0.5, 2.0), (0.75, 2.0), (1.0, 4.0)]
)
def test_a_quantile_is_a_grade_that_was_given(share: float, grade: float) -> None:
    assert find_quantile(((1.0, 1), (2.0, 2), (4.0, 1)), share) == grade


def test_counting_reads_no_answer(database) -> None:
    """From the index alone, however many answers there are."""
    store(database, 5.0)
    with database.reading() as session:
        statements: list[str] = []
        engine = session.get_bind()
        event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        reading_grades.count(session, Selection(since=datetime(2020, 1, 1, tzinfo=UTC)))
        (plan,) = session.execute(text(f"EXPLAIN QUERY PLAN {statements[0].replace('?', '0')}")).all()
    assert "COVERING INDEX ix_responses_reading" in plan[3]
