"""The proof of the loop on the embedded model: ask, review, correct, export, train, promote, ask again."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from db import responses as response_store
from db.home import Home
from db.vocabulary import RUBRIC, AdapterStatus, Disposition, RunStatus
from elara_ui.services import Services, build_services
from elara_ui.services.answers import Answer, Finished
from elara_ui.services.evaluation_planning import Wish
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.reviewing import ReviewDraft
from elara_ui.services.suites import SuiteQuestion
from elara_ui.services.training import DataChoice, DataSource
from elara_ui.settings import Settings

pytestmark = pytest.mark.slow

QUESTION = "What is a fever?"
CORRECTION = "A fever means your body is hot. It helps you fight germs. Rest and drink. Call us if it lasts."
GOOD = {
    "accuracy": "aligned", "wrong_content": "none", "omission": "none", "harm": "none",
    "urgency": "correct", "readability": "right", "relevance": "fully",
}  # fmt: skip
GREEDY = {"temperature": 0.0, "max_new_tokens": 48}
TRAINING_SECONDS = 600


@pytest.fixture
def services(home: Home, embedded_gguf: Path) -> Iterator[Services]:
    services = build_services(Settings.read(home=home.root, model_file=embedded_gguf, context_tokens=1024))
    yield services
    services.close()


def ask(services: Services, adapter: str | None = None) -> Answer:
    question = services.chat.check("patient", QUESTION, GREEDY, adapter)
    *_, finished = services.chat.ask(question)
    assert isinstance(finished, Finished)
    return finished.answer


def wait_until_ended(services: Services, run_id: str) -> RunStatus:
    give_up = time.monotonic() + TRAINING_SECONDS
    while time.monotonic() < give_up:
        run = services.runs.show(run_id)
        if run.status.ended:
            assert run.status is RunStatus.SUCCEEDED, services.runs.log(run_id)
            return run.status
        time.sleep(1)
    raise AssertionError(services.runs.log(run_id))


def test_a_correction_becomes_an_adapter_that_answers(services: Services, tmp_path: Path) -> None:
    before = ask(services)
    assert before.adapter is None

    services.reviewing.send(before.response_id)
    task = services.reviewing.next("Rater A")
    assert task is not None
    assert set(GOOD) == {scale.axis.value for scale in RUBRIC}
    services.reviewing.submit(
        ReviewDraft(task.item_id, "Rater A", Disposition.ACCEPT_WITH_EDIT, GOOD, correction=CORRECTION)
    )
    exported = services.reviewing.export(tmp_path / "rows.jsonl")
    [row] = [json.loads(line) for line in exported.path.read_text(encoding="utf-8").splitlines()]
    assert row["messages"][-1] == {"role": "assistant", "content": CORRECTION}

    values = {"max_steps": 6, "learning_rate": 3e-3, "batch_size": 1, "lora_dropout": 0, "warmup_ratio": 0}
    values |= {"probe_samples": 0}  # each answer takes as long as a step
    run_id = services.training.launch("patient", DataChoice(DataSource.FILE, exported.path), values)
    wait_until_ended(services, run_id)
    [adapter] = services.adapters.versions("patient")
    assert (adapter.name, adapter.status, adapter.run_id) == ("patient@1", AdapterStatus.CANDIDATE, run_id)
    assert ask(services).adapter is None  # a candidate doesn't answer

    lesson = SuiteQuestion("fever", QUESTION, CORRECTION)
    services.suites.add("lesson", [lesson], "lesson.jsonl")
    evaluated = services.evaluations.run(Wish("patient@1", "lesson"))
    loss = evaluated.figure("heldout_loss")
    assert loss is not None, evaluated
    assert loss.value < 2  # the base model's is 3.0: the loss is the adapter's, and it has learned
    assert "patient@1" not in services.serving.engine().adapters

    services.release.promote("patient@1", "Rater A", "a test")
    after = ask(services)
    with services.database.reading() as session:
        assert response_store.get(session, after.response_id).adapter == "patient@1"
    assert after.text != before.text  # the adapter speaks
    assert ask(services, BASE_ALONE).text == before.text  # and the base is still itself
    assert ask(services).text == after.text
