"""The Evaluate tab: what is offered, started, painted and compared; adding a suite and scoring points."""

from pathlib import Path

import gradio as gr
import pytest
from evaluation_factory import QUESTIONS, add_suite, add_version, evaluate, write_suite
from fake_engine import FakeEngine

from db.home import Home
from db.vocabulary import EvaluationStatus
from elara_ui.services import Services
from elara_ui.tabs.evaluation import EvaluationTab, build_evaluation_tab
from elara_ui.tabs.evaluation_handlers import EvaluationState, Painted

MANY = tuple({"id": f"q{number}", "question": f"What is <b>{number}</b>?"} for number in range(32))


@pytest.fixture
def adapter(services: Services, home: Home, tmp_path: Path) -> str:
    return add_version(services, home, tmp_path / "made")


@pytest.fixture
def tab(services: Services) -> EvaluationTab:
    with gr.Blocks():
        return build_evaluation_tab(services, gr.BrowserState(""))


def pressed(act: str, item: str) -> gr.EventData:
    return gr.EventData(None, {"act": act, "item": item})


def test_versions_of_the_served_model_are_offered_with_their_questions(
    tab: EvaluationTab, services: Services, adapter: str
):
    add_suite(services)
    main, form = tab.main, tab.main.parts.form
    updates = main.refresh(EvaluationState(), Painted())
    assert [value for _, value in updates[form.version]["choices"]] == [adapter, "base"]
    assert updates[form.version]["value"] == adapter
    assert updates[form.audience]["visible"] is False
    assert {"safety", "mine"} <= {value for _, value in updates[form.suite]["choices"]}
    assert main.choose_version("base", "doctor")[form.audience]["visible"] is True
    assert list(main.refresh(EvaluationState(), updates[main.parts.painted])) == [main.parts.painted]


def test_starting_opens_the_evaluation_and_its_end_is_painted(
    tab: EvaluationTab, services: Services, adapter: str
):
    add_suite(services)
    main, parts = tab.main, tab.main.parts
    begun = main.start(adapter, None, "mine", False, False, EvaluationState())
    state = begun[parts.state]
    assert adapter in begun[parts.list]
    services.evaluations.close()  # waits for the one that runs
    shown = services.evaluations.show(state.shown)
    assert shown.status.ended
    updates = main.refresh(state, begun[parts.painted])
    assert str(shown.status) in updates[parts.list]
    refused = main.start(adapter, None, "nothing", False, False, state)
    assert "no suite" in refused[parts.form.message]


def test_two_versions_stand_side_by_side_with_what_it_means(
    tab: EvaluationTab, services: Services, engine: FakeEngine, adapter: str
):
    add_suite(services, rows=MANY)
    engine.reply = "Long words stand here. " * 30
    before = evaluate(services, "base")
    engine.reply = "Rest."
    after = evaluate(services, adapter)
    main, parts = tab.main, tab.main.parts
    opened = main.act(EvaluationState(), pressed("open", after.evaluation_id))
    assert "95 % interval" in opened[parts.detail]
    assert [value for _, value in opened[parts.before]["choices"]] == ["", before.evaluation_id]
    assert list(opened[parts.chart]["value"]["version"]) == [adapter, before.label]
    assert opened[parts.comparison] == ""
    compared = main.compare(before.evaluation_id, opened[parts.state])
    assert f"{adapter} against {before.label}" in compared[parts.comparison]
    assert "changed" in compared[parts.comparison]
    assert compared[parts.answers].count("el-pairs") == 30
    assert "&lt;b&gt;0&lt;/b&gt;" in compared[parts.answers]
    assert compared[parts.more]["visible"] is True
    further = main.show_more(compared[parts.state])
    assert further[parts.answers].count("el-pairs") == 32
    assert further[parts.more]["visible"] is False
    drawn = main.choose_measure("words", compared[parts.state])
    assert list(drawn[parts.chart]["value"]["value"]) == [1, 120]
    removed = main.act(compared[parts.state], pressed("remove", before.evaluation_id))
    assert removed[parts.before]["visible"] is False


def test_what_is_read_stays_while_another_evaluation_goes_on(
    tab: EvaluationTab, services: Services, adapter: str
):
    add_suite(services)
    main, parts = tab.main, tab.main.parts
    read = evaluate(services, adapter)
    opened = main.act(EvaluationState(), pressed("open", read.evaluation_id))
    add_suite(services, "other", QUESTIONS[:1])
    assert evaluate(services, "base", "other").status is EvaluationStatus.DONE
    updates = main.refresh(opened[parts.state], opened[parts.painted])
    assert set(updates) == {parts.painted, parts.list}


def test_a_suite_is_added_or_its_faults_are_told(tab: EvaluationTab, services: Services, tmp_path: Path):
    panel, parts = tab.suites, tab.suites.parts
    assert "No file was chosen" in panel.add(None, "", 0)[parts.message]
    added = panel.add(str(write_suite(tmp_path / "Mine.jsonl")), "", 0)
    assert "mine@1 has 3 questions" in added[parts.message]
    assert added[parts.added] == 1
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("<script>", encoding="utf-8")
    assert "line 1 is no JSON" in panel.add(str(wrong), "", 1)[parts.message]
    assert [suite.label for suite in services.suites.newest() if not suite.own] == ["mine@1"]


def test_points_are_scored_one_answer_after_the_other(tab: EvaluationTab, services: Services, adapter: str):
    panel, parts = tab.rubric, tab.rubric.parts
    assert "No suite has points yet" in panel.open("Ada")[parts.message]
    add_suite(services)
    done = evaluate(services, adapter)
    offered = panel.open("Ada")
    assert offered[parts.suites]["choices"] == ["mine"]
    assert "1 to 120 characters" in panel.next("", "mine")[parts.message]
    shown = panel.next("Ada", "mine")
    while shown[parts.task] is not None:
        assert "2 to score" in shown[parts.answer] or "1 to score" in shown[parts.answer]
        shown = panel.save("Ada", "mine", shown[parts.task], [0])
    assert "Nothing is left" in shown[parts.message]
    figure = services.evaluations.show(done.evaluation_id).figure("rubric")
    assert figure is not None
    assert figure.value == pytest.approx((1 + 0.75) / 2)
