"""Drafts, going back, undoing, and what a reviewer sees of their own work."""

import json
from dataclasses import asdict, replace
from datetime import timedelta

import pytest
from factories import GOOD_AXES, add_pair, add_response

from db import judgements, reviewers, reviews
from db.models import Review, ReviewEvent, utc_now
from elara_ui.errors import Conflict, InvalidInput, NotFound
from elara_ui.services.pairs import PairDraft, PairsService
from elara_ui.services.reviewing import ReviewDraft, ReviewingService

ME = "Rater A"


@pytest.fixture
def service(database, home) -> ReviewingService:
    """The service on a fresh home."""
    return ReviewingService(database, home)


@pytest.fixture
def pairs(database) -> PairsService:
    """Comparisons on the same home."""
    return PairsService(database)


@pytest.fixture
def send(database, service):
    """Sends a new answer; returns the item's id."""

    def send_new(reason="requested", **about):
        with database.session() as session:
            response_id = add_response(session).id
        return service.send(response_id, reason, **about)

    return send_new


def accept(item_id, **values):
    """A complete acceptance."""
    return replace(ReviewDraft(item_id, ME, "accept", GOOD_AXES), **values)


def item_of(database, item_id):
    """What is stored of an item."""
    with database.reading() as session:
        return reviews.item(session, item_id)


def test_a_draft_is_there_again_when_the_page_comes_back(service, send):
    item = send()
    assert service.next(ME).draft is None
    draft = {"answers": {"harm": "mild"}, "comment": "half a"}
    assert service.save_draft(ME, item, draft)
    assert service.next(ME).draft == draft
    service.submit(accept(item))
    assert not service.save_draft(ME, item, draft)


@pytest.mark.parametrize(
    ("draft", "says"),
    [
        ({"comment": "x" * 80_001}, "at most 80,000 characters"),
        ({"a": object()}, "only text"),
        ({"s": float("nan")}, "only text"),
    ],
)
def test_a_draft_that_can_not_be_kept_says_why(service, send, draft, says):
    service.next(ME)
    with pytest.raises(InvalidInput, match=says):
        service.save_draft(ME, send(), draft)


def test_going_back_fills_in_the_own_judgement_and_submitting_changes_it(database, service, send):
    item = send()
    service.next(ME)
    service.submit(accept(item, comment="fine", flags=["jargon"], seconds=30))
    task = service.open(ME, item)
    assert task.judged
    assert task.draft["answers"] == GOOD_AXES
    assert (task.draft["disposition"], task.draft["comment"]) == ("accept", "fine")
    assert task.draft["flags"] == ["jargon"]
    changed = service.submit(accept(item, disposition="reject", seconds=3))
    assert changed.changed
    (own,) = service.mine(ME)
    assert (own.disposition, own.edited_at is not None, own.adapter) == ("reject", True, "patient@1")
    with database.reading() as session:
        assert session.get_one(Review, own.review_id).seconds == 30  # the time it first took


def test_an_equal_submission_is_no_change(service, send):
    item = send()
    service.submit(accept(item, seconds=30))
    service.submit(accept(item, seconds=31))
    assert [entry.action for entry in service.history(ME, item)] == ["submitted"]


def test_a_draft_of_a_change_is_kept_until_it_is_left(service, send):
    item = send()
    service.submit(accept(item))
    service.open(ME, item)
    assert service.save_draft(ME, item, {"comment": "hm"})
    assert service.open(ME, item).draft == {"comment": "hm"}
    service.skip(ME, item)
    assert service.open(ME, item).draft["disposition"] == "accept"


def test_undo_takes_a_judgement_back_and_gives_it_as_a_draft(database, service, send):
    item = send(wanted=1)
    service.submit(accept(item, comment="too quick"))
    assert item_of(database, item).judged == 1
    assert service.undo(ME) == item
    assert item_of(database, item).judged == 0
    task = service.next(ME)
    assert (task.item_id, task.judged, task.draft["comment"]) == (item, False, "too quick")
    assert service.next("Rater B") is None  # the place is mine again
    assert [entry.action for entry in service.history(ME, item)] == ["submitted", "undone"]
    assert service.undo(ME) is None


