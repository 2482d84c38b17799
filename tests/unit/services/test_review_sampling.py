"""Which answers go to review by themselves."""

import pytest
from adapter_factory import make_peft_folder, register_adapter
from factories import add_response

from db import adapters as adapter_store
from db import reviews
from elara_ui.services.answers import Finished
from elara_ui.services.review_sampling import ReviewSampling


def reason_of(database, sampling, **values):
    """Why an answer was sent; None when it wasn't."""
    with database.session() as session:
        response = add_response(session, **({"adapter": None} | values))
        sent = sampling.consider(session, response)
        item = session.query(reviews.ReviewItem).filter_by(response_id=response.id).one_or_none()
        assert sent == (item is not None)
        return item and str(item.reason)


@pytest.mark.parametrize(
    ("share", "drawn", "reason"),
    [(0.0, 0.0, None), (0.25, 0.24, "sample"), (0.25, 0.25, None), (1.0, 0.999, "sample")],
)
def test_a_share_is_drawn_by_chance(database, share, drawn, reason):
    assert reason_of(database, ReviewSampling(share, lambda: drawn)) == reason


@pytest.mark.parametrize("values", [{"text": ""}, {"finish_reason": "cancelled"}])
def test_what_was_stopped_half_way_is_not_sent(database, values):
    assert reason_of(database, ReviewSampling(1.0), **values) is None


def test_answers_of_candidates_always_go_and_those_of_others_by_chance(database, home, tmp_path):
    make_peft_folder(tmp_path / "lora", seed=1)
    (tmp_path / "lora" / "adapter.gguf").write_bytes(b"GGUF")
    name = register_adapter(database, home, tmp_path / "lora")
    assert reason_of(database, ReviewSampling(), adapter=name) == "candidate"
    with database.session() as session:
        adapter_store.promote(session, name)
    assert reason_of(database, ReviewSampling(), adapter=name) is None
    assert reason_of(database, ReviewSampling(), adapter="gone@9") is None


def test_chat_sends_the_share_that_the_settings_say(services, database):
    services.chat._sampling = ReviewSampling(1.0)
    *_, finished = services.chat.ask(services.chat.check("patient", "What helps?"))
    assert isinstance(finished, Finished)
    assert finished.answer.in_review
    assert services.conversations.answer(finished.answer.response_id).in_review


def test_a_thumb_down_sends_the_answer_and_a_thumb_up_does_not(services, database):
    *_, finished = services.chat.ask(services.chat.check("patient", "What helps?"))
    answer = finished.answer.response_id
    services.conversations.rate(answer, 1)
    assert not services.conversations.answer(answer).in_review
    services.conversations.rate(answer, -1)
    assert services.conversations.answer(answer).in_review
    services.conversations.rate(answer, -1)
    assert services.conversations.answer(answer).in_review  # taking the thumb back changes nothing
