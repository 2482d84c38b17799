"""The review queue."""

import pytest
from factories import add_response, add_review
from sqlalchemy.exc import IntegrityError

from db import reviews
from db.errors import Conflict, NotFound
from db.session import Database
from db.vocabulary import Disposition


@pytest.fixture
def session(database: Database):
    """A writing session."""
    with database.session() as session:
        yield session


def test_sending_twice_gives_one_item(session):
    response = add_response(session)
    first = reviews.send(session, response.id)
    assert reviews.send(session, response.id, "thumbs_down") is first
    assert first.reason == "requested"


def test_sending_a_missing_answer_is_refused(session):
    with pytest.raises(NotFound, match="gone"):
        reviews.send(session, "gone")


def test_the_answers_in_the_queue_can_be_told_apart(session):
    sent, kept = add_response(session), add_response(session)
    reviews.send(session, sent.id)
    assert reviews.sent_response_ids(session, [sent.id, kept.id]) == {sent.id}
    assert reviews.sent_response_ids(session, []) == set()


def test_the_longest_waiting_comes_first_and_skipped_ones_later(session):
    first, second = (reviews.send(session, add_response(session).id) for _ in range(2))
    assert reviews.next_item(session, "Rater A") is first
    assert reviews.next_item(session, "Rater A", skip=[first.id]) is second
    assert reviews.next_item(session, "Rater A", skip={first.id, second.id}) is None


def test_the_least_reviewed_comes_first(session):
    first, second = add_response(session), add_response(session)
    add_review(session, first, reviewer="Rater B")
    waiting = reviews.send(session, second.id)
    assert reviews.next_item(session, "Rater A") is waiting


def test_what_i_have_judged_does_not_come_back_but_others_still_get_it(session):
    response = add_response(session)
    judged = add_review(session, response, reviewer="Rater A")
    assert reviews.next_item(session, "Rater A") is None
    assert reviews.next_item(session, "Rater B") is judged.item


def test_a_reviewer_judges_an_answer_once(session):
    response = add_response(session)
    add_review(session, response)
    with pytest.raises(Conflict, match="'Rater A' has judged this one"):
        add_review(session, response)


def test_the_database_itself_refuses_unanswered_axes(session):
    response = add_response(session)
    with pytest.raises(IntegrityError, match="axes_answered"), session.begin_nested():
        add_review(session, response, harm=None)
    add_review(session, response, harm=None, disposition=Disposition.OUT_OF_SCOPE)


def test_progress_counts_for_each_reviewer(session):
    add_review(session, add_response(session), reviewer="Rater A")
    reviews.send(session, add_response(session).id)
    assert reviews.progress(session, "Rater A") == reviews.ReviewProgress(1, 1, 2)
    assert reviews.progress(session, "Rater B") == reviews.ReviewProgress(0, 2, 2)


def test_reviews_are_listed_newest_first_with_their_answers(database):
    with database.session() as session:
        response = add_response(session)
        for reviewer in ("Rater A", "Rater B"):
            add_review(session, response, reviewer)
    with database.reading() as session:
        listed = reviews.list_reviews(session)
        mine = reviews.list_reviews(session, reviewer="Rater A")
    assert [review.reviewer.name for review in listed] == ["Rater B", "Rater A"]
    assert [review.item.response.text for review in mine] == [response.text]


def test_a_missing_item_is_named(session):
    with pytest.raises(NotFound, match="gone"):
        reviews.item(session, "gone")
