"""What happens on the page when something is pressed, without a browser: handlers take plain values."""

import inspect
from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from adapter_factory import make_adapter, register_adapter
from factories import add_response, add_run
from fake_engine import FakeEngine

from adapters.recipe import Hyperparameters
from adapters.training import supervisor
from adapters.training.record import FrozenRecipe, open_record
from db import run_points
from db import runs as run_store
from db.vocabulary import FinishReason, RunFailure, RunStatus
from elara_ui.blocks import build_page
from elara_ui.services import Services
from elara_ui.services.answers import Answer, Finished
from elara_ui.tabs.adapters import AdapterHandlers
from elara_ui.tabs.chat_handlers import ChatHandlers, sampling_overrides
from elara_ui.tabs.chat_parts import ChatState
from elara_ui.tabs.compare import CompareHandlers
from elara_ui.tabs.parts import Updates
from elara_ui.tabs.run_charts import CHARTS
from elara_ui.tabs.runs import Painted, RunHandlers, RunsState
from elara_ui.tabs.side_handlers import SideHandlers

SAMPLING = (0.15, 1.3, 0.95, 450, None)
PAGE: Any = SimpleNamespace(session_hash="page")


@pytest.fixture
def built(services: Services, monkeypatch: pytest.MonkeyPatch) -> dict[type, Any]:
    """Every tab's handlers, as the page makes them."""
    made: dict[type, Any] = {}

    def remember(kind: type) -> None:
        original = kind.__init__

        def init(self: Any, *arguments: Any) -> None:
            original(self, *arguments)
            made[kind] = self

        monkeypatch.setattr(kind, "__init__", init)

    for kind in (AdapterHandlers, ChatHandlers, CompareHandlers, RunHandlers, SideHandlers):
        remember(kind)
    build_page(services)
    return made


@pytest.fixture
def chat(built: dict[type, Any]) -> ChatHandlers:
    return built[ChatHandlers]


@pytest.fixture
def side(built: dict[type, Any]) -> SideHandlers:
    return built[SideHandlers]


def press(act: str, item: str = "") -> Any:
    return SimpleNamespace(act=act, item=item)


def last_of(updates: Iterable[Updates]) -> Updates:
    merged: Updates = {}
    for update in updates:
        merged |= update
    return merged


def ask(chat: ChatHandlers, text: str, state: ChatState | None = None, audience: str = "patient") -> Updates:
    return last_of(chat.ask(text, audience, state or ChatState(), *SAMPLING, PAGE))


def stored_answer(services: Services, text: str = "What is fever?") -> Answer:
    [*_, finished] = services.chat.ask_once(services.chat.check("patient", text))
    assert isinstance(finished, Finished)
    return finished.answer


def test_an_answer_fills_the_thread_and_empties_the_composer(chat: ChatHandlers) -> None:
    main = chat.parts.main
    painted = ask(chat, "What is fever?")
    assert "Rest and drink water." in painted[main.thread]
    assert painted[main.message] == ""
    assert painted[main.live] == ""
    assert painted[chat.parts.state].request_id is None


def test_a_refused_question_stays_in_the_composer(chat: ChatHandlers) -> None:
    painted = ask(chat, "x" * 9000)
    assert chat.parts.main.message not in painted
    assert "9,000 characters" in painted[chat.parts.main.live]


def test_a_question_that_fails_later_stays_in_the_thread_to_be_retried(
    chat: ChatHandlers, engine: FakeEngine
) -> None:
    engine.context_tokens = 10
    painted = ask(chat, "What is fever?", audience="doctor")
    thread = painted[chat.parts.main.thread]
    assert "What is fever?" in thread
    assert 'data-act="retry"' in thread
    assert chat.parts.main.audience not in painted  # it may have been changed meanwhile
    assert "tokens long" in painted[chat.parts.main.live]


def test_an_answer_that_is_left_paints_nothing_over_what_is_shown_next(
    chat: ChatHandlers, side: SideHandlers, services: Services, engine: FakeEngine
) -> None:
    engine.reply = "word " * 300
    answering = chat.ask("What is asthma?", "patient", ChatState(), *SAMPLING, PAGE)
    state = next(update for update in answering if update[chat.parts.state].request_id)[chat.parts.state]
    next(answering)  # it has begun to write
    shown = side.start_new("patient", state, PAGE)
    assert shown[chat.parts.state].conversation_id is None
    rest = last_of(answering)
    assert rest[chat.parts.main.live] == ""
    assert not {chat.parts.state, chat.parts.main.thread, chat.parts.side.list} & rest.keys()
    kept = services.conversations.open(state.conversation_id)
    assert kept.messages[-1].answer.finish_reason is FinishReason.CANCELLED