def test_undo_goes_back_one_act_at_a_time(service, send):
    first, second = send(), send()
    service.submit(accept(first))
    service.submit(accept(second))
    service.submit(accept(second, comment="changed"))
    assert service.undo(ME) == second
    (newest, _) = service.mine(ME)
    assert (newest.item_id, newest.comment) == (second, "")
    assert service.open(ME, second).draft["comment"] == "changed"
    assert service.undo(ME) == second
    assert service.undo(ME) == first
    assert service.mine(ME) == []
    service.submit(accept(first))
    assert service.undo(ME) == first


def test_undo_reaches_ten_minutes_back_and_only_ones_own(database, service, send):
    item = send()
    service.submit(accept(item))
    assert service.undo("Rater B") is None
    with database.session() as session:
        for event in session.query(ReviewEvent):
            event.created_at = utc_now() - timedelta(minutes=10, seconds=1)
    assert service.undo(ME) is None


def test_a_change_of_a_judgement_older_than_the_history_can_be_undone(database, service, send):
    item = send()
    service.submit(accept(item, comment="first"))
    with database.session() as session:
        session.query(ReviewEvent).delete()
    service.submit(accept(item, comment="second"))
    assert [entry.content["comment"] for entry in service.history(ME, item)] == ["first", "second"]
    service.undo(ME)
    assert service.mine(ME)[0].comment == "first"


def test_what_is_undone_can_be_given_again_though_the_item_was_closed_meanwhile(database, service, send):
    item = send()
    service.submit(accept(item, comment="too quick"))
    with database.session() as session:
        reviews.item(session, item).closed_at = utc_now()
    assert service.undo(ME) == item
    assert service.open(ME, item).draft["comment"] == "too quick"
    service.submit(accept(item))
    assert item_of(database, item).judged == 1


def test_undoing_the_alarm_takes_the_item_from_adjudication(database, service, send):
    item = send()
    service.submit(accept(item, answers={**GOOD_AXES, "harm": "severe"}, harm_likelihood="low"))
    assert item_of(database, item).contested
    service.undo(ME)
    assert not item_of(database, item).contested


def test_own_reviews_come_in_pages_newest_first(service, send):
    items = [send() for _ in range(5)]
    for item in items:
        service.submit(accept(item, disposition="reject" if item == items[0] else "accept"))
    assert [own.item_id for own in service.mine(ME, limit=2)] == [items[4], items[3]]
    assert [own.item_id for own in service.mine(ME, limit=2, offset=4)] == [items[0]]
    assert [own.item_id for own in service.mine(ME, disposition="reject")] == [items[0]]
    assert service.mine("Nobody") == []
    assert service.history("Nobody", items[0]) == []


def test_opening_what_others_have_is_refused(service, send):
    item = send(wanted=1)
    service.next("Rater B")
    with pytest.raises(Conflict, match="others have the places"):
        service.open(ME, item)
    with pytest.raises(NotFound, match="gone"):
        service.open(ME, "gone")
    with pytest.raises(NotFound, match="gone"):
        service.skip(ME, "gone")


def test_nothing_to_review_is_explained(database, service, send):
    assert service.why_nothing(ME).startswith("Nothing waits for review.")
    service.submit(accept(send()))
    service.open("Rater B", send(wanted=1))
    with database.session() as session:
        reviews.send(session, add_response(session, audience="doctor").id)
        reviewers.declare(session, ME, {"audiences": ["patient"]})
    assert service.next(ME) is None
    assert service.why_nothing(ME) == (
        "Nothing for you now. You have judged 1 answer that still wants other people's judgement. "
        "Others are judging 1 answer now. The first comes free in 20 min if it isn't judged by then. "
        "1 answer lies outside what your profile says you judge (audiences: patient)."
    )


def test_a_withdrawn_reviewer_is_told_so_but_what_they_submit_is_kept(database, service, send):
    item = send()
    service.next(ME)
    with database.session() as session:
        reviewers.withdraw(session, ME)
    assert service.next(ME) is None
    assert "withdrawn" in service.why_nothing(ME)
    service.submit(accept(item))
    assert item_of(database, item).judged == 1


@pytest.mark.parametrize(
    "reason", ["thumbs_down", "candidate", "calibration", "imported", "disagreement", "sample"]
)
def test_the_reason_shown_says_nothing_of_what_others_think_of_the_answer(service, send, reason):
    send(reason)
    assert service.next(ME).reason_shown == "Sent for review"


