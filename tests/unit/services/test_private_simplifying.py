"""A private answer said more simply: in its conversation only, and only where it is simpler."""

import pytest
from fake_engine import FakeEngine
from sqlalchemy import func, select

from db.models import Response
from elara_ui.errors import InvalidInput
from elara_ui.services import Services
from elara_ui.services.answers import Finished

HARD = "Hypertension is a chronic cardiovascular condition that necessitates pharmacological intervention."
EASY = "Your blood presses too hard on its vessels. It needs care for a long time, and pills help."


@pytest.fixture
def conversation(services: Services, engine: FakeEngine) -> str:
    """A private question with an answer that is too hard."""
    engine.reply = HARD
    conversation_id = services.private_chat.begin("page")
    question = services.private_chat.check("patient", "What is high blood pressure?")
    list(services.private_chat.ask(question, conversation_id))
    return conversation_id


def simplify(services: Services, conversation: str) -> tuple[Finished, list[str]]:
    *_, finished = services.private_chat.simplify(conversation)
    assert isinstance(finished, Finished)
    return finished, [message.content for message in services.private_chat.open(conversation).messages]


def test_the_easier_answer_takes_the_first_one_s_place_and_nothing_is_stored(
    services, engine, conversation
) -> None:
    engine.reply = EASY
    finished, shown = simplify(services, conversation)
    assert finished.note.startswith("Said more simply")
    assert shown == ["What is high blood pressure?", EASY]
    with services.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Response)) == 0


def test_an_answer_that_is_not_simpler_takes_nothing_s_place(services, conversation) -> None:
    finished, shown = simplify(services, conversation)
    assert finished.answer.text == HARD
    assert shown == ["What is high blood pressure?", HARD]


def test_without_an_answer_there_is_nothing_to_simplify(services) -> None:
    with pytest.raises(InvalidInput, match="no answer to say more simply"):
        list(services.private_chat.simplify(services.private_chat.begin("page")))
