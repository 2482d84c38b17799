"""The review queue."""

import pytest
from factories import add_response, add_review
from sqlalchemy.exc import IntegrityError

from db import judgements, reviews
from db.errors import Conflict, NotFound
from db.session import Database
from db.vocabulary import Disposition


@pytest.fixture
def session(database: Database):
    """A writing session."""
    with database.session() as session:
        yield session


def test_sending_twice_gives_one_item_that_a_more_pressing_reason_moves_forward(session):
    response = add_response(session)
    first = reviews.send(session, response.id)
    assert reviews.send(session, response.id, "sample") is first
    assert (first.reason, first.priority) == ("requested", 30)
    assert reviews.send(session, response.id, "thumbs_down") is first
    assert (first.reason, first.priority) == ("thumbs_down", 20)


def test_sending_a_missing_answer_is_refused(session):
    with pytest.raises(NotFound, match="gone"):
        reviews.send(session, "gone")


def test_the_answers_in_the_queue_can_be_told_apart(session):
    sent, kept = add_response(session), add_response(session)
    reviews.send(session, sent.id)
    assert reviews.sent_response_ids(session, [sent.id, kept.id]) == {sent.id}
    assert reviews.sent_response_ids(session, []) == set()


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


def test_a_contradiction_keeps_why_the_answer_was_sent_and_asks_for_one_more_once(database):
    with database.session() as session:
        answer = add_response(session)
        item = reviews.send(session, answer.id, "red_flag")
        assert item.reasons == ("red_flag",)
        add_review(session, answer, "Rater A")
        opposed = add_review(session, answer, "Rater B", accuracy="opposed", disposition="reject")
        session.refresh(item)
        assert (item.reason, item.first_reason, item.wanted) == ("disagreement", "red_flag", 3)
        assert item.reasons == ("red_flag", "disagreement")
        reviews.send(session, answer.id, "thumbs_down")
        judgements.change(session, opposed, judgements.content_of(opposed) | {"comment": "still"})
        assert (item.first_reason, item.wanted) == ("red_flag", 3)