def test_the_next_question_can_be_asked_while_the_answer_that_was_left_still_ends(
    chat: ChatHandlers, side: SideHandlers, engine: FakeEngine
) -> None:
    engine.reply = "word " * 300
    left = chat.ask("What is asthma?", "patient", ChatState(), *SAMPLING, PAGE)
    state = next(left)[chat.parts.state]
    fresh = side.start_new("patient", state, PAGE)[chat.parts.state]
    following = chat.ask("What is fever?", "patient", fresh, *SAMPLING, PAGE)
    assert "What is fever?" in next(following)[chat.parts.main.thread]
    assert list(left) == []
    assert "What is fever?" in last_of(following)[chat.parts.main.thread]


def test_a_second_press_asks_nothing_while_the_page_has_an_answer_under_way(
    chat: ChatHandlers, services: Services
) -> None:
    first = chat.ask("What is fever?", "patient", ChatState(), *SAMPLING, PAGE)
    next(first)
    assert ask(chat, "What is fever?") == {}  # as seen by a press that knows nothing of the first
    elsewhere: Any = SimpleNamespace(session_hash="another page")
    assert last_of(chat.ask("What is fever?", "patient", ChatState(), *SAMPLING, elsewhere))
    last_of(first)
    assert len(services.conversations.find()) == 2
    assert ask(chat, "And a cough?")


def test_undo_pressed_twice_takes_back_one_question(chat: ChatHandlers) -> None:
    state = ask(chat, "What is fever?")[chat.parts.state]
    state = ask(chat, "What is a cough?", state)[chat.parts.state]
    for _ in range(2):
        painted = last_of(chat.act("patient", state, *SAMPLING, PAGE, press("undo", "2")))
    assert "What is fever?" in painted[chat.parts.main.thread]
    assert "What is a cough?" not in painted[chat.parts.main.thread]


def test_handlers_that_paint_step_by_step_end_with_no_change(services: Services) -> None:
    """Gradio sends a generator's last update twice, the second time over what was painted meanwhile."""
    handlers = [
        block.fn for block in build_page(services).fns.values() if inspect.isgeneratorfunction(block.fn)
    ]
    assert len(handlers) > 8
    assert [handler.__qualname__ for handler in handlers if not hasattr(handler, "__wrapped__")] == []


def test_an_unforeseen_failure_leaves_the_page_usable(chat: ChatHandlers, engine: FakeEngine) -> None:
    def crash(request: object) -> None:
        raise ZeroDivisionError("secret detail")

    engine.stream = crash  # type: ignore[assignment, method-assign]
    painted = ask(chat, "What is fever?")
    assert "secret" not in painted[chat.parts.main.live]
    assert painted[chat.parts.state].request_id is None


def test_an_edited_question_that_fails_is_put_back_into_the_composer(
    chat: ChatHandlers, engine: FakeEngine
) -> None:
    state = ask(chat, "What is fever?")[chat.parts.state]
    edited = last_of(chat.act("patient", state, *SAMPLING, PAGE, press("edit", "0")))
    assert edited[chat.parts.main.message] == "What is fever?"
    assert edited[chat.parts.state].editing
    engine.context_tokens = 10
    painted = ask(chat, "What is a high fever?", edited[chat.parts.state])
    assert painted[chat.parts.main.message] == "What is a high fever?"
    assert "Rest and drink water." in painted[chat.parts.main.thread]


def test_a_simpler_answer_takes_the_place_and_says_so(chat: ChatHandlers, engine: FakeEngine) -> None:
    engine.reply = "Antihypertensive pharmacotherapy necessitates individualised consideration."
    state = ask(chat, "What is fever?")[chat.parts.state]
    engine.reply = "Rest in bed and drink water. Call us soon."
    painted = last_of(chat.act("patient", state, *SAMPLING, PAGE, press("simplify")))
    main = chat.parts.main
    assert "Rest in bed and drink water." in painted[main.thread]
    assert "pharmacotherapy" not in painted[main.thread]
    assert "Said more simply" in painted[main.live]
    assert painted[chat.parts.state].request_id is None


