"""Which answers come into training by the plain rules."""

import pytest
from factories import add_response, add_review

from db.session import Database
from db.training_rows import training_rows
from db.vocabulary import Disposition, ReviewFlag


@pytest.fixture
def session(database: Database):
    """A writing session."""
    with database.session() as session:
        yield session


def trained_answers(session, **choice):
    """The last turn of each training row."""
    return [row["messages"][-1]["content"] for row in training_rows(session, **choice)]


def test_an_accepted_answer_is_a_training_row_with_its_lineage(session):
    response = add_response(session)
    review = add_review(session, response)
    assert list(training_rows(session)) == [
        {
            "messages": [
                {"role": "system", "content": "Use plain words."},
                {"role": "user", "content": "What is asthma?"},
                {"role": "assistant", "content": "Asthma makes the airways tight."},
            ],
            "audience": "patient",
            "response_id": response.id,
            "review_id": review.id,
            "further_reviews": "",
            "adapter": "patient@1",
            "base_model": "smollm2-135m",
        }
    ]


def test_a_context_without_the_question_gets_it(session):
    response = add_response(session, context=[{"role": "system", "content": "Use plain words."}])
    add_review(session, response)
    (row,) = training_rows(session)
    assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]


@pytest.mark.parametrize(
    "flaw",
    [
        {"accuracy": "partly"},
        {"accuracy": "cannot_judge"},
        {"harm": "mild", "harm_likelihood": "low"},
        {"wrong_content": "great"},
        {"omission": "great"},
        {"disposition": Disposition.REJECT},
        {"disposition": Disposition.OUT_OF_SCOPE},
    ],
)
def test_an_answer_that_is_not_good_enough_stays_out(session, flaw):
    add_review(session, add_response(session), **flaw)
    assert trained_answers(session) == []


def test_small_faults_do_not_keep_an_accepted_answer_out(session):
    add_review(session, add_response(session), wrong_content="little", omission="little", relevance="partly")
    assert len(trained_answers(session)) == 1


def test_a_corrected_answer_comes_in_as_corrected(session):
    edit = {"disposition": Disposition.ACCEPT_WITH_EDIT, "correction": "Better."}
    add_review(session, add_response(session), accuracy="partly", omission="great", **edit)
    assert trained_answers(session) == ["Better."]


@pytest.mark.parametrize(
    "veto",
    [
        {"harm": "severe", "harm_likelihood": "high"},
        {"urgency": "under"},
        {"flags": [ReviewFlag.IDENTIFIERS]},
        {"disposition": Disposition.REJECT},
        {"disposition": Disposition.OUT_OF_SCOPE, "accuracy": None, "harm": "severe"},
    ],
)
def test_one_veto_keeps_an_answer_out_whatever_others_say(session, veto):
    response = add_response(session)
    add_review(session, response, "Rater A")
    edit = {"disposition": Disposition.ACCEPT_WITH_EDIT, "correction": "Better."}
    add_review(session, response, "Rater B", **edit)
    assert trained_answers(session) == ["Better."]
    add_review(session, response, "Rater C", **veto)
    assert trained_answers(session) == []


def test_a_vetoing_review_keeps_its_own_correction_out(session):
    edit = {"disposition": Disposition.ACCEPT_WITH_EDIT, "correction": "Better."}
    add_review(session, add_response(session), urgency="under", **edit)
    assert trained_answers(session) == []


def test_the_newest_correction_wins_over_older_ones_and_later_accepts(session):
    response = add_response(session)
    for reviewer, correction in (("Rater A", "First edit."), ("Rater B", "Second edit.")):
        edit = {"disposition": Disposition.ACCEPT_WITH_EDIT, "correction": correction}
        add_review(session, response, reviewer, **edit)
    add_review(session, response, "Rater C")
    assert trained_answers(session) == ["Second edit."]


def test_rows_can_be_limited_to_an_audience(session):
    add_review(session, add_response(session, text="for patients"))
    add_review(session, add_response(session, text="for doctors", audience="doctor"))
    assert trained_answers(session, audience="doctor") == ["for doctors"]
    assert len(trained_answers(session)) == 2


@pytest.mark.parametrize(("text", "reason"), [("", "cancelled"), ("Half a", "cancelled"), ("Cut", "length")])
def test_an_answer_that_was_cut_off_comes_in_only_when_corrected(session, text, reason):
    cut = add_response(session, text=text, finish_reason=reason)
    add_review(session, cut)
    assert list(training_rows(session)) == []
    add_review(session, cut, "Rater B", disposition="accept_with_edit", correction="The whole answer.")
    [row] = training_rows(session)
    assert row["messages"][-1]["content"] == "The whole answer."
