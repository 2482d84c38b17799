"""Conversations: the side list, turns that are set aside, and deleting."""

import pytest
from factories import add_response, add_review

from db import conversations, responses
from db.errors import InvalidValue, NotFound
from db.models import Message, Response
from db.session import Database
from db.vocabulary import Role


@pytest.fixture
def session(database: Database):
    """A writing session."""
    with database.session() as session:
        yield session


def titles(found):
    """Titles in the order given."""
    return [conversation.title for conversation in found]


def test_a_deleted_conversation_is_not_found(session):
    conversation = conversations.create(session, "Asthma", "patient")
    conversations.delete(session, conversation.id)
    with pytest.raises(NotFound, match=conversation.id):
        conversations.get(session, conversation.id)


def test_the_conversation_written_in_last_comes_first(session):
    first = conversations.create(session, "first", "patient")
    conversations.create(session, "second", "patient")
    conversations.append_message(session, first.id, Role.USER, "more")
    assert titles(conversations.list_recent(session)) == ["first", "second"]


def test_the_list_is_bounded(session):
    for number in range(5):
        conversations.create(session, str(number), "patient")
    assert titles(conversations.list_recent(session, limit=2)) == ["4", "3"]


def test_search_looks_in_titles_and_messages_in_any_case(session):
    by_title = conversations.create(session, "ASTHMA in the cold", "patient")
    by_message = conversations.create(session, "Breathing", "patient")
    conversations.append_message(session, by_message.id, Role.USER, "Is it Asthma?")
    conversations.create(session, "Gout", "patient")
    found = conversations.list_recent(session, search=" asthma ")
    assert {conversation.id for conversation in found} == {by_title.id, by_message.id}


@pytest.mark.parametrize("search", ["%", "_", "\\"])
def test_search_takes_wildcards_literally(session, search):
    conversations.create(session, "Gout", "patient")
    conversations.create(session, f"holds {search} itself", "patient")
    assert titles(conversations.list_recent(session, search)) == [f"holds {search} itself"]


def test_search_passes_over_turns_set_aside(session):
    conversation = conversations.create(session, "Talk", "patient")
    conversations.append_message(session, conversation.id, Role.USER, "asthma")
    conversations.deactivate_from(session, conversation.id, 0)
    assert conversations.list_recent(session, "asthma") == []


def test_renaming_strips_space_and_keeps_the_order(session):
    old = conversations.create(session, "old", "patient")
    conversations.create(session, "new", "patient")
    assert conversations.rename(session, old.id, "  Wheezing \n at night ").title == "Wheezing at night"
    assert titles(conversations.list_recent(session)) == ["new", "Wheezing at night"]


@pytest.mark.parametrize("title", ["", "   ", "x" * 201])
def test_a_title_of_wrong_length_is_refused(session, title):
    conversation = conversations.create(session, "Asthma", "patient")
    with pytest.raises(InvalidValue, match="1 to 200 characters"):
        conversations.rename(session, conversation.id, title)


def test_a_long_first_question_is_shortened_to_a_title(session):
    assert len(conversations.create(session, "x" * 500, "patient").title) == 200


def test_turns_come_back_in_order_with_their_responses(session):
    conversation = conversations.create(session, "Asthma", "patient")
    response = add_response(session, conversation_id=conversation.id)
    conversations.append_message(session, conversation.id, Role.USER, "What is asthma?")
    conversations.append_message(session, conversation.id, Role.ASSISTANT, response.text, response.id)
    question, answer = conversations.active_messages(session, conversation.id)
    assert (question.position, answer.position) == (0, 1)
    assert question.response is None
    assert answer.response is response


def test_a_response_can_be_read_after_the_session(database):
    with database.session() as session:
        conversation = conversations.create(session, "Asthma", "patient")
        response = add_response(session)
        conversations.append_message(session, conversation.id, Role.ASSISTANT, "text", response.id)
    with database.reading() as session:
        (answer,) = conversations.active_messages(session, conversation.id)
    assert answer.response.adapter == "patient@1"


def test_positions_of_turns_set_aside_are_not_used_again(session):
    conversation = conversations.create(session, "Asthma", "patient")
    for text in ("one", "two", "three"):
        conversations.append_message(session, conversation.id, Role.USER, text)
    hidden = conversations.deactivate_from(session, conversation.id, 1)
    assert len(hidden) == 2
    assert conversations.deactivate_from(session, conversation.id, 1) == []
    again = conversations.append_message(session, conversation.id, Role.USER, "again")
    assert again.position == 3
    assert [turn.content for turn in conversations.active_messages(session, conversation.id)] == [
        "one",
        "again",
    ]


def test_appending_to_a_deleted_conversation_is_refused(session):
    with pytest.raises(NotFound):
        conversations.append_message(session, "gone", Role.USER, "hello")


def test_deleting_a_conversation_keeps_reviewed_responses(database):
    with database.session() as session:
        conversation = conversations.create(session, "Asthma", "patient")
        reviewed = add_response(session, conversation_id=conversation.id)
        add_review(session, reviewed)
        plain = add_response(session, conversation_id=conversation.id)
        for response in (reviewed, plain):
            conversations.append_message(session, conversation.id, Role.ASSISTANT, "text", response.id)
    with database.session() as session:
        conversations.delete(session, conversation.id)
    with database.reading() as session:
        assert responses.get(session, reviewed.id).conversation_id is None
        assert session.get(Response, plain.id) is None
        assert session.query(Message).count() == 0


def test_deleting_leaves_other_conversations_alone(session):
    gone = conversations.create(session, "gone", "patient")
    stays = conversations.create(session, "stays", "patient")
    response = add_response(session, conversation_id=stays.id)
    conversations.append_message(session, stays.id, Role.ASSISTANT, "text", response.id)
    conversations.delete(session, gone.id)
    assert len(conversations.active_messages(session, stays.id)) == 1
    assert responses.get(session, response.id).conversation_id == stays.id


@pytest.mark.parametrize("value", [1, -1, None])
def test_a_thumb_can_be_given_and_taken_back(session, value):
    response = add_response(session, thumb=1)
    assert responses.set_thumb(session, response.id, value).thumb == value


def test_a_thumb_of_another_size_is_refused(session):
    response = add_response(session)
    with pytest.raises(InvalidValue, match="got 5"):
        responses.set_thumb(session, response.id, 5)


def test_a_thumb_for_a_missing_answer_is_refused(session):
    with pytest.raises(NotFound, match="gone"):
        responses.set_thumb(session, "gone", 1)
