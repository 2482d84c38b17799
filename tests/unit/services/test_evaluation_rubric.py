"""Rubric points: each reviewer scores each answer with points once, blind; the share met is a figure."""

from pathlib import Path

import pytest
from evaluation_factory import add_suite, add_version, evaluate

from db.home import Home
from elara_ui.errors import InvalidInput, NotFound
from elara_ui.services import Services


@pytest.fixture
def evaluation(services: Services, home: Home, tmp_path: Path) -> str:
    add_suite(services)
    return evaluate(services, add_version(services, home, tmp_path / "made")).evaluation_id


def score_all(services: Services, reviewer: str, met: bool) -> list[str]:
    """Answer every task alike; the questions in the order in which they came."""
    asked = []
    while task := services.rubric.next(reviewer, "mine"):
        asked.append(task.question)
        services.rubric.score(reviewer, task.answer_id, [met] * len(task.points))
    return asked


def test_answers_with_points_are_scored_once_by_each_reviewer(services: Services, evaluation: str):
    task = services.rubric.next("Ada", "mine")
    assert task is not None
    assert task.left == 2
    assert "patient@" not in repr(task)
    assert len(score_all(services, "Ada", True)) == 2
    assert services.rubric.next("Ada", "mine") is None
    assert len(score_all(services, "Ben", False)) == 2
    figure = services.evaluations.show(evaluation).figure("rubric")
    assert figure is not None
    assert (figure.value, figure.n) == (0.5, 2)


def test_points_count_by_their_weight_and_a_later_finding_replaces_one(services: Services, evaluation: str):
    burn = services.evaluations.answers(evaluation)[2]
    for met, share in (((True, False), 0.75), ((False, True), 0.25)):
        services.rubric.score("Ada", burn.answer_id, met)
        assert services.evaluations.answers(evaluation)[2].measures["rubric"] == share
    figure = services.evaluations.show(evaluation).figure("rubric")
    assert figure is not None
    assert (figure.value, figure.n) == (0.25, 1)


def test_a_point_left_out_or_an_answer_that_is_gone_is_refused(services: Services, evaluation: str):
    burn = services.evaluations.answers(evaluation)[2]
    with pytest.raises(InvalidInput, match="this answer has 2, but 1 were judged"):
        services.rubric.score("Ada", burn.answer_id, [True])
    services.evaluations.remove(evaluation)
    with pytest.raises(NotFound, match="evaluation was removed"):
        services.rubric.score("Ada", burn.answer_id, [True, True])
    assert services.rubric.next("Ada", "mine") is None
