import errno
import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from curation_factory import add_accepted, compare, contest, decide, reject
from factories import add_response, add_review, add_run
from sqlalchemy import select

from db import review_queue, reviewers, reviews, snapshots
from db.curation_rules import CurationRules, Objective
from db.home import Home
from db.models import Response, ReviewItem, utc_now
from db.session import Database
from db.training_rows import select_rows
from db.vocabulary import Disposition, PairChoice, ReviewFlag
from elara_ui.errors import Conflict, DatasetError, InvalidInput, NotFound, StorageError
from elara_ui.services import snapshot_files
from elara_ui.services import snapshots as snapshots_service
from elara_ui.services.curation import CurationService
from elara_ui.services.lineage import LineageService
from elara_ui.services.snapshots import DatasetForm, SnapshotService

EDIT = {"disposition": Disposition.ACCEPT_WITH_EDIT, "correction": "Better."}
DPO, KTO = CurationRules(objective=Objective.DPO), CurationRules(objective=Objective.KTO)


@pytest.fixture
def curation(database: Database, home: Home) -> CurationService:
    return CurationService(database, home)


@pytest.fixture
def stored(database: Database, home: Home) -> SnapshotService:
    return SnapshotService(database, home)


@pytest.fixture
def session(database: Database):
    with database.session() as session:
        yield session


def texts(session, rules=None):
    return [row.answer for row in select_rows(session, rules or CurationRules())]


# What comes in


def test_an_unsettled_contradiction_keeps_an_answer_out(session):
    response = add_response(session)
    add_review(session, response)
    contest(session, response)
    assert texts(session) == []


def test_a_decision_counts_over_the_reviews(session):
    harmful, doubtful, fixed = (add_response(session, text=text) for text in ("A", "B", "C"))
    add_review(session, harmful, harm="severe", harm_likelihood="low")
    decide(session, harmful, Disposition.ACCEPT)
    add_review(session, doubtful)
    decide(session, doubtful, Disposition.REJECT)
    reject(session, fixed)
    decision = decide(session, fixed, Disposition.ACCEPT_WITH_EDIT, correction="C, mended")
    assert texts(session) == ["A", "C, mended"]
    rows = list(select_rows(session, CurationRules()))
    assert rows[1].review_id == decision.id
    assert {row.kind for row in rows} == {"decided"}


def test_a_decision_does_not_let_identifiers_in(session):
    response = add_response(session)
    add_review(session, response, flags=[ReviewFlag.IDENTIFIERS])
    decide(session, response, Disposition.ACCEPT)
    assert texts(session) == []


def test_what_is_withdrawn_shapes_nothing(session):
    by_gone, gone, kept = (add_response(session, text=text) for text in ("A", "B", "C"))
    add_review(session, by_gone, "Gone")
    add_review(session, gone)
    add_review(session, kept, "Gone", **EDIT)
    add_review(session, kept)
    reviewers.ensure(session, "Gone").withdrawn_at = utc_now()
    gone.withdrawn_at = utc_now()
    session.flush()
    assert texts(session) == ["C"]


