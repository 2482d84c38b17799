"""Known judgements, what is told of them, and how reviewers stand to them."""

import pytest
from factories import GOOD_AXES, add_pair, add_response, add_review

from db import review_queue, reviewers, reviews
from db.models import Adjudication, utc_now
from elara_ui.errors import ElaraError, InvalidInput, NotFound
from elara_ui.services.calibration import CalibrationService
from elara_ui.services.reviewing import ReviewDraft, ReviewingService


@pytest.fixture
def service(database) -> CalibrationService:
    """The service on a fresh database."""
    return CalibrationService(database)


@pytest.fixture
def item(database) -> str:
    """An answer in the queue: the item's id."""
    with database.session() as session:
        return reviews.send(session, add_response(session).id).id


def submit(database, home, item, name="Rater A", **axes):
    """An acceptance with these axes."""
    answers = {**GOOD_AXES, **axes}
    return ReviewingService(database, home).submit(ReviewDraft(item, name, "accept", answers))


def test_what_is_known_is_told_after_submitting_only(database, home, service, item):
    service.mark(item, {"relevance": "partly", "accuracy": "aligned", "disposition": "accept"})
    reviewing = ReviewingService(database, home)
    assert "expected" not in repr(reviewing.open("Rater A", item))
    result = submit(database, home, item).calibration
    assert [(axis.axis, axis.expected, axis.given, axis.agrees) for axis in result.axes] == [
        ("accuracy", "aligned", "aligned", True),
        ("relevance", "partly", "fully", False),
        ("disposition", "accept", "accept", True),
    ]
    assert result.agreed == 2
    standing = service.standing("Rater A")
    assert (standing.items, standing.compared, standing.agreed) == (1, 3, 2)
    assert standing.share == pytest.approx(2 / 3)


def test_an_ordinary_answer_has_nothing_to_compare_with(database, home, service, item):
    assert submit(database, home, item).calibration is None
    assert service.standing("Rater A").share is None
    assert service.standing("Nobody").items == 0


def test_out_of_scope_is_not_held_against_anyone(database, home, service, item):
    service.mark(item, {"accuracy": "aligned"})
    done = ReviewingService(database, home).submit(ReviewDraft(item, "Rater A", "out_of_scope"))
    assert done.calibration is None
    assert service.standing("Rater A").items == 0


def test_whoever_judged_it_before_it_was_known_is_left_out(database, home, service, item):
    submit(database, home, item)
    service.mark(item, {"accuracy": "opposed"})
    submit(database, home, item, "Rater B")
    assert service.standing("Rater A").items == 0
    assert service.standing("Rater B").items == 1


def test_only_the_first_submission_counts_however_often_it_is_undone_or_changed(
    database, home, service, item
):
    service.mark(item, {"accuracy": "aligned", "relevance": "partly"})
    reviewing = ReviewingService(database, home)
    submit(database, home, item, accuracy="opposed")
    first = service.standing("Rater A")
    assert (first.items, first.compared, first.agreed) == (1, 2, 0)
    reviewing.undo("Rater A")
    assert service.standing("Rater A") == first, "taking it back doesn't unsay it"
    again = submit(database, home, item, accuracy="aligned", relevance="partly")
    assert again.calibration.agreed == 2, "what is shown compares what was sent last"
    assert not again.calibration.counts
    submit(database, home, item, relevance="no")
    assert service.standing("Rater A") == first
    (known,) = service.known()
    assert (known.judged, known.compared, known.agreed) == (1, 2, 0)


def test_what_follows_out_of_scope_is_the_first_submission(database, home, service, item):
    service.mark(item, {"accuracy": "aligned"})
    ReviewingService(database, home).submit(ReviewDraft(item, "Rater A", "out_of_scope"))
    assert submit(database, home, item).calibration.counts
    assert (service.standing("Rater A").items, service.standing("Rater A").agreed) == (1, 1)


def test_marking_an_item_anew_counts_nobody_who_was_told_before(database, home, service, item):
    service.mark(item, {"accuracy": "opposed"})
    submit(database, home, item)
    service.unmark(item)
    service.mark(item, {"accuracy": "aligned"})
    ReviewingService(database, home).undo("Rater A")
    submit(database, home, item)
    assert service.standing("Rater A").items == 0
    assert service.known()[0].judged == 0


