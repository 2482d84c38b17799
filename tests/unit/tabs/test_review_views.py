"""How review looks: blind, escaped, every answer with its key, and every change said in words."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from time import perf_counter

import pytest

from adapters.recipe import load_recipes
from db.review_progress import WAITING_COUNTED, BatchProgress, ReviewProgress
from db.vocabulary import HARM_LIKELIHOOD, RUBRIC, Disposition, ReviewAction, Role
from elara_ui.services.calibration import CalibratedAxis, CalibrationResult, Standing
from elara_ui.services.lineage import AdapterUse, Destinations, SetUse
from elara_ui.services.own_reviews import HistoryEntry, OwnReview
from elara_ui.services.pairs import SubmittedPair
from elara_ui.services.review_tasks import ContextTurn, Glance, PairTask, ReviewTask
from elara_ui.services.reviewers import ReviewerProfile
from elara_ui.services.reviewing import SubmittedReview
from elara_ui.tabs import (
    own_reviews_view,
    pair_view,
    review_content,
    review_form,
    review_view,
    reviewer_profile,
    standing_view,
)
from elara_ui.tabs.difference import EXACT_WORDS, render_difference

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>![i](https://example.org/i.png)\"'>{{x}}${y}"
RECIPES = load_recipes()
TURNS = (ContextTurn(Role.USER, HOSTILE),)
ANSWERS = {"accuracy": "aligned", "harm": "none"}


def now() -> datetime:
    return datetime.now(UTC)


def make_own(**values: object) -> OwnReview:
    given = {
        "item_id": "i", "review_id": "r", "audience": "patient", "question": "Q?", "answer": "A.",
        "disposition": "accept", "adapter": "patient@2", "base_model": "smollm2-135m", "judged_at": now(),
        "edited_at": None,
    }  # fmt: skip
    return OwnReview(**(given | values))  # type: ignore[arg-type]


def hostile_pages() -> dict[str, str]:
    task = ReviewTask(HOSTILE, HOSTILE, HOSTILE, TURNS, HOSTILE, 1, 1, reason_shown=HOSTILE)
    pair = PairTask(HOSTILE, HOSTILE, HOSTILE, TURNS, HOSTILE, HOSTILE, 1, 1)
    content = {"comment": HOSTILE, "answers": {"accuracy": HOSTILE}, "disposition": HOSTILE}
    told = CalibrationResult((CalibratedAxis(HOSTILE, HOSTILE, HOSTILE),))
    batch = BatchProgress(HOSTILE, 1, 1, 2)
    return {
        "task": review_view.render_task(task, RECIPES),
        "pair": pair_view.render_pair(pair, RECIPES),
        "rubric": review_form.render_rubric(HOSTILE, HOSTILE, {"comment": HOSTILE}),
        "choice": pair_view.render_choice(HOSTILE, HOSTILE, {"reason": HOSTILE}),
        "changes": review_view.render_changes("Rest.", HOSTILE, HOSTILE),
        "trouble": review_view.render_trouble(HOSTILE),
        "nothing": review_view.render_nothing(HOSTILE),
        "standing": standing_view.render_standing(
            ReviewerProfile(HOSTILE, profession=HOSTILE), ReviewProgress(1, 1, 2, (batch,)), Standing(1, 2, 1)
        ),
        "submitted": standing_view.describe_submitted(SubmittedReview("r", HOSTILE, HOSTILE, told), HOSTILE),
        "compared": standing_view.describe_compared(
            SubmittedPair("p", HOSTILE, HOSTILE, HOSTILE, HOSTILE), HOSTILE
        ),
        "history": standing_view.render_history([HistoryEntry(ReviewAction.EDITED, content, now())]),
        "own": own_reviews_view.render_own(
            [make_own(question=HOSTILE, adapter=HOSTILE, item_id=HOSTILE)],
            {
                "r": Destinations(
                    HOSTILE, (SetUse("s", HOSTILE, 1),), (), (AdapterUse(HOSTILE, HOSTILE, True),)
                )
            },
        ),
        "mark": reviewer_profile.describe_mark(ReviewerProfile(HOSTILE, verified=True)),
    }


@pytest.mark.parametrize("page", hostile_pages())
def test_what_people_and_models_wrote_shows_as_text(page: str) -> None:
    html = hostile_pages()[page]
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_a_task_names_neither_model_nor_adapter_nor_settings() -> None:
    pages = (
        review_view.render_task(ReviewTask("i", "patient", "Q?", (), "A.", 1, 3), RECIPES),
        review_form.render_rubric("i", "Ada", {}),
        pair_view.render_pair(PairTask("i", "patient", "Q?", (), "A.", "B.", 1, 3), RECIPES),
        pair_view.render_choice("i", "Ada", {}),
    )
    for html in pages:
        assert not re.search(r"smollm|@\d|temperature|adapter", html)


def test_every_answer_of_the_rubric_has_its_key() -> None:
    html = review_form.render_rubric("i", "Ada", {})
    scales = [*(scale.choices for scale in RUBRIC), HARM_LIKELIHOOD]
    for choices in scales:
        for number, choice in enumerate(choices, start=1):
            assert (
                f'<kbd aria-hidden="true">{number}</kbd>{unescape(choice.label)}'.replace("'", "&#x27;")
                in html
            )
    assert max(len(choices) for choices in scales) <= 4


def test_every_line_is_named_and_explained_to_a_screen_reader() -> None:
    html = review_form.render_rubric("i", "Ada", {})
    lines = re.findall(r'aria-labelledby="([^"]+)" aria-describedby="([^"]+)"', html)
    assert len(lines) == len(RUBRIC) + 2  # likelihood and flags too
    for named in (name for pair in lines for name in pair):
        assert f'id="{named}"' in html


def test_every_key_is_listed_and_every_verdict_has_one() -> None:
    html = review_form.render_verdicts()
    for _, label, key in review_form.VERDICTS + review_form.MOVES:
        assert label in html
        assert f'aria-keyshortcuts="{key}"' in html
        assert key in dict(review_form.RATING_KEYS)
    assert [verdict for verdict, _, _ in review_form.VERDICTS] == list(Disposition)


def test_a_draft_comes_back_into_the_form_as_it_left() -> None:
    fields = {**ANSWERS, "harm_likelihood": "low", "flags": ["bias"], "comment": "So.", "correction": "Rest."}
    draft = review_content.to_draft(fields)
    assert review_content.to_fields(draft, pair=False) == fields
    html = review_form.render_rubric("i", "Ada", review_content.to_fields(draft, pair=False))
    found = re.search(r'data-draft="([^"]+)"', html)
    assert found is not None
    assert json.loads(unescape(found[1])) == fields
    choice = {"choice": "b", "reason": "Safer."}
    assert review_content.to_fields(review_content.to_pair_draft(choice), pair=True) == choice


def test_nothing_filled_in_is_no_draft() -> None:
    empty = review_content.to_draft(dict.fromkeys([*review_content.AXES, "comment", "correction", "flags"]))
    assert review_content.to_fields(empty, pair=False) == {}
    assert review_content.to_fields(None, pair=True) == {}


@pytest.mark.parametrize(
    ("after", "marked"),
    [
        ("Take one tablet daily.", "Take [-two-] [+one+] tablet daily."),
        ("Take two tablet daily. Rest.", "Take two tablet daily. [+Rest.+]"),
        ("Take two tablet.", "Take two [-tablet daily.-][+tablet.+]"),
        ("Take two tablet daily.\n\nRest.", "Take two tablet daily.[+\n\nRest.+]"),
    ],
)
def test_a_difference_marks_words_for_eyes_and_ears(after: str, marked: str) -> None:
    html = render_difference("Take two tablet daily.", after)
    for tag, said, sign in (("del", "deleted", "-"), ("ins", "added", "+")):
        html = html.replace(f'<{tag}><span class="el-sr">[{said}: </span>', f"[{sign}")
        html = html.replace(f'<span class="el-sr">]</span></{tag}>', f"{sign}]")
    assert html == f'<div class="el-diff">{marked}</div>'


def test_equal_texts_have_no_difference() -> None:
    assert render_difference("Rest.\r\nDrink.", " Rest.\nDrink. ") == ""
    assert "el-diff" not in review_view.render_changes("Rest.", "  ")


def test_a_difference_of_long_texts_comes_at_once() -> None:
    words = [f"{word} the" for word in range(EXACT_WORDS * 2)]
    started = perf_counter()
    html = render_difference(" ".join(words), " ".join(words[::-1]))
    assert perf_counter() - started < 2
    assert "<ins>" in html


def test_what_calibrates_is_shown_beside_what_was_given() -> None:
    told = CalibrationResult(
        (CalibratedAxis("omission", "little", "none"), CalibratedAxis("harm", "none", "none"))
    )
    html = standing_view.describe_submitted(SubmittedReview("r", None, "smollm2-135m", told), "accept")
    assert "base model alone" in html
    assert "1 of 2" in html
    assert "<td>Little clinical significance</td><td>None</td><td><span class=el-mismatch>differs" in html
    assert "doesn't count" not in html
    later = SubmittedReview("r", None, "smollm2-135m", replace(told, counts=False))
    assert "only what you submit first does" in standing_view.describe_submitted(later, "accept")
    assert "calibration" not in standing_view.describe_submitted(SubmittedReview("r", "p@1", "b"), "accept")


def test_the_standing_tells_progress_batches_mark_and_agreement() -> None:
    html = standing_view.render_standing(
        ReviewerProfile("Ada", profession="Nurse", verified=True),
        ReviewProgress(3, 9, 12, (BatchProgress("Pilot", 2, 1, 5),)),
        Standing(2, 8, 6),
    )
    for words in ("✓ verified", "Nurse", "<b>3</b> reviewed", "<b>9</b> waiting", "Pilot", "1 of 5", "75%"):
        assert words in html
    endless = standing_view.render_standing(
        ReviewerProfile("Ada"), ReviewProgress(0, WAITING_COUNTED, WAITING_COUNTED), Standing(0, 0, 0)
    )
    assert "1,000 or more" in endless
    assert "agreed" not in endless
    assert "verified" not in endless


def test_a_history_says_what_each_change_changed() -> None:
    first = {"answers": {**ANSWERS}, "disposition": "accept", "comment": ""}
    then = {"answers": {**ANSWERS, "harm": "mild"}, "disposition": "reject", "comment": "No."}
    html = standing_view.render_history(
        [
            HistoryEntry(ReviewAction.SUBMITTED, first, now()),
            HistoryEntry(ReviewAction.EDITED, then, now()),
        ]
    )
    assert "Submitted just now: Accept</li>" in html
    assert "Harm if followed: None → Mild" in html
    assert "Verdict: Accept → Reject" in html
    assert "comment changed" in html
    assert "Medical accuracy" not in html


def test_own_reviews_name_what_answered_and_turn_pages() -> None:
    html = own_reviews_view.render_own([make_own(edited_at=now())], {}, offset=20, more=True)
    for words in ("patient@2 on smollm2-135m", "changed just now", 'data-act="newer"', 'data-act="older"'):
        assert words in html
    pair = make_own(is_pair=True, disposition="second", other_adapter=None, other_base_model="smollm2-135m")
    assert "base model is better" in own_reviews_view.render_own([pair], {})
    assert "judged nothing yet" in own_reviews_view.render_own([], {})


def test_a_task_tells_what_helps_to_judge_it() -> None:
    task = ReviewTask(
        "i", "patient", "Q?", TURNS, "A.", 1, 3, reason_shown="The question may describe an emergency",
        glance=Glance(120, 6.4, cut_off=True), judged=True,
    )  # fmt: skip
    html = review_view.render_task(task, RECIPES)
    told = ("may describe an emergency", "120 words", "grade 6.4", "breaks off", "changes your judgement")
    for words in (*told, "(1 turn)"):
        assert words in html


def test_own_reviews_say_where_each_went() -> None:
    sets = tuple(SetUse(str(number), f"plain@{number}", 1) for number in range(1, 6))
    went = Destinations("Review r", sets, (), (AdapterUse("patient@2", "patient", True),))
    html = own_reviews_view.render_own([make_own(), make_own(review_id="other")], {"r": went})
    assert "plain@3, plain@4, plain@5 and 2 more" in html
    assert "→ patient@2 (live)" in html
    assert "no set yet" in html