def test_the_veto_of_a_withdrawn_reviewer_stays(session):
    response = add_response(session)
    add_review(session, response)
    add_review(session, response, "Gone", urgency="under")
    reviewers.ensure(session, "Gone").withdrawn_at = utc_now()
    session.flush()
    assert texts(session) == []


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"audiences": ("doctor",)}, ["doctor"]),
        ({"adapters": ("base",)}, ["base"]),
        ({"adapters": ("patient@2", "base")}, ["patient@2", "base"]),
        ({"base_models": ("other",)}, ["other model"]),
        ({"batches": ("first",)}, ["batch"]),
        ({"since": date(2026, 3, 1), "until": date(2026, 3, 1)}, ["march"]),
        ({"axes": {"readability": ("too_hard",)}}, ["hard", "Better."]),
        ({"reviewers": ("Rater V",)}, ["by V"]),
        ({"verified_only": True}, ["by V"]),
        ({"min_accepting": 2}, ["twice"]),
        ({"dispositions": (Disposition.ACCEPT_WITH_EDIT,)}, ["Better."]),
    ],
)
def test_each_rule_selects(session, rules, expected):
    march = utc_now().replace(year=2026, month=3, day=1, hour=23)
    other = utc_now().replace(year=2026, month=1, day=1)

    def add(text, reviewer="Rater A", review=None, **values):
        response = add_response(session, **({"text": text, "created_at": other} | values))
        add_review(session, response, reviewer, **(review or {}))
        return response

    add("doctor", audience="doctor")
    add("patient@2", adapter="patient@2")
    add("base", adapter=None)
    add("other model", base_model="other")
    batch = add("batch")

    reviews.send(session, batch.id).batch = "first"
    add("march", created_at=march)
    add("hard", review={"readability": "too_hard"})
    add("by V", reviewer="Rater V")
    reviewers.ensure(session, "Rater V").verified = True
    add_review(session, add("twice"), "Rater B")
    add("edited", review=EDIT)
    session.flush()
    assert texts(session, CurationRules(**rules)) == expected


def test_rejections_can_be_outvoted_when_the_rules_say_so(session):
    response = add_response(session)
    add_review(session, response)
    reject(session, response, "Rater B")
    assert texts(session) == []
    assert len(texts(session, CurationRules(max_rejecting=1))) == 1
    assert len(texts(session, CurationRules(without_reviewers=("Rater B",)))) == 1


def test_hand_picking_goes_over_limits_but_over_no_veto(session):
    hard, harmful, plain = (add_response(session, text=text) for text in ("hard", "harmful", "plain"))
    add_review(session, hard, readability="too_hard", flags=[ReviewFlag.JARGON])
    add_review(session, harmful)
    add_review(session, harmful, "Rater B", harm="severe", harm_likelihood="high")
    add_review(session, plain)
    limits = {"axes": {"readability": ("right",)}, "without_flags": (ReviewFlag.JARGON,)}
    assert texts(session, CurationRules(**limits)) == ["plain"]
    picked = {hard.id: "the words are needed", harmful.id: "no"}
    rules = CurationRules(**limits, include=picked, exclude={plain.id: "dull"})
    assert texts(session, rules) == ["hard"]


def test_preferences_come_of_corrections_matches_and_votes(session):
    corrected = add_response(session, text="Poor.", question="One?")
    add_review(session, corrected, **EDIT)
    good, bad = (add_response(session, text=text, question="Two?") for text in ("Good.", "Bad."))
    add_review(session, good)
    reject(session, bad)
    first, second = (add_response(session, text=text, question="Three?") for text in ("First.", "Second."))
    compare(session, first, second, PairChoice.SECOND, PairChoice.SECOND, PairChoice.FIRST)
    rows = list(select_rows(session, DPO))
    assert [(row.answer, row.rejected, row.kind) for row in rows] == [
        ("Better.", "Poor.", "corrected"),
        ("Good.", "Bad.", "matched"),
        ("Second.", "First.", "preferred"),
    ]
    assert [row.other_response_id for row in rows] == ["", bad.id, first.id]
    assert all(row.review_id and row.reviewer_id for row in rows)


@pytest.mark.parametrize(
    "choices",
    [
        [PairChoice.TIE],
        [PairChoice.BOTH_UNSAFE],
        [PairChoice.FIRST, PairChoice.FIRST, PairChoice.BOTH_UNSAFE],
        [PairChoice.FIRST, PairChoice.SECOND],
        [PairChoice.FIRST, PairChoice.TIE],
    ],
)
def test_ties_and_unsafe_pairs_give_nothing(session, choices):
    first, second = (add_response(session, text=text) for text in ("A.", "B."))
    compare(session, first, second, *choices)
    assert texts(session, DPO) == []


