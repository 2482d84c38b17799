"""A private conversation works like any other and leaves nothing in the home or the log."""

import logging

import pytest
from fake_engine import FakeEngine
from home_search import holding

from db.home import Home
from db.vocabulary import FinishReason
from elara_ui.errors import InvalidInput, NotFound
from elara_ui.services import Services
from elara_ui.services import private_chat as private_module
from elara_ui.services.answers import Finished, Thread

MARKER = "xylophonitis"
QUESTION = f"What helps against {MARKER}?"


def ask(services: Services, conversation: str, text: str = QUESTION, audience: str = "patient") -> Thread:
    list(services.private_chat.ask(services.private_chat.check(audience, text), conversation))
    return services.private_chat.open(conversation)


def test_an_ordinary_conversation_is_found_in_the_home_so_the_search_works(services: Services, home: Home):
    list(services.chat.ask(services.chat.check("patient", QUESTION)))
    assert holding(home, MARKER)


def test_nothing_of_a_private_conversation_reaches_the_home_or_the_log(
    services: Services, home: Home, engine: FakeEngine, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    engine.reply = f"Rest cures {MARKER}."
    private = services.private_chat
    conversation = private.begin("page")
    thread = ask(services, conversation)
    assert [message.content for message in thread.messages] == [QUESTION, f"Rest cures {MARKER}."]
    list(private.retry(private.check("student", f"And {MARKER} in children?"), conversation))
    private.undo(conversation)
    ask(services, conversation)
    list(private.ask_once(private.check("doctor", QUESTION)))
    assert services.conversations.find() == ()
    private.forget_all("page")
    services.close()
    assert holding(home, MARKER) == []
    assert MARKER not in caplog.text


def test_earlier_turns_are_remembered_while_it_lasts(services: Services, engine: FakeEngine):
    conversation = services.private_chat.begin("page")
    ask(services, conversation)
    ask(services, conversation, "And then?")
    assert [turn.content for turn in engine.requests[-1].turns[1:]] == [QUESTION, engine.reply, "And then?"]
    assert services.private_chat.open(conversation).title == QUESTION


def test_a_retry_takes_the_place_of_the_answer_and_a_failed_one_changes_nothing(
    services: Services, engine: FakeEngine
):
    private = services.private_chat
    conversation = private.begin("page")
    before = ask(services, conversation)
    engine.reply = "Drink."
    list(private.retry(private.check("patient", "What else?"), conversation))
    after = private.open(conversation)
    assert [message.content for message in after.messages] == ["What else?", "Drink."]
    engine.context_tokens = 10
    with pytest.raises(InvalidInput, match="tokens long"):
        list(private.retry(private.check("patient", "What?"), conversation))
    assert private.open(conversation).messages == after.messages != before.messages


def test_undo_gives_the_question_back(services: Services):
    conversation = services.private_chat.begin("page")
    ask(services, conversation)
    assert services.private_chat.undo(conversation) == QUESTION
    assert services.private_chat.undo(conversation) == ""
    assert services.private_chat.open(conversation).messages == ()


def test_stopping_keeps_what_had_come(services: Services, engine: FakeEngine):
    engine.reply = "one two three four"
    conversation = services.private_chat.begin("page")
    events = services.private_chat.ask(services.private_chat.check("patient", QUESTION), conversation)
    started = next(events)
    next(events)
    services.chat.stop(started.request_id)
    *_, finished = events
    assert isinstance(finished, Finished)
    assert finished.answer.finish_reason is FinishReason.CANCELLED
    assert finished.answer.text == "one"
    assert services.private_chat.open(conversation).messages[1].content == "one"


def test_leaving_while_an_answer_comes_keeps_what_had_come_unless_it_was_forgotten(services: Services):
    private = services.private_chat
    left, forgotten = private.begin("page"), private.begin("page")
    for conversation in (left, forgotten):
        events = private.ask(private.check("patient", QUESTION), conversation)
        next(events), next(events)
        if conversation == forgotten:
            private.forget(conversation)
        events.close()
    assert len(private.open(left).messages) == 2
    with pytest.raises(NotFound, match="nothing of it was stored"):
        private.open(forgotten)


def test_its_answers_cannot_be_rated_or_sent_to_review(services: Services):
    thread = ask(services, services.private_chat.begin("page"))
    answer = thread.messages[1].answer
    assert answer is not None
    assert not answer.stored
    with pytest.raises(NotFound):
        services.conversations.rate(answer.response_id, 1)
    with pytest.raises(NotFound):
        services.reviewing.send(answer.response_id)
    with pytest.raises(NotFound):
        services.conversations.export(thread.conversation_id, "json")


def test_a_closed_page_takes_its_own_conversations_with_it_and_no_others(services: Services):
    private = services.private_chat
    gone, other = private.begin("page"), private.begin("another")
    ask(services, gone)
    ask(services, other)
    private.forget_all("page")
    assert [found.conversation_id for found in private.find({gone, other})] == [other]


def test_memory_stays_bounded(services: Services, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(private_module, "MOST_HELD", 2)
    first, second, third = (services.private_chat.begin("page") for _ in range(3))
    with pytest.raises(NotFound):
        services.private_chat.open(first)
    assert services.private_chat.open(second)
    assert services.private_chat.open(third)
