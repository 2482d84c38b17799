"""Who gets what next: order, reservations, scope, skipping, drafts."""

from datetime import timedelta

import pytest
from factories import GOOD_AXES, add_pair, add_response, add_review

from db import calibration, judgements, pairs, review_progress, review_queue, reviewers, reviews
from db.errors import Conflict, NotFound
from db.models import Assignment, Review, utc_now
from db.session import Database
from db.vocabulary import RUBRIC_VERSION


@pytest.fixture
def session(database: Database):
    """A writing session."""
    with database.session() as session:
        yield session


@pytest.fixture
def ask(session):
    """Gives a reviewer, by name, their next item's id."""

    def next_of(name="Rater A"):
        person = reviewers.ensure(session, name)
        done = review_progress.count_done(session, person.id)
        item = review_queue.take_next(session, person, done)
        return item and item.id

    return next_of


def send(session, reason="requested", **values):
    """A new answer in the queue."""
    about = {
        name: values.pop(name) for name in ("wanted", "specialty", "language", "batch") if name in values
    }
    return reviews.send(session, add_response(session, **values).id, reason, **about)


def judge(session, item_id, name="Rater A", **values):
    """An acceptance of an item."""
    by = reviewers.ensure(session, name)
    review = Review(
        item_id=item_id, reviewer_id=by.id, rubric_version=RUBRIC_VERSION,
        **({"disposition": "accept"} | GOOD_AXES | values),
    )  # fmt: skip
    return reviews.submit(session, review)


def let_expire(session, item_id, name):
    """The reservation runs out."""
    by = reviewers.ensure(session, name)
    session.get_one(Assignment, (item_id, by.id)).expires_at = utc_now() - timedelta(seconds=1)
    session.flush()


def test_the_most_pressing_comes_first_and_then_the_longest_waiting(session, ask):
    sample, requested, later, flagged = (
        send(session, reason).id for reason in ("sample", "requested", "requested", "red_flag")
    )
    given = []
    for _ in range(4):
        given.append(ask())
        judge(session, given[-1])
    assert given == [flagged, requested, later, sample]
    assert ask() is None


def test_asking_again_gives_what_is_open(session, ask):
    first, _ = send(session), send(session)
    assert ask() == ask() == first.id


def test_a_place_is_kept_for_whoever_opened_it(session, ask):
    first = send(session, wanted=2).id
    second = send(session, wanted=1).id
    assert [ask("A"), ask("B"), ask("C"), ask("D")] == [first, first, second, None]
    assert ask("A") == first


def test_judged_and_reserved_places_together_never_exceed_those_wanted(session, ask):
    item = send(session, wanted=2)
    judge(session, ask("A"), "A")
    assert (item.judged, ask("B"), ask("C")) == (1, item.id, None)


def test_a_place_falls_free_after_its_time(session, ask):
    item = send(session, wanted=1).id
    assert (ask("A"), ask("B")) == (item, None)
    let_expire(session, item, "A")
    assert ask("B") == item
    assert ask("A") is None


def test_whoever_comes_back_late_gets_the_place_again_if_nobody_took_it(session, ask):
    item = send(session, wanted=1).id
    ask("A")
    review_queue.save_draft(session, item, reviewers.ensure(session, "A").id, {"comment": "half"})
    let_expire(session, item, "A")
    assert ask("A") == item
    assert ask("B") is None
    kept = session.get_one(Assignment, (item, reviewers.ensure(session, "A").id))
    assert kept.draft == {"comment": "half"}


def test_a_judgement_counts_though_others_filled_the_place_meanwhile(session, ask):
    item = send(session, wanted=1)
    ask("A")
    let_expire(session, item.id, "A")
    judge(session, ask("B"), "B")
    judge(session, item.id, "A")
    assert item.judged == 2


def test_saving_a_draft_renews_the_reservation(session, ask):
    item = send(session, wanted=1).id
    ask("A")
    by = reviewers.ensure(session, "A").id
    let_expire(session, item, "A")
    assert review_queue.save_draft(session, item, by, {"comment": "half"})
    assert ask("B") is None


def test_a_draft_that_follows_its_submission_is_dropped(session, ask):
    item = ask() or send(session).id
    by = reviewers.ensure(session, "Rater A").id
    ask()
    judge(session, item)
    assert not review_queue.save_draft(session, item, by, {"comment": "late"})
    assert session.get(Assignment, (item, by)) is None


def test_what_is_skipped_is_free_for_others_and_comes_back_last(session, ask):
    first, second = send(session, wanted=1).id, send(session, wanted=1).id
    by = reviewers.ensure(session, "A").id
    ask("A")
    review_queue.save_draft(session, first, by, {"comment": "hm"})
    review_queue.skip(session, first, by)
    assert ask("A") == second
    review_queue.skip(session, second, by)
    assert ask("A") == first  # the one skipped longest ago
    assert session.get_one(Assignment, (first, by)).draft == {"comment": "hm"}
    assert ask("B") == second


def test_out_of_scope_leaves_the_place_to_another_and_does_not_come_back(session, ask):
    item = send(session, wanted=1)
    judge(session, ask("A"), "A", disposition="out_of_scope", **dict.fromkeys(GOOD_AXES))
    assert item.judged == 0
    assert (ask("A"), ask("B")) == (None, item.id)


