"""Probe questions: answered as the model is asked, and without a trace in the training."""

import pytest

torch = pytest.importorskip("torch")
from test_trainer import INTERRUPTIBLE, QUICK, Diary, base, rows  # noqa: E402
from tiny_models import tiny_gpt2, tiny_tokenizer  # noqa: E402

from adapters.recipe import override  # noqa: E402
from adapters.training import probes, trainer  # noqa: E402
from adapters.training.probes import Probes  # noqa: E402
from adapters.training.progress import RunCancelled  # noqa: E402

QUESTIONS = ("What is 1?", "Why is the sky blue, and what is it that one sees there at night?")


class Listening(Diary):
    """Keeps the samples too."""

    def __init__(self, **options):
        super().__init__(**options)
        self.samples = []

    def sample(self, step, probe, text):
        self.samples.append((step, probe, text))


def fit(tmp_path, settings=QUICK, questions=QUESTIONS, loaded=None, held_out=2, diary=None):
    loaded, diary = loaded or base(), diary or Listening()
    encoded = rows(10, loaded.tokenizer)
    watchers = [Probes(questions, loaded, "Be brief.", diary)]
    result = trainer.fit(
        loaded, encoded[held_out:], encoded[:held_out], settings,
        folder=tmp_path / "run", progress=diary, watchers=watchers,
    )  # fmt: skip
    return result, diary


def test_the_base_model_and_each_evaluation_answer_every_question(tmp_path):
    _, diary = fit(tmp_path, override(QUICK, {"learning_rate": 0.1}))
    assert [(step, probe) for step, probe, _ in diary.samples] == [
        (step, question) for step in (0, 2, 4) for question in QUESTIONS
    ]
    first, *_, last = (text for _, probe, text in diary.samples if probe == QUESTIONS[0])
    assert first != last  # it has learned


def test_without_a_held_out_part_they_are_asked_at_the_end_of_each_epoch(tmp_path):
    _, diary = fit(tmp_path, held_out=0)
    assert [step for step, _, _ in diary.samples] == [0, 0, 3, 3, 6, 6]


@pytest.mark.parametrize(
    ("changes", "precision"),
    [({}, "fp32"), ({"gradient_checkpointing": True}, "fp32"), ({}, "bf16")],
    ids=["plain", "checkpointing", "bf16"],
)
def test_the_losses_are_the_same_to_the_last_bit(tmp_path, changes, precision):
    settings = override(INTERRUPTIBLE, changes)  # with dropout, so that a number drawn more would show
    told = {
        name: fit(tmp_path / name, settings, questions, base(precision=precision))[1]
        for name, questions in (("without", ()), ("with", QUESTIONS))
    }
    assert told["without"].samples == []
    assert len(told["with"].samples) == 6
    assert told["with"].losses == told["without"].losses
    assert told["with"].evals == told["without"].evals


def test_a_model_without_a_template_is_asked_as_it_was_trained(tmp_path):
    loaded = base(tiny_gpt2(), tiny_tokenizer(chat_template=None))
    _, diary = fit(tmp_path, loaded=loaded)
    assert len(diary.samples) == 6


def test_padding_does_not_change_an_answer(tmp_path):
    _, together = fit(tmp_path / "a", override(QUICK, {"max_steps": 1}))
    _, alone = fit(tmp_path / "b", override(QUICK, {"max_steps": 1}), questions=QUESTIONS[:1])
    assert alone.samples[0] == together.samples[0]


def test_a_run_can_be_stopped_while_it_answers(tmp_path, monkeypatch):
    class Stopping(Listening):
        def beat(self, step=None, *_):
            if step is None and self.evals:  # as between tokens: the base has been measured
                raise RunCancelled

    monkeypatch.setattr(probes, "BEAT_SECONDS", 0.0)
    diary = Stopping()
    with pytest.raises(RunCancelled):
        fit(tmp_path, diary=diary)
    assert diary.steps == []  # before the first


def test_questions_that_can_t_be_answered_don_t_end_the_run(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise RuntimeError("no cache")

    monkeypatch.setattr(probes, "_generate", refuse)
    _, diary = fit(tmp_path)
    assert diary.samples == []
    assert len(diary.losses) == 4
    assert "can't be answered: no cache" in caplog.text
