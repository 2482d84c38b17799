"""Old conversations are deleted for good; nothing that rests on an answer breaks."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from factories import add_pair, add_response, add_review, add_snapshot
from home_search import holding
from retention_factory import talk
from sqlalchemy import update

from db import conversations, judgements, review_queue, reviewers, reviews, snapshots
from db.home import Home
from db.models import Conversation, Message, Preference, Response, Review, ReviewItem, utc_now
from db.session import Database, back_up
from db.snapshots import Origin
from db.training_rows import training_rows
from db.vocabulary import PairChoice
from elara_ui.errors import InvalidInput
from elara_ui.services import Services, build_services
from elara_ui.services.retention import RetentionService
from elara_ui.settings import Settings

OLD, NEW = "xylophonitis", "marimbosis"
EMAIL = "jane.roe@example.com"


@pytest.fixture
def service(database: Database, home: Home) -> RetentionService:
    return RetentionService(database, home, days=30)


def rows_of(database: Database, kind: type) -> int:
    with database.reading() as session:
        return session.query(kind).count()


def test_what_is_too_old_goes_and_what_is_not_stays(database: Database, service: RetentionService):
    talk(database, OLD, 31)
    kept, answer = talk(database, NEW, 29)
    expiry = service.apply()
    assert expiry.deleted == {"conversations": 1, "messages": 2, "answers": 1}
    with database.reading() as session:
        assert [found.id for found in conversations.list_recent(session)] == [kept]
        assert session.get(Response, answer) is not None
    assert (rows_of(database, Message), rows_of(database, Response)) == (2, 1)


def test_deleted_is_deleted_from_every_byte_of_the_home(
    database: Database, service: RetentionService, home: Home
):
    for number in range(40):
        talk(database, f"{OLD}{number} {'filler ' * 200}", 31 + number)
    talk(database, NEW, 1)
    assert holding(home, OLD)
    service.apply()
    assert holding(home, OLD) == []  # while the database is open, its log too
    assert holding(home, NEW)


def test_what_was_deleted_carelessly_before_is_gone_too(
    database: Database, service: RetentionService, home: Home
):
    old, _ = talk(database, OLD, 1)
    database.clear_log()
    with closing(sqlite3.connect(home.database)) as connection:  # as before secure_delete was on
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM messages")
        connection.execute("DELETE FROM responses")
        connection.execute("DELETE FROM conversations WHERE id = ?", (old,))
        connection.commit()
    database.clear_log()
    assert holding(home, OLD)
    talk(database, NEW, 31)
    service.apply()
    assert holding(home, OLD) == []


def test_a_conversation_deleted_by_hand_is_gone_from_every_byte(services: Services, home: Home):
    list(services.chat.ask(services.chat.check("patient", f"What is {OLD}?")))
    (found,) = services.conversations.find()
    services.conversations.delete(found.conversation_id)
    assert holding(home, OLD) == []


def test_a_judged_answer_stays_with_its_review_but_without_conversation_and_identifiers(
    database: Database, service: RetentionService, home: Home
):
    context = [
        {"role": "system", "content": "Use plain words."},
        {"role": "user", "content": f"I am {EMAIL}."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": f"What is {OLD}?"},
    ]
    _, answer = talk(database, OLD, 31, context=context)
    with database.session() as session:
        response = session.get(Response, answer)
        response.red_flags = [
            {"category": "overdose", "matched": ["took"], "sentence": f"I, {EMAIL}, took 30 tablets."}
        ]
        review = add_review(session, response).id
    expiry = service.apply()
    assert expiry.kept == {"judged": 1}
    assert expiry.redacted == 1
    assert expiry.deleted["conversations"] == 1
    assert "answers" not in expiry.deleted
    with database.reading() as session:
        found = session.get(Response, answer)
        assert found.conversation_id is None
        assert found.context[1]["content"] == "I am [e-mail address]."
        assert found.text == f"A case of {OLD}."
        assert found.red_flags[0]["sentence"] == "I, [e-mail address], took 30 tablets."
        assert session.get(Review, review).item.response_id == answer
        assert len(list(training_rows(session))) == 1
    assert holding(home, EMAIL) == []
    assert service.apply().redacted == 0  # once is enough


def test_an_answer_in_a_frozen_set_stays_and_so_does_its_lineage(
    database: Database, service: RetentionService
):
    _, answer = talk(database, OLD, 31)
    _, beaten = talk(database, OLD, 31)
    with database.session() as session:
        frozen = add_snapshot(session)
        snapshots.add_rows(session, frozen.id, [Origin("b" * 64, answer, beaten)])
    assert service.apply().kept == {"in a training set": 2}
    with database.reading() as session:
        (row,) = snapshots.members(session, frozen.id)
        assert session.get(Response, row.response_id).question == f"What is {OLD}?"
        assert session.get(Response, row.other_response_id) is not None


def test_an_answer_that_waits_in_vain_goes_with_its_place_in_the_queue(
    database: Database, service: RetentionService
):
    _, answer = talk(database, OLD, 31)
    with database.session() as session:
        reviews.send(session, answer)
    assert service.apply().deleted["waiting for review"] == 1
    assert rows_of(database, ReviewItem) == rows_of(database, Response) == 0


def test_an_answer_that_somebody_judges_right_now_stays_until_they_are_done(
    database: Database, service: RetentionService
):
    _, answer = talk(database, OLD, 31)
    with database.session() as session:
        item = reviews.send(session, answer)
        reviewer = reviewers.ensure(session, "Rater A")
        review_queue.reserve(session, item.id, reviewer.id, utc_now())
        review_queue.save_draft(session, item.id, reviewer.id, {"answers": {"accuracy": "aligned"}})
    assert service.apply().kept == {"being judged": 1}
    assert rows_of(database, ReviewItem) == 1


def test_a_judgement_taken_back_still_holds_the_answer(database: Database, service: RetentionService):
    _, answer = talk(database, OLD, 31)
    with database.session() as session:
        review = add_review(session, session.get(Response, answer))
        act = judgements.last_act(session, review.reviewer_id, utc_now() - timedelta(hours=1))
        if act is not None:
            judgements.take_back(session, act)
    assert service.apply().kept == {"judged": 1}


def test_both_answers_of_a_compared_pair_stay_and_an_uncompared_pair_goes(
    database: Database, service: RetentionService
):
    then = utc_now() - timedelta(days=31)
    with database.session() as session:
        waiting, compared = add_pair(session), add_pair(session)
        by = reviewers.ensure(session, "Rater A").id
        choice = Preference(item_id=compared.id, reviewer_id=by, choice=PairChoice.FIRST, swapped=False)
        judgements.add(session, choice)
        session.execute(update(Response).values(created_at=then))
        staying = {compared.response_id, compared.other_response_id}
        assert waiting.id != compared.id
    assert service.preview().deleted["answers"] == 2
    assert service.apply().kept == {"judged": 2}
    with database.reading() as session:
        assert {found.id for found in session.query(Response)} == staying
        assert [found.id for found in session.query(ReviewItem)] == [compared.id]


def test_answers_outside_any_conversation_grow_old_too_but_brought_in_and_distilled_ones_do_not(
    database: Database, service: RetentionService
):
    then = utc_now() - timedelta(days=31)
    with database.session() as session:
        add_response(session, created_at=then)
        brought = add_response(session, created_at=then, origin="answers.csv").id
        distilled = add_response(session, created_at=then, origin="distilled").id
        recent = add_response(session).id
    service.apply()
    with database.reading() as session:
        assert {found.id for found in session.query(Response)} == {brought, distilled, recent}


def test_a_dry_run_tells_the_same_and_does_nothing(database: Database, service: RetentionService):
    talk(database, OLD, 31)
    _, judged = talk(database, OLD, 31)
    with database.session() as session:
        add_review(session, session.get(Response, judged))
        loose = add_response(session, created_at=utc_now() - timedelta(days=40))
        reviews.send(session, loose.id)
    before = [rows_of(database, kind) for kind in (Conversation, Message, Response, ReviewItem)]
    told = service.preview()
    assert [rows_of(database, kind) for kind in (Conversation, Message, Response, ReviewItem)] == before
    assert service.reports() == ()
    done = service.apply()
    assert told.deleted == done.deleted
    assert told.kept == done.kept == {"judged": 1}


def test_reports_are_kept_and_only_when_something_was_done(database: Database, service: RetentionService):
    service.apply()
    assert service.reports() == ()
    talk(database, OLD, 31)
    expiry = service.apply()
    (report,) = service.reports()
    assert report.deleted == expiry.deleted
    assert report.days == 30
    assert abs((report.at - utc_now()).total_seconds()) < 60
    service.apply()
    assert len(service.reports()) == 1


def test_backups_of_the_database_grow_old_too(database: Database, service: RetentionService, home: Home):
    talk(database, OLD, 31)
    young = back_up(home, "0004")
    stamp = f"{utc_now() - timedelta(days=31):%Y%m%dT%H%M%S%fZ}"
    old = home.backups / f"elara-{stamp}-0003.sqlite3"
    shutil.copy(young, old)
    expiry = service.apply()
    assert expiry.deleted["backups"] == 1
    assert list(home.backups.iterdir()) == [young]


def test_it_can_be_stopped_between_pages_and_goes_on_the_next_time(
    database: Database, service: RetentionService
):
    for _ in range(150):
        talk(database, OLD, 31)
    answers: Iterator[bool] = iter([False])
    assert service.apply(lambda: next(answers, True)).deleted["conversations"] == 100
    assert service.apply().deleted["conversations"] == 50


def test_kept_for_ever_is_the_default_and_says_how_to_change_it(services: Services):
    assert services.retention.days == 0
    with pytest.raises(InvalidInput, match="ELARA_RETENTION_DAYS is 0"):
        services.retention.apply()
    assert services.retention.preview(days=30).deleted == {}


def test_the_setting_is_read(home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ELARA_RETENTION_DAYS", "90")
    services = build_services(Settings.read(home=home.root))
    assert services.retention.days == 90
    services.close()
