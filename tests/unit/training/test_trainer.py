"""Trainer-level behaviour on a tiny random model: seconds, not minutes."""

import json
import math

import pytest

torch = pytest.importorskip("torch")
from peft import PeftModel  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from tiny_models import save_tiny_llama, tiny_gpt2, tiny_llama, tiny_tokenizer  # noqa: E402
from trl import SFTTrainer  # noqa: E402

from adapters.catalog import BaseModel  # noqa: E402
from adapters.engines.base import Turn  # noqa: E402
from adapters.errors import AdapterError, ModelError, RecipeError, RunError  # noqa: E402
from adapters.recipe import Hyperparameters, override  # noqa: E402
from adapters.training import lora, trainer  # noqa: E402
from adapters.training.checkpoints import find_last  # noqa: E402
from adapters.training.loading import LoadedBase, Source, choose_precision, load  # noqa: E402
from adapters.training.probes import Probes  # noqa: E402
from adapters.training.progress import RunCancelled  # noqa: E402
from adapters.training.rendering import encode  # noqa: E402
from db.run_points import REWARDS  # noqa: E402
from db.vocabulary import Role  # noqa: E402

QUICK = override(
    Hyperparameters(),
    {"precision": "fp32", "learning_rate": 0.02, "logging_steps": 1, "lora_dropout": 0, "num_epochs": 2},
)
SOURCE = Source(BaseModel("tiny", "Tiny", "/tiny"), "/tiny", "0" * 64)


class Diary:
    """Stands for `Progress`: keeps what it is told, and can cancel, die or do something else at a step."""

    def __init__(self, cancel_at=math.inf, kill_at=math.inf, before=None, at=None):
        self.kill_at, self.before, self.at = kill_at, before, at or {}
        self.stages, self.losses, self.evals, self.steps = [], [], [], []
        self.dots, self.samples, self.rewards = [], [], []
        self.cancel_at = cancel_at

    def stage(self, text, total_steps=None):
        self.stages.append((text, total_steps))

    def rewind(self, step, measured=True):
        self.rewound, self.measured = step, measured
        return self.before

    def beat(self, step=None, epoch=None, tokens_per_second=None):
        if step is not None:
            self.steps.append(step)
            self.at.get(step, bool)()
            if step >= self.kill_at:
                raise KeyboardInterrupt
            if step >= self.cancel_at:
                raise RunCancelled

    def sample(self, step, probe, text):
        self.samples.append((step, probe, text))

    def point(self, step, *, train_loss=None, eval_loss=None, **figures):
        if any(name in REWARDS for name in figures):
            self.rewards.append((step, figures))
            return
        self.dots.append(figures)
        (self.evals if train_loss is None else self.losses).append((step, eval_loss or train_loss))


def rows(count, tokenizer):
    turns = [(f"What is {number}?", f"It is {'one ' * (number + 1)}.") for number in range(count)]
    return [encode((Turn(Role.USER, q), Turn(Role.ASSISTANT, a)), tokenizer) for q, a in turns]


def base(model=None, tokenizer=None, precision="fp32"):
    torch.manual_seed(0)
    return LoadedBase(SOURCE, model or tiny_llama(), tokenizer or tiny_tokenizer(), "", precision)


def fit(tmp_path, settings=QUICK, diary=None, loaded=None, held_out=2, parent=None, watchers=()):
    loaded = loaded or base()
    encoded = rows(10, loaded.tokenizer)
    diary = diary or Diary()
    return (
        trainer.fit(
            loaded, encoded[held_out:], encoded[:held_out], settings, folder=tmp_path / "run", progress=diary,
            parent=parent, watchers=watchers,
        ),
        diary,
    )  # fmt: skip


