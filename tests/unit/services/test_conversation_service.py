"""The side list and what can be done with a conversation."""

import json

import pytest

from elara_ui.errors import ElaraError, InvalidInput, NotFound
from elara_ui.services import Services, build_services
from elara_ui.settings import Settings


@pytest.fixture
def conversation_id(services: Services) -> str:
    list(services.chat.ask(services.chat.check("patient", "What is fever?")))
    [summary] = services.conversations.find()
    return summary.conversation_id


def test_conversations_are_there_after_a_restart(services: Services, conversation_id: str) -> None:
    services.close()
    again = build_services(Settings.read(home=services.settings.home))
    assert [m.content for m in again.conversations.open(conversation_id).messages] == [
        "What is fever?",
        "Rest and drink water.",
    ]
    again.close()


def test_search_looks_in_titles_and_messages(services: Services, conversation_id: str) -> None:
    assert services.conversations.find("FEVER")
    assert services.conversations.find("drink water")
    assert services.conversations.find("headache") == ()


def test_undo_takes_back_the_last_exchange_and_returns_the_question(
    services: Services, conversation_id: str
) -> None:
    assert services.conversations.undo(conversation_id) == "What is fever?"
    assert services.conversations.open(conversation_id).messages == ()
    assert services.conversations.undo(conversation_id) == ""


def test_renaming_to_nothing_is_refused(services: Services, conversation_id: str) -> None:
    services.conversations.rename(conversation_id, "My fever")
    with pytest.raises(ElaraError):
        services.conversations.rename(conversation_id, "  ")
    assert services.conversations.open(conversation_id).title == "My fever"


def test_a_deleted_conversation_is_gone_but_its_reviewed_answer_stays(
    services: Services, conversation_id: str
) -> None:
    answer = services.conversations.open(conversation_id).messages[1].answer
    assert answer is not None
    services.reviewing.send(answer.response_id)
    services.conversations.delete(conversation_id)
    with pytest.raises(NotFound):
        services.conversations.open(conversation_id)
    task = services.reviewing.next("Rater A")
    assert task is not None
    assert task.question == "What is fever?"


def test_the_same_thumb_again_takes_it_back(services: Services, conversation_id: str) -> None:
    answer = services.conversations.open(conversation_id).messages[1].answer
    assert answer is not None
    services.conversations.rate(answer.response_id, 1)
    assert services.conversations.answer(answer.response_id).thumb == 1
    services.conversations.rate(answer.response_id, -1)
    assert services.conversations.answer(answer.response_id).thumb == -1
    services.conversations.rate(answer.response_id, -1)
    assert services.conversations.answer(answer.response_id).thumb is None


def test_export_as_json_and_markdown(services: Services, conversation_id: str) -> None:
    document = services.conversations.export(conversation_id, "json")
    assert document.name.endswith(".json")
    thread = json.loads(document.text)
    assert thread["messages"][1]["answer"]["base_model"] == "smollm2-135m"
    markdown = services.conversations.export(conversation_id, "markdown").text
    assert "What is fever?" in markdown
    assert "Rest and drink water." in markdown
    assert "does not diagnose" in markdown


def test_an_unknown_export_format_is_refused(services: Services, conversation_id: str) -> None:
    with pytest.raises(InvalidInput, match="markdown or json"):
        services.conversations.export(conversation_id, "pdf")