def test_closed_items_are_not_handed_out(session, ask):
    item = send(session)
    ask("A")
    item.closed_at = utc_now()
    assert (ask("A"), ask("B")) == (None, None)
    with pytest.raises(Conflict, match="Go on to the next"):
        review_queue.open_item(session, reviewers.ensure(session, "B"), item.id)


@pytest.mark.parametrize(
    ("scope", "fits"),
    [
        ({}, {"plain", "german", "hearts", "doctor"}),
        ({"audiences": ["doctor"]}, {"doctor"}),
        ({"languages": ["de", "fr"]}, {"german"}),
        ({"specialty": "Cardiology "}, {"plain", "german", "hearts", "doctor"}),
        ({"specialty": "dermatology"}, {"plain", "german", "doctor"}),
        ({"audiences": ["patient"], "languages": ["en"], "specialty": "dermatology"}, {"plain"}),
    ],
)
def test_only_what_is_in_the_declared_scope_is_handed_out(session, ask, scope, fits):
    sent = {
        send(session).id: "plain",
        send(session, language="de").id: "german",
        send(session, specialty="Cardiology").id: "hearts",
        send(session, audience="doctor").id: "doctor",
    }
    reviewers.declare(session, "Rater A", scope)
    given = set()
    while (item := ask()) is not None:
        given.add(sent[item])
        judge(session, item)
    assert given == fits


def test_every_tenth_task_has_a_known_judgement(session, ask):
    known = send(session, "calibration")
    known.expected = {"accuracy": "aligned"}
    send(session, "calibration").expected = {"accuracy": "opposed"}
    for _ in range(12):
        send(session)
    given = []
    for _ in range(12):
        given.append(ask())
        judge(session, given[-1])
    assert [place for place, item in enumerate(given, start=1) if item == known.id] == [10]


def test_a_known_judgement_is_asked_of_everyone_once(session, ask):
    known = send(session, wanted=1)
    known.expected = {"accuracy": "aligned"}
    for name in ("A", "B"):
        for _ in range(9):
            add_review(session, add_response(session), name)
        assert ask(name) == known.id
        judge(session, known.id, name)
        assert ask(name) != known.id


def test_an_unmarked_item_is_an_ordinary_one_again(session, ask):
    known = send(session)
    known.expected = {"accuracy": "aligned"}
    session.flush()
    assert ask() is None
    calibration.unmark(session, known.id)
    assert ask() == known.id


def test_opening_a_judged_item_takes_no_place_and_holds_the_draft_of_a_change(session, ask):
    item = send(session, wanted=2)
    judge(session, ask("A"), "A")
    person = reviewers.ensure(session, "A")
    assert review_queue.open_item(session, person, item.id) is item
    assert review_queue.save_draft(session, item.id, person.id, {"comment": "changed?"})
    assert ask("B") == item.id
    assert ask("A") is None
    review_queue.skip(session, item.id, person.id)
    assert session.get(Assignment, (item.id, person.id)) is None


def test_opening_a_full_item_is_refused_and_an_unknown_one_named(session, ask):
    item = send(session, wanted=1)
    ask("A")
    with pytest.raises(Conflict, match="others have the places"):
        review_queue.open_item(session, reviewers.ensure(session, "B"), item.id)
    with pytest.raises(NotFound, match="gone"):
        review_queue.open_item(session, reviewers.ensure(session, "B"), "gone")


def test_comparisons_come_in_the_same_queue(session, ask):
    pair = add_pair(session)
    assert ask() == pair.id
    by = reviewers.ensure(session, "Rater A").id
    swapped = pairs.show_order(session, pair.id, by, _Fixed(0.1))
    assert swapped is pairs.show_order(session, pair.id, by, _Fixed(0.9)) is True
    review_queue.save_draft(session, pair.id, by, {"choice": "a"})
    assert pairs.shown_swapped(session, pair.id, by)


class _Fixed:
    """Draws one number."""

    def __init__(self, number):
        self._number = number

    def random(self):
        return self._number


def test_contradicting_judgements_ask_once_for_one_more(session, ask):
    item = send(session, "sample")
    judge(session, ask("A"), "A")
    judge(session, ask("B"), "B", accuracy="opposed")
    assert (item.contested, item.wanted, item.reason, item.priority) == (True, 3, "disagreement", 40)
    judge(session, ask("C"), "C", accuracy="opposed")
    assert (item.wanted, item.judged) == (3, 3)


def test_one_alarming_judgement_calls_for_adjudication_but_not_for_more_judgements(session, ask):
    item = send(session)
    alarm = judge(session, ask("A"), "A", urgency="under")
    assert (item.contested, item.wanted) == (True, 2)
    judgements.change(session, alarm, {**judgements.content_of(alarm), "answers": GOOD_AXES})
    assert not item.contested


def test_progress_counts_what_is_in_scope_and_by_batch(session, ask):
    for _ in range(2):
        send(session, batch="first")
    send(session, audience="doctor", batch="second")
    judge(session, ask())
    person = reviewers.declare(session, "Rater A", {"audiences": ["patient"]})
    assert review_progress.progress(session, person) == review_progress.ReviewProgress(1, 1, 2)
    assert review_progress.batches(session, person.id) == (
        review_progress.BatchProgress("first", 1, 0, 2),
        review_progress.BatchProgress("second", 0, 0, 1),
    )