def test_a_vetoed_answer_is_not_preferred_to_another(session):
    first, second = (add_response(session, text=text) for text in ("A.", "B."))
    compare(session, first, second, PairChoice.FIRST)
    add_review(session, first, harm="severe", harm_likelihood="low")
    assert texts(session, DPO) == []


def test_other_conversations_are_not_matched(session):
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    good = add_response(session, text="Good.", question="Why?")
    bad = add_response(
        session, text="Bad.", question="Why?", context=[*turns, {"role": "user", "content": "Why?"}]
    )
    add_review(session, good)
    reject(session, bad)
    assert texts(session, DPO) == []


def test_labels_come_of_verdicts_and_of_thumbs_where_nobody_reviewed(session):
    good, bad, up, down, both = (add_response(session, text=text) for text in "ABCDE")
    add_review(session, good)
    reject(session, bad)
    up.thumb, down.thumb, both.thumb = 1, -1, 1
    reject(session, both)
    session.flush()
    rows = {row.answer: row.label for row in select_rows(session, KTO)}
    assert rows == {"A": True, "B": False, "C": True, "D": False, "E": False}
    without = CurationRules(objective=Objective.KTO, thumbs=False)
    assert {row.answer for row in select_rows(session, without)} == {"A", "B", "E"}


# Counting and looking


@pytest.mark.parametrize("objective", list(Objective))
def test_the_count_is_that_of_the_rows(database, curation, objective):
    with database.session() as session:
        add_accepted(session, 5)
        edited, bad, up = (add_response(session, text=text, question="Why?") for text in "ABC")
        add_review(session, edited, **EDIT)
        reject(session, bad)
        up.thumb = 1
        contest(session, add_accepted(session, 1)[0])
        compare(session, *(add_response(session, text=text) for text in ("X", "Y")), PairChoice.FIRST)
    rules = CurationRules(objective=objective)
    with database.reading() as session:
        rows = list(select_rows(session, rules))
    counted = curation.count(rules)
    assert counted.rows == len(rows) > 0
    assert counted.left_out["waits for adjudication"] == 1


def test_pages_hold_everything_once_with_why(database, curation):
    with database.session() as session:
        taken = add_accepted(session, 7)
        out = add_response(session, text="Out.")
        reject(session, out)
    seen, after = [], None
    while True:
        page = curation.preview(CurationRules(), after, limit=3, reviewer="Rater A")
        seen += page.rows
        after = page.after
        if after is None:
            break
    assert [row.response_id for row in seen] == [*(each.id for each in taken), out.id]
    assert (seen[-1].taken, seen[-1].why) == (False, "rejected by a reviewer")
    (only,) = curation.preview(CurationRules(), show="out", reviewer="Rater A").rows
    assert only.response_id == out.id
    assert len(curation.preview(CurationRules(), show="in", limit=50, reviewer="Rater A").rows) == 7


# Checking and freezing


def test_a_frozen_set_holds_rows_origins_and_manifest(database, home, curation, stored):
    with database.session() as session:
        responses = add_accepted(session, 20)
    made = curation.freeze(CurationRules(audiences=("patient",)), "Plain words")
    assert (made.label, made.rows, made.train, made.evaluation) == ("Plain words@1", 20, 18, 2)
    manifest = stored.manifest(made.label)
    assert manifest["rules"] == {"objective": "sft", "audiences": ["patient"]}
    assert len(manifest["rows"]) == 20
    assert {row["response_id"] for row in manifest["rows"]} == {each.id for each in responses}
    assert list(manifest["raters"].values()) == [20]
    assert "Rater A" not in json.dumps(manifest)
    with database.reading() as session:
        assert all(row.reviewer_id for row in snapshots.members(session, made.snapshot_id))