def test_undo_puts_the_question_back(chat: ChatHandlers) -> None:
    state = ask(chat, "What is fever?")[chat.parts.state]
    painted = last_of(chat.act("patient", state, *SAMPLING, PAGE, press("undo", "0")))
    assert painted[chat.parts.main.message] == "What is fever?"
    assert "What is fever?" not in painted[chat.parts.main.thread]


def test_a_refresh_keeps_the_chosen_audience(chat: ChatHandlers) -> None:
    painted = chat.refresh("emergency", ChatState(), PAGE)
    assert chat.parts.main.audience not in painted
    assert "In a real emergency" in painted[chat.parts.main.thread]


def test_a_search_outlives_opening_a_result(
    chat: ChatHandlers, side: SideHandlers, services: Services
) -> None:
    ask(chat, "What is fever?")
    ask(chat, "What is a cough?")
    state = side.search("fever", ChatState())[chat.parts.state]
    [found] = services.conversations.find("fever")
    painted = side.open(state, PAGE, press("open", found.conversation_id))
    assert "cough" not in painted[chat.parts.side.list]


def test_sending_to_review_shows_it(chat: ChatHandlers, services: Services) -> None:
    state = ask(chat, "What is fever?")[chat.parts.state]
    answer = services.conversations.open(state.conversation_id).messages[1].answer
    assert answer is not None
    painted = last_of(chat.act("patient", state, *SAMPLING, PAGE, press("review", answer.response_id)))
    assert "In review" in painted[chat.parts.main.thread]


def test_an_answer_of_an_adapter_says_what_shaped_it(chat: ChatHandlers, services: Services) -> None:
    with services.database.session() as session:
        answer = add_response(session, adapter="patient@1").id
    told = last_of(chat.act("patient", ChatState(), *SAMPLING, PAGE, press("lineage", answer)))
    assert "patient@1 was brought in from elsewhere" in told[chat.parts.main.live]


def test_comparing_needs_two_audiences_and_fills_a_column_each(built: dict[type, Any]) -> None:
    handlers = built[CompareHandlers]
    parts = handlers._parts
    assert (
        "two audiences"
        in last_of(handlers.ask(["patient"], "What is fever?", ChatState(), PAGE))[parts.result]
    )
    painted = last_of(handlers.ask(["patient", "doctor"], "What is fever?", ChatState(), PAGE))
    assert [answer.audience for answer in painted[parts.state].answers] == ["patient", "doctor"]
    assert painted[parts.ask]["visible"] is True


def test_a_comparison_that_crashes_can_be_asked_again(built: dict[type, Any], engine: FakeEngine) -> None:
    def crash(request: object) -> None:
        raise ZeroDivisionError

    engine.stream = crash  # type: ignore[assignment, method-assign]
    handlers = built[CompareHandlers]
    painted = last_of(handlers.ask(["patient", "doctor"], "What is fever?", ChatState(), PAGE))
    assert painted[handlers._parts.ask]["visible"] is True
    assert "in the log" in painted[handlers._parts.result]
    state = painted[handlers._parts.state]
    assert (state.question, state.answers, state.request_id) == ("What is fever?", (), None)


def test_the_clock_never_changes_which_run_is_looked_at(built: dict[type, Any]) -> None:
    handlers = built[RunHandlers]
    painted = handlers.refresh(RunsState("abc"), Painted())
    assert handlers.parts.state not in painted
    assert "no run" in painted[handlers.parts.detail].lower()


@pytest.fixture
def runs_of(services: Services, database: Any) -> Any:
    """Stores runs in a state of life, with some dots."""

    def make(status: RunStatus = RunStatus.QUEUED, failure: RunFailure | None = None, dots: int = 3) -> str:
        with database.session() as session:
            run = add_run(session)
            for step in range(1, dots + 1):
                run_points.record_point(session, run.id, step, train_loss=2.5, memory_bytes=2**30)
                run_points.record_sample(session, run.id, step, "What is <b>fever</b>?", f"Heat {step}.")
            if status.ended:
                run_store.finish(session, run.id, status, "It ended." if failure else None, failure=failure)
            return str(run.id)

    return make


