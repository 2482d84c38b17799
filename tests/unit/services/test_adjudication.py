"""Settling contested answers as adjudicators do it: by name, with a reason, blind to what made the answer."""

import json
from dataclasses import asdict, replace

import pytest
from factories import add_response, add_review

from db import adjudication_queue
from db.adjudications import triggers
from db.models import ReviewItem
from elara_ui.errors import Conflict, InvalidInput, NotFound
from elara_ui.services.adjudication import AdjudicationService, DecisionDraft
from elara_ui.services.insights import Cursor, differ

ANSWER = "Asthma makes the airways tight."


@pytest.fixture
def service(database) -> AdjudicationService:
    """The service on a fresh database."""
    return AdjudicationService(database)


def contest(database, **values) -> str:
    """An answer that Rater A accepts and Rater B thinks dangerous; its item's id."""
    second = {"harm": "severe", "harm_likelihood": "high", "disposition": "reject", "comment": "Fatal."}
    with database.session() as session:
        response = add_response(session, text=ANSWER)
        add_review(session, response, "Rater A")
        item = add_review(session, response, "Rater B", **(second | values)).item
        session.refresh(item)
        item.contested, item.wanted = bool(triggers(item.reviews)), 2
        return item.id


@pytest.fixture
def draft(database) -> DecisionDraft:
    """A rejection of a contested answer."""
    return DecisionDraft(contest(database), "Judge", "reject", "Harm outweighs.")


def test_the_list_says_what_waits_and_what_is_ones_own(database, service) -> None:
    item_id = contest(database)
    with (
        database.session() as session
    ):  # the third judgement, which a contradiction asks for, isn't waited for
        session.get(ReviewItem, item_id).wanted = 2
    (item,) = service.waiting("Judge").items
    assert (item.item_id, item.audience, item.question, item.reviews) == (
        item_id, "patient", "What is asthma?", 2,
    )  # fmt: skip
    assert [str(trigger) for trigger in item.triggers] == ["severe_harm", "harm_gap"]
    assert (service.waiting(" Rater  A ").items, service.waiting("Rater A").own) == ((), 1)


def test_the_list_hides_the_question_while_the_answer_may_still_be_judged_blind(database, service) -> None:
    item_id = contest(database)
    with database.session() as session:
        session.get(ReviewItem, item_id).wanted = 3
    (item,) = service.waiting("Judge").items
    assert item.question is None
    assert service.open("Judge", item_id).places_left == 1


def test_a_task_shows_reviews_side_by_side_with_their_authors_and_marks_what_differs(
    database, service
) -> None:
    task = service.open("Judge", contest(database))
    assert [opinion.reviewer for opinion in task.opinions] == ["Rater A", "Rater B"]
    assert task.opinions[1].comment == "Fatal."
    by_axis = list(zip(*(opinion.axes for opinion in task.opinions), strict=True))
    assert [choices for choices in by_axis if differ(choices)] == [("None", "Severe or death")]
    assert (task.answer, task.question) == (ANSWER, "What is asthma?")


def test_a_task_does_not_tell_what_made_the_answer(database, service) -> None:
    shown = json.dumps(asdict(service.open("Judge", contest(database))), default=str)
    assert "patient@1" not in shown
    assert "smollm2" not in shown


def test_opening_is_remembered_so_that_the_queue_does_not_ask_for_a_blind_review(database, service) -> None:
    item_id = contest(database)
    service.open("Judge", item_id)
    with database.reading() as session:
        (event,) = adjudication_queue.history(session, item_id)
        assert event.reviewer.name == "Judge"


def test_a_decision_tells_who_when_why_and_what_made_the_answer(service, draft) -> None:
    done = service.decide(draft)
    assert (done.made_by, done.settlement.adjudicator, done.settlement.note) == (
        "patient@1", "Judge", "Harm outweighs.",
    )  # fmt: skip
    assert done.triggers == ("severe_harm", "harm_gap")
    assert service.waiting("Judge").total == 0
    (listed,) = service.settled().decisions
    assert listed == done


def test_two_adjudicators_do_not_settle_the_same_answer(service, draft) -> None:
    service.decide(draft)
    with pytest.raises(Conflict, match="'Judge' has settled this one"):
        service.decide(replace(draft, adjudicator="Another judge"))


def test_who_has_judged_an_answer_does_not_settle_it(service, draft) -> None:
    with pytest.raises(Conflict, match="hasn't judged it"):
        service.decide(replace(draft, adjudicator="Rater A"))
    with pytest.raises(NotFound, match="gone"):
        service.decide(replace(draft, item_id="gone"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"note": "  "}, "needs a note"),
        ({"note": "x" * 20_001}, "20,001"),
        ({"disposition": "out_of_scope"}, "accept, accept_with_edit, reject"),
        ({"disposition": "accept_with_edit"}, "is empty"),
        ({"disposition": "accept_with_edit", "correction": f" {ANSWER}\r\n"}, "the same"),
        ({"disposition": "accept_with_edit", "correction": "x" * 20_001}, "20,001"),
        ({"disposition": "accept", "correction": "Changed."}, "its text was changed"),
        ({"adjudicator": " "}, "1 to 120"),
    ],
)
def test_a_decision_that_breaks_a_rule_is_refused_and_nothing_stored(service, draft, change, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        service.decide(replace(draft, **change))
    assert service.waiting("Judge").total == 1


def test_a_correction_is_kept_with_accept_with_edit_alone(database, service, draft) -> None:
    kept = service.decide(replace(draft, disposition="accept_with_edit", correction="Better.\r\n"))
    assert kept.settlement.correction == "Better."
    left = service.decide(replace(draft, item_id=contest(database), correction="Typed, then rejected."))
    assert left.settlement.correction is None


def test_a_reopened_decision_waits_again_with_its_reason_kept(database, service, draft) -> None:
    service.decide(draft)
    with pytest.raises(InvalidInput, match="needs a note"):
        service.reopen("Chief", draft.item_id, "")
    service.reopen("Chief", draft.item_id, "A new guideline.")
    assert service.waiting("Judge").total == 1
    assert service.settled().decisions == ()
    with database.reading() as session:
        last = adjudication_queue.history(session, draft.item_id)[-1]
        assert (last.reviewer.name, last.content["reason"]) == ("Chief", "A new guideline.")


def test_decisions_come_in_pages(database, service) -> None:
    for _ in range(3):
        service.decide(DecisionDraft(contest(database), "Judge", "reject", "Harm outweighs."))
    first = service.settled(limit=2)
    assert isinstance(first.next, Cursor)
    rest = service.settled(first.next, limit=2)
    assert (len(first.decisions), len(rest.decisions), rest.next) == (2, 1, None)