def test_freezing_again_gives_the_same_set_and_new_rows_the_next_version(database, curation):
    with database.session() as session:
        add_accepted(session, 12)
    first, same = (curation.freeze(CurationRules(), "plain") for _ in range(2))
    assert first.snapshot_id == same.snapshot_id
    with pytest.raises(Conflict, match="plain@1"):
        curation.freeze(CurationRules(), "other")
    with database.session() as session:
        add_review(session, add_response(session, text="New.", question="A wholly new matter?"))
    assert curation.freeze(CurationRules(), "plain").label == "plain@2"


def test_prompts_of_evaluation_sets_are_refused_or_left_out(database, home, curation):
    with database.session() as session:
        add_accepted(session, 12)
    known = {"question": "what should i know about ASTHMA inhalers?"}
    (home.evaluation / "exam.jsonl").write_text(json.dumps(known), encoding="utf-8")
    report = curation.check(CurationRules())
    assert [(leak.question, leak.set_name) for leak in report.leaks] == [
        ("What should I know about asthma inhalers?", "exam.jsonl")
    ]
    with pytest.raises(InvalidInput, match=r"share one \(1 rows\), such as .*exam\.jsonl"):
        curation.freeze(CurationRules(), "plain")
    made = curation.freeze(CurationRules(), "plain", leave_out_leaks=True)
    assert made.rows == 11
    assert "evaluation set" in next(iter(made.manifest["rules"]["exclude"].values()))


def test_an_unreadable_evaluation_set_stops_everything(database, home, curation):
    with database.session() as session:
        add_accepted(session, 2)
    (home.evaluation / "exam.jsonl").write_text('{"answer": "x"}', encoding="utf-8")
    with pytest.raises(DatasetError, match="has no prompt"):
        curation.check(CurationRules())


def test_what_a_used_set_held_out_is_held_out_again(database, home, curation):
    with database.session() as session:
        add_accepted(session, 20)
    first = curation.freeze(CurationRules(seed=1), "plain")
    with database.session() as session:
        add_run(session).snapshot_id = first.snapshot_id
        add_review(session, add_response(session, text="New.", question="A wholly new matter?"))
    for seed in (2, 3, 4):
        second = curation.freeze(CurationRules(seed=seed), "plain")
        assert held_out(home, first) <= held_out(home, second)


