"""What the reviews say: shares, weeks, agreement, reviewers, pairs, and the answers behind them."""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta

import pytest
from factories import add_response, add_review

from db import reviewers
from db.models import Adjudication, Preference, ReviewItem, utc_now
from db.pair_figures import Sides
from db.vocabulary import PairChoice
from elara_ui.errors import InvalidInput
from elara_ui.services.insights import Cursor, InsightsService, choose

BAD = {"accuracy": "opposed", "harm": "moderate", "harm_likelihood": "low", "disposition": "reject"}


@pytest.fixture
def service(database) -> InsightsService:
    """The service on a fresh database."""
    return InsightsService(database)


def judge(database, *reviews_of_one: dict, **response) -> str:
    """An answer with these reviews, by Rater A, B, C…; its id."""
    with database.session() as session:
        answer = add_response(session, **response)
        for letter, values in zip("ABCDEF", reviews_of_one, strict=False):
            add_review(session, answer, f"Rater {letter}", **values)
        return answer.id


def compare(
    database, *choices: str, first: str | None = "patient@1", second: str | None = "patient@2"
) -> None:
    """Two answers, with these choices between them."""
    with database.session() as session:
        pair = [add_response(session, adapter=adapter) for adapter in (first, second)]
        item = ReviewItem(
            response_id=pair[0].id, other_response_id=pair[1].id, reason="candidate", audience="patient"
        )
        session.add(item)
        session.flush()
        for letter, choice in zip("ABCDEF", choices, strict=False):
            by = reviewers.ensure(session, f"Rater {letter}")
            session.add(Preference(item_id=item.id, reviewer_id=by.id, choice=choice, swapped=False))


def shares_of(summary, column: str) -> dict[str, float]:
    """The only maker's shares on a column, by place."""
    (origin,) = summary.origins
    return [round(share.value, 3) for share in origin.shares[column]]


def test_nothing_judged_gives_nothing_and_no_error(service) -> None:
    summary = service.summary()
    assert summary.overview.reviews == summary.overview.answers == 0
    assert (summary.origins, summary.pairs) == ((), ())
    assert service.weeks("accuracy") == service.reviewers() == []
    (everything,) = service.agreement()
    assert {measured.missing for measured in everything.axes.values()} == {20}
    assert service.answers(choose()).answers == ()


def test_an_answer_counts_once_however_many_judged_it(database, service) -> None:
    judge(database, {}, {}, {}, {})
    judge(database, BAD)
    summary = service.summary()
    assert (summary.overview.reviews, summary.overview.answers, summary.overview.reviewers) == (5, 2, 4)
    assert shares_of(summary, "accuracy") == [0.5, 0.0, 0.5]
    assert summary.origins[0].shares["accuracy"][2].units == 2
    assert shares_of(summary, "disposition") == [0.5, 0.0, 0.5]


def test_the_weight_of_an_answer_is_shared_among_what_was_said_of_it(database, service) -> None:
    judge(database, {}, BAD)
    assert shares_of(service.summary(), "harm") == [0.5, 0.0, 0.5, 0.0]


def test_what_is_off_the_scale_is_no_answer(database, service) -> None:
    judge(database, {"accuracy": "cannot_judge", "urgency": "not_applicable"})
    judge(database, {})
    summary = service.summary()
    assert shares_of(summary, "accuracy") == [0.0, 0.0, 1.0]
    assert summary.origins[0].shares["urgency"][0].units == 1
    (answer,) = service.summary(choose()).origins
    assert answer.answers == 2


def test_an_axis_on_which_nobody_judged_has_no_shares(database, service) -> None:
    judge(database, {"accuracy": "cannot_judge"})
    assert shares_of(service.summary(), "accuracy") == []


def test_judgements_outside_the_scope_and_of_withdrawn_reviewers_do_not_count(database, service) -> None:
    judge(database, {}, {"disposition": "out_of_scope"}, {})
    with database.session() as session:
        reviewers.ensure(session, "Rater C").withdrawn_at = utc_now()
    assert service.summary().overview.reviews == 1


def test_figures_are_apart_by_audience_and_maker_and_the_base_model_is_one(database, service) -> None:
    judge(database, {}, adapter=None)
    judge(database, {}, adapter="patient@2")
    judge(database, {}, adapter=None, audience="doctor")
    expected = [("doctor", "smollm2-135m"), ("patient", "patient@2"), ("patient", "smollm2-135m")]
    assert service.origins() == expected
    assert [(row.audience, row.made_by) for row in service.summary().origins] == expected


@pytest.mark.parametrize(
    ("chosen", "reviews_left"),
    [
        ({"audience": "doctor"}, 1),
        ({"made_by": "patient@1"}, 2),
        ({"audience": "doctor", "made_by": "patient@1"}, 0),
        ({"days": 7}, 2),
        ({}, 3),
    ],
)
def test_audience_maker_and_period_choose(database, service, chosen, reviews_left) -> None:
    judge(database, {})
    judge(database, {"created_at": utc_now() - timedelta(days=30)})
    judge(database, {}, audience="doctor", adapter="doctor@1")
    assert service.summary(choose(**chosen)).overview.reviews == reviews_left