@pytest.fixture
def runs(built: dict[type, Any], monkeypatch: pytest.MonkeyPatch) -> RunHandlers:
    monkeypatch.setattr(supervisor, "_start_next", lambda *_: None)  # what waits goes on waiting
    return built[RunHandlers]


def visible_charts(runs: RunHandlers, painted: Updates) -> list[str]:
    plots = zip(CHARTS, runs.parts.charts, strict=True)
    return [chart.name for chart, plot in plots if painted[plot]["visible"]]


def test_a_run_is_painted_with_its_first_chart_and_its_samples(runs: RunHandlers, runs_of: Any) -> None:
    painted = runs.look_at(runs_of(RunStatus.SUCCEEDED), RunsState())
    assert visible_charts(runs, painted) == ["Loss"]
    assert "Heat 1." in painted[runs.parts.samples]
    assert "<b>fever" not in painted[runs.parts.samples]
    assert painted[runs.parts.cancel]["visible"] is False


def test_charts_and_samples_are_left_alone_when_nothing_is_new(runs: RunHandlers, runs_of: Any) -> None:
    first = runs.look_at(runs_of(RunStatus.SUCCEEDED), RunsState())
    again = runs.refresh(first[runs.parts.state], first[runs.parts.painted])
    assert not {*runs.parts.charts, runs.parts.samples, runs.parts.chart_name} & again.keys()


def test_another_chart_can_be_chosen(runs: RunHandlers, runs_of: Any) -> None:
    first = runs.look_at(runs_of(RunStatus.SUCCEEDED), RunsState())
    painted = runs.choose_chart("Memory", first[runs.parts.state], first[runs.parts.painted])
    assert visible_charts(runs, painted) == ["Memory"]
    assert list(painted[runs.parts.charts[4]]["value"]["value"]) == [1024.0] * 3


def test_only_runs_by_preferences_have_charts_of_rewards(
    runs: RunHandlers, runs_of: Any, services: Services
) -> None:
    plain, preferring = runs_of(), runs_of()
    with services.database.session() as session:
        run_points.record_point(session, preferring, 4, reward_margin=0.25)
    painted = runs.look_at(preferring, RunsState(chart="Reward margin"))
    assert visible_charts(runs, painted) == ["Reward margin"]
    assert painted[runs.parts.chart_name]["choices"][-1] == "Reward margin"
    assert "reward margin, training" in painted[runs.parts.detail]
    other = runs.look_at(plain, painted[runs.parts.state])
    assert visible_charts(runs, other) == ["Loss"]
    assert other[runs.parts.chart_name]["value"] == "Loss"
    assert "Reward margin" not in other[runs.parts.chart_name]["choices"]


def test_a_run_just_started_is_looked_at_and_what_was_picked_stays(runs: RunHandlers, runs_of: Any) -> None:
    first, second, started = runs_of(), runs_of(), runs_of()
    painted = runs.look_at(started, RunsState(first, picked=(first, second)))
    assert painted[runs.parts.state] == RunsState(started, picked=(first, second))
    assert painted[runs.parts.compare.panel]["visible"] is True


def test_two_picked_runs_are_compared_until_one_is_let_go(runs: RunHandlers, runs_of: Any) -> None:
    ids = [runs_of(RunStatus.SUCCEEDED) for _ in range(5)]
    state, painted = RunsState(), Painted()
    for run_id in ids:
        updates = runs.act(state, painted, press("pick", run_id))
        state, painted = updates[runs.parts.state], updates[runs.parts.painted]
    assert state.picked == tuple(ids[1:])  # four at most
    assert updates[runs.parts.compare.panel]["visible"] is True
    assert set(updates[runs.parts.compare.chart]["value"]["line"]) == {"A", "B", "C", "D"}
    for run_id in ids[1:3]:
        updates = runs.act(state, painted, press("pick", run_id))
        state, painted = updates[runs.parts.state], updates[runs.parts.painted]
    assert updates[runs.parts.compare.chart]["colors_in_legend"] == ["A", "B"]
    updates = runs.act(state, painted, press("pick", ids[3]))
    assert updates[runs.parts.compare.panel]["visible"] is False


