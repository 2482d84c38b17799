# ruff: noqa: F401, F811 - fixtures of the tab's other tests are imported
"""What the chat tab does about identifiers and private conversations, without a browser."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from fake_engine import FakeEngine
from home_search import holding
from test_handlers import PAGE, SAMPLING, ask, built, chat, last_of, press, side

from db.home import Home
from elara_ui.services import Services
from elara_ui.tabs.chat_handlers import ChatHandlers
from elara_ui.tabs.chat_parts import ChatState
from elara_ui.tabs.chat_view import render_list
from elara_ui.tabs.compare import CompareHandlers
from elara_ui.tabs.identifier_prompt import AS_IT_IS, BACK, REDACTED
from elara_ui.tabs.parts import Updates
from elara_ui.tabs.privacy_handlers import PrivacyHandlers, make_leave
from elara_ui.tabs.side_handlers import SideHandlers

MARKER = "xylophonitis"
QUESTION = "Write to jane.roe@example.com: what is fever?"


@pytest.fixture
def privacy(services: Services, chat: ChatHandlers, side: SideHandlers) -> PrivacyHandlers:
    return PrivacyHandlers(services, chat, side)


def decide(
    privacy: PrivacyHandlers, act: str, held: Updates, text: str = QUESTION, item: str = ""
) -> Updates:
    state = held[privacy._chat.parts.state]
    return last_of(privacy.decide(text, "patient", state, *SAMPLING, PAGE, press(act, item)))


def test_the_page_asks_first_and_keeps_what_was_typed(
    chat: ChatHandlers, services: Services, engine: FakeEngine
) -> None:
    painted = ask(chat, QUESTION)
    main = chat.parts.main
    assert "[e-mail address]: what is fever?" in painted[main.caution]
    for act in (REDACTED, AS_IT_IS, BACK):
        assert f'data-act="{act}"' in painted[main.caution]
    assert main.message not in painted
    assert services.conversations.find() == ()
    assert not engine.requests


def test_the_redacted_text_is_what_is_sent_and_stored(
    chat: ChatHandlers, privacy: PrivacyHandlers, home: Home, services: Services
) -> None:
    painted = decide(privacy, REDACTED, ask(chat, QUESTION))
    assert "Write to [e-mail address]: what is fever?" in painted[chat.parts.main.thread]
    assert painted[chat.parts.main.message] == ""
    assert painted[chat.parts.main.caution] == ""
    services.close()
    assert holding(home, "jane.roe") == []


def test_sent_as_it_is_holds_for_this_conversation_and_no_other(
    chat: ChatHandlers, side: SideHandlers, privacy: PrivacyHandlers
) -> None:
    painted = decide(privacy, AS_IT_IS, ask(chat, QUESTION))
    state = painted[chat.parts.state]
    assert "jane.roe@example.com" in painted[chat.parts.main.thread]
    again = ask(chat, "And 943 476 5919?", state)
    assert "943 476 5919" in again[chat.parts.main.thread]
    fresh = side.start_new("patient", again[chat.parts.state], PAGE)[chat.parts.state]
    assert "[NHS number]" in ask(chat, "And 943 476 5919?", fresh)[chat.parts.main.caution]
    back = side.open(fresh, PAGE, press("open", state.conversation_id))[chat.parts.state]
    assert "943 476 5919" in ask(chat, "Again 943 476 5919?", back)[chat.parts.main.thread]


def test_going_back_sends_nothing(chat: ChatHandlers, privacy: PrivacyHandlers, engine: FakeEngine) -> None:
    painted = decide(privacy, BACK, ask(chat, QUESTION))
    assert painted == {chat.parts.main.caution: ""}
    assert not engine.requests


@pytest.mark.parametrize("act", [REDACTED, AS_IT_IS])
def test_what_was_typed_after_the_preview_is_looked_at_anew(
    chat: ChatHandlers, privacy: PrivacyHandlers, engine: FakeEngine, act: str
) -> None:
    held = ask(chat, QUESTION)
    painted = decide(privacy, act, held, f"{QUESTION} Or 943 476 5919?")
    assert "[NHS number]" in painted[chat.parts.main.caution]
    assert not engine.requests
    clean = decide(privacy, act, held, "What is fever?")
    assert "What is fever?" in clean[chat.parts.main.thread]


def test_a_conversation_with_identifiers_is_downloaded_after_a_choice(
    chat: ChatHandlers, side: SideHandlers, privacy: PrivacyHandlers
) -> None:
    asked = decide(privacy, AS_IT_IS, ask(chat, QUESTION))
    download = chat.parts.side.download
    prompt = side.export("markdown", asked[chat.parts.state])
    assert download not in prompt
    assert 'data-item="markdown"' in prompt[chat.parts.main.caution]
    redacted = decide(privacy, REDACTED, asked, "", "markdown")
    assert "[e-mail address]" in redacted[download]
    assert "jane.roe" not in redacted[download]
    assert "jane.roe" in decide(privacy, AS_IT_IS, asked, "", "markdown")[download]
    assert download not in decide(privacy, BACK, asked, "", "markdown")


def test_a_comparison_asks_too_and_sends_what_was_chosen(built: dict[type, Any]) -> None:
    handlers = built[CompareHandlers]
    parts, both = handlers._parts, ["patient", "doctor"]
    held = last_of(handlers.ask(both, QUESTION, ChatState(), PAGE))
    assert "[e-mail address]" in held[parts.result]
    state = held[parts.state]
    assert last_of(handlers.act(both, QUESTION, ChatState(), state, 0, PAGE, press(BACK))) == {
        parts.result: ""
    }
    sent = last_of(handlers.act(both, QUESTION, ChatState(), state, 0, PAGE, press(REDACTED)))
    assert {answer.question for answer in sent[parts.state].answers} == {
        "Write to [e-mail address]: what is fever?"
    }


def begin(privacy: PrivacyHandlers) -> ChatState:
    painted = privacy.choose_private(True, "patient", ChatState(), PAGE)
    state = painted[privacy._chat.parts.state]
    assert isinstance(state, ChatState)
    assert state.private
    return state


def test_a_private_conversation_says_what_it_means_and_offers_no_judging(
    chat: ChatHandlers, side: SideHandlers, privacy: PrivacyHandlers
) -> None:
    main, state = chat.parts.main, begin(privacy)
    painted = ask(chat, f"What is {MARKER}?", state)
    assert MARKER in painted[main.thread]
    assert "Nothing of this conversation is stored" in painted[main.private_note]
    assert (
        "can&#x27;t be rated" in painted[main.private_note] or "can't be rated" in painted[main.private_note]
    )
    for act in ("up", "down", "review", "lineage"):
        assert f'data-act="{act}"' not in painted[main.thread]
    for act in ("retry", "edit", "undo"):
        assert f'data-act="{act}"' in painted[main.thread]
    assert painted[chat.parts.side.manage]["visible"] is False
    assert painted[main.private] == {"value": True, "visible": False, "__type__": "update"}


def test_retry_edit_undo_and_a_failure_leave_no_trace(
    chat: ChatHandlers,
    privacy: PrivacyHandlers,
    built: dict[type, Any],
    services: Services,
    engine: FakeEngine,
    home: Home,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    state = ask(chat, f"What is {MARKER}?", begin(privacy))[chat.parts.state]
    assert last_of(chat.act("patient", state, *SAMPLING, PAGE, press("retry")))
    edited = last_of(chat.act("patient", state, *SAMPLING, PAGE, press("edit", "0")))
    painted = ask(chat, f"And old {MARKER}?", edited[chat.parts.state])
    assert f"And old {MARKER}?" in painted[chat.parts.main.thread]
    assert f"What is {MARKER}?" not in painted[chat.parts.main.thread]

    def crash(request: Any) -> None:
        raise ValueError(request.turns[-1].content)

    stream, engine.stream = engine.stream, crash  # type: ignore[assignment, method-assign]
    failed = ask(chat, f"Crash {MARKER}?", painted[chat.parts.state])
    assert "in the log" in failed[chat.parts.main.live]
    assert "ValueError" in caplog.text
    engine.stream = stream  # type: ignore[method-assign]
    undone = last_of(chat.act("patient", failed[chat.parts.state], *SAMPLING, PAGE, press("undo", "2")))
    assert undone[chat.parts.main.message] == f"Crash {MARKER}?"
    comparing = built[CompareHandlers]
    compared = last_of(
        comparing.ask(["patient", "doctor"], f"Compare {MARKER}", failed[chat.parts.state], PAGE)
    )
    assert 'data-act="review"' not in compared[comparing._parts.result]
    make_leave(services)(PAGE)
    services.close()
    assert holding(home, MARKER) == []
    assert MARKER not in caplog.text


def test_it_can_be_left_and_come_back_to_until_it_is_forgotten(
    chat: ChatHandlers, side: SideHandlers, privacy: PrivacyHandlers
) -> None:
    state = ask(chat, f"What is {MARKER}?", begin(privacy))[chat.parts.state]
    elsewhere = side.start_new("patient", state, PAGE)
    assert f"What is {MARKER}?" in elsewhere[chat.parts.side.list]
    back = side.open(elsewhere[chat.parts.state], PAGE, press("open", state.conversation_id))
    assert f"What is {MARKER}?" in back[chat.parts.main.thread]
    gone = privacy.forget("patient", back[chat.parts.state], PAGE)
    assert MARKER not in gone[chat.parts.side.list]
    assert not gone[chat.parts.state].private


def test_the_switch_can_be_turned_off_before_the_first_question(
    chat: ChatHandlers, privacy: PrivacyHandlers, services: Services
) -> None:
    off = privacy.choose_private(False, "patient", begin(privacy), PAGE)
    assert off[chat.parts.main.private_note] == ""
    ask(chat, "What is fever?", off[chat.parts.state])
    assert len(services.conversations.find()) == 1


def test_after_the_page_was_closed_it_is_gone(
    chat: ChatHandlers, privacy: PrivacyHandlers, services: Services
) -> None:
    state = ask(chat, "What is fever?", begin(privacy))[chat.parts.state]
    make_leave(services)(PAGE)
    painted = chat.refresh("patient", state, PAGE)
    assert "nothing of it was stored" in painted[chat.parts.main.live]
    assert chat.parts.main.thread in chat.choose_audience("student", state)


def test_what_is_asked_in_one_that_is_gone_stays_typed_and_is_not_stored(
    chat: ChatHandlers, privacy: PrivacyHandlers, services: Services
) -> None:
    state = begin(privacy)
    make_leave(services)(PAGE)
    painted = ask(chat, f"What is {MARKER}?", state)
    assert "nothing of it was stored" in painted[chat.parts.main.live]
    assert chat.parts.main.message not in painted
    assert services.conversations.find() == ()


def test_the_side_list_says_how_long_conversations_are_kept() -> None:
    assert "deleted" not in render_list((), None)
    assert "deleted 30 days after the last message" in render_list((), None, 30)
