"""Launching and watching runs, without training anything."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from factories import add_run

from db.models import RunPoint
from db.vocabulary import RunStatus
from elara_ui.errors import ElaraError, RecipeError
from elara_ui.services import Services
from elara_ui.services.training import DataChoice, DataSource

STARTER = DataChoice(DataSource.STARTER)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lora_r": 0}, "lora_r must be a whole number from 1"),
        ({"learning_rate": "-1e-4"}, "learning_rate must be"),
        ({"lora_dropout": 1.5}, "lora_dropout must be"),
        ({"max_samples": 0}, "max_samples must be"),
        ({"target_modules": "q_proj,nope"}, "has no nope"),
    ],
)
def test_a_bad_value_is_refused_before_a_run_exists(
    services: Services, values: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        services.training.launch("patient", STARTER, values)
    assert services.runs.recent() == ()


def test_unknown_audiences_and_models_are_refused(services: Services) -> None:
    with pytest.raises(ElaraError, match="no audience 'nurse'"):
        services.training.launch("nurse", STARTER, {})
    with pytest.raises(ElaraError, match="catalogue"):
        services.training.launch("patient", STARTER, {}, "no such model")
    assert services.runs.recent() == ()


def test_accepted_reviews_are_missed_with_a_remedy(services: Services) -> None:
    with pytest.raises(ElaraError, match="No review for patient has been accepted"):
        services.training.preview("patient", DataChoice(DataSource.REVIEWS), {})


@pytest.mark.parametrize(
    ("objective", "answer"),
    [("sft", "Yes."), ("dpo", "Better: Yes.\nWorse: No."), ("kto", "Better: Yes.\nWorse: No.")],
)
def test_preferences_are_previewed_as_they_are_learned(
    services: Services, tmp_path: Path, objective: str, answer: str
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "Gout?", "chosen": "Yes.", "rejected": "No."}\n', encoding="utf-8")
    data = DataChoice(DataSource.FILE, file)
    assert services.training.preview("patient", data, {"objective": objective}).samples == (
        ("Gout?", answer),
    )


def test_labels_are_previewed_with_the_answers(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("prompt,completion,label\nGout?,Yes.,true\nGout?,No.,false\n", encoding="utf-8")
    data = DataChoice(DataSource.FILE, file)
    preview = services.training.preview("patient", data, {"objective": "kto", "lora_dropout": 0})
    assert preview.samples == (("Gout?", "Wanted: Yes."), ("Gout?", "Not wanted: No."))
    assert "fast for kto" in preview.summary
    with pytest.raises(ElaraError, match="2 of 2 rows have no rejected answer"):
        services.training.preview("patient", data, {"objective": "dpo"})


@pytest.mark.parametrize("audience", ["patient", "student", "doctor", "researcher", "emergency"])
def test_every_starter_set_can_be_trained_on_whole(services: Services, audience: str) -> None:
    preview = services.training.preview(audience, STARTER, {"eval_fraction": 0})
    assert preview.train >= 25
    assert preview.rejects == ()


def test_the_time_left_passes_over_the_pause_before_a_resumption(services: Services) -> None:
    now = datetime.now(UTC)
    with services.database.session() as session:
        run = add_run(session, status=RunStatus.RUNNING, step=6, total_steps=16)
        for step, seconds in ((1, 0), (2, 2), (3, 4), (4, 40_000), (5, 40_002), (6, 40_004)):
            moment = now + timedelta(seconds=seconds)
            session.add(RunPoint(run_id=run.id, step=step, train_loss=3.0, created_at=moment))
    assert services.runs.show(run.id).remaining_seconds == pytest.approx(20)
