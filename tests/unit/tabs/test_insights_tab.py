"""The insights tab unlaunched: what each choice paints, and that names and texts show as text."""

import json
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from curation_factory import compare
from factories import add_response, add_review

from db.models import Review, ReviewItem
from db.pair_figures import Sides
from db.vocabulary import Disposition, PairChoice
from elara_ui.services import Services
from elara_ui.services.agreement import Agreement
from elara_ui.services.compared_pairs import JudgedPair, PairVote
from elara_ui.services.insight_figures import (
    SCALES,
    AgreementRow,
    OriginFigures,
    PairFigures,
    ReviewerFigures,
    WeekShare,
)
from elara_ui.services.insights import AnswerPage, JudgedAnswer, Opinion, PairPage, Settlement
from elara_ui.services.shares import measure_share
from elara_ui.tabs import insights_charts, insights_pairs_view, insights_view
from elara_ui.tabs.insights import build_insights_tab
from elara_ui.tabs.insights_handlers import (
    AGREEMENT,
    FIGURES,
    GRADES,
    PAIRS,
    REVIEWERS,
    VIEWS,
    WEEKS,
    InsightsHandlers,
)
from elara_ui.tabs.markup import escape

ACCURACY = SCALES[0]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'>"
NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def insights(services: Services) -> InsightsHandlers:
    with gr.Blocks():
        return build_insights_tab(services)


def judge(services: Services, *reviewers: str, axes: dict[str, Any] | None = None, **response: Any) -> None:
    with services.database.session() as session:
        answer = add_response(session, **response)
        for name in reviewers:
            add_review(session, answer, name, **(axes or {}))


def refresh(tab: InsightsHandlers, view: str = FIGURES, **chosen: str) -> dict[Any, Any]:
    given = {"audience": "", "made_by": "", "period": "All time", "axis": "Medical accuracy", **chosen}
    return tab.refresh(**given, view=view)


def press(item: object, act: str = "answers") -> Any:
    return SimpleNamespace(act=act, item=json.dumps(item))


@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_home_is_explained_in_every_view(insights: InsightsHandlers, view: str) -> None:
    updates, parts = refresh(insights, view), insights.parts
    assert updates[parts.message] == ""
    assert "el-muted" in updates[parts.table]
    assert not any(updates[plot]["visible"] for plot in (parts.shares, parts.weeks, parts.pairs))


def test_figures_draw_a_bar_and_offer_the_answers_behind_each_share(
    services: Services, insights: InsightsHandlers
) -> None:
    judge(services, "Rater A", "Rater B")
    updates, parts = refresh(insights), insights.parts
    bars = updates[parts.shares]
    assert bars["visible"]
    assert bars["value"].query("share > 0").to_dict("records") == [
        {"maker": "patient@1", "share": 100.0, "value": "Aligned"}
    ]
    assert updates[parts.table].count('data-act="answers"') == 1
    assert "don't choose between adapters" in updates[parts.table]


def test_pressing_a_share_lists_its_answers_and_another_view_puts_them_away(
    services: Services, insights: InsightsHandlers
) -> None:
    for _ in range(21):
        judge(services, "Rater A", "Rater B")
    parts = insights.parts
    updates = insights.act("All time", None, press(["patient", "patient@1", "accuracy", "aligned"]))
    assert updates[parts.answers].count("What is asthma?") == 20
    assert updates[parts.older]["visible"]
    rest = insights.show_older("All time", updates[parts.listed])
    assert rest[parts.answers].count("What is asthma?") == 1
    assert not rest[parts.older]["visible"]
    assert refresh(insights, AGREEMENT)[parts.answers] == ""


def test_a_dot_of_the_weeks_lists_the_answers_judged_in_that_week(
    services: Services, insights: InsightsHandlers
) -> None:
    for text, day in (("In May.", 5), ("On Sunday.", 10), ("A week later.", 11)):
        judge(services, "Rater A", "Rater B", text=text)
        with services.database.session() as session:
            for review in session.query(Review).join(Review.item).join(ReviewItem.response):
                if review.item.response.text == text:
                    review.created_at = datetime(2026, 5, day, 23, 59, tzinfo=UTC)
    parts = insights.parts
    table = refresh(insights, WEEKS)[parts.table]
    assert table.count('data-act="week"') == 2
    assert table.index("11 May 2026") < table.index("04 May 2026")
    shown = insights.act("All time", None, press(["patient", "patient@1", "accuracy", "2026-05-04"], "week"))
    assert "In May." in shown[parts.answers]
    assert "On Sunday." in shown[parts.answers]
    assert "A week later." not in shown[parts.answers]
    assert "week of 04 May 2026, answered by patient@1" in shown[parts.answers]


