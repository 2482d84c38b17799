"""Likely identifiers are asked about before anything is stored, sent or written out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from factories import add_response, add_review
from fake_engine import FakeEngine
from sqlalchemy import func, select

from db.home import Home
from db.models import Conversation, Message, Response
from elara_ui.errors import IdentifiersFound
from elara_ui.services import Services
from elara_ui.services.answers import Finished
from elara_ui.services.identifier_guard import PREVIEWS, Handling, check_export, list_kinds, search

EMAIL = "jane.roe@example.com"
QUESTION = f"My patient {EMAIL}, NHS number 943 476 5919, has a fever. What helps?"


def rows(services: Services) -> int:
    with services.database.reading() as session:
        counts = (
            session.scalar(select(func.count()).select_from(kind))
            for kind in (Conversation, Message, Response)
        )
        return sum(count or 0 for count in counts)


def test_a_question_with_identifiers_is_neither_stored_nor_asked(services: Services, engine: FakeEngine):
    with pytest.raises(IdentifiersFound) as raised:
        services.chat.check("patient", QUESTION)
    assert raised.value.kinds == {"e-mail address": 1, "NHS number": 1}
    (redacted,) = raised.value.previews
    assert redacted == "My patient [e-mail address], NHS number [NHS number], has a fever. What helps?"
    assert "Names and addresses are not looked for" in raised.value.message
    assert rows(services) == 0
    assert not engine.requests


def test_the_redacted_text_passes_and_so_does_what_was_accepted(services: Services):
    with pytest.raises(IdentifiersFound) as raised:
        services.chat.check("patient", QUESTION)
    assert services.chat.check("patient", raised.value.previews[0]).text == raised.value.previews[0]
    assert services.chat.check("patient", QUESTION, accept_identifiers=True).text == QUESTION


@pytest.mark.parametrize("text", ["Take 500 mg twice a day since 3 May", "BP 120/80, call 999 or 116 123"])
def test_ordinary_figures_are_not_asked_about(services: Services, text: str):
    assert services.chat.check("patient", text).text == text


def test_nothing_goes_to_another_machine_unless_it_was_accepted(services: Services, engine: FakeEngine):
    question = replace(services.chat.check("patient", "What helps?"), text=QUESTION)  # by whatever way
    engine.is_remote = True
    with pytest.raises(IdentifiersFound, match="sent to another machine"):
        list(services.chat.ask_once(question))
    assert not engine.requests
    *_, finished = services.chat.ask_once(replace(question, accept_identifiers=True))
    assert isinstance(finished, Finished)
    assert engine.requests[0].turns[-1].content == QUESTION


def test_earlier_turns_are_looked_at_too_before_they_go_to_another_machine(
    services: Services, engine: FakeEngine
):
    accepted = services.chat.check("patient", QUESTION, accept_identifiers=True)
    started, *_ = services.chat.ask(accepted)
    engine.is_remote = True
    with pytest.raises(IdentifiersFound):
        list(services.chat.ask(services.chat.check("patient", "And then?"), started.conversation_id))
    assert len(engine.requests) == 1


def test_a_private_question_needs_consent_only_for_another_machine(services: Services, engine: FakeEngine):
    services.serving.engine()
    checked = services.private_chat.check("patient", QUESTION)
    list(services.private_chat.ask_once(checked))
    engine.is_remote = True
    with pytest.raises(IdentifiersFound):
        services.private_chat.check("patient", QUESTION)
    with pytest.raises(IdentifiersFound):
        list(services.private_chat.ask_once(checked))  # checked while the engine was nearer


def ask(services: Services) -> str:
    question = services.chat.check("patient", QUESTION, accept_identifiers=True)
    *_, _ = services.chat.ask(question)
    (conversation,) = services.conversations.find()
    return conversation.conversation_id


@pytest.mark.parametrize("form", ["markdown", "json"])
def test_a_conversation_leaves_redacted_or_as_it_is_but_not_unasked(services: Services, form: str):
    conversation = ask(services)
    with pytest.raises(IdentifiersFound, match="This conversation likely holds") as raised:
        services.conversations.export(conversation, form)
    assert raised.value.kinds == {"e-mail address": 1, "NHS number": 1}
    redacted = services.conversations.export(conversation, form, Handling.REDACT).text
    assert EMAIL not in redacted
    assert "943 476 5919" not in redacted
    assert "[NHS number]" in redacted
    assert EMAIL in services.conversations.export(conversation, form, Handling.KEEP).text


def test_reviewed_rows_leave_redacted_or_as_they_are_but_not_unasked(services: Services, tmp_path: Path):
    with services.database.session() as session:
        add_review(session, add_response(session, text=f"Write to {EMAIL}."))
    target = tmp_path / "rows.jsonl"
    with pytest.raises(IdentifiersFound, match="1 e-mail address") as raised:
        services.reviewing.export(target)
    assert not target.exists()
    assert EMAIL not in raised.value.previews[0]
    services.reviewing.export(target, Handling.REDACT)
    (row,) = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert row["messages"][-1]["content"] == "Write to [e-mail address]."
    assert row["response_id"]
    services.reviewing.export(target, Handling.KEEP)
    assert EMAIL in target.read_text(encoding="utf-8")


def test_all_are_counted_and_the_first_are_shown_without_their_identifiers():
    texts = ["Nothing here."] + [
        f"Case {number}: {'word ' * 80}{EMAIL} {'more ' * 80}" for number in range(9)
    ]
    found = search(texts)
    assert found.kinds == {"e-mail address": 9}
    assert len(found.previews) == PREVIEWS
    for preview in found.previews:
        assert "[e-mail address]" in preview
        assert EMAIL not in preview
        assert len(preview) < 250


def test_kinds_are_listed_in_words():
    assert list_kinds({"phone number": 1}) == "1 phone number"
    assert list_kinds({"a": 1, "b": 2, "c": 1}) == "1 a, 2 × b and 1 c"


def test_texts_without_identifiers_leave_unasked(home: Home):
    check_export(["What is asthma?"], Handling.ASK, "This")
