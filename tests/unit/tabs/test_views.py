"""What people and models wrote shows as text, whatever it holds."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest

from adapters.recipe import load_recipes
from db.vocabulary import AdapterStatus, FinishReason, Role, RunStatus
from elara_ui.services.adapter_details import AdapterDetails, Figure
from elara_ui.services.adapters import AdapterSummary, Answering
from elara_ui.services.answers import Answer, ConversationSummary, Thread, ThreadMessage
from elara_ui.services.files import StoredFile
from elara_ui.services.run_views import (
    Advice,
    Comparison,
    Difference,
    Dot,
    Remedy,
    RunView,
    SampleAnswer,
)
from elara_ui.services.training import DataPreview
from elara_ui.tabs import adapters_view, chat_view, runs_view, training_form_view
from elara_ui.tabs.markup import download_link, markdown
from elara_ui.tabs.run_charts import CHARTS, tabulate, tabulate_compared

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>![i](https://example.org/i.png)\"'>{{x}}${y}"
RECIPES = load_recipes()


def make_answer(**values: object) -> Answer:
    given = {
        "response_id": "abc", "audience": "patient", "base_model": "smollm2-135m", "adapter": None,
        "question": "Q?", "text": "Rest.", "prompt_tokens": 10, "completion_tokens": 5, "seconds": 1.0,
        "first_token_seconds": 0.25, "tokens_per_second": 96.4, "finish_reason": FinishReason.STOP,
        "dropped_turns": 0, "readability": {"flesch_kincaid_grade": 5.4}, "thumb": None, "in_review": False,
    }  # fmt: skip
    return Answer(**(given | values))  # type: ignore[arg-type]


def make_run(**values: object) -> RunView:
    given = {
        "run_id": "abc", "audience": "patient", "base_model": "smollm2-135m", "status": RunStatus.SUCCEEDED,
        "stage": "training", "step": 5, "total_steps": 10, "epoch": 0.5, "train_loss": 2.5, "eval_loss": None,
        "tokens_per_second": 180.0, "seconds": 65.0, "remaining_seconds": None, "error": None,
        "adapter": None, "source": "starter", "rows": 30, "created_at": datetime.now(UTC),
    }  # fmt: skip
    return RunView(**(given | values))  # type: ignore[arg-type]


def test_what_waits_can_be_moved_and_what_made_an_adapter_stays() -> None:
    first = runs_view.render_runs([make_run(status=RunStatus.QUEUED, place=1)], None)
    second = runs_view.render_runs([make_run(status=RunStatus.QUEUED, place=2)], None)
    made = runs_view.render_runs([make_run(adapter="patient@1")], None)
    assert ['data-act="up"' in html for html in (first, second, made)] == [False, True, False]
    assert ['data-act="ask_remove"' in html for html in (first, second, made)] == [True, True, False]


def test_figures_that_are_not_known_are_dashes() -> None:
    html = runs_view.render_run(make_run(tokens_per_second=None))
    assert html.count("<b>–</b>") == 6


def test_the_first_answer_stands_beside_the_latest() -> None:
    samples = [SampleAnswer(step, "Why?", f"Answer {step}") for step in (0, 5, 10)]
    html = runs_view.render_samples(samples)
    assert (
        html.index("before training") < html.index("step 10") < html.index("1 between") < html.index("step 5")
    )


@pytest.mark.parametrize("dots", [(), (Dot(1, train_loss=2.5),)])
def test_every_line_of_a_chart_is_in_its_first_painting(dots: tuple[Dot, ...]) -> None:
    for chart in CHARTS:
        assert set(tabulate(chart, dots)["line"]) == set(chart.lines)
    compared = tabulate_compared("Training loss", [make_run(points=dots), make_run(points=dots)])
    assert set(compared["line"]) == {"A", "B", "C", "D"}


def hostile_details() -> AdapterDetails:
    file = StoredFile(HOSTILE, 1, HOSTILE)
    words = [field.name for field in fields(AdapterDetails) if field.type in (str, "str", str | None)]
    return AdapterDetails(
        **dict.fromkeys(words, HOSTILE),  # type: ignore[arg-type]
        status=AdapterStatus.CANDIDATE,
        rows=1,
        figures=(Figure(HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        recipe={},
        libraries={HOSTILE: HOSTILE},
        files=(file,),
    )


def hostile_pages() -> dict[str, str]:
    answer = make_answer(text=HOSTILE, adapter=HOSTILE, base_model=HOSTILE)
    messages = (
        ThreadMessage(0, Role.USER, HOSTILE, None),
        ThreadMessage(1, Role.ASSISTANT, HOSTILE, answer),
    )
    now = datetime.now(UTC)
    adapter = AdapterSummary(HOSTILE, HOSTILE, 1, AdapterStatus.CANDIDATE, HOSTILE, None, {}, now)
    run = make_run(
        audience=HOSTILE, base_model=HOSTILE, stage=HOSTILE, source=HOSTILE, error=HOSTILE, adapter=HOSTILE,
        log_tail=HOSTILE, samples=(SampleAnswer(1, HOSTILE, HOSTILE),),
        remedies=(Remedy(HOSTILE, {HOSTILE: HOSTILE}),), advice=(Advice("flat", HOSTILE, ()),),
    )  # fmt: skip
    return {
        "thread": chat_view.render_thread(Thread("c1", HOSTILE, "patient", messages), RECIPES),
        "list": chat_view.render_list([ConversationSummary("c1", HOSTILE, HOSTILE, now)], "c1"),
        "live": chat_view.render_live_answer(HOSTILE),
        "comparison": chat_view.render_comparison(HOSTILE, {"patient": answer, "doctor": HOSTILE}, RECIPES),
        "preview": training_form_view.render_data(DataPreview(HOSTILE, ((HOSTILE, HOSTILE),), 1)),
        "adapters": adapters_view.render_adapters([adapter]),
        "details": adapters_view.render_details(hostile_details(), {}),
        "log": runs_view.render_log(HOSTILE),
        "runs": runs_view.render_runs([run], None),
        "run": runs_view.render_run(run),
        "samples": runs_view.render_samples(run.samples),
        "comparison of runs": runs_view.render_comparison(
            Comparison((run, run), (Difference(HOSTILE, (HOSTILE, HOSTILE)),))
        ),
        "download": download_link(HOSTILE, HOSTILE),
    }


@pytest.mark.parametrize("page", hostile_pages())
def test_html_and_images_in_anything_written_show_as_text(page: str) -> None:
    html = hostile_pages()[page]
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_markdown_is_rendered_and_dangerous_links_are_not() -> None:
    html = markdown("**Rest**\n\n1. Drink\n\n[a](javascript:alert(1)) [b](https://example.org)")
    assert "<strong>Rest</strong>" in html
    assert "<ol>" in html
    assert 'href="javascript:' not in html
    assert 'rel="noopener noreferrer nofollow" href="https://example.org"' in html


def test_the_line_under_an_answer_tells_what_made_it() -> None:
    line = chat_view.describe_answer_line(make_answer(adapter="patient@2"), RECIPES)
    for part in ("Patient", "patient@2", "96 tokens/s", "0.2 s"):
        assert part in line


def test_no_adapter_is_said_plainly() -> None:
    assert "base model, no adapter yet" in chat_view.render_answering(RECIPES["patient"], Answering(None))
    assert "no adapter" in chat_view.describe_answer_line(make_answer(), RECIPES)


def test_left_out_turns_and_stops_are_said() -> None:
    line = chat_view.describe_answer_line(
        make_answer(dropped_turns=4, finish_reason=FinishReason.CANCELLED), RECIPES
    )
    assert "oldest 4 turns" in line
    assert "stopped" in line


def test_only_the_last_exchange_can_be_retried_edited_or_undone() -> None:
    messages = tuple(
        ThreadMessage(n, Role.USER if n % 2 == 0 else Role.ASSISTANT, "x", make_answer() if n % 2 else None)
        for n in range(4)
    )
    html = chat_view.render_thread(Thread("c1", "t", "patient", messages), RECIPES)
    assert [html.count(f'data-act="{act}"') for act in ("retry", "edit", "undo", "copy")] == [1, 1, 1, 4]


@pytest.mark.parametrize(
    ("ago", "words"),
    [(5, "just now"), (90, "1 min ago"), (7_300, "2 h ago"), (200_000, "2 d ago")],
)
def test_ages_are_short(ago: int, words: str) -> None:
    now = datetime.now(UTC)
    assert chat_view.describe_age(now - timedelta(seconds=ago), now) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(999, "999 bytes"), (1_500, "1.5 kB"), (98_362_432, "98.4 MB"), (2.9e13, "29000.0 GB")],
)
def test_sizes_are_said_as_people_say_them(size: int, words: str) -> None:
    assert adapters_view.describe_size(size) == words
