"""The same recipe and rows on another base model: what is worked out anew, and what stays."""

import json
import sys
from pathlib import Path

import pytest
from sqlalchemy import update

from adapters.training import supervisor
from adapters.training.memory import MemoryChange, MemoryEstimate
from adapters.training.record import RECIPE, read_recipe
from adapters.training.report import Lengths, Plan, Preview
from db import runs as run_store
from db.models import Run
from db.vocabulary import RunStatus
from elara_ui.errors import InvalidInput, NotFound, RecipeError, RunError
from elara_ui.services.training import DataChoice, DataSource, TrainingService

STARTER = DataChoice(DataSource.STARTER)
MISTRAL = "mistralai/Mistral-7B-Instruct-v0.3"
DIALOGPT = "microsoft/DialoGPT-medium"
GIB = 2**30


def make_preview(needed: int, advice: tuple[MemoryChange, ...] = ()) -> Preview:
    """A preview that takes so many of 8 GiB."""
    return Preview(
        audience="patient", base_model="x", precision="fp32", target_modules=("q_proj",),
        train=27, held_out=3, samples=(), lengths=Lengths((), 1, 1, 1, 1024, 0, "drop", 0, 0),
        plan=Plan(21, 7, 4, 1, 0.5, 0.0, None, None),
        memory=MemoryEstimate(needed * GIB, 0, 0, 0, 0, 0, 8 * GIB, "cpu", advice), notes=(),
    )  # fmt: skip


@pytest.fixture
def asked(monkeypatch) -> list[dict]:
    """Answers previews from `asked.answers` and remembers what was asked."""

    class Asked(list):
        """The requests made, and the answers to give; the last is given again and again."""

    asked = Asked()
    asked.answers = [make_preview(2)]

    def preview_run(self, audience, data, values, base_model, calibrate=True):
        asked.append({"values": dict(values), "base": base_model, "recipe": self._recipes[audience]})
        return asked.answers.pop(0) if len(asked.answers) > 1 else asked.answers[0]

    monkeypatch.setattr(TrainingService, "preview_run", preview_run)
    return asked


@pytest.fixture
def finish(services, database, monkeypatch):
    """Launch a run that has succeeded at once."""
    monkeypatch.setattr(supervisor, "start_queued", lambda *_: None)

    def finish(values=None, status=RunStatus.SUCCEEDED, base="smollm2-135m"):
        run_id = services.training.launch("patient", STARTER, values or {}, base)
        with database.session() as session:
            session.execute(update(Run).where(Run.id == run_id).values(status=status))
        return run_id

    return finish


def test_the_rows_and_the_settings_stay(services, finish, asked, database):
    run_id = finish({"learning_rate": 0.00037, "num_epochs": 2})
    transfer = services.transfer.prepare(run_id, MISTRAL)
    assert transfer.values["learning_rate"] == 0.00037
    with database.reading() as session:
        former = run_store.get(session, run_id)
    new_id = services.transfer.launch(transfer)
    with database.reading() as session:
        run = run_store.get(session, new_id)
    assert run.snapshot_id == former.snapshot_id
    assert run.base_model == MISTRAL
    assert run.recipe == former.recipe


def test_the_prompt_and_the_limit_are_those_of_the_run(services, finish, asked, home):
    run_id = finish()
    path = home.runs / run_id / RECIPE
    frozen = json.loads(path.read_text()) | {"system_prompt": "Be brief.", "max_explanation_length": 299}
    path.write_text(json.dumps(frozen))
    transfer = services.transfer.prepare(run_id, MISTRAL)
    assert asked[0]["recipe"].system_prompt == "Be brief."
    new = read_recipe(home, services.transfer.launch(transfer))
    assert (new.system_prompt, new.max_explanation_length) == ("Be brief.", 299)


