"""Asking, stopping, retrying and comparing, without weights."""

import threading

import pytest
from fake_engine import FakeEngine

from adapters.engines.base import Turn
from db import responses as response_store
from db.vocabulary import FinishReason, Role
from elara_ui.errors import ElaraError, EngineError, InvalidInput
from elara_ui.services import Services
from elara_ui.services.answers import Answer, Finished, Piece, Started
from elara_ui.services.questions import BASE_ALONE, make_title


def ask(services: Services, text: str, conversation: str | None = None, audience: str = "patient") -> Answer:
    events = list(services.chat.ask(services.chat.check(audience, text), conversation))
    assert isinstance(events[-1], Finished)
    return events[-1].answer


def open_only(services: Services):
    [summary] = services.conversations.find()
    return services.conversations.open(summary.conversation_id)


def test_an_answer_is_streamed_and_stored_with_what_made_it(services: Services) -> None:
    events = list(services.chat.ask(services.chat.check("patient", "What is fever?")))
    assert isinstance(events[0], Started)
    pieces = [event.text for event in events if isinstance(event, Piece)]
    assert pieces[0] == "Rest"
    assert pieces[-1] == "Rest and drink water."
    thread = open_only(services)
    assert [(m.role, m.content) for m in thread.messages] == [
        (Role.USER, "What is fever?"),
        (Role.ASSISTANT, "Rest and drink water."),
    ]
    answer = thread.messages[1].answer
    assert answer is not None
    assert (answer.audience, answer.adapter, answer.base_model) == ("patient", None, "smollm2-135m")
    assert answer.tokens_per_second == 100.0


def test_the_engine_gets_the_recipe_s_prompt_and_sampling(services: Services, engine: FakeEngine) -> None:
    ask(services, "What is fever?", audience="doctor")
    [request] = engine.requests
    recipe = services.recipes["doctor"]
    assert request.turns[0].content == recipe.system_prompt
    assert request.sampling == recipe.sampling
    assert (request.sampling.temperature, request.sampling.repetition_penalty) == (0.15, 1.3)


def test_earlier_turns_are_sent_along(services: Services, engine: FakeEngine) -> None:
    ask(services, "What is fever?")
    ask(services, "And a cough?", open_only(services).conversation_id)
    contents = [turn.content for turn in engine.requests[-1].turns[1:]]
    assert contents == ["What is fever?", "Rest and drink water.", "And a cough?"]


def test_oldest_turns_are_left_out_when_the_window_is_full(services: Services, engine: FakeEngine) -> None:
    recipe = services.recipes["patient"]
    second = "cough " * 60
    alone = [Turn(Role.SYSTEM, recipe.system_prompt), Turn(Role.USER, second)]
    engine.context_tokens = engine.count_tokens(alone) + recipe.sampling.max_new_tokens + 10
    first = "fever " * 40
    ask(services, first)
    conversation = open_only(services).conversation_id
    answer = ask(services, second, conversation)
    assert answer.dropped_turns == 2
    assert first.strip() not in [turn.content for turn in engine.requests[-1].turns]
    assert len(services.conversations.open(conversation).messages) == 4  # left out, not lost


def test_a_question_longer_than_the_window_is_refused_with_figures(
    services: Services, engine: FakeEngine
) -> None:
    engine.context_tokens = 500
    with pytest.raises(InvalidInput, match=r"1[\d,]* tokens long.*50 fit"):
        ask(services, "fever " * 1000)
    assert open_only(services).messages[0].content.startswith("fever")  # kept


def test_a_retry_that_fails_shows_the_earlier_answer_again(services: Services, engine: FakeEngine) -> None:
    ask(services, "What is fever?")
    conversation = open_only(services).conversation_id
    engine.context_tokens = 10
    with pytest.raises(InvalidInput):
        list(services.chat.retry(services.chat.check("patient", "What is a high fever?"), conversation))
    assert [message.content for message in open_only(services).messages] == [
        "What is fever?",
        "Rest and drink water.",
    ]


def test_an_answer_to_a_conversation_deleted_meanwhile_is_kept_outside(services: Services) -> None:
    events = services.chat.ask(services.chat.check("patient", "What is fever?"))
    started = next(events)
    assert isinstance(started, Started)
    assert started.conversation_id is not None
    services.conversations.delete(started.conversation_id)
    [*_, finished] = events
    assert isinstance(finished, Finished)
    assert services.conversations.find() == ()


def test_stop_before_the_answer_began_asks_the_model_nothing(services: Services, engine: FakeEngine) -> None:
    events = services.chat.ask(services.chat.check("patient", "What is fever?"))
    started = next(events)
    assert isinstance(started, Started)
    services.chat.stop(started.request_id)
    with pytest.raises(InvalidInput, match="Stopped before"):
        list(events)
    assert engine.requests == []


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_question_is_refused(services: Services, text: str) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        services.chat.check("patient", text)


def test_a_hundred_thousand_characters_are_refused_with_the_limit(services: Services) -> None:
    with pytest.raises(InvalidInput, match="100,000 characters; at most 8,000"):
        services.chat.check("patient", "x" * 100_000)