def held_out(home, made):
    lines = (home.snapshots / f"{made.sha256}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = map(json.loads, lines)
    return {row["origin"]["response_id"] for row in rows if row["part"] == "evaluation"}


def test_identifiers_have_to_be_confirmed(database, curation):
    with database.session() as session:
        add_accepted(session, 3)
        add_review(session, add_response(session, text="Write to jo@example.org."))
    report = curation.check(CurationRules())
    assert report.identifiers == {"e-mail address": 1}
    assert "jo@example.org" in report.findings[0].excerpt
    with pytest.raises(InvalidInput, match="1 × e-mail address"):
        curation.freeze(CurationRules(), "plain")
    assert curation.freeze(CurationRules(), "plain", accept_identifiers=True).rows == 4


def test_whoever_is_still_to_judge_an_answer_blind_is_told_of_no_row_that_holds_it(
    database, home, curation, stored
):
    with database.session() as session:
        better, worse = (
            add_response(session, text=text, question="Whom?") for text in ("Mail jo@example.org.", "Nobody.")
        )
        for response in (better, worse):
            reviews.send(session, response.id, wanted=1)
        add_review(session, better)
        reject(session, worse)
    known = {"question": "Whom?"}
    (home.evaluation / "exam.jsonl").write_text(json.dumps(known), encoding="utf-8")
    report = curation.check(DPO, reviewer="Rater B")
    assert (len(report.leaks), len(report.findings)) == (1, 1), "all its reviews are in"
    with database.session() as session:
        reviews.send(session, worse.id).wanted = 2
    for looking, told in (("Rater B", 0), ("", 0), ("Rater A", 1), (None, 1)):
        report = curation.check(DPO, reviewer=looking)
        assert (len(report.leaks), report.leaks_hidden) == (told, 1 - told)
        assert (len(report.findings), report.findings_hidden) == (told, 1 - told)
        assert (report.leak_count, report.identifiers) == (1, {"e-mail address": 1})
        (row,) = curation.preview(DPO, reviewer=looking, show="in").rows
        assert row.hidden is not bool(told)


def test_a_comparison_of_sets_counts_what_it_may_not_tell(database, curation, stored):
    with database.session() as session:
        add_accepted(session, 3)
    curation.freeze(CurationRules(), "plain")
    with database.session() as session:
        gone, changed = list(session.scalars(select(Response).order_by(Response.id)))[:2]
        reject(session, gone, "Rater B")
        add_review(session, changed, "Rater B", **EDIT)
        review = add_review(session, add_response(session, text="New.", question="A wholly new matter?"))
        review.item.wanted = 1
    curation.freeze(CurationRules(), "plain")
    whole = stored.diff("plain@1", "plain@2")
    assert (whole.added, whole.gone, whole.changed, whole.kept, whole.hidden) == (1, 1, 1, 1, 0)
    for looking in ("Rater C", "Rater A"):
        told = stored.diff("plain@1", "plain@2", reviewer=looking)
        assert (told.added, told.gone, told.changed) == (1, 1, 1)
        assert told.hidden == 0, "all that differs has been judged by as many as were asked"
    with database.session() as session:
        for response_id in (gone.id, changed.id):
            reviews.send(session, response_id).wanted = 4
    told = stored.diff("plain@1", "plain@2", reviewer="Rater C")
    assert (told.hidden, len(told.rows_added), told.rows_gone, told.rows_changed) == (2, 1, (), ())
    assert stored.diff("plain@1", "plain@2", reviewer="Rater B").hidden == 0


def test_duplicates_are_counted_and_left_out(database, curation):
    with database.session() as session:
        for _ in range(3):
            add_review(session, add_response(session))
        add_accepted(session, 3)
    report = curation.check(CurationRules())
    assert (report.rows, report.duplicates, report.train + report.evaluation) == (6, 2, 4)


def test_nothing_selected_is_said(curation):
    assert "Loosen" in curation.check(CurationRules()).problem
    with pytest.raises(DatasetError, match="Loosen"):
        curation.freeze(CurationRules(), "plain")
    with pytest.raises(InvalidInput, match="name has 1 to 100"):
        curation.freeze(CurationRules(), "a@b")


def test_a_set_is_made_anew_without_what_was_withdrawn(database, home, curation, stored):
    with database.session() as session:
        responses = add_accepted(session, 20)
        add_review(session, responses[0], "Gone", **EDIT)
        only = add_response(session, text="By Gone alone.", question="A wholly new matter?")
        add_review(session, only, "Gone")
    first = curation.freeze(CurationRules(), "plain")
    with pytest.raises(InvalidInput, match="would be the same"):
        curation.rebuild_without("plain@1")
    with database.session() as session:
        reviewers.ensure(session, "Gone").withdrawn_at = utc_now()
        add_review(session, add_response(session, text="Later.", question="Later matters?"))
    assert stored.show("plain").withdrawn == 2
    second = curation.rebuild_without("plain@1")
    assert (second.label, second.rows, second.withdrawn) == ("plain@2", 20, 0)
    assert held_out(home, second) == held_out(home, first) - {only.id}
    diff = stored.diff("plain@1", "plain@2")
    assert (diff.added, diff.gone, diff.changed, diff.kept) == (0, 1, 1, 19)
    assert (diff.rows_changed[0].before, diff.rows_changed[0].after) == ("Better.", responses[0].text)


@pytest.mark.parametrize("form", [DatasetForm.JSONL, DatasetForm.PARQUET, DatasetForm.FOLDER])
def test_an_export_that_breaks_off_leaves_nothing_behind(
    database, curation, stored, tmp_path, monkeypatch, form
):
    with database.session() as session:
        add_accepted(session, 12)
    made = curation.freeze(CurationRules(), "plain")

    def fill_the_disk(*given):
        next(path for path in given[::-1] if isinstance(path, Path)).write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fill_the_disk)
    monkeypatch.setattr(snapshot_files, "write_parquet", fill_the_disk)
    monkeypatch.setattr(snapshots_service, "write_parquet", fill_the_disk)
    place = tmp_path / "out"
    place.mkdir()
    with pytest.raises(StorageError, match="No space left"):
        stored.export(made.snapshot_id, form, place / "plain")
    assert list(place.iterdir()) == []
    monkeypatch.undo()
    stored.export(made.snapshot_id, form, place / "plain")
    assert (place / "plain").is_dir() == (form is DatasetForm.FOLDER)


