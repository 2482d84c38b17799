"""Making comparisons, one by one and for two adapters."""

import pytest
from factories import add_response

from db import pairs as pair_store
from db import reviews
from elara_ui.errors import ElaraError, InvalidInput, NotFound
from elara_ui.services.pairs import PairBatch, PairsService


@pytest.fixture
def service(database) -> PairsService:
    """The service on a fresh database."""
    return PairsService(database)


def respond(database, **values):
    """Store an answer; its id."""
    with database.session() as session:
        return add_response(session, **values).id


def test_the_same_two_are_compared_once_either_way_round(database, service):
    first, second = respond(database), respond(database, text="Other.")
    item = service.create(first, second, wanted=3, batch="b")
    assert service.create(second, first) == service.send_pair(first, second) == item
    with database.reading() as session:
        stored = reviews.item(session, item)
        assert (stored.wanted, stored.batch, stored.audience) == (3, "b", "patient")
        assert reviews.sent_response_ids(session, [first, second]) == set()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"audience": "doctor"}, "for patient and doctor"),
        ({"question": "What is gout?"}, "question and the turns before it"),
        ({"text": " Asthma makes the airways tight.\n"}, "word for word"),
    ],
)
def test_what_can_not_be_compared_is_refused(database, service, values, says):
    first, other = respond(database), respond(database, **({"text": "Other."} | values))
    with pytest.raises(ElaraError, match=says):
        service.create(first, other)
    with pytest.raises(NotFound, match="gone"):
        service.create(first, "gone")


def test_the_prompts_of_different_adapters_make_no_difference(database, service):
    first = respond(database)
    context = [
        {"role": "system", "content": "Another prompt."},
        {"role": "user", "content": "What is asthma?"},
    ]
    assert service.create(first, respond(database, text="Other.", context=context))


def test_two_adapters_are_compared_on_the_questions_both_answered(database, service):
    for question in ("Q1", "Q2", "Q3"):
        respond(database, question=question, text=f"{question} old", adapter="patient@1")
        respond(database, question=question, text=f"{question} new", adapter="patient@1")
    respond(database, question="Q1", text="base", adapter=None)
    respond(database, question="Q2", text="Q2 new", adapter=None)
    respond(database, question="Q3", text="half", adapter=None, finish_reason="cancelled")
    assert service.create_batch("patient@1", "base", "first look") == PairBatch("first look", 1, 0, 1)
    assert service.create_batch("base", "patient@1", "again") == PairBatch("again", 0, 1, 1)
    with database.reading() as session:
        (pair,) = session.query(reviews.ReviewItem)
        assert {pair.response.text, pair.other_response.text} == {"Q1 new", "base"}
        assert (pair.reason, pair.batch) == ("candidate", "first look")


def test_a_batch_that_compares_nothing_says_so(database, service):
    respond(database)
    for arguments, says in (
        (("base", "base", "b"), "Two different adapters"),
        (("patient@1", "base", " "), "1 to 100 characters"),
        (("patient@1", "base", "b"), "No question was answered by both"),
    ):
        with pytest.raises(InvalidInput, match=says):
            service.create_batch(*arguments)


def test_an_answer_compared_stays_when_its_conversation_goes(database, services):
    from db import conversations

    with database.session() as session:
        talk = conversations.create(session, "t", "patient")
        first = add_response(session)
        other = add_response(session, text="Other.", conversation_id=talk.id)
        pair_store.send(session, first.id, other.id)
        conversations.delete(session, talk.id)
        assert pair_store.find(session, first.id, other.id).other_response.conversation_id is None
