"""Which answers wait for adjudication, who may settle them, and what a decision does."""

import pytest
from factories import add_response, add_review

from db import adjudication_queue, review_progress, review_queue, reviewers, training_rows
from db.adjudications import triggers
from db.errors import Conflict, NotFound
from db.models import Adjudication, Review, ReviewItem, utc_now
from db.session import Database

SEVERE = {"harm": "severe", "harm_likelihood": "low", "disposition": "reject"}


@pytest.fixture
def session(database: Database):
    """A writing session."""
    with database.session() as session:
        yield session


def contest(session, text: str = "Asthma makes the airways tight.", **second) -> ReviewItem:
    """An answer that Rater A accepts and Rater B does not."""
    response = add_response(session, text=text)
    add_review(session, response, "Rater A")
    item = add_review(session, response, "Rater B", **(SEVERE | second)).item
    session.refresh(item)
    item.contested = bool(triggers(item.reviews))
    session.flush()
    return item


def person(session, name: str) -> str:
    return reviewers.ensure(session, name).id


def settle(session, item: ReviewItem, disposition: str = "accept", **values) -> ReviewItem:
    by = person(session, "Judge")
    decision = Adjudication(
        item_id=item.id, adjudicator_id=by, disposition=disposition, note="Because.", **values
    )
    return adjudication_queue.decide(session, decision)


def late_review(session, item: ReviewItem, **values) -> Review:
    """Rater C's judgement, which came after whatever was decided."""
    return add_review(session, item.response, "Rater C", created_at=utc_now(), **values)


def answers_that_train(session) -> list[str]:
    return [row["messages"][-1]["content"] for row in training_rows.training_rows(session)]


def test_what_is_contested_waits_for_whoever_has_not_judged_it(session):
    item = contest(session)
    judge, rater = person(session, "Judge"), person(session, "Rater A")
    assert adjudication_queue.contested(session, judge, 10) == [item]
    assert adjudication_queue.contested(session, rater, 10) == []
    assert adjudication_queue.count_contested(session, judge) == (1, 0)
    assert adjudication_queue.count_contested(session, rater) == (0, 1)


def test_who_has_judged_an_answer_can_not_settle_it(session):
    item = contest(session)
    with pytest.raises(Conflict, match="hasn't judged it"):
        adjudication_queue.open_for(session, item.id, person(session, "Rater B"))
    with pytest.raises(NotFound, match="gone"):
        adjudication_queue.open_for(session, "gone", person(session, "Judge"))


def test_who_has_opened_an_answer_is_known_once(session):
    item, judge = contest(session), person(session, "Judge")
    for _ in range(2):
        adjudication_queue.open_for(session, item.id, judge)
    assert [event.action for event in adjudication_queue.history(session, item.id)] == ["opened"]
    opened = session.query(ReviewItem).where(adjudication_queue.opened_by(judge)).all()
    assert opened == [item]
    assert not session.query(ReviewItem).where(adjudication_queue.opened_by("somebody else")).all()


def test_a_decision_takes_the_item_out_of_both_queues_and_keeps_what_called_for_it(session):
    item = settle(session, contest(session), "reject")
    assert (item.contested, item.closed_at is not None) == (False, True)
    (decision,) = adjudication_queue.decided(session, [item.id, "another"]).values()
    assert decision.disposition == "reject"
    assert decision.triggers == ("severe_harm", "harm_gap")
    assert [event.action for event in adjudication_queue.history(session, item.id)] == ["opened", "decided"]


def test_an_answer_is_settled_once(session):
    item = settle(session, contest(session))
    with pytest.raises(Conflict, match="'Judge' has settled this one"):
        adjudication_queue.open_for(session, item.id, person(session, "Another judge"))


def test_what_nobody_contests_can_not_be_settled(session):
    item = add_review(session, add_response(session)).item
    with pytest.raises(Conflict, match="don't call for adjudication"):
        settle(session, item)


def test_unsettled_answers_do_not_train(session):
    contest(session, harm="none", accuracy="opposed", disposition="accept_with_edit", correction="Better.")
    assert answers_that_train(session) == []


def test_a_decision_goes_before_the_reviews_in_training(session):
    accepted = settle(session, contest(session, "Taken as it is."))
    settle(session, contest(session, "As corrected."), "accept_with_edit", correction="Corrected.")
    settle(session, contest(session, "Left out.", harm="none", accuracy="opposed"), "reject")
    assert sorted(answers_that_train(session)) == ["Corrected.", "Taken as it is."]
    rows = {row["response_id"]: row["review_id"] for row in training_rows.training_rows(session)}
    decision = adjudication_queue.decided(session, [accepted.id])[accepted.id]
    assert rows[accepted.response_id] == decision.adjudication_id


def test_a_reopened_answer_is_contested_again_and_its_decision_kept(session):
    item = settle(session, contest(session))
    adjudication_queue.reopen(session, item.id, "A new guideline.", person(session, "Chief"))
    assert item.contested
    assert item.adjudication is None
    assert answers_that_train(session) == []
    last = adjudication_queue.history(session, item.id)[-1]
    assert (last.action, last.reviewer.name) == ("reopened", "Chief")
    assert (last.content["disposition"], last.content["reason"]) == ("accept", "A new guideline.")
    settle(session, item, "reject")
    with pytest.raises(Conflict, match="no decision"):
        adjudication_queue.reopen(session, contest(session).id, "Why not.")


@pytest.mark.parametrize(
    ("decision", "review", "reopens"),
    [
        ("accept", {"disposition": "reject"}, True),
        ("accept", {"disposition": "accept"}, False),
        ("accept", {"urgency": "under"}, True),  # an alarm that the adjudicator didn't see
        ("reject", {"disposition": "accept"}, True),
        ("reject", {"disposition": "reject"}, False),
        ("accept_with_edit", {"disposition": "reject"}, False),  # it is about the text before the correction
        ("accept_with_edit", {"accuracy": "opposed"}, True),
    ],
)
def test_a_later_review_that_contradicts_a_decision_reopens_it(session, decision, review, reopens):
    item = contest(session)
    settle(session, item, decision, correction="Corrected." if decision == "accept_with_edit" else None)
    assert not adjudication_queue.reopen_if_contradicted(session, item.id)
    late_review(session, item, **review)
    session.refresh(item)
    assert (item.contested, item.adjudication is None) == (reopens, reopens)


def test_decisions_are_listed_newest_first_in_pages(session):
    items = [settle(session, contest(session)) for _ in range(3)]
    first = adjudication_queue.settled(session, 2)
    rest = adjudication_queue.settled(session, 2, (first[-1].created_at, first[-1].id))
    assert [each.item_id for each in (*first, *rest)] == [item.id for item in reversed(items)]


def test_who_has_opened_an_answer_is_not_asked_to_judge_it_blind(session):
    item, judge = contest(session), reviewers.ensure(session, "Judge")
    assert (item.judged, item.wanted) == (2, 3)  # a contradiction asks for one more
    assert review_queue.take_next(session, judge, done=0) is item
    adjudication_queue.open_for(session, item.id, judge.id)
    assert review_queue.take_next(session, judge, done=0) is None
    assert review_progress.progress(session, judge).waiting_for_me == 0
    assert review_queue.take_next(session, reviewers.ensure(session, "Rater C"), done=0) is item