def test_rewards_are_compared_only_where_a_run_has_them(
    runs: RunHandlers, runs_of: Any, services: Services
) -> None:
    plain, other, preferring = runs_of(), runs_of(), runs_of()
    with services.database.session() as session:
        run_points.record_point(session, preferring, 4, eval_reward_margin=0.25)
    chosen = RunsState(plain, picked=(plain, preferring), compared="Held-out reward margin")
    updates = runs.refresh(chosen, Painted())
    compare = runs.parts.compare
    assert updates[compare.name]["choices"][-1] == updates[compare.name]["value"] == "Held-out reward margin"
    assert updates[compare.chart]["y_title"] == "Margin in nats"
    assert 0.25 in list(updates[compare.chart]["value"]["value"])
    without = runs.refresh(replace(chosen, picked=(plain, other)), Painted())
    assert without[compare.name]["value"] == "Held-out loss"
    assert "Held-out reward margin" not in without[compare.name]["choices"]


def test_a_remedy_starts_the_run_again(runs: RunHandlers, runs_of: Any, services: Services) -> None:
    run_id = runs_of(RunStatus.FAILED, RunFailure.OUT_OF_MEMORY)
    frozen = FrozenRecipe("patient", "smollm2-135m", "Be kind.", 300, Hyperparameters())
    with services.database.reading() as session:
        open_record(services.settings.folders.runs / run_id, frozen, run_store.get(session, run_id).snapshot)
    first = runs.look_at(run_id, RunsState())
    label = "Batches of 2 instead of 4, 2 added up for an update"
    assert f'data-act="retry" data-item="{run_id} {label}"' in first[runs.parts.detail]
    other = runs_of(RunStatus.SUCCEEDED)
    stale = replace(
        first[runs.parts.painted], run_id=other
    )  # the clock has painted what was looked at before
    painted = runs.go_on(first[runs.parts.state], stale, press("retry", f"{run_id} {label}"))
    assert "Batches of 2 instead of 4" in painted[runs.parts.message]
    new = services.runs.show(painted[runs.parts.state].run_id)
    assert (new.hyperparameters["batch_size"], new.status) == (2, RunStatus.QUEUED)
    gone = runs.go_on(first[runs.parts.state], stale, press("retry", f"{run_id} What was offered before"))
    assert run_id in gone[runs.parts.detail]  # painted anew, nothing started
    assert len(services.runs.recent()) == 3


def test_a_run_that_stopped_goes_on_though_another_was_painted_meanwhile(
    runs: RunHandlers, runs_of: Any, services: Services
) -> None:
    stopped, other = runs_of(RunStatus.CANCELLED), runs_of()
    first = runs.look_at(stopped, RunsState())
    assert f'data-act="resume" data-item="{stopped}"' in first[runs.parts.detail]
    assert "Resume from the beginning" in first[runs.parts.detail]
    stale = replace(first[runs.parts.painted], run_id=other)
    painted = runs.go_on(RunsState(), stale, press("resume", stopped))
    assert services.runs.show(stopped).status is RunStatus.QUEUED
    assert painted[runs.parts.state].run_id == stopped
    assert "Resume" not in painted[runs.parts.detail]


def test_the_run_that_was_chosen_is_cancelled_not_the_one_painted_meanwhile(
    runs: RunHandlers, runs_of: Any, services: Services
) -> None:
    chosen, other = runs_of(), runs_of()
    runs.cancel(RunsState(chosen), Painted(other))
    assert services.runs.show(chosen).status is RunStatus.CANCELLED
    assert services.runs.show(other).status is RunStatus.QUEUED
    runs.cancel(RunsState(), Painted(other))  # nobody has chosen: it is the newest
    assert services.runs.show(other).status is RunStatus.CANCELLED


def test_where_nobody_saw_why_a_run_ended_what_may_help_is_offered(
    runs: RunHandlers, runs_of: Any, services: Services
) -> None:
    run_id = runs_of(RunStatus.INTERRUPTED, RunFailure.INTERRUPTED)
    for name, state in (("checkpoint-12", "{}"), ("checkpoint-24", '{"half')):
        folder = services.settings.folders.runs / run_id / "checkpoints" / name
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text(state)
    html = runs.look_at(run_id, RunsState())[runs.parts.detail]
    assert "Resume from step 12" in html  # the later one was never finished
    assert html.index("Resume from step 12") < html.index("If memory ran out, start again with")
    assert {*services.runs.show(run_id).remedies[0].values} == {"gradient_checkpointing"}


