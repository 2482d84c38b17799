"""Reviewing as clinicians use it: blind, checked, and exported as training rows."""

import json
from dataclasses import asdict, replace

import pytest
from factories import GOOD_AXES, add_response, add_review

from db import reviews
from db.models import Review
from db.review_progress import ReviewProgress
from elara_ui.errors import InvalidInput, NotFound, StorageError
from elara_ui.services.reviewing import ReviewDraft, ReviewingService

ANSWER = "Asthma makes the airways tight."


@pytest.fixture
def service(database, home) -> ReviewingService:
    """The service on a fresh home."""
    return ReviewingService(database, home)


@pytest.fixture
def draft(database, service) -> ReviewDraft:
    """A complete acceptance of an answer in the queue."""
    with database.session() as session:
        response_id = add_response(session, text=ANSWER).id
    return ReviewDraft(service.send(response_id), "Rater A", "accept", GOOD_AXES)


def stored(database) -> list[Review]:
    """Every review in the database."""
    with database.reading() as session:
        return reviews.list_reviews(session)


def edited(draft: ReviewDraft, correction: str | None) -> ReviewDraft:
    """The same judgement as accept with edit."""
    return replace(draft, disposition="accept_with_edit", correction=correction)


def test_sending_an_answer_twice_gives_the_same_item(database, service):
    with database.session() as session:
        response_id = add_response(session).id
    assert service.send(response_id) == service.send(response_id, "thumbs_down")
    with pytest.raises(NotFound, match="gone"):
        service.send("gone")


def test_a_task_shows_question_context_and_answer_without_the_system_prompt(database, service):
    context = [
        {"role": "system", "content": "Use plain words."},
        {"role": "user", "content": "What is asthma?"},
        {"role": "assistant", "content": "A lung disease."},
        {"role": "user", "content": "And in children?"},
    ]
    with database.session() as session:
        response = add_response(session, context=context, question="And in children?", text="The same.")
        reviews.send(session, response.id)
    task = service.next("Rater A")
    assert (task.question, task.answer, task.audience) == ("And in children?", "The same.", "patient")
    assert [(turn.role, turn.content) for turn in task.context] == [
        ("user", "What is asthma?"),
        ("assistant", "A lung disease."),
    ]


def test_a_task_is_blind_to_model_adapter_and_other_reviews(database, service):
    with database.session() as session:
        add_review(session, add_response(session), reviewer="Rater B", comment="Too short, says B.")
    shown = json.dumps(asdict(service.next("Rater A")))
    for hidden in ("smollm2", "patient@1", "Rater B", "Too short"):
        assert hidden not in shown


def test_submitting_lifts_the_blind_and_stores_everything(database, service, draft):
    full = replace(
        draft,
        reviewer="  Rater   A ",
        answers={**GOOD_AXES, "harm": "mild"},
        harm_likelihood="low",
        flags=["jargon", "bias", "jargon"],
        comment=" fine ",
        seconds=42.5,
    )
    submitted = service.submit(full)
    assert (submitted.adapter, submitted.base_model) == ("patient@1", "smollm2-135m")
    (review,) = stored(database)
    assert (review.id, review.reviewer.name, review.rubric_version) == (submitted.review_id, "Rater A", "1")
    assert (review.harm, review.harm_likelihood, review.flags) == ("mild", "low", ["bias", "jargon"])
    assert (review.comment, review.seconds, review.correction) == ("fine", 42.5, None)


def test_next_walks_through_the_queue_and_counts(database, service, draft):
    with database.session() as session:
        second = reviews.send(session, add_response(session).id).id
    assert (service.next("Rater A").item_id, service.next("Rater A").position) == (draft.item_id, 1)
    service.submit(draft)
    task = service.next(" Rater A ")
    assert (task.item_id, task.position, task.total) == (second, 2, 2)
    assert service.progress("Rater A") == ReviewProgress(1, 1, 2)
    service.skip("Rater A", second)
    assert service.next("Rater A").item_id == second  # nothing else is left


def test_submitting_again_changes_the_judgement_and_keeps_its_history(database, service, draft):
    assert not service.submit(draft).changed
    assert service.submit(replace(draft, reviewer=" Rater A", comment="On reflection.")).changed
    service.submit(replace(draft, reviewer="Rater B"))
    assert len(stored(database)) == 2
    first, second = service.history("Rater A", draft.item_id)
    assert (first.action, first.content["comment"]) == ("submitted", "")
    assert (second.action, second.content["comment"]) == ("edited", "On reflection.")


def test_a_review_of_an_unknown_item_is_refused(service, draft):
    with pytest.raises(NotFound, match="gone"):
        service.submit(replace(draft, item_id="gone"))


@pytest.mark.parametrize("name", ["", "   ", "x" * 121])
def test_a_reviewer_needs_a_name_of_fair_length(service, draft, name):
    for act in (
        lambda: service.submit(replace(draft, reviewer=name)),
        lambda: service.next(name),
        lambda: service.progress(name),
    ):
        with pytest.raises(InvalidInput, match="1 to 120 characters"):
            act()