def test_a_glance_gives_figures_of_the_answer(database, service):
    with database.session() as session:
        response = add_response(
            session, text="One two three.", finish_reason="length", readability={"flesch_kincaid_grade": 4.2}
        )
    service.send(response.id)
    glance = service.next(ME).glance
    assert (glance.words, glance.reading_grade, glance.cut_off) == (3, 4.2, True)


@pytest.mark.parametrize("wanted", [0, 21])
def test_wanted_judgements_have_limits(send, wanted):
    with pytest.raises(InvalidInput, match="1 to 20 judgements"):
        send(wanted=wanted)


@pytest.fixture
def pair(database) -> str:
    """A comparison in the queue: the item's id."""
    with database.session() as session:
        return add_pair(session, wanted=3).id


TEXTS = {"patient@1": "Asthma makes the airways tight.", None: "A disease of the lungs."}


def test_a_comparison_is_blind_and_stays_as_it_was_drawn(service, pair):
    task = service.next(ME)
    assert task.item_id == pair
    assert {task.answer_a, task.answer_b} == set(TEXTS.values())
    assert all(service.next(ME).answer_a == task.answer_a for _ in range(20))
    service.save_draft(ME, pair, {"choice": "b", "reason": "clearer"})
    again = service.next(ME)
    assert (again.answer_a, again.draft) == (task.answer_a, {"choice": "b", "reason": "clearer"})
    shown = json.dumps(asdict(again))
    assert "patient@1" not in shown
    assert "swapped" not in shown


def test_both_orders_are_drawn(database, service):
    with database.session() as session:
        add_pair(session, wanted=20)
    assert len({service.next(f"Rater {number}").answer_a for number in range(20)}) == 2


@pytest.mark.parametrize("choice", ["a", "b"])
def test_the_choice_is_of_what_was_shown(database, service, pairs, pair, choice):
    for number in range(3):
        name = f"Rater {number}"
        task = service.next(name)
        done = pairs.submit(PairDraft(pair, name, choice, " clearer "))
        chosen = {"a": task.answer_a, "b": task.answer_b}[choice]
        assert chosen == TEXTS[{"a": done.adapter_a, "b": done.adapter_b}[choice]]
        with database.reading() as session:
            by = reviewers.find(session, name)
            stored = judgements.find(session, pair, by.id)
            assert (stored.choice == "first") == (chosen == TEXTS["patient@1"])
            assert stored.reason == "clearer"
        assert service.open(name, pair).answer_a == task.answer_a
        assert service.open(name, pair).draft["choice"] == choice
    assert item_of(database, pair).judged == 3


def test_a_choice_can_be_changed_and_undone(service, pairs, pair):
    service.next(ME)
    pairs.submit(PairDraft(pair, ME, "tie"))
    assert pairs.submit(PairDraft(pair, ME, "both_unsafe", "both miss the danger")).changed
    (own,) = service.mine(ME)
    assert (own.is_pair, own.disposition, own.comment) == (True, "both_unsafe", "both miss the danger")
    assert {own.adapter, own.other_adapter} == {"patient@1", None}
    assert service.undo(ME) == pair
    assert service.mine(ME)[0].disposition == "tie"
    assert service.undo(ME) == pair
    task = service.next(ME)
    assert (task.item_id, task.draft["choice"]) == (pair, "tie")


@pytest.mark.parametrize(
    ("draft", "says"),
    [
        ({"choice": "first"}, "Choice is one of a, b, tie, both_unsafe"),
        ({"reason": "x" * 20_001}, "reason has at most"),
        ({"seconds": -1}, "0 or more"),
    ],
)
def test_a_choice_outside_the_form_is_refused(service, pairs, pair, draft, says):
    service.next(ME)
    with pytest.raises(InvalidInput, match=says):
        pairs.submit(replace(PairDraft(pair, ME, "a"), **draft))


def test_a_comparison_never_shown_can_not_be_judged(pairs, pair):
    with pytest.raises(NotFound, match="Open it again"):
        pairs.submit(PairDraft(pair, ME, "a"))


def test_each_kind_of_item_takes_its_own_judgement(service, pairs, pair, send):
    with pytest.raises(InvalidInput, match="compares two answers"):
        service.submit(accept(pair))
    with pytest.raises(InvalidInput, match="one answer to judge"):
        pairs.submit(PairDraft(send(), ME, "a"))
