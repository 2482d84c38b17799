"""Answers given again to requests that repeat word for word."""

from dataclasses import replace

import pytest
from adapter_factory import make_adapter, register_adapter
from fake_engine import FakeEngine

from adapters.engines.base import Completion
from db.home import Home
from db.vocabulary import FinishReason
from elara_ui.services import Services
from elara_ui.services.answer_cache import AnswerCache, Written
from elara_ui.services.answers import Answer, Finished, Piece
from elara_ui.services.questions import Question

GREEDY = {"temperature": 0.0}
WRITTEN = Written(
    "Rest.", FinishReason.STOP, Completion("Rest.", FinishReason.STOP, 20, 0, 3, 0.1, 0.05, 60.0)
)


def ask(services: Services, question: Question) -> Answer:
    [*_, finished] = services.chat.ask_once(question)
    assert isinstance(finished, Finished)
    return finished.answer


def check(services: Services, text: str = "What is fever?", **overrides: float) -> Question:
    return services.chat.check("patient", text, overrides)


@pytest.mark.parametrize("sampling", [GREEDY, {"temperature": 0.7, "seed": 3}])
def test_a_request_that_repeats_itself_is_answered_from_memory_and_says_so(
    services: Services, engine: FakeEngine, sampling: dict[str, float]
) -> None:
    first = ask(services, check(services, **sampling))
    engine.reply = "Something else."
    events = list(services.chat.ask_once(check(services, **sampling)))
    again = events[-1].answer
    assert [event.text for event in events if isinstance(event, Piece)] == [first.text]
    assert (first.cached, again.cached) == (False, True)
    assert again.text == first.text
    assert again.completion_tokens == first.completion_tokens
    assert again.response_id != first.response_id  # a response of its own, to be rated and reviewed
    assert services.conversations.answer(again.response_id).cached
    assert len(engine.requests) == 1


def test_what_is_drawn_afresh_is_written_anew(services: Services, engine: FakeEngine) -> None:
    for _ in range(2):
        assert not ask(services, check(services)).cached
    assert len(engine.requests) == 2


def test_any_other_word_audience_limit_or_stop_is_another_request(
    services: Services, engine: FakeEngine
) -> None:
    asked = check(services, **GREEDY)
    ask(services, asked)
    others = (
        check(services, "What is a fever?", **GREEDY),
        services.chat.check("student", "What is fever?", GREEDY),
        check(services, temperature=0.0, max_new_tokens=9),
        check(services, temperature=0.0, repetition_penalty=1.0),
        replace(asked, stop=("water",)),
        replace(asked, instruction="Be brief."),
        replace(asked, cache_scope="another client"),
    )
    assert not any(ask(services, other).cached for other in others)
    assert ask(services, asked).cached


def test_private_conversations_neither_leave_nor_find_anything(
    services: Services, engine: FakeEngine
) -> None:
    private = services.private_chat
    for _ in range(2):
        question = private.check("patient", "What is fever?", GREEDY)
        [*_, finished] = private.ask(question, private.begin("page"))
        assert not finished.answer.cached
    assert not ask(services, check(services, **GREEDY)).cached
    [*_, finished] = private.ask(private.check("patient", "What is fever?", GREEDY), private.begin("page"))
    assert not finished.answer.cached


def test_an_answer_that_was_broken_off_is_not_given_again(services: Services, engine: FakeEngine) -> None:
    engine.reply = "word " * 50
    events = services.chat.ask_once(check(services, **GREEDY))
    next(events)
    next(events)
    events.close()
    assert not ask(services, check(services, **GREEDY)).cached


def test_it_is_bounded_in_size_and_time() -> None:
    small = AnswerCache(2000, 60)
    keys = [object() for _ in range(4)]
    for key in keys:
        small.keep(key, WRITTEN)
    assert small.find(keys[-1]) is not None
    assert small.find(keys[0]) is None
    gone = AnswerCache(10_000, 1e-9)
    gone.keep(keys[0], WRITTEN)
    assert gone.find(keys[0]) is None
    none = AnswerCache(0, 60)
    none.keep(keys[0], WRITTEN)
    assert none.find(keys[0]) is None


def test_a_promotion_is_answered_by_the_new_adapter(services: Services, home: Home) -> None:
    ask(services, check(services, **GREEDY))
    name = register_adapter(services.database, home, make_adapter(home.root / "made", seed=1, rank=2))
    services.release.promote(name, "Rater A", "a test")
    answer = ask(services, check(services, **GREEDY))
    assert (answer.adapter, answer.cached) == (name, False)