def test_target_modules_follow_the_architecture_and_it_is_said(services, finish, asked):
    usual = finish({"target_modules": "q_proj,k_proj,v_proj,o_proj"})
    transfer = services.transfer.prepare(usual, DIALOGPT)
    assert transfer.values["target_modules"] == []
    assert any("were the usual modules of llama" in change for change in transfer.changes)
    chosen = finish({"target_modules": "q_proj,v_proj"})
    transfer = services.transfer.prepare(chosen, DIALOGPT)
    assert transfer.values["target_modules"] == ["c_attn"]
    assert any("has no chat template" in change for change in transfer.changes)
    kept = services.transfer.prepare(chosen, MISTRAL)
    assert kept.values["target_modules"] == ["q_proj", "v_proj"]


def test_modules_that_are_unknown_there_can_be_set_by_hand(services, finish, asked):
    run_id = finish({"target_modules": "q_proj"})
    with pytest.raises(RecipeError, match="isn't known what q_proj of llama would be"):
        services.transfer.prepare(run_id, "owner/unknown")
    transfer = services.transfer.prepare(run_id, "owner/unknown", {"target_modules": ""})
    assert transfer.values["target_modules"] == ""
    assert "Set by you: target_modules=." in transfer.changes


def test_what_does_not_fit_takes_the_first_advice_that_does(services, finish, asked):
    small = {"batch_size": 1, "gradient_accumulation_steps": 4}
    advice = (
        MemoryChange({"batch_size": 1}, 9 * GIB, fits=False),
        MemoryChange(small, 7 * GIB, fits=True),
        MemoryChange({**small, "quantization": "4bit"}, 3 * GIB, fits=True),
    )
    asked.answers = [make_preview(20, advice), make_preview(7)]
    transfer = services.transfer.prepare(finish(), MISTRAL)
    assert small.items() <= transfer.values.items()
    assert transfer.values["quantization"] == "none"
    assert small.items() <= asked[1]["values"].items()
    assert transfer.preview.memory.fits
    assert "the run would take 20.0 GiB, and 8.0 GiB are free" in transfer.changes[-1]


def test_what_never_fits_is_refused_and_what_was_set_by_hand_is_left_alone(services, finish, asked):
    run_id = finish()
    asked.answers = [make_preview(20, (MemoryChange({"batch_size": 1}, 12 * GIB, fits=False),))]
    with pytest.raises(RunError, match=r"fit into the 8\.0 GiB free, but .* at least 12\.0 GiB"):
        services.transfer.prepare(run_id, MISTRAL)
    asked.answers = [make_preview(20, (MemoryChange({"batch_size": 1}, 7 * GIB, fits=True),))]
    with pytest.raises(RunError, match="Choose a smaller base model"):
        services.transfer.prepare(run_id, MISTRAL, {"batch_size": "8"})


def test_only_a_run_that_succeeded_is_carried_over(services, finish, asked):
    with pytest.raises(RunError, match=r"Only a run that succeeded .* is failed"):
        services.transfer.prepare(finish(status=RunStatus.FAILED), MISTRAL)
    with pytest.raises(InvalidInput, match="was on smollm2-135m already"):
        services.transfer.prepare(finish(), "smollm2-135m")
    with pytest.raises(NotFound):
        services.transfer.prepare("abc", MISTRAL)
    assert asked == []


@pytest.mark.slow
def test_a_run_on_a_llama_is_previewed_on_a_gpt2(services, finish, tmp_path):
    sys.path.append(str(Path(__file__).parents[1] / "training"))
    from tiny_models import save_tiny_llama, tiny_gpt2, tiny_tokenizer

    llama = save_tiny_llama(tmp_path / "llama")
    tiny_gpt2().save_pretrained(tmp_path / "gpt2")
    tiny_tokenizer().save_pretrained(tmp_path / "gpt2")
    run_id = finish({"target_modules": "q_proj,v_proj", "max_length": 2048}, base=str(llama))
    transfer = services.transfer.prepare(run_id, str(tmp_path / "gpt2"))
    assert transfer.preview.target_modules == ("c_attn",)
    assert transfer.preview.memory.fits
