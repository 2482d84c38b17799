import pytest
from curation_factory import add_accepted, compare
from factories import add_response, add_review, add_run

from db import adapters as adapter_store
from db.home import Home
from db.session import Database
from db.vocabulary import PairChoice
from elara_ui.errors import NotFound
from elara_ui.services.curated_examples import pseudonym
from elara_ui.services.curation import CurationRules, CurationService, Objective
from elara_ui.services.lineage import Destinations, LineageService, Origins
from elara_ui.services.reviewers import ReviewersService
from elara_ui.services.snapshots import SnapshotService


@pytest.fixture
def chain(database: Database, home: Home):
    """Reviews → plain@1 → a run → patient@7, live → an answer."""
    with database.session() as session:
        judged = add_accepted(session, 12)
        reviews = [review.id for response in judged for review in _reviews_of(session, response)]
    made = CurationService(database, home).freeze(CurationRules(), "plain")
    with database.session() as session:
        run = add_run(session)
        run.snapshot_id = made.snapshot_id
        adapter_store.add(
            session, audience="patient", version=7, base_model="smollm2-135m", run_id=run.id, path="x",
            sha256="a" * 64, metrics={},
        )  # fmt: skip
        adapter_store.promote(session, "patient@7")
        answer = add_response(session, adapter="patient@7")
        return {
            "judged": [each.id for each in judged],
            "reviews": reviews,
            "run": run.id,
            "answer": answer.id,
        }


def _reviews_of(session, response):
    from sqlalchemy import select

    from db.models import Review, ReviewItem

    return session.scalars(select(Review).join(ReviewItem).where(ReviewItem.response_id == response.id))


def test_an_answer_knows_what_shaped_it(database, home, chain):
    origins = LineageService(database, home).what_shaped(chain["answer"])
    assert origins.summary == (
        "patient@7 learned from 12 rows of plain@1; 12 of them came of 12 judgements by one person."
    )
    assert {row.judgement for row in origins.rows} == set(chain["reviews"])
    assert {row.verdict for row in origins.rows} == {"accept"}
    assert all(row.rater.startswith("rater-") for row in origins.rows)
    assert LineageService(database, home).trace("patient@7").rows == origins.rows


def test_several_reviews_know_where_they_went(database, home, chain):
    service, first = LineageService(database, home), chain["reviews"][0]
    assert service.where_they_went([first, "gone"]) == {first: service.where_it_went(first)}


def test_a_review_knows_where_it_went(database, home, chain):
    went = LineageService(database, home).where_it_went(chain["reviews"][0])
    assert [(each.label, each.rows) for each in went.snapshots] == [("plain@1", 1)]
    assert went.runs == (chain["run"],)
    assert [(each.name, each.live) for each in went.adapters] == [("patient@7", True)]
    assert "from which patient@7 (live) learned" in went.summary


def test_whatever_a_reviewer_or_answer_shaped_is_listed(database, home, chain):
    lineage = LineageService(database, home)
    by_person = lineage.shaped_by(reviewer="Rater A")
    assert by_person.snapshots[0].rows == 12
    by_answer = lineage.shaped_by(response=chain["judged"][0])
    assert (by_answer.snapshots[0].rows, by_answer.adapters) == (1, by_person.adapters)
    assert lineage.shaped_by(response=chain["answer"]).summary.endswith("is in no training set.")


def test_any_name_is_traced_by_what_it_is(database, home, chain):
    lineage = LineageService(database, home)
    assert isinstance(lineage.trace(chain["answer"]), Origins)
    assert isinstance(lineage.trace(chain["reviews"][0]), Destinations)
    for unknown in ("nothing", "patient@99"):
        with pytest.raises(NotFound):
            lineage.trace(unknown)
    with pytest.raises(NotFound, match="Nobody"):
        lineage.shaped_by(reviewer="Nobody")


def test_the_base_model_alone_was_shaped_by_nobody(database, home):
    with database.session() as session:
        alone, foreign = add_response(session, adapter=None).id, add_response(session, adapter="patient@3").id
    lineage = LineageService(database, home)
    assert "no review has shaped this" in lineage.what_shaped(alone).summary
    assert "not known here" in lineage.what_shaped(foreign).summary


def test_pseudonyms_are_steady_and_hide_the_id():
    assert pseudonym("ab12") == pseudonym("ab12") != pseudonym("ab13")
    assert "ab12" not in pseudonym("ab12")


def test_everybody_whose_judgement_let_a_row_in_sees_where_it_went(database, home):
    with database.session() as session:
        judged = add_accepted(session, 12)
        second = add_review(session, judged[0], "Rater B").id
        corrected = add_review(
            session, judged[1], "Rater C", disposition="accept_with_edit", correction="Put better."
        ).id
    curation, lineage = CurationService(database, home), LineageService(database, home)
    made = curation.freeze(CurationRules(), "plain")
    for judgement in (second, corrected):
        went = lineage.where_it_went(judgement)
        assert [(each.label, each.rows) for each in went.snapshots] == [("plain@1", 1)]
    assert lineage.shaped_by(reviewer="Rater A").snapshots[0].rows == 12
    assert sum(made.manifest["raters"].values()) == 14
    ReviewersService(database, ["patient"]).withdraw("Rater B")
    assert SnapshotService(database, home).show("plain").withdrawn == 1
    again = curation.rebuild_without("plain")
    assert (again.label, again.rows, again.withdrawn) == ("plain@2", 12, 0)
    assert [each.label for each in lineage.where_it_went(second).snapshots] == ["plain@1"]


def test_both_sides_of_a_pair_lead_to_who_judged_them(database, home):
    with database.session() as session:
        judged = add_accepted(session, 6)
        for response in judged:
            add_review(session, response, "Rater B")
        poor = [add_response(session, question=each.question, text="Never mind.") for each in judged]
        for response in poor:
            add_review(session, response, "Rater C", disposition="reject")
        first, second = add_response(session, text="Good."), add_response(session, text="Less so.")
        compare(session, first, second, PairChoice.FIRST, PairChoice.FIRST, PairChoice.TIE)
    CurationService(database, home).freeze(CurationRules(objective=Objective.DPO), "pairs")
    lineage = LineageService(database, home)
    for name, rows in (("Rater A", 6), ("Rater B", 6), ("Rater C", 6), ("Chooser 0", 1), ("Chooser 1", 1)):
        assert lineage.shaped_by(reviewer=name).snapshots[0].rows == rows, name
    assert lineage.shaped_by(reviewer="Chooser 2").snapshots == ()


def test_the_rejection_of_a_withdrawn_reviewer_is_not_what_a_row_names(database, home):
    with database.session() as session:
        add_accepted(session, 12)
        for number in range(2):
            poor = add_response(session, question=f"And {number}?", text="Never mind.")
            add_review(session, poor, "Gone", disposition="reject")
            add_review(session, poor, "Rater B", disposition="reject")
    ReviewersService(database, ["patient"]).withdraw("Gone")
    made = CurationService(database, home).freeze(CurationRules(objective=Objective.KTO), "wanted")
    assert made.withdrawn == 0
    assert LineageService(database, home).shaped_by(reviewer="Gone").snapshots == ()