def test_a_withdrawn_answer_leaves_queue_and_sets_and_says_what_it_shaped(database, home, curation):
    with database.session() as session:
        chosen = add_accepted(session, 12)[0].id
        waits = reviews.send(session, add_response(session).id).id
    curation.freeze(CurationRules(), "plain")
    curation.withdraw_answer(chosen, " Copied from a leaflet. ")
    curation.withdraw_answer(chosen, "Another reason.")
    assert "is in plain@1" in LineageService(database, home).shaped_by(response=chosen).summary
    assert curation.rebuild_without("plain@1").rows == 11
    with database.session() as session:
        assert session.get(Response, chosen).withdrawn_reason == "Copied from a leaflet."
        (judged,) = session.query(ReviewItem).where(ReviewItem.response_id == chosen)
        assert judged.closed_at is not None
        other = session.get(ReviewItem, waits).response_id
    curation.withdraw_answer(other, "Wrong patient.")
    with database.session() as session, pytest.raises(Conflict, match="at most as many people"):
        review_queue.open_item(session, reviewers.ensure(session, "Rater Z"), waits)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 2001])
def test_withdrawing_an_answer_needs_a_reason(database, curation, reason):
    with database.session() as session:
        chosen = add_response(session).id
    with pytest.raises(InvalidInput, match="needs a reason of 1 to 2000"):
        curation.withdraw_answer(chosen, reason)
    with pytest.raises(NotFound, match="no answer 'gone'"):
        curation.withdraw_answer("gone", "Why not.")


@pytest.mark.parametrize("number", [127, 128, 300])
def test_any_number_of_reviews_of_one_answer_is_counted(database, curation, number) -> None:
    """As many as a calibration item can gather."""
    with database.session() as session:
        answer = add_response(session)
        for place in range(number):
            add_review(session, answer, f"Rater {place}")
        answer_id = answer.id
    rules = CurationRules(min_accepting=number)
    assert curation.count(rules).rows == 1
    assert curation.count(CurationRules(min_accepting=number + 1)).rows == 0
    (row,) = curation.preview(rules).rows
    assert f"({number} for, 0 against)" in row.why
    with database.session() as session:
        add_review(session, session.get(Response, answer_id), "Doubter", disposition="reject")
    (row,) = curation.preview(CurationRules(), show="out").rows
    assert row.why.startswith("rejected by a reviewer")


def test_any_number_of_vetoes_keeps_an_answer_out_and_nothing_else(database, curation) -> None:
    with database.session() as session:
        answer, other = add_response(session), add_response(session, question="What is gout?")
        for place in range(300):
            add_review(session, answer, f"Rater {place}", urgency="under", flags=["identifiers", "jargon"])
        item = add_review(session, other, "Rater A").item
        add_review(session, other, "Rater B", urgency="under")
        item.contested = False
    count = curation.count(CurationRules(without_flags=("jargon",)))
    assert count.left_out == {
        "a reviewer saw identifiers in it": 1, "a reviewer saw under-triage": 1,
    }  # fmt: skip