def test_it_learns_and_says_so(tmp_path):
    result, diary = fit(tmp_path)
    assert result.metrics["eval_loss_after"] < result.metrics["eval_loss_before"]
    assert diary.stages == [("measuring the base model", None), ("training", 4)]
    assert diary.steps == [1, 2, 3, 4]
    assert [step for step, _ in diary.losses] == [1, 2, 3, 4]
    assert [step for step, _ in diary.evals] == [0, 2, 4]
    assert result.metrics["train_tokens"] == 2 * sum(
        len(row.input_ids) for row in rows(10, tiny_tokenizer())[2:]
    )


def test_what_is_saved_is_safetensors_without_a_local_path(tmp_path):
    result, _ = fit(tmp_path, override(QUICK, {"max_steps": 1, "use_rslora": True, "lora_r": 4}))
    names = {path.name for path in result.folder.iterdir()}
    assert names == {"adapter_model.safetensors", "adapter_config.json", "README.md"}
    config = json.loads((result.folder / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"], config["use_rslora"]) == ("tiny", 4, True)
    assert set(config["target_modules"]) == {"q_proj", "k_proj", "v_proj", "o_proj"}


def test_a_run_is_repeatable(tmp_path):
    losses = [fit(tmp_path / name, override(QUICK, {"lora_dropout": 0.2}))[1].losses for name in ("a", "b")]
    assert losses[0] == losses[1]


def test_steps_count_updates_not_batches(tmp_path):
    _, diary = fit(
        tmp_path, override(QUICK, {"batch_size": 2, "gradient_accumulation_steps": 4, "num_epochs": 1})
    )
    assert diary.steps == [1]


def test_without_a_held_out_part_nothing_is_measured(tmp_path):
    result, diary = fit(tmp_path, override(QUICK, {"max_steps": 1}), held_out=0)
    assert diary.evals == []
    assert "eval_loss_after" not in result.metrics


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
def test_the_lean_loss_is_the_same_as_trls(tmp_path, monkeypatch, make):
    settings = override(QUICK, {"gradient_accumulation_steps": 2, "batch_size": 3})
    lean, _ = fit(tmp_path / "lean", settings, loaded=base(make()))
    monkeypatch.setattr(trainer._LeanTrainer, "compute_loss", SFTTrainer.compute_loss)
    torch.manual_seed(0)
    full, _ = fit(tmp_path / "full", settings, loaded=base(make()))
    for name in ("eval_loss_before", "eval_loss_after", "train_loss"):
        assert lean.metrics[name] == pytest.approx(full.metrics[name], rel=0.03)


def test_gradient_checkpointing_learns_the_same(tmp_path):
    plain, _ = fit(tmp_path / "plain")
    saving, _ = fit(tmp_path / "saving", override(QUICK, {"gradient_checkpointing": True}))
    assert saving.metrics["train_loss"] == pytest.approx(plain.metrics["train_loss"], rel=1e-4)


def test_bf16_learns_nearly_the_same(tmp_path):
    full, _ = fit(tmp_path / "full")
    half, _ = fit(tmp_path / "half", loaded=base(precision="bf16"))
    assert half.metrics["train_loss"] == pytest.approx(full.metrics["train_loss"], rel=0.02)


def test_most_steps_shortens_a_run_but_never_lengthens_it(tmp_path):
    _, short = fit(tmp_path / "short", override(QUICK, {"max_steps": 1}))
    _, long = fit(tmp_path / "long", override(QUICK, {"max_steps": 100}))
    assert (short.steps, long.steps) == ([1], [1, 2, 3, 4])


def test_examples_left_out_are_named_while_training(tmp_path):
    loaded, diary = base(), Diary()
    encoded = rows(4, loaded.tokenizer)
    trainer.fit(loaded, encoded, [], QUICK, folder=tmp_path / "run", progress=diary, left_out=7)
    assert diary.stages == [("training; 7 examples too long, left out", 2)]


# Four steps an epoch, with dropout, so that order and random state both show in the losses.
INTERRUPTIBLE = override(QUICK, {"batch_size": 2, "lora_dropout": 0.3, "learning_rate": 0.005})


def test_a_cancelled_run_goes_on_as_if_it_had_not_been(tmp_path):
    whole, everything = fit(tmp_path / "whole", INTERRUPTIBLE)
    with pytest.raises(RunCancelled):
        fit(tmp_path / "cut", INTERRUPTIBLE, Diary(cancel_at=2))
    diary = Diary(before=whole.metrics["eval_loss_before"])
    rest, _ = fit(tmp_path / "cut", INTERRUPTIBLE, diary)
    assert diary.losses == [(step, pytest.approx(loss, rel=1e-5)) for step, loss in everything.losses[2:]]
    assert rest.metrics["eval_loss_after"] == pytest.approx(whole.metrics["eval_loss_after"], rel=1e-5)


def test_a_killed_run_goes_on_from_its_last_checkpoint_and_measures_the_base_once(tmp_path):
    settings = override(INTERRUPTIBLE, {"save_steps": 3})
    whole, everything = fit(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut", settings, Diary(kill_at=7))
    diary = Diary(before=whole.metrics["eval_loss_before"])
    rest, _ = fit(tmp_path / "cut", settings, diary)
    assert diary.rewound == 6
    assert diary.stages == [("training", 8)]
    assert [step for step, _ in diary.evals] == [8]
    assert diary.losses == [(step, pytest.approx(loss, rel=1e-5)) for step, loss in everything.losses[6:]]
    assert rest.metrics["eval_loss_before"] == whole.metrics["eval_loss_before"]
    for figure in ("train_tokens", "train_padded_tokens"):  # those of the first attempt count too
        assert rest.metrics[figure] == whole.metrics[figure]
    assert rest.metrics["train_loss"] == pytest.approx(whole.metrics["train_loss"], rel=1e-5)


class Interrupter(Diary):
    """Cancels while something is measured or answered: at a call after a step; None: before the first."""

    def __init__(self, step, call, **options):
        super().__init__(**options)
        self.step, self.left, self.last = step, call, None

    def beat(self, step=None, epoch=None, tokens_per_second=None):
        super().beat(step, epoch, tokens_per_second)
        self.last = step or self.last
        if step is None:
            self.count_down()

    def sample(self, step, probe, text):
        super().sample(step, probe, text)
        self.count_down()

    def point(self, step, *, train_loss=None, **figures):
        super().point(step, train_loss=train_loss, **figures)
        if train_loss is None:
            self.count_down()

    def count_down(self):
        if self.last == self.step:
            self.left -= 1
            if self.left == 0:
                raise RunCancelled


def ask(diary):
    return [Probes(("Why?",), base(), "", diary)]


# One held-out batch: a beat (1), then the dot of its loss (2), then the answer to the probe (3).
@pytest.mark.parametrize(
    ("when", "call", "changes"),
    [
        ("first", 1, {"early_stopping_patience": 1}),
        ("first", 3, {"gradient_accumulation_steps": 2}),
        ("last", 2, {}),
        ("last", 1, {"max_steps": 7}),
    ],
)
def test_a_run_cancelled_while_it_measures_goes_on_with_the_measurement(tmp_path, when, call, changes):
    settings = override(INTERRUPTIBLE, changes)

    def go(name, diary):
        return fit(tmp_path / name, settings, diary, watchers=ask(diary))

    whole, everything = go("whole", Diary(before=1.0))
    at = everything.evals[0 if when == "first" else -1][0]
    with pytest.raises(RunCancelled):
        go("cut", Interrupter(at, call, before=1.0))
    assert find_last(tmp_path / "cut" / "run").name == f"checkpoint-{at}"
    with pytest.raises(RunCancelled):  # and once more, before the measurement is made up for
        go("cut", Interrupter(None, call, before=1.0))
    rest, diary = go("cut", Diary(before=1.0))
    assert (diary.rewound, diary.measured) == (at, False)
    assert diary.losses == [dot for dot in everything.losses if dot[0] > at]
    assert diary.evals == [dot for dot in everything.evals if dot[0] >= at]
    assert diary.samples == [sample for sample in everything.samples if sample[0] >= at]
    same = ("eval_loss_after", "train_tokens", "train_padded_tokens")
    assert [rest.metrics[name] for name in same] == [whole.metrics[name] for name in same]
    assert rest.metrics["train_loss"] == pytest.approx(whole.metrics["train_loss"], rel=1e-5)


def test_each_dot_tells_rate_gradient_and_memory(tmp_path):
    result, diary = fit(tmp_path, held_out=0)
    assert len(diary.dots) == 6
    assert max(dot["learning_rate"] for dot in diary.dots) == QUICK.learning_rate
    for dot in diary.dots:
        assert dot["grad_norm"] > 0
        assert 0 < dot["tokens_per_second"] <= dot["padded_tokens_per_second"]  # rows differ in length
        assert dot["memory_bytes"] > 50_000_000
    assert result.metrics["train_padded_tokens"] > result.metrics["train_tokens"]


def test_a_checkpoint_without_a_note_of_its_cost_is_taken_all_the_same(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, INTERRUPTIBLE, Diary(kill_at=5))
    (tmp_path / "run" / "checkpoint-4" / "spent.json").unlink()
    result, diary = fit(tmp_path, INTERRUPTIBLE, Diary(before=1.0))
    assert diary.steps == [5, 6, 7, 8]
    assert result.metrics["train_loss"] == pytest.approx(sum(loss for _, loss in diary.losses) / 4, rel=1e-5)


def test_a_checkpoint_is_kept_at_the_end_of_an_epoch_once_it_is_measured(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, INTERRUPTIBLE, Diary(kill_at=5))
    _, diary = fit(tmp_path, INTERRUPTIBLE, Diary(before=1.0))
    assert (diary.rewound, diary.steps, [step for step, _ in diary.evals]) == (4, [5, 6, 7, 8], [8])


def test_a_continued_run_starts_where_the_adapter_is_and_leaves_it_as_it_was(tmp_path):
    first, _ = fit(tmp_path / "first")
    content = (first.folder / "adapter_model.safetensors").read_bytes()
    second, diary = fit(tmp_path / "second", parent=first.folder)
    assert second.metrics["eval_loss_before"] == pytest.approx(first.metrics["eval_loss_after"], rel=1e-5)
    assert second.metrics["eval_loss_after"] < second.metrics["eval_loss_before"]
    assert diary.stages[0] == ("measuring what is continued from", None)
    assert diary.steps == [1, 2, 3, 4]  # a plan of its own
    assert (first.folder / "adapter_model.safetensors").read_bytes() == content


def test_a_continued_run_can_be_broken_off_and_resumed(tmp_path):
    first, _ = fit(tmp_path / "first", override(INTERRUPTIBLE, {"num_epochs": 1}))
    whole, everything = fit(tmp_path / "whole", INTERRUPTIBLE, parent=first.folder)
    with pytest.raises(RunCancelled):
        fit(tmp_path / "cut", INTERRUPTIBLE, Diary(cancel_at=2), parent=first.folder)
    diary = Diary(before=whole.metrics["eval_loss_before"])
    rest, _ = fit(tmp_path / "cut", INTERRUPTIBLE, diary, parent=first.folder)
    assert diary.losses == [(step, pytest.approx(loss, rel=1e-5)) for step, loss in everything.losses[2:]]
    assert rest.metrics["eval_loss_after"] == pytest.approx(whole.metrics["eval_loss_after"], rel=1e-5)


@pytest.mark.parametrize("changes", [{"lora_r": 4}, {"target_modules": "q_proj"}])
def test_an_adapter_of_another_shape_is_not_continued_from(tmp_path, changes):
    settings = override(QUICK, {"max_steps": 1})
    first, _ = fit(tmp_path / "first", settings)
    with pytest.raises(AdapterError, match=r"can't be continued from.*layers\.0\.self_attn"):
        fit(tmp_path / "second", override(settings, changes), parent=first.folder)


def test_a_half_written_checkpoint_is_removed_and_the_one_before_taken(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, override(INTERRUPTIBLE, {"save_steps": 1}), Diary(kill_at=4))
    for name, content in (("checkpoint-8", None), ("checkpoint-3", '{"global_step": ')):
        (tmp_path / "run" / name).mkdir(exist_ok=True)
        if content:
            (tmp_path / "run" / name / "trainer_state.json").write_text(content)
    assert find_last(tmp_path / "run").name == "checkpoint-2"
    assert {path.name for path in (tmp_path / "run").glob("checkpoint-*")} == {"checkpoint-1", "checkpoint-2"}
    _, diary = fit(tmp_path, INTERRUPTIBLE, Diary(before=1.0))
    assert (diary.rewound, diary.steps[0]) == (2, 3)


def test_a_loss_that_is_no_number_stops_the_run_with_a_remedy(tmp_path):
    loaded = base()
    loaded.model.model.norm.weight.data.fill_(math.nan)
    with pytest.raises(RunError, match=r"stopped being a number at step 1\. Lower the learning rate"):
        fit(tmp_path, loaded=loaded, held_out=0)


def test_a_base_whose_loss_is_no_number_is_refused(tmp_path):
    loaded = base()
    loaded.model.model.norm.weight.data.fill_(math.nan)
    with pytest.raises(RunError, match=r"base model's own loss is not a number\. Set precision to fp32"):
        fit(tmp_path, loaded=loaded)


@pytest.mark.parametrize(
    ("step", "held_out", "said"),
    [(2, 2, "stopped being a number at step 2"), (3, 0, "weights stopped"), (4, 0, "weights stopped")],
)
def test_weights_that_are_no_numbers_are_never_kept(tmp_path, step, held_out, said):
    loaded = base()

    def poison():
        for name, weight in loaded.model.named_parameters():
            if "lora_B" in name:
                weight.data.fill_(math.nan)

    settings = override(QUICK, {"logging_steps": 100})  # no loss is logged between the first step and the end
    with pytest.raises(RunError, match=said):
        fit(tmp_path, settings, Diary(at={step: poison}), loaded, held_out)
    assert not (tmp_path / "run" / "adapter").exists()


def test_early_stopping_keeps_the_best_weights(tmp_path):
    settings = override(QUICK, {"learning_rate": 0.1, "num_epochs": 30, "early_stopping_patience": 2})
    loaded, diary = base(), Diary()
    learned, other = (
        [
            encode((Turn(Role.USER, str(number)), Turn(Role.ASSISTANT, answer)), loaded.tokenizer)
            for number in range(8)
        ]
        for answer in ("yes" * 9, "abcdefghij")
    )
    folder = tmp_path / "run"
    result = trainer.fit(loaded, learned, other, settings, folder=folder, progress=diary)
    losses = [loss for step, loss in diary.evals if step]
    best = losses.index(min(losses))
    assert len(losses) == best + 3 < 30
    assert result.metrics["eval_loss_after"] == losses[best]
    again = trainer.fit(  # what was saved is the best, not the last
        LoadedBase(SOURCE, merged(result.folder), loaded.tokenizer, "", "fp32"), learned, other,
        override(QUICK, {"max_steps": 1}), folder=tmp_path / "again", progress=Diary(),
    )  # fmt: skip
    assert again.metrics["eval_loss_before"] == pytest.approx(losses[best], rel=1e-3)


def test_early_stopping_goes_on_counting_after_an_interruption(tmp_path):
    settings = override(QUICK, {"learning_rate": 0.1, "num_epochs": 30, "early_stopping_patience": 2})
    tokenizer = tiny_tokenizer()
    learned, other = (
        [
            encode((Turn(Role.USER, str(number)), Turn(Role.ASSISTANT, answer)), tokenizer)
            for number in range(8)
        ]
        for answer in ("yes" * 9, "abcdefghij")
    )

    def go(name, diary):
        return trainer.fit(base(), learned, other, settings, folder=tmp_path / name, progress=diary), diary

    whole, everything = go("whole", Diary())
    last = everything.steps[-1]
    with pytest.raises(KeyboardInterrupt):
        go("cut", Diary(kill_at=last - 1))  # the best weights are two epochs back, one miss has been counted
    rest, diary = go("cut", Diary(before=1.0))
    assert diary.rewound == last - 2
    assert diary.steps[-1] == last
    assert rest.metrics["eval_loss_after"] == pytest.approx(whole.metrics["eval_loss_after"], rel=1e-5)
    again, best = (load_file(fit.folder / "adapter_model.safetensors") for fit in (rest, whole))
    assert all(torch.allclose(again[name], best[name], atol=1e-5) for name in best)


def merged(adapter):
    torch.manual_seed(0)
    return PeftModel.from_pretrained(tiny_llama(), adapter).merge_and_unload()


def test_target_modules_must_exist(tmp_path):
    with pytest.raises(RecipeError, match=r"has no c_attn, mlp\. It has down_proj, gate_proj, k_proj"):
        fit(tmp_path, override(QUICK, {"target_modules": "q_proj,c_attn,mlp"}))


def test_target_modules_default_by_architecture():
    assert lora.resolve_targets(tiny_gpt2(), ()) == ["c_attn", "c_proj"]
    unknown = tiny_llama()
    unknown.config.model_type = "novel"
    assert lora.resolve_targets(unknown, ()) == [
        "down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj",
    ]  # fmt: skip


def test_fp16_without_a_graphics_card_is_refused():
    if torch.cuda.is_available():
        pytest.skip("there is a graphics card")
    with pytest.raises(RecipeError, match="needs a graphics card"):
        choose_precision("fp16")
    assert choose_precision("auto") in ("bf16", "fp32")


def last_logits(model, tokenizer):
    with torch.no_grad():
        return model.eval()(torch.tensor([rows(1, tokenizer)[0].input_ids])).logits[0, -1].float()


@pytest.mark.slow
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_quantised_base_learns_and_its_adapter_fits_the_same_base_again(tmp_path, bits):
    folder = save_tiny_llama(tmp_path / "base")
    settings = override(QUICK, {"quantization": bits, "num_epochs": 4})
    source = Source(BaseModel("tiny", "Tiny", str(folder)), str(folder), "0" * 64)
    loaded = load(source, settings)
    kinds = {type(module).__name__ for module in loaded.model.modules()}
    assert {"8bit": "Linear8bitLt", "4bit": "Linear4bit"}[bits] in kinds
    result, _ = fit(tmp_path, settings, loaded=loaded)
    assert result.metrics["eval_loss_after"] < result.metrics["eval_loss_before"]
    adapter = load_file(result.folder / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in adapter.values()} == {torch.float32}
    fresh = load(source, settings).model
    untrained = last_logits(fresh, loaded.tokenizer)
    again = last_logits(PeftModel.from_pretrained(fresh, result.folder), loaded.tokenizer)
    # In training peft holds in float32 what isn't quantised, and products of 8 bits round with their inputs.
    assert torch.allclose(again, last_logits(loaded.model, loaded.tokenizer), atol=0.02)
    assert not torch.allclose(again, untrained, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("bits", ["none", "4bit"])
def test_everything_that_saves_memory_works_together(tmp_path, bits):
    folder = save_tiny_llama(tmp_path / "base")
    settings = override(
        QUICK,
        {
            "quantization": bits,
            "precision": "bf16",
            "gradient_checkpointing": True,
            "gradient_accumulation_steps": 2,
            "batch_size": 2,
        },
    )
    loaded = load(Source(BaseModel("tiny", "Tiny", str(folder)), str(folder), "0" * 64), settings)
    result, diary = fit(tmp_path, settings, loaded=loaded)
    assert diary.steps == [1, 2, 3, 4]
    assert result.metrics["eval_loss_after"] < result.metrics["eval_loss_before"]


def test_a_base_that_cannot_be_loaded_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match="tiny can't be loaded"):
        load(Source(BaseModel("tiny", "Tiny", str(tmp_path)), str(tmp_path), "0" * 64), QUICK)
