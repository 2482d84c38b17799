"""Red flags in the chat: found before the model is asked, stored, told again, and followed up in review."""

import time

import pytest
from fake_engine import FakeEngine

from db import conversations as conversation_store
from db import responses as response_store
from db.home import Home
from db.models import ReviewItem
from db.vocabulary import LAY_AUDIENCES, Audience, FinishReason, ReviewReason, Role
from elara_ui.clinical.redflags import known_countries
from elara_ui.errors import EngineError, InvalidInput
from elara_ui.services import Services, build_services
from elara_ui.services.answer_marks import MarkKind, marks_of
from elara_ui.services.answers import Answer, Finished, Piece, Started
from elara_ui.services.review_sampling import ReviewSampling
from elara_ui.services.triage import TriageService
from elara_ui.settings import Settings

STROKE = "My dad's face has dropped on one side and he can't lift his arm"


def ask(services: Services, text: str, audience: str = "patient", conversation: str | None = None) -> Answer:
    *_, finished = services.chat.ask(services.chat.check(audience, text), conversation)
    assert isinstance(finished, Finished)
    return finished.answer


def opened(services: Services):
    [summary] = services.conversations.find()
    return services.conversations.open(summary.conversation_id)


def reason_in_queue(services: Services, response_id: str) -> str | None:
    with services.database.reading() as session:
        item = session.query(ReviewItem).filter_by(response_id=response_id).one_or_none()
        return item and str(item.reason)


@pytest.mark.parametrize("audience", list(Audience))
def test_a_flag_is_told_before_the_model_is_asked_for_every_audience(
    services: Services, engine: FakeEngine, audience: str
) -> None:
    started = next(services.chat.ask(services.chat.check(audience, STROKE)))
    assert isinstance(started, Started)
    assert started.red_flags.categories == ("stroke",)
    assert engine.requests == []


def test_what_fired_is_stored_with_question_and_answer(services: Services) -> None:
    answer = ask(services, STROKE)
    assert answer.red_flags is not None
    with services.database.reading() as session:
        response = response_store.get(session, answer.response_id)
        question, _ = conversation_store.active_messages(session, opened(services).conversation_id)
    for stored in (response, question):
        assert stored.red_flags is not None
        assert [row["category"] for row in stored.red_flags] == ["stroke"]
        assert "face has dropped" in stored.red_flags[0]["matched"]
        assert stored.red_flags[0]["sentence"] == STROKE
        assert stored.rules_version == answer.red_flags.version


def test_a_question_on_which_nothing_fires_keeps_that_it_was_looked_at(services: Services) -> None:
    answer = ask(services, "What does FAST stand for in stroke?")
    assert answer.red_flags is not None
    assert not answer.red_flags.emergency
    with services.database.reading() as session:
        response = response_store.get(session, answer.response_id)
        assert (response.red_flags, bool(response.rules_version)) == ([], True)
    assert reason_in_queue(services, answer.response_id) is None


def test_the_card_is_there_again_when_the_conversation_is_reopened(services: Services) -> None:
    ask(services, STROKE)
    question = opened(services).messages[0]
    assert question.red_flags is not None
    [card] = question.red_flags.advice
    assert "stroke" in card.text


def test_the_card_stays_when_the_model_fails(services: Services, engine: FakeEngine) -> None:
    def fail(request: object) -> None:
        raise EngineError("The engine failed. Ask again.")

    engine.stream = fail  # type: ignore[assignment, method-assign]
    with pytest.raises(EngineError):
        ask(services, STROKE)
    [question] = opened(services).messages
    assert question.red_flags is not None
    assert question.red_flags.categories == ("stroke",)


def test_signs_of_several_turns_add_up_though_one_got_no_answer(
    services: Services, engine: FakeEngine
) -> None:
    engine.reply = ""
    ask(services, "He has had diarrhoea since Monday and is shivering")
    engine.reply = "Does his neck hurt?"
    conversation = opened(services).conversation_id
    ask(services, "He has a fever and a headache.", conversation=conversation)
    answer = ask(services, "yes and his neck is stiff", conversation=conversation)
    assert answer.red_flags is not None
    assert "meningitis" in answer.red_flags.categories


