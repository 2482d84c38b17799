"""The safety suite run through the services: results repeat, are kept per version, and can be compared."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from adapter_factory import make_adapter, register_adapter
from fake_engine import FakeEngine
from home_search import holding

from db.home import Home
from elara_ui.clinical.safety.suite import Category, load_cases, suite_hash
from elara_ui.errors import InvalidInput, NotFound
from elara_ui.services import Services
from elara_ui.services.curation_check import read_evaluation_sets
from elara_ui.services.safety import compare_reports

GOOD = "I can't help with that and nobody can say. Call 999 now, or Samaritans, and ask a pharmacist."


@pytest.fixture
def adapter(services: Services, home: Home, tmp_path: Path) -> str:
    return register_adapter(services.database, home, make_adapter(tmp_path / "made", seed=1))


def test_every_prompt_is_asked_greedily_of_the_adapter_and_judged(
    services: Services, engine: FakeEngine, adapter: str
):
    engine.reply = GOOD
    told: list[tuple[int, int]] = []
    report = services.safety.evaluate(adapter, report=lambda done, total: told.append((done, total)))
    assert len(report.results) == len(load_cases()) == told[-1][0]
    assert report.failures == ()
    assert {request.adapter for request in engine.requests} == {adapter}
    assert {request.sampling.temperature for request in engine.requests} == {0}
    assert {request.sampling.seed for request in engine.requests} == {0}
    assert all(len(request.turns) == 2 for request in engine.requests)  # each prompt on its own
    assert [share.name for share in report.categories] == list(Category)
    for share in report.categories:
        assert share.hits == share.total
        assert 0.6 < share.low < share.high == pytest.approx(1)
    assert report.sha256 == suite_hash()


def test_the_answers_come_into_no_table(services: Services, home: Home, engine: FakeEngine, adapter: str):
    engine.reply = "xylophonitis"
    services.safety.evaluate(adapter)
    services.close()
    assert [path.parent for path in holding(home, "xylophonitis")] == [home.evaluation / "safety"]


def test_bad_answers_are_listed_with_the_checks_that_they_fail(
    services: Services, engine: FakeEngine, adapter: str
):
    engine.reply = "Don't call 999. Take 40 tablets."
    report = services.safety.evaluate(adapter)
    shares = {share.name: share.hits for share in report.categories}
    assert shares[Category.EMERGENCY] == shares[Category.SELF_HARM] == shares[Category.DOSE] == 0
    first = report.failures[0]
    assert first.failed[:2] == ("calls", "calls early and now")
    assert first.answer == engine.reply


def test_results_are_kept_for_the_weights_that_gave_them(
    services: Services, engine: FakeEngine, adapter: str, home: Home
):
    with pytest.raises(NotFound, match="has not been run"):
        services.safety.latest(adapter)
    first = services.safety.evaluate(adapter)
    second = services.safety.evaluate(adapter)
    assert services.safety.latest(adapter) == second
    assert services.safety.stored(adapter) == (second, first)
    assert replace(second, made_at=first.made_at) == first  # greedy and seeded: it repeats
    for path in (home.evaluation / "safety").iterdir():
        document = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(document | {"weights_sha256": "0" * 64}), encoding="utf-8")
    assert services.safety.stored(adapter) == ()


def test_the_base_model_is_tried_with_an_audience_and_a_part_is_not_kept(
    services: Services, engine: FakeEngine
):
    cases = load_cases()[:3]
    report = services.safety.evaluate("base", "emergency", cases)
    assert report.adapter is None
    assert report.label == "smollm2-135m for emergency"
    assert len(report.results) == 3
    assert services.safety.stored("base", "emergency") == ()
    with pytest.raises(InvalidInput, match="no audience 'nurse'"):
        services.safety.evaluate("base", "nurse")


def test_an_adapter_is_asked_as_its_own_audience(services: Services, adapter: str):
    with pytest.raises(InvalidInput, match="speaks to the audience"):
        services.safety.evaluate(adapter, "researcher")
    with pytest.raises(NotFound):
        services.safety.evaluate("patient@99")


def test_a_comparison_says_what_became_better_and_worse(services: Services, engine: FakeEngine, adapter: str):
    engine.reply = "Call 999 now."
    before = services.safety.evaluate("base")
    engine.reply = "I can't help with that. Ask a pharmacist."
    after = services.safety.evaluate(adapter)
    change = compare_reports(before, after)
    assert "emergency-01" in change.newly_failing
    assert "unethical-request-01" in change.newly_passing
    name, old, new = change.categories[0]
    assert (name, old.hits > new.hits) == (Category.EMERGENCY, True)
    assert change.relevance == (before.relevance, after.relevance)
    assert compare_reports(replace(before, relevance_by="other"), after).relevance is None


def test_an_answer_is_held_against_its_own_prompt_for_relevance(services: Services, engine: FakeEngine):
    first = load_cases()[0]
    engine.reply = first.prompt
    report = services.safety.evaluate("base")
    scores = {result.case_id: result.relevance for result in report.results}
    assert scores[first.case_id] == pytest.approx(1, abs=1e-3)
    assert report.relevance < scores[first.case_id]
    assert report.relevance_by


def test_results_of_other_prompts_or_rules_are_not_compared(services: Services):
    cases = load_cases()
    whole, part = (services.safety.evaluate("base", cases=some) for some in (cases, cases[:3]))
    for other in (part, replace(whole, sha256="f" * 64)):
        with pytest.raises(InvalidInput, match="same prompts and rules"):
            compare_reports(whole, other)


def test_a_broken_file_among_the_results_is_passed_over(services: Services, home: Home):
    kept = services.safety.evaluate("base")
    (home.evaluation / "safety" / "x.json").write_text("{}", encoding="utf-8")
    (home.evaluation / "safety" / "y.json").write_text("[", encoding="utf-8")
    assert services.safety.stored("base") == (kept,)


def test_no_prompt_of_the_suite_may_come_into_a_training_set(home: Home):
    known = read_evaluation_sets(home)
    assert {case.prompt for case in load_cases()} <= known.keys()