def test_answers_that_wait_for_a_reviewer_are_said_to(services: Services, insights: InsightsHandlers) -> None:
    judge(services, "Rater A")
    updates = insights.act("All time", None, press(["patient", "patient@1", "accuracy", "aligned"]))
    assert "judged blind" in updates[insights.parts.answers]


def test_pressing_a_pairs_figure_lists_its_pairs_side_by_side(
    services: Services, insights: InsightsHandlers
) -> None:
    with services.database.session() as session:
        first = add_response(session, text="One answer.")
        other = add_response(session, text="<b>Other</b>.", adapter=None)
        compare(session, first, other, PairChoice.FIRST, PairChoice.TIE).wanted = 2
    parts = insights.parts
    table = refresh(insights, PAIRS)[parts.table]
    assert table.count('data-act="pairs"') == 3  # first better, tie, all
    sides = ["patient", "patient@1", "smollm2-135m"]
    every = insights.act("All time", None, press([*sides, ""], "pairs"))
    assert "One answer." in every[parts.answers]
    assert "&lt;b&gt;Other" in every[parts.answers]
    assert "patient@1 is better" in every[parts.answers]
    unsafe = insights.act("All time", None, press([*sides, "both_unsafe"], "pairs"))
    assert "judged blind" in unsafe[parts.answers]
    assert insights.show_older("All time", every[parts.listed])[parts.listed] == every[parts.listed]


def test_every_bar_stands_for_a_figure_in_the_table(services: Services, insights: InsightsHandlers) -> None:
    judge(services, "Rater A")
    updates = refresh(insights)
    (bar,) = updates[insights.parts.shares]["value"].query("share > 0").to_dict("records")
    key = escape(insights_charts.bar_key(bar["maker"], bar["value"]))
    assert f'data-bar="{key}"' in updates[insights.parts.table]


def test_a_share_of_something_unknown_is_refused(insights: InsightsHandlers) -> None:
    updates = insights.act("All time", None, press(["patient", "patient@1", "beauty", "great"]))
    assert "beauty" in updates[insights.parts.message]


def test_the_adapters_offered_are_those_of_the_audience(
    services: Services, insights: InsightsHandlers
) -> None:
    judge(services, "Rater A")
    judge(services, "Rater A", audience="doctor", adapter="doctor@1")
    updates = refresh(insights, audience="doctor", made_by="patient@1")
    offered = updates[insights.parts.filters.made_by]
    assert ([value for _, value in offered["choices"]], offered["value"]) == (["", "doctor@1"], "")
    assert "patient@1" not in updates[insights.parts.table]


@pytest.mark.parametrize(
    ("view", "asked"), [(FIGURES, True), (WEEKS, True), (PAIRS, False), (REVIEWERS, False)]
)
def test_the_axis_is_asked_where_it_matters(insights: InsightsHandlers, view: str, asked: bool) -> None:
    assert refresh(insights, view)[insights.parts.filters.axis]["visible"] == asked


def test_weeks_are_drawn_and_a_single_one_is_explained(
    services: Services, insights: InsightsHandlers
) -> None:
    judge(services, "Rater A")
    updates = refresh(insights, WEEKS)
    assert updates[insights.parts.weeks]["visible"]
    assert "a line needs two" in updates[insights.parts.table]


def test_more_makers_than_colours_are_cut_to_the_most_judged() -> None:
    weeks = [
        WeekShare(date(2026, 3, 2), "patient", f"patient@{version}", measure_share(0.5, version))
        for version in range(1, 10)
    ]
    makers = insights_charts.choose_makers(weeks)
    assert makers == [f"patient@{version}" for version in range(4, 10)]
    assert set(insights_charts.tabulate_weeks(weeks, makers)["maker"]) == set(makers)
    assert "6 most judged of 9" in insights_view.render_weeks(
        weeks, ACCURACY, insights_charts.choose_makers(weeks), 9
    )


def test_a_base_model_is_named_with_its_audience() -> None:
    assert insights_charts.name_origin("patient", "patient@3") == "patient@3"
    assert insights_charts.name_origin("patient", "smollm2-135m") == "smollm2-135m for patient"


def test_every_value_of_every_scale_has_a_colour() -> None:
    for scale in SCALES:
        assert list(insights_charts.colours_of(scale)) == list(scale.labels)


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        (Agreement(13, missing=7), "7 more to go"),
        (Agreement(30, raw=1.0), "everybody chose the same"),
        (Agreement(30, 0.5, -0.001, -0.2, 0.1), "<b>0.00</b></td><td>−0.20 to 0.10"),
    ],
)
def test_agreement_says_what_it_is_or_why_it_is_not(measured: Agreement, told: str) -> None:
    axes = dict.fromkeys((scale.column for scale in SCALES), measured)
    assert told in insights_view.render_agreement([AgreementRow(None, None, axes)])


