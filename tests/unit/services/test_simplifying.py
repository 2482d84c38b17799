"""Saying it more simply: the easier answer is shown, both are kept, and nothing is lost on the way."""

import pytest
from factories import add_response
from fake_engine import FakeEngine
from sqlalchemy import select

from db import conversations
from db.models import Message, Response
from elara_ui.errors import EngineError, InvalidInput
from elara_ui.services import Services
from elara_ui.services.answers import Finished, Started
from elara_ui.services.simplifying import make_instruction

HARD = "Hypertension is a chronic cardiovascular condition that necessitates pharmacological intervention."
EASY = "Your blood presses too hard on its vessels. It needs care for a long time, and pills help."


@pytest.fixture
def conversation(services: Services, engine: FakeEngine) -> str:
    """A question with an answer that is too hard; the engine then has an easy one."""
    engine.reply = HARD
    started, *_ = services.chat.ask(services.chat.check("patient", "What is high blood pressure?"))
    assert isinstance(started, Started)
    engine.reply = EASY
    assert started.conversation_id is not None
    return started.conversation_id


def simplify(services: Services, conversation: str) -> Finished:
    *_, finished = services.chat.simplify(conversation)
    assert isinstance(finished, Finished)
    return finished


def shown(services: Services, conversation: str) -> list[str]:
    return [message.content for message in services.conversations.open(conversation).messages]


def test_the_easier_answer_takes_the_first_one_s_place(services, conversation) -> None:
    finished = simplify(services, conversation)
    assert finished.answer.text == EASY
    assert shown(services, conversation) == ["What is high blood pressure?", EASY]
    assert finished.note.startswith("Said more simply: reading grade")


def test_both_answers_are_stored_with_what_made_them(services, conversation) -> None:
    simplify(services, conversation)
    with services.database.reading() as session:
        first, second = session.scalars(select(Response).order_by(Response.created_at))
        assert (first.text, second.text) == (HARD, EASY)
        assert first.question == second.question == "What is high blood pressure?"
        assert first.conversation_id == second.conversation_id == conversation
        assert second.reading_grade < first.reading_grade
        stored = session.scalars(select(Message).order_by(Message.position))
        assert [(message.content, message.active) for message in stored][1:] == [(HARD, False), (EASY, True)]


def test_the_hard_words_are_named_to_the_model(services, engine, conversation) -> None:
    simplify(services, conversation)
    system, question = engine.requests[-1].turns
    assert system.content.startswith(services.recipes["patient"].system_prompt)
    assert '"Hypertension" (say "high blood pressure")' in system.content
    assert '"necessitates"' in system.content
    assert question.content == "What is high blood pressure?"
    assert HARD not in system.content


def test_earlier_turns_are_sent_along(services, engine, conversation) -> None:
    list(services.chat.ask(services.chat.check("patient", "And then?"), conversation))
    engine.reply = "Rest and care. It will be well with you in a few days or so."
    simplify(services, conversation)
    assert [turn.content for turn in engine.requests[-1].turns[1:]] == [
        "What is high blood pressure?",
        HARD,
        "And then?",
    ]


def test_an_answer_that_reads_no_easier_is_kept_but_not_shown(services, engine, conversation) -> None:
    engine.reply = HARD
    finished = simplify(services, conversation)
    assert "reads no easier" in finished.note
    assert finished.answer.text == HARD
    assert len(shown(services, conversation)) == 2
    with services.database.reading() as session:
        assert len(session.scalars(select(Response)).all()) == 2


def test_an_answer_that_leaves_much_out_does_not_count_as_simpler(services, engine, conversation) -> None:
    engine.reply = "Take pills."
    finished = simplify(services, conversation)
    assert "may leave out" in finished.note
    assert shown(services, conversation)[-1] == HARD


def test_an_answer_that_was_stopped_does_not_take_the_place(services, engine, conversation) -> None:
    events = services.chat.simplify(conversation)
    for event in events:
        if isinstance(event, Started):
            continue
        if isinstance(event, Finished):
            assert "broke off" in event.note
            break
        engine.cancelled.add(engine.requests[-1].request_id)
    assert shown(services, conversation)[-1] == HARD


def test_a_reader_who_leaves_finds_the_first_answer_again(services, conversation) -> None:
    events = services.chat.simplify(conversation)
    next(events), next(events)
    events.close()
    assert shown(services, conversation) == ["What is high blood pressure?", HARD]


def test_a_failing_engine_leaves_the_first_answer(services, engine, conversation) -> None:
    def fail(request: object):
        raise EngineError("The engine is gone.")
        yield

    engine.stream = fail
    with pytest.raises(EngineError):
        simplify(services, conversation)
    assert shown(services, conversation) == ["What is high blood pressure?", HARD]


def test_nothing_can_be_simplified_before_an_answer(services) -> None:
    with services.database.session() as session:
        empty = conversations.create(session, "Empty", "patient").id
    with pytest.raises(InvalidInput, match="no answer to say more simply"):
        list(services.chat.simplify(empty))


def test_an_audience_without_a_target_is_told_so(services) -> None:
    started, *_ = services.chat.ask(services.chat.check("doctor", "What is gout?"))
    with pytest.raises(InvalidInput, match="no reading grade to aim for"):
        list(services.chat.simplify(started.conversation_id))


def test_an_instruction_names_no_more_words_than_a_small_model_can_hold() -> None:
    long = (
        "Hypertension, oedema, syncope, vertigo, jaundice, sepsis, nausea, dyspnoea, "
        "tachycardia, bradycardia, haematuria, dysuria, polyuria, nocturia, pruritus."
    )
    assert make_instruction(long).count("(say ") == 12
    assert "Do not use" not in make_instruction("Rest in bed.")


def test_the_grade_of_an_answer_is_stored_to_be_counted(services) -> None:
    with services.database.session() as session:
        assert add_response(session, readability={"flesch_kincaid_grade": 4.2}).reading_grade == 4.2
        assert add_response(session, readability={}).reading_grade is None