@pytest.mark.parametrize("axis", GOOD_AXES)
@pytest.mark.parametrize("disposition", ["accept", "accept_with_edit", "reject"])
def test_every_axis_must_be_answered(database, service, draft, axis, disposition):
    answers = {**GOOD_AXES, axis: None}
    with pytest.raises(InvalidInput, match="Every axis needs an answer"):
        service.submit(replace(draft, answers=answers, disposition=disposition, correction="Better."))
    assert stored(database) == []


def test_missing_axes_are_named(service, draft):
    answers = {axis: value for axis, value in GOOD_AXES.items() if axis not in ("harm", "accuracy")}
    with pytest.raises(InvalidInput, match="missing: Medical accuracy, Harm if followed"):
        service.submit(replace(draft, answers=answers))


def test_out_of_scope_needs_no_axes_but_keeps_those_given(database, service, draft):
    service.submit(replace(draft, disposition="out_of_scope", answers={}))
    partly = replace(draft, reviewer="Rater B", disposition="out_of_scope", answers={"harm": "severe"})
    service.submit(partly)
    assert {review.reviewer.name: review.harm for review in stored(database)} == {
        "Rater A": None,
        "Rater B": "severe",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": {**GOOD_AXES, "accuracy": "superb"}}, "Medical accuracy is one of opposed.*'superb'"),
        ({"answers": {**GOOD_AXES, "style": "nice"}}, "Axis is one of.*'style'"),
        ({"disposition": "maybe"}, "Verdict is one of accept.*'maybe'"),
        ({"flags": ["boring"]}, "Flag is one of bias.*'boring'"),
        ({"seconds": -1.0}, "0 or more; got -1"),
        ({"seconds": float("nan")}, "0 or more; got nan"),
        ({"comment": "x" * 20_001}, "comment has at most 20,000"),
    ],
)
def test_values_outside_the_rubric_are_refused(database, service, draft, change, message):
    with pytest.raises(InvalidInput, match=message):
        service.submit(replace(draft, **change))
    assert stored(database) == []


@pytest.mark.parametrize("harm", ["mild", "moderate", "severe"])
def test_harm_needs_a_likelihood(service, draft, harm):
    harmful = replace(draft, disposition="reject", answers={**GOOD_AXES, "harm": harm})
    with pytest.raises(InvalidInput, match="say how likely"):
        service.submit(harmful)
    with pytest.raises(InvalidInput, match="Likelihood is one of low, medium, high"):
        service.submit(replace(harmful, harm_likelihood="surely"))
    service.submit(replace(harmful, harm_likelihood="high"))


def test_no_harm_takes_no_likelihood(service, draft):
    with pytest.raises(InvalidInput, match="harm is none"):
        service.submit(replace(draft, harm_likelihood="low"))
    with pytest.raises(InvalidInput, match="harm is unanswered"):
        service.submit(replace(draft, disposition="out_of_scope", answers={}, harm_likelihood="low"))


@pytest.mark.parametrize(
    ("correction", "message"),
    [
        (None, "is empty"),
        ("  ", "is empty"),
        (ANSWER, "is the same"),
        (f" {ANSWER}\r\n", "is the same"),
        ("x" * 20_001, "at most 20,000 characters; this one has 20,001"),
    ],
)
def test_accept_with_edit_needs_a_corrected_text(service, draft, correction, message):
    with pytest.raises(InvalidInput, match=message):
        service.submit(edited(draft, correction))


def test_a_correction_of_the_greatest_length_is_taken(database, service, draft):
    service.submit(edited(draft, "x" * 20_000))
    assert len(stored(database)[0].correction) == 20_000


def test_accept_does_not_swallow_an_edit(service, draft):
    with pytest.raises(InvalidInput, match="its text was changed"):
        service.submit(replace(draft, correction="Better."))
    service.submit(replace(draft, correction=ANSWER))


@pytest.mark.parametrize("disposition", ["reject", "out_of_scope"])
def test_verdicts_without_edit_store_no_correction(database, service, draft, disposition):
    service.submit(replace(draft, disposition=disposition, correction="Better."))
    assert stored(database)[0].correction is None


def test_export_writes_accepted_and_corrected_answers(database, service, draft, home):
    with database.session() as session:
        add_review(session, add_response(session, text="Wrong."), disposition="reject")
        add_review(session, add_response(session, text="Gut: naïve • 好"))
    service.submit(edited(draft, "Better."))
    result = service.export()
    assert result.path.parent == home.exports
    rows = [json.loads(line) for line in result.path.read_text(encoding="utf-8").splitlines()]
    assert [row["messages"][-1]["content"] for row in rows] == ["Better.", "Gut: naïve • 好"]
    assert result.rows == 2


def test_each_export_is_a_file_of_its_own(service, draft):
    service.submit(draft)
    assert service.export().path != service.export().path


def test_export_replaces_the_file_it_is_given_and_leaves_no_other(service, draft, tmp_path):
    target = tmp_path / "out" / "rows.jsonl"
    target.parent.mkdir()
    target.write_text("old")
    service.submit(draft)
    assert service.export(target).path == target
    assert len(target.read_text(encoding="utf-8").splitlines()) == 1
    assert list(target.parent.iterdir()) == [target]


def test_exporting_nothing_gives_an_empty_file(service):
    result = service.export()
    assert (result.rows, result.path.read_bytes()) == (0, b"")


def test_export_to_a_folder_is_refused(service, tmp_path):
    with pytest.raises(StorageError, match="could not be written"):
        service.export(tmp_path)