def test_the_queue_is_arranged_and_removal_is_asked_twice(
    runs: RunHandlers, runs_of: Any, services: Services
) -> None:
    first, second = runs_of(), runs_of()
    state, painted = RunsState(), Painted()
    runs.act(state, painted, press("up", second))
    assert services.runs.show(second).place == 1
    asked = runs.act(state, painted, press("ask_remove", first))
    assert "Remove for good" in asked[runs.parts.list]
    assert len(services.runs.recent()) == 2
    removed = runs.act(asked[runs.parts.state], asked[runs.parts.painted], press("remove", first))
    assert first not in removed[runs.parts.list]
    last = runs.act(removed[runs.parts.state], removed[runs.parts.painted], press("remove", second))
    assert last[runs.parts.detail] == ""
    assert services.runs.recent() == ()


def test_what_can_t_be_done_is_said_and_changes_nothing(runs: RunHandlers, runs_of: Any) -> None:
    run_id = runs_of(RunStatus.SUCCEEDED)
    assert "no run" in runs.act(RunsState(), Painted(), press("remove", "abc"))[runs.parts.message]
    assert "has a place" in runs.act(RunsState(), Painted(), press("up", run_id))[runs.parts.message]


@pytest.fixture
def adapters(built: dict[type, Any], database: Any, home: Any, tmp_path: Any) -> AdapterHandlers:
    """The adapters' handlers, with patient@1 in the list."""
    register_adapter(database, home, make_adapter(tmp_path / "trained", seed=1, rank=2))
    return built[AdapterHandlers]


def test_the_details_of_an_adapter_tell_where_it_came_from(adapters: AdapterHandlers) -> None:
    painted = last_of(adapters.act("", "", 0, "", press("details", "patient@1")))
    html = painted[adapters.parts.details]
    assert painted[adapters.parts.shown] == "patient@1"
    for part in ("5" * 64, "27 rows from starter", "Apache-2.0", "2.125", "adapter.gguf", "Not clinically"):
        assert part in html
    assert "aria-current" in painted[adapters.parts.list]
    closed = last_of(adapters.act("", "", 0, "patient@1", press("close")))
    assert (closed[adapters.parts.details], closed[adapters.parts.shown]) == ("", "")


def test_promoting_repaints_the_details_that_are_open(adapters: AdapterHandlers) -> None:
    painted = last_of(adapters.act("Ada", "a test", 2, "patient@1", press("promote", "patient@1")))
    assert painted[adapters.parts.promoted] == 3
    assert "el-live" in painted[adapters.parts.details]
    assert "now answers for patient" in painted[adapters.parts.message]
    refused = last_of(adapters.act("", "", 3, "", press("promote", "patient@1")))
    assert "says who they are" in refused[adapters.parts.message]


def test_an_export_tells_where_it_is_and_isnt_offered_twice(adapters: AdapterHandlers, home: Any) -> None:
    painted = last_of(adapters.act("", "", 0, "patient@1", press("export-gguf", "patient@1")))
    assert str(home.exports / "patient-1-gguf") in painted[adapters.parts.message]
    assert 'data-act="export-gguf"' not in painted[adapters.parts.details]
    assert 'data-act="export-peft"' in painted[adapters.parts.details]


def test_a_damaged_adapter_is_told_instead_of_shown(adapters: AdapterHandlers, home: Any) -> None:
    (home.adapters / "patient" / "1" / "adapter.gguf").write_bytes(b"other")
    painted = last_of(adapters.act("", "", 0, "", press("details", "patient@1")))
    assert "was changed after training" in painted[adapters.parts.message]
    assert adapters.parts.details not in painted


def test_no_seed_is_minus_one_as_an_empty_number_shows_zero() -> None:
    assert [sampling_overrides(0.1, 1.0, 0.9, 9, seed)["seed"] for seed in (-1, None, 0, 7)] == [
        None,
        None,
        0,
        7,
    ]


def test_an_answer_that_ends_leaves_alone_what_is_done_with_its_conversation(chat: ChatHandlers) -> None:
    side = chat.parts.side
    [started, *rest] = chat.ask("What is fever?", "patient", ChatState(), *SAMPLING, PAGE)
    assert started[side.title] == "What is fever?"
    in_use = {side.title, side.confirm}  # a new title half typed, a deletion asked about
    assert not in_use & last_of(rest).keys()
    again = last_of(chat.act("patient", rest[-1][chat.parts.state], *SAMPLING, PAGE, press("retry")))
    assert not in_use & again.keys()