def test_weeks_begin_on_monday(database, service) -> None:
    sunday, monday = datetime(2026, 3, 1, 23, 59, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    judge(database, {"created_at": sunday}, {"created_at": monday, **BAD})
    weeks = service.weeks("accuracy")
    assert [(week.week, week.share.value) for week in weeks] == [
        (date(2026, 2, 23), 1.0),
        (date(2026, 3, 2), 0.0),
    ]


def test_agreement_is_told_by_axis_for_all_by_audience_and_by_maker(database, service) -> None:
    for place in range(20):
        pair = ({}, {}) if place % 2 else (BAD, BAD)
        judge(database, *pair, adapter=f"patient@{1 + place // 10}")
    for _ in range(3):
        judge(database, {}, {"harm": "mild"}, audience="doctor", adapter="doctor@1")
    rows = {(row.audience, row.made_by): row.axes for row in service.agreement()}
    assert list(rows) == [
        (None, None), ("doctor", None), ("patient", None), ("doctor", "doctor@1"), ("patient", "patient@1"),
        ("patient", "patient@2"),
    ]  # fmt: skip
    assert (rows["patient", None]["harm"].raw, rows["patient", None]["harm"].alpha) == (1.0, 1.0)
    assert rows[None, None]["harm"].units == 23
    assert rows[None, None]["harm"].alpha < 1
    assert rows["patient", "patient@1"]["harm"].missing == 10
    assert rows["doctor", None]["harm"].missing == 17
    assert (rows["patient", None]["relevance"].raw, rows["patient", None]["relevance"].alpha) == (1.0, None)


def test_each_reviewer_stands_beside_the_others(database, service) -> None:
    judge(database, {"seconds": 30.0}, {"seconds": 50.0, **BAD})
    judge(database, {"seconds": 40.0})
    first, second = service.reviewers()
    assert (first.name, first.reviews, first.seconds, first.accepted, first.harmful) == (
        "Rater A", 2, 35.0, 1.0, 0.0,
    )  # fmt: skip
    assert (second.accepted, second.harmful) == (0.0, 1.0)
    assert (first.compared, first.alike) == (second.compared, second.alike) == (7, pytest.approx(5 / 7))


def test_who_is_alone_with_an_answer_is_compared_with_nobody(database, service) -> None:
    judge(database, {"seconds": None})
    (alone,) = service.reviewers()
    assert (alone.alike, alone.compared, alone.seconds) == (None, 0, None)


def test_pairs_are_counted_whichever_answer_was_sent_first(database, service) -> None:
    compare(database, "first", "first")
    compare(database, "second", first="patient@2", second="patient@1")
    compare(database, "tie")
    compare(database, "both_unsafe")
    compare(database, "first", second="patient@1")  # of one maker: says nothing of makers
    (pair,) = service.pairs()
    assert (pair.first, pair.second, pair.pairs, pair.judgements) == ("patient@1", "patient@2", 4, 5)
    assert (pair.wins, pair.ties, pair.losses, pair.unsafe) == (0.5, 0.25, 0.0, 0.25)
    assert (pair.rate.value, pair.rate.units) == (pytest.approx(2.5 / 3), 3)
    assert service.pairs(choose(made_by="patient@2")) == [pair]
    assert service.pairs(choose(audience="doctor")) == []


def test_only_unsafe_pairs_have_no_winner(database, service) -> None:
    compare(database, "both_unsafe")
    (pair,) = service.pairs()
    assert (pair.rate, pair.unsafe) == (None, 1.0)


def test_the_answers_behind_a_figure_come_once_each_with_all_reviews(database, service) -> None:
    judge(database, {}, {})
    wanted = judge(database, BAD, BAD, {})
    (answer,) = service.answers(choose(made_by="patient@1"), "harm", "moderate").answers
    assert (answer.response_id, answer.made_by, answer.question) == (wanted, "patient@1", "What is asthma?")
    assert [opinion.reviewer for opinion in answer.opinions] == ["Rater A", "Rater B", "Rater C"]
    assert answer.opinions[0].axes[0] == "Opposed to consensus"
    assert len(service.answers(choose()).answers) == 2


def test_answers_that_wait_for_a_reviewer_are_not_listed(database, service) -> None:
    judge(database, {})  # one of the two judgements wanted
    assert service.answers(choose()).answers == ()
    with database.session() as session:
        session.query(ReviewItem).one().closed_at = utc_now()
    assert len(service.answers(choose()).answers) == 1


def test_answers_come_in_pages_without_gaps_or_repeats(database, service) -> None:
    same = utc_now()
    ids = {judge(database, {"created_at": same}, {"created_at": same}) for _ in range(5)}
    listed: list[str] = []
    after: Cursor | None = None
    while True:
        page = service.answers(choose(), "harm", "none", after, limit=2)
        listed += [answer.response_id for answer in page.answers]
        if (after := page.next) is None:
            break
    assert len(listed) == 5
    assert set(listed) == ids


def test_a_settled_answer_is_listed_with_its_decision(database, service) -> None:
    judge(database, {}, BAD)
    with database.session() as session:
        item, by = session.query(ReviewItem).one(), reviewers.ensure(session, "Judge").id
        item.closed_at = utc_now()
        session.add(
            Adjudication(item_id=item.id, adjudicator_id=by, triggers=[], disposition="reject", note="Wrong.")
        )
    (answer,) = service.answers(choose()).answers
    assert (answer.settlement.adjudicator, answer.settlement.note) == ("Judge", "Wrong.")


def test_what_does_not_exist_is_refused_with_what_does(service) -> None:
    with pytest.raises(InvalidInput, match="accuracy, wrong_content"):
        service.weeks("beauty")
    with pytest.raises(InvalidInput, match="none, mild"):
        service.answers(choose(), "harm", "enormous")
    with pytest.raises(InvalidInput, match="1 day"):
        choose(days=0)


def test_a_summary_has_plain_values(database, service) -> None:
    judge(database, {}, BAD)
    compare(database, "first")
    document = asdict(service.summary())
    assert document["origins"][0]["shares"]["harm"][0]["units"] == 1


PATIENTS = Sides("patient", "patient@1", "patient@2")


def complete(database) -> None:
    """As if every comparison had all the judgements it wants."""
    with database.session() as session:
        for item in session.query(ReviewItem):
            item.judged = item.wanted


def test_the_comparisons_behind_a_figure_are_listed_whichever_was_stored_first(database, service) -> None:
    compare(database, "first", "tie")
    compare(database, "first", first="patient@2", second="patient@1")
    compare(database, "both_unsafe", second=None)
    complete(database)
    (mirrored, straight) = service.compared(choose(), PATIENTS).pairs
    assert [vote.choice for vote in straight.votes] == [PairChoice.FIRST, PairChoice.TIE]
    assert [(vote.reviewer, vote.choice) for vote in mirrored.votes] == [("Rater A", PairChoice.SECOND)]
    assert [pair.item_id for pair in service.compared(choose(), PATIENTS, PairChoice.FIRST).pairs] == [
        straight.item_id
    ]
    assert [pair.item_id for pair in service.compared(choose(), PATIENTS, PairChoice.SECOND).pairs] == [
        mirrored.item_id
    ]
    with database.reading() as session:
        stored = session.get(ReviewItem, mirrored.item_id)
        assert (mirrored.first_id, mirrored.second_id) == (stored.other_response_id, stored.response_id)
    assert service.compared(choose(), PATIENTS, PairChoice.BOTH_UNSAFE).pairs == ()


def test_comparisons_come_in_pages_and_those_that_wait_are_left_out(database, service) -> None:
    for _ in range(5):
        compare(database, "first", "first")
    assert service.compared(choose(), PATIENTS).pairs == ()
    complete(database)
    seen, after = [], None
    for expected in (2, 2, 1):
        page = service.compared(choose(), PATIENTS, after=after, limit=2)
        assert len(page.pairs) == expected
        seen += [pair.item_id for pair in page.pairs]
        after = page.next
    assert (len(set(seen)), after) == (5, None)


def test_two_temperatures_of_one_adapter_are_told_apart(database, service) -> None:
    with database.session() as session:
        cold, warm = (
            add_response(session, text=f"At {warmth}.", parameters={"temperature": warmth})
            for warmth in (0.0, 0.8)
        )
        item = ReviewItem(
            response_id=cold.id, other_response_id=warm.id, reason="candidate", audience="patient", judged=2
        )
        session.add(item)
        session.flush()
        by = reviewers.ensure(session, "Rater A")
        session.add(Preference(item_id=item.id, reviewer_id=by.id, choice="second", swapped=False))
    (row,) = service.pairs()
    assert (row.first, row.second, row.losses) == ("patient@1 at 0", "patient@1 at 0.8", 1.0)
    (pair,) = service.compared(choose(), Sides("patient", row.first, row.second)).pairs
    assert (pair.first_text, pair.second_text) == ("At 0.0.", "At 0.8.")


def test_comparisons_by_withdrawn_reviewers_and_of_other_times_are_not_listed(database, service) -> None:
    compare(database, "first")
    complete(database)
    assert len(service.compared(choose(days=1), PATIENTS).pairs) == 1
    with database.session() as session:
        reviewers.ensure(session, "Rater A").withdrawn_at = utc_now()
    assert service.compared(choose(), PATIENTS).pairs == ()