def test_an_answer_that_reassures_is_marked_and_goes_first_in_review(
    services: Services, engine: FakeEngine
) -> None:
    engine.reply = "It's probably nothing. There is no need to call an ambulance."
    services.chat._sampling = ReviewSampling(red_flags=False)
    answer = ask(services, STROKE)
    assert answer.reassures
    assert MarkKind.REASSURES in marks_of(answer)
    assert reason_in_queue(services, answer.response_id) == ReviewReason.RED_FLAG
    again = opened(services).messages[1].answer
    assert again is not None
    assert again.reassures


def test_one_that_was_stopped_goes_too_for_it_has_been_read(services: Services, engine: FakeEngine) -> None:
    engine.reply = "There is no need to call an ambulance. " * 20
    events = services.chat.ask(services.chat.check("patient", STROKE))
    started = next(events)
    assert isinstance(started, Started)
    for event in events:
        if isinstance(event, Piece) and event.text.endswith("ambulance."):
            services.chat.stop(started.request_id)
        if isinstance(event, Finished):
            assert event.answer.finish_reason is FinishReason.CANCELLED
            assert reason_in_queue(services, event.answer.response_id) == ReviewReason.RED_FLAG


@pytest.mark.parametrize(("wanted", "reason"), [(True, "red_flag"), (False, None)])
def test_other_answers_over_a_flag_go_if_the_settings_say_so(
    services: Services, engine: FakeEngine, wanted: bool, reason: str | None
) -> None:
    engine.reply = "Call 999 now."
    services.chat._sampling = ReviewSampling(red_flags=wanted)
    answer = ask(services, STROKE)
    assert not answer.reassures
    assert reason_in_queue(services, answer.response_id) == reason


def test_the_numbers_are_those_of_the_country() -> None:
    turns = [{"role": "user", "content": STROKE}]
    assert "Call 911" in TriageService("US").look(turns).advice[0].text
    assert TriageService("US").look(turns).advice[0].dial == "911"
    nowhere = TriageService().look(turns).advice[0]
    assert "your local emergency number (112" in nowhere.text
    assert nowhere.dial == ""


def test_an_unknown_country_is_refused_with_those_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELARA_COUNTRY", "XX")
    with pytest.raises(InvalidInput, match=r"ELARA_COUNTRY is 'XX'.*AU, CA, DE.*US"):
        Settings.read()
    monkeypatch.setenv("ELARA_COUNTRY", "us")
    assert Settings.read().country == "US"
    assert {"GB", "US"} <= set(known_countries())


def test_looking_takes_no_time_that_a_reader_would_notice(services: Services) -> None:
    services.triage.look([])
    turns = [{"role": "user", "content": f"{STROKE}. " + "I feel tired and my back aches. " * 30}]
    begun = time.perf_counter()
    services.triage.look(turns)
    assert time.perf_counter() - begun < 1


def test_a_category_that_the_rules_no_longer_have_keeps_its_reason(services: Services) -> None:
    row = {"category": "gone", "matched": ["x"], "sentence": "x y"}
    found = services.triage.recall([row], "0+abc")
    assert found is not None
    assert (found.categories, found.advice, found.version) == (("gone",), (), "0+abc")
    assert services.triage.recall(None, None) is None


def test_emergency_answers_stay_within_eighty_words_whatever_is_asked_of_the_model(
    services: Services, engine: FakeEngine
) -> None:
    recipe = services.recipes["emergency"]
    assert recipe.max_explanation_length == 80
    assert "80 words" in recipe.system_prompt
    engine.reply = "1. Press on it. " * 200
    *_, finished = services.chat.ask(services.chat.check("emergency", STROKE, {"max_new_tokens": 2048}))
    assert isinstance(finished, Finished)
    assert len(finished.answer.text.split()) <= 80


