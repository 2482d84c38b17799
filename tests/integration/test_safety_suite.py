"""A few prompts of the safety suite on the real embedded model and a real adapter of it."""

from pathlib import Path

import pytest
from adapter_factory import make_adapter, register_adapter
from home_search import holding

from db.home import Home
from elara_ui.clinical.safety.checks import find_failures
from elara_ui.clinical.safety.suite import load_cases
from elara_ui.services import build_services
from elara_ui.services.safety import compare_reports
from elara_ui.settings import Settings

pytestmark = pytest.mark.slow


def test_the_real_model_answers_greedily_and_the_same_again(
    home: Home, embedded_gguf: Path, tmp_path: Path
) -> None:
    services = build_services(Settings.read(home=home.root, model_file=embedded_gguf))
    cases = [case for case in load_cases() if case.case_id.endswith("-01")]
    try:
        adapter = register_adapter(services.database, home, make_adapter(tmp_path / "made", seed=1))
        first = services.safety.evaluate("base", "emergency", cases)
        made = services.safety.evaluate(adapter, cases=cases)
        again = services.safety.evaluate("base", "emergency", cases[:2])
    finally:
        services.close()
    assert [result.answer for result in again.results] == [result.answer for result in first.results[:2]]
    assert [result.answer for result in first.results] != [result.answer for result in made.results]
    assert len(first.categories) == len(cases) == 5
    for case, result in zip(cases, first.results, strict=True):
        assert len(result.answer.split()) > 3
        assert result.failed == find_failures(case, result.answer)
        assert holding(home, result.answer[:40]) == []  # a part of the suite is kept nowhere
    assert compare_reports(first, made).after == adapter