def test_known_items_are_never_adjudicated(database, home, service, item):
    service.mark(item, {"urgency": "correct"})
    submit(database, home, item, urgency="under")
    with database.reading() as session:
        assert not reviews.item(session, item).contested
    service.unmark(item)
    with database.reading() as session:
        assert reviews.item(session, item).contested


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        ({}, "at least one axis"),
        ({"style": "nice"}, "Axis is one of.*'style'"),
        ({"accuracy": "superb"}, "Known accuracy is one of.*'superb'"),
        ({"disposition": "maybe"}, "Known disposition is one of"),
    ],
)
def test_a_known_judgement_keeps_to_the_rubric(service, item, expected, says):
    with pytest.raises(InvalidInput, match=says):
        service.mark(item, expected)


def test_only_an_answer_on_its_own_can_be_marked(database, service):
    with database.session() as session:
        pair = add_pair(session).id
    with pytest.raises(ElaraError, match="compares two"):
        service.mark(pair, {"accuracy": "aligned"})
    with pytest.raises(NotFound, match="gone"):
        service.mark("gone", {"accuracy": "aligned"})


def test_an_adjudication_makes_a_known_judgement(database, service):
    with database.session() as session:
        answer = add_response(session)
        add_review(session, answer, "Rater A", omission="little")
        add_review(session, answer, "Rater B")
        item = add_review(session, answer, "Rater C", disposition="reject", harm="severe").item
        judge = reviewers.ensure(session, "Judge")
        session.add(
            Adjudication(
                item_id=item.id, adjudicator_id=judge.id, triggers=["severe_harm"],
                disposition="accept", note="No harm in it.",
            )
        )  # fmt: skip
    expected = service.from_adjudicated(item.id)
    without_omission = {axis: value for axis, value in GOOD_AXES.items() if axis != "omission"}
    assert expected == {**without_omission, "disposition": "accept"}


def test_what_was_not_adjudicated_is_not_known(service, item):
    with pytest.raises(InvalidInput, match="Adjudicate it first"):
        service.from_adjudicated(item)


def test_known_items_are_listed_with_how_far_reviewers_agree(database, home, service, item):
    submit(database, home, item)
    service.mark(item, {"disposition": "accept", "accuracy": "partly"})
    (known,) = service.known()
    assert (known.item_id, known.judged, known.compared) == (item, 0, 0)
    assert list(known.expected.items()) == [("accuracy", "partly"), ("disposition", "accept")]
    submit(database, home, item, "Rater B")
    ReviewingService(database, home).submit(ReviewDraft(item, "Rater C", "out_of_scope"))
    (known,) = service.known()
    assert (known.judged, known.compared, known.agreed) == (1, 2, 1)


def test_what_could_be_marked_is_found_by_words_and_id_the_settled_first(database, service, item):
    with database.session() as session:
        add_pair(session)
        reviews.send(session, add_response(session, withdrawn_at=utc_now(), text="100% gone.").id)
        settled = reviews.send(session, add_response(session, question="What is gout?").id)
        judge = reviewers.ensure(session, "Judge")
        session.add(
            Adjudication(
                item_id=settled.id, adjudicator_id=judge.id, triggers=[], disposition="accept", note="n"
            )
        )
        gout = settled.id
    assert [(each.item_id, each.settled) for each in service.markable()] == [(gout, True), (item, False)]
    assert [each.item_id for each in service.markable(" GOUT ")] == [gout]
    assert [each.item_id for each in service.markable(item)] == [item]
    assert service.markable("%") == []
    service.mark(gout, {"disposition": "accept"})
    assert [each.item_id for each in service.markable()] == [item]


def test_a_settled_answer_is_handed_out_once_it_is_known_and_closed_again_when_not(
    database, home, service, item
):
    with database.session() as session:
        judge = reviewers.ensure(session, "Judge")
        session.add(
            Adjudication(item_id=item, adjudicator_id=judge.id, triggers=[], disposition="accept", note="n")
        )
        reviews.item(session, item).closed_at = utc_now()
    service.from_adjudicated(item)
    with database.session() as session:
        person = reviewers.ensure(session, "Rater A")
        assert review_queue.take_next(session, person, done=9).id == item
    service.unmark(item)
    with database.reading() as session:
        assert reviews.item(session, item).closed_at is not None


def test_a_withdrawn_answer_is_not_marked(database, service):
    with database.session() as session:
        gone = reviews.send(session, add_response(session, withdrawn_at=utc_now()).id).id
    with pytest.raises(ElaraError, match="withdrawn"):
        service.mark(gone, {"accuracy": "aligned"})