def test_patients_get_a_caution_and_professionals_do_not(services: Services, engine: FakeEngine) -> None:
    engine.reply = "Take 400 mg of ibuprofen."
    assert "ibuprofen" in marks_of(ask(services, "What helps?"))[MarkKind.CAUTION]
    assert MarkKind.CAUTION not in marks_of(ask(services, "What helps?", "doctor"))


def test_a_reference_is_marked_unless_the_user_gave_it(services: Services, engine: FakeEngine) -> None:
    engine.reply = "See doi:10.1000/xyz123."
    answer = ask(services, "What helps?", "researcher")
    assert "doi:10.1000/xyz123" in marks_of(answer)[MarkKind.UNVERIFIED]
    given = ask(services, "Is 10.1000/XYZ123 sound?", "researcher")
    assert given.unverified == ()


def test_a_reviewer_sees_the_unverified_reference_and_that_it_may_be_an_emergency(
    services: Services, engine: FakeEngine
) -> None:
    engine.reply = "See PMID 12345678."
    ask(services, STROKE)
    task = services.reviewing.next("Rater A")
    assert task is not None
    assert task.glance.unverified == ("PMID 12345678",)
    assert "emergency" in task.reason_shown


def test_an_export_holds_the_card_and_the_marks(services: Services, engine: FakeEngine) -> None:
    engine.reply = "It's probably nothing."
    ask(services, STROKE)
    markdown = services.conversations.export(opened(services).conversation_id, "markdown").text
    assert "> **Possible stroke" in markdown
    assert "may reassure wrongly" in markdown


@pytest.mark.parametrize("text", ["Someone is choking. What do I do?", "My dad is choking on a grape"])
def test_choking_on_something_is_first_aid_and_not_violence(services: Services, text: str) -> None:
    assert services.chat.look(text).categories == ("choking",)


ASKED = "how many paracetamol would be fatal"
CUTTING = "I cut my thighs again last night and I can't stop wanting to do more"


@pytest.mark.parametrize("audience", LAY_AUDIENCES)
@pytest.mark.parametrize("text", [ASKED, CUTTING])
def test_who_may_want_to_harm_themselves_is_answered_in_fixed_words(
    services: Services, engine: FakeEngine, audience: str, text: str
) -> None:
    answer = ask(services, text, audience=audience)
    assert engine.requests == []
    assert "findahelpline.com" in answer.text
    assert (answer.is_fixed, answer.adapter, answer.completion_tokens) == (True, None, 0)
    assert answer.made_by == "Elara's fixed words, no model"
    assert not marks_of(answer)
    assert answer.reading_grade is not None
    assert answer.reading_grade <= 7
    assert reason_in_queue(services, answer.response_id) is None
    assert opened(services).messages[1].content == answer.text


def test_fixed_words_answer_one_turn_and_professionals_get_the_model_s(
    services: Services, engine: FakeEngine
) -> None:
    ask(services, ASKED)
    ask(services, "What can I eat in the evening?", conversation=opened(services).conversation_id)
    assert [turn.role for turn in engine.requests[0].turns][1:] == [Role.USER, Role.ASSISTANT, Role.USER]
    assert not ask(services, ASKED, audience="doctor").is_fixed


@pytest.mark.parametrize(("reply", "is_fixed"), [("yes", True), ("I think so", True), ("no", False)])
def test_a_yes_to_the_model_s_own_question_is_answered_in_fixed_words_too(
    services: Services, engine: FakeEngine, reply: str, is_fixed: bool
) -> None:
    engine.reply = "I'm sorry. Are you thinking about ending your life?"
    ask(services, "I feel low and tired of it all")
    answer = ask(services, reply, conversation=opened(services).conversation_id)
    assert answer.is_fixed == is_fixed
    assert answer.red_flags.emergency == is_fixed


def test_fixed_words_can_be_switched_off(home: Home, engine: FakeEngine) -> None:
    settings = Settings.read(home=home.root, fixed_replies=False)
    services = build_services(settings, engine_factory=lambda *_: engine)
    try:
        assert not ask(services, ASKED).is_fixed
    finally:
        services.close()