def test_an_unknown_audience_names_the_known_ones(services: Services) -> None:
    with pytest.raises(InvalidInput, match=r"'nurse'.*patient, student, doctor, researcher, emergency"):
        services.chat.check("nurse", "Hello?")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("repetition_penalty", 0.5),
        ("top_p", 0),
        ("max_new_tokens", 0),
        ("seed", -5),
        ("seed", 2**40),
    ],
)
def test_sampling_outside_its_limits_is_refused(services: Services, name: str, value: float) -> None:
    with pytest.raises(InvalidInput, match=f"{name} is"):
        services.chat.check("patient", "Hello?", {name: value})


def test_an_answer_ends_at_the_audience_s_word_limit(services: Services, engine: FakeEngine) -> None:
    engine.reply = "One two three four. " * 60
    answer = ask(services, "What now?", audience="emergency")
    assert len(answer.text.split()) <= 80
    assert answer.text.endswith(".")
    assert answer.finish_reason is FinishReason.LENGTH


def test_stop_ends_the_answer_and_keeps_what_had_come(services: Services, engine: FakeEngine) -> None:
    engine.reply = "word " * 200
    events = services.chat.ask(services.chat.check("patient", "Hello?"))
    started = next(events)
    assert isinstance(started, Started)
    for event in events:
        if isinstance(event, Piece) and len(event.text.split()) == 5:
            services.chat.stop(started.request_id)
        if isinstance(event, Finished):
            assert event.answer.finish_reason is FinishReason.CANCELLED
            assert len(event.answer.text.split()) == 5
    assert open_only(services).messages[1].answer is not None


def test_leaving_the_page_stops_the_engine_and_keeps_what_had_come(
    services: Services, engine: FakeEngine
) -> None:
    engine.reply = "word " * 200
    events = services.chat.ask(services.chat.check("patient", "Hello?"))
    started = next(events)
    assert isinstance(started, Started)
    next(events), next(events)
    events.close()
    assert started.request_id in engine.cancelled
    assert open_only(services).messages[1].content == "word word"


def test_retry_replaces_the_answer(services: Services, engine: FakeEngine) -> None:
    ask(services, "What is fever?")
    conversation = open_only(services).conversation_id
    engine.reply = "Something else."
    list(services.chat.retry(services.chat.check("student", "What is fever?"), conversation))
    messages = services.conversations.open(conversation).messages
    assert [message.content for message in messages] == ["What is fever?", "Something else."]
    assert messages[1].answer is not None
    assert messages[1].answer.audience == "student"


def test_an_unanswered_question_is_not_sent_as_history(services: Services, engine: FakeEngine) -> None:
    engine.reply = ""
    ask(services, "First?")
    engine.reply = "Yes."
    ask(services, "Second?", open_only(services).conversation_id)
    assert [turn.content for turn in engine.requests[-1].turns[1:]] == ["Second?"]


def test_comparing_stores_answers_outside_any_conversation(services: Services) -> None:
    [*_, finished] = services.chat.ask_once(services.chat.check("doctor", "What is fever?"))
    assert isinstance(finished, Finished)
    assert services.conversations.find() == ()
    with services.database.reading() as session:
        assert response_store.get(session, finished.answer.response_id).conversation_id is None


def test_an_engine_that_fails_keeps_the_question(services: Services, engine: FakeEngine) -> None:
    def fail(request: object) -> None:
        raise EngineError("The engine failed. Ask again.")

    engine.stream = fail  # type: ignore[assignment, method-assign]
    with pytest.raises(ElaraError, match="Ask again"):
        ask(services, "What is fever?")
    assert [message.content for message in open_only(services).messages] == ["What is fever?"]


def test_many_people_are_answered_at_once_each_in_their_own_conversation(
    services: Services, engine: FakeEngine
) -> None:
    engine.pause = 0.002
    answers: dict[int, Answer] = {}

    def run(number: int) -> None:
        answers[number] = ask(services, f"Question {number}?")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: answer.question for number, answer in answers.items()} == {
        number: f"Question {number}?" for number in range(8)
    }
    assert len(services.conversations.find()) == 8


def test_an_adapter_retired_at_the_last_moment_is_followed_by_the_new_one(
    services: Services, engine: FakeEngine
) -> None:
    chosen = iter([(engine, "patient@1"), (engine, "patient@1"), (engine, None)])
    services.chat._asking._engine_for = lambda *asked: next(chosen)  # type: ignore[method-assign]
    answer = ask(services, "What is fever?")
    assert (answer.adapter, answer.text) == (None, "Rest and drink water.")


def test_base_can_be_asked_for_by_name(services: Services, engine: FakeEngine) -> None:
    list(services.chat.ask_once(services.chat.check("patient", "Hello?", adapter=BASE_ALONE)))
    assert engine.requests[-1].adapter is None


def test_an_unknown_adapter_is_refused(services: Services) -> None:
    with pytest.raises(ElaraError, match="patient@9"):
        list(services.chat.ask_once(services.chat.check("patient", "Hello?", adapter="patient@9")))


def test_titles_are_the_question_s_first_words() -> None:
    assert make_title("What is\n fever?") == "What is fever?"
    assert len(make_title("long words " * 40)) <= 60
    assert make_title("x" * 300) == "x" * 59 + "…"
    assert make_title("y" * 70 + " and more") == "y" * 59 + "…"