def test_a_share_that_is_nearly_none_is_not_told_as_none() -> None:
    row = OriginFigures("patient", "patient@1", 900, 900, {"accuracy": (
        measure_share(0.001, 900), measure_share(0.0, 900), measure_share(0.999, 900))})  # fmt: skip
    html = insights_view.render_origins([row], ACCURACY)
    assert "&lt;1 %" in html
    assert "&gt;99 %" in html


def test_names_and_texts_show_as_text() -> None:
    share = (measure_share(0.5, 40),) * 3
    axes = dict.fromkeys((scale.column for scale in SCALES), Agreement(0, missing=20))
    opinion = Opinion(
        HOSTILE, True, HOSTILE, Disposition.REJECT, (HOSTILE,) * 7, (HOSTILE,), HOSTILE, HOSTILE, NOW
    )
    settlement = Settlement(HOSTILE, Disposition.ACCEPT_WITH_EDIT, HOSTILE, HOSTILE, NOW)
    answer = JudgedAnswer(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, NOW, True, (opinion,), settlement
    )
    vote = PairVote(HOSTILE, True, PairChoice.FIRST, HOSTILE, NOW)
    sides = Sides(HOSTILE, HOSTILE, HOSTILE)
    pair = JudgedPair(HOSTILE, sides, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, True, (vote,))
    pages = [
        insights_view.render_origins(
            [OriginFigures(HOSTILE, HOSTILE, 40, 40, {"accuracy": share})], ACCURACY
        ),
        insights_pairs_view.render_pairs(
            [PairFigures(HOSTILE, HOSTILE, HOSTILE, 1, 1, None, 1.0, 0.0, 0.0, 0.0)]
        ),
        insights_view.render_agreement([AgreementRow(HOSTILE, HOSTILE, axes)] * 3),
        insights_view.render_reviewers([ReviewerFigures(HOSTILE, True, 1, None, 1.0, 0.0, None, 0)]),
        insights_view.render_answers(AnswerPage((answer,), None), HOSTILE),
        insights_pairs_view.render_compared(PairPage((pair,), None), HOSTILE),
    ]
    for html in pages:
        assert "<script" not in html
        assert "<img" not in html
        assert "alert(1)" in html


def add_grades(services: Services, *grades: float, **response: Any) -> None:
    with services.database.session() as session:
        for grade in grades:
            add_response(session, readability={"flesch_kincaid_grade": grade}, **response)


def test_reading_grades_are_drawn_for_answers_that_nobody_judged(
    services: Services, insights: InsightsHandlers
) -> None:
    add_grades(services, 4.4, 5.6, 30.0, -2.0)
    add_grades(services, 14.0, audience="doctor", adapter=HOSTILE)
    painted = refresh(insights, GRADES)
    parts = insights.parts
    table = painted[parts.grades]["value"]
    shares = table[table["maker"] == "patient@1"].set_index("grade")["share"]
    assert (shares[0], shares[4], shares[6], shares[18], shares.sum()) == (25, 25, 25, 25, 100)
    assert painted[parts.grades]["visible"]
    assert not painted[parts.shares]["visible"]
    assert "75 %" in painted[parts.table]
    assert "<script" not in painted[parts.table]
    assert painted[parts.filters.period]["label"] == "Answered"
    assert ("patient", "patient") in painted[parts.filters.audience]["choices"]
    assert not refresh(insights, FIGURES)[parts.grades]["visible"]


def test_without_answers_reading_grades_say_where_they_come_from(insights: InsightsHandlers) -> None:
    painted = refresh(insights, GRADES)
    assert "No answer fits" in painted[insights.parts.table]
    assert not painted[insights.parts.grades]["visible"]


def test_no_more_makers_are_drawn_than_can_be_told_apart(
    services: Services, insights: InsightsHandlers
) -> None:
    for number in range(8):
        add_grades(services, *[5.0] * (number + 1), adapter=f"patient@{number + 1}")
    painted = refresh(insights, GRADES)
    drawn = set(painted[insights.parts.grades]["value"]["maker"])
    assert drawn == {f"patient@{number}" for number in range(3, 9)}
    assert "draws the 6 makers" in painted[insights.parts.table]
    assert "patient@1<" in painted[insights.parts.table]


def test_a_known_answer_is_counted_and_not_listed(services: Services, insights: InsightsHandlers) -> None:
    judge(services, "Rater A", "Rater B")
    with services.database.session() as session:
        session.query(ReviewItem).one().expected = {"accuracy": "partly"}
    assert 'data-act="answers"' in refresh(insights)[insights.parts.table]
    shown = insights.act("All time", None, press(["patient", "patient@1", "accuracy", "aligned"]))
    assert "What is asthma?" not in shown[insights.parts.answers]
