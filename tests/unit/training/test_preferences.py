"""DPO and KTO on a tiny random model: what they learn, and that trl's own arithmetic is what is done."""

import pytest

torch = pytest.importorskip("torch")
from peft import PeftModel  # noqa: E402
from test_trainer import Diary, base  # noqa: E402
from tiny_models import save_tiny_llama, tiny_gpt2, tiny_llama, tiny_tokenizer  # noqa: E402

from adapters.catalog import BaseModel  # noqa: E402
from adapters.engines.base import Turn  # noqa: E402
from adapters.recipe import Hyperparameters, override  # noqa: E402
from adapters.training import preferences, trainer  # noqa: E402
from adapters.training.checkpoints import find_last  # noqa: E402
from adapters.training.examples import Example  # noqa: E402
from adapters.training.loading import Source, load  # noqa: E402
from adapters.training.preferences import MismatchCollator, balance, label_columns, pair_columns  # noqa: E402
from adapters.training.probes import Probes  # noqa: E402
from adapters.training.progress import RunCancelled  # noqa: E402
from adapters.training.rendering import encode_all  # noqa: E402
from db.vocabulary import Role  # noqa: E402

QUICK = override(
    Hyperparameters(),
    {
        "precision": "fp32", "learning_rate": 0.005, "logging_steps": 1, "num_epochs": 2, "batch_size": 2,
    },
)  # fmt: skip
DPO, KTO = (override(QUICK, {"objective": objective}) for objective in ("dpo", "kto"))


def pairs(numbers):
    return [
        Example(
            (Turn(Role.USER, f"What is {number}?"), Turn(Role.ASSISTANT, f"It is {'one ' * (number + 1)}.")),
            rejected=f"No {'idea ' * (number % 3)}",
        )
        for number in numbers
    ]


def rows(settings, numbers, **options):
    given = pairs(numbers)
    return encode_all(given, tiny_tokenizer(), "", 1024, objective=settings.objective, **options).rows


def fit(folder, settings, diary=None, loaded=None, held_out=3):
    diary, loaded = diary or Diary(), loaded or base()
    train, evaluation = rows(settings, range(held_out, 11)), rows(settings, range(held_out))
    return trainer.fit(loaded, train, evaluation, settings, folder=folder / "run", progress=diary), diary


@pytest.mark.parametrize("settings", [DPO, KTO], ids=["dpo", "kto"])
@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
def test_answers_are_pushed_apart(tmp_path, settings, make):
    result, diary = fit(tmp_path, settings, loaded=base(make()))
    assert result.metrics["eval_loss_after"] < result.metrics["eval_loss_before"]
    assert result.metrics["eval_reward_margin"] > 0.05
    assert diary.stages == [("measuring the base model", None), ("training", diary.steps[-1])]
    assert [step for step, _ in diary.evals] == [0, diary.steps[-1] // 2, diary.steps[-1]]
    assert {path.name for path in result.folder.iterdir()} == {  # what it was compared with is not kept
        "adapter_model.safetensors", "adapter_config.json", "README.md",
    }  # fmt: skip


def test_what_dpo_measures_is_the_loss_of_the_paper(tmp_path):
    """Reckoned anew from what was saved: Rafailov et al. 2023, equation 7, on held-out batches of 2 and 1."""
    settings = override(DPO, {"beta": 0.3})
    result, _ = fit(tmp_path, settings)
    torch.manual_seed(0)
    plain = tiny_llama()
    torch.manual_seed(0)
    tuned = PeftModel.from_pretrained(tiny_llama(), result.folder)

    def score(model, encoded):
        with torch.no_grad():
            scores = model(torch.tensor([encoded.input_ids])).logits[0].log_softmax(-1)
        answer = len(encoded.answer_ids)
        return scores[-answer - 1 : -1].gather(1, torch.tensor(encoded.answer_ids)[:, None]).sum()

    margins = torch.stack(
        [
            0.3 * ((score(tuned, row) - score(plain, row)) - (score(tuned, worse) - score(plain, worse)))
            for row, worse in ((row, row.rejected) for row in rows(settings, range(3)))
        ]
    )
    metrics = result.metrics
    assert metrics["eval_loss_before"] == pytest.approx(0.6931472)
    assert metrics["eval_loss_after"] == pytest.approx(
        -torch.nn.functional.logsigmoid(margins).mean().item(), rel=1e-4
    )
    assert metrics["eval_reward_margin"] == pytest.approx(margins.mean().item(), rel=1e-3)
    assert metrics["eval_reward_accuracy"] == pytest.approx((margins > 0).float().mean().item())


@pytest.mark.parametrize("settings", [DPO, KTO], ids=["dpo", "kto"])
def test_the_lean_loss_is_the_same_as_trls(tmp_path, monkeypatch, settings):
    settings = override(settings, {"gradient_accumulation_steps": 2})
    lean, diary = fit(tmp_path / "lean", settings)
    monkeypatch.setattr(preferences, "_spare_masked_positions", lambda _: None)
    full, other = fit(tmp_path / "full", settings)
    assert diary.losses == [(step, pytest.approx(loss, rel=1e-3)) for step, loss in other.losses]
    for name in ("eval_loss_before", "eval_loss_after", "eval_reward_margin"):
        assert lean.metrics[name] == pytest.approx(full.metrics[name], rel=0.01)


@pytest.mark.parametrize("settings", [DPO, KTO], ids=["dpo", "kto"])
def test_a_cancelled_run_goes_on_as_if_it_had_not_been(tmp_path, settings):
    whole, everything = fit(tmp_path / "whole", settings)
    middle = everything.steps[-1] // 2
    for stop in (2, middle + 1):
        with pytest.raises(RunCancelled):
            fit(tmp_path / "cut", settings, Diary(cancel_at=stop, before=whole.metrics["eval_loss_before"]))
        assert find_last(tmp_path / "cut" / "run").name == f"checkpoint-{stop}"
    diary = Diary(before=whole.metrics["eval_loss_before"])
    rest, _ = fit(tmp_path / "cut", settings, diary)
    assert diary.losses == [
        (step, pytest.approx(loss, rel=1e-4)) for step, loss in everything.losses[middle + 1 :]
    ]
    for name in ("eval_loss_before", "eval_loss_after", "eval_reward_margin"):
        assert rest.metrics[name] == pytest.approx(whole.metrics[name], rel=1e-4)


def test_the_figures_are_those_of_the_weights_that_are_kept(tmp_path):
    settings = override(DPO, {"early_stopping_patience": 1, "num_epochs": 6, "learning_rate": 0.3})
    result, diary = fit(tmp_path, settings)
    best, loss = min(diary.evals[1:], key=lambda point: point[1])
    assert best < diary.steps[-1]
    assert result.metrics["eval_loss_after"] == loss
    margin = result.metrics["eval_reward_margin"]
    assert (best, margin) in [(step, figures.get("eval_reward_margin")) for step, figures in diary.rewards]


@pytest.mark.parametrize("settings", [DPO, KTO], ids=["dpo", "kto"])
def test_gradient_checkpointing_and_bf16_learn_the_same(tmp_path, settings):
    plain, _ = fit(tmp_path / "plain", settings)
    saving, _ = fit(tmp_path / "saving", override(settings, {"gradient_checkpointing": True}))
    half, _ = fit(tmp_path / "half", settings, loaded=base(precision="bf16"))
    assert saving.metrics["train_loss"] == pytest.approx(plain.metrics["train_loss"], rel=1e-4)
    assert half.metrics["train_loss"] == pytest.approx(plain.metrics["train_loss"], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_quantised_base_learns_preferences(tmp_path, bits):
    folder = save_tiny_llama(tmp_path / "base")
    settings = override(DPO, {"quantization": bits, "gradient_checkpointing": True})
    loaded = load(Source(BaseModel("tiny", "Tiny", str(folder)), str(folder), "0" * 64), settings)
    result, _ = fit(tmp_path, settings, loaded=loaded)
    assert result.metrics["eval_loss_before"] == pytest.approx(0.6931472, rel=1e-3)
    assert result.metrics["eval_loss_after"] < result.metrics["eval_loss_before"]


def test_what_it_is_compared_with_stays_as_it_was(tmp_path):
    loaded, before = base(), {}

    def weights(loaded):
        return {
            name: weight.detach().clone()
            for name, weight in loaded.model.named_parameters()
            if ".default." not in name
        }

    diary = Diary(at={1: lambda: before.update(weights(loaded))})
    fit(tmp_path, DPO, diary, loaded)
    after = weights(loaded)
    assert any(".ref." in name for name in after)
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_both_answers_are_the_tokens_that_were_rendered():
    encoded = rows(DPO, range(3))
    for row, columns in zip(encoded, pair_columns(encoded), strict=True):
        assert columns["prompt_ids"] + columns["chosen_ids"] == row.input_ids
        assert columns["prompt_ids"] + columns["rejected_ids"] == row.rejected.input_ids
        assert tiny_tokenizer().decode(columns["rejected_ids"]).endswith("<|im_end|>")


def test_each_prompt_meets_an_answer_to_another_one():
    encoded = list(label_columns(rows(KTO, range(4))))
    collate = MismatchCollator(0, encoded[:2])
    other = {tuple(row["prompt_ids"]): row["completion_ids"] for row in encoded[4:]}
    for batch in (encoded[:4], [encoded[0], encoded[4]], encoded[:1], encoded[1:2]):
        made = collate(batch)
        longest = max(len(row["prompt_ids"] + row["completion_ids"]) for row in batch)
        assert made["input_ids"].shape == (len(batch), longest)
        assert made["KL_input_ids"].shape[1] <= longest
        for number, row in enumerate(batch):
            tokens = made["KL_input_ids"][number][made["KL_attention_mask"][number].bool()].tolist()
            answer = made["KL_input_ids"][number][made["KL_completion_mask"][number].bool()].tolist()
            assert tokens == row["prompt_ids"] + answer
            assert not any(
                answer == own[: len(answer)]
                for own in (row["completion_ids"], other[tuple(row["prompt_ids"])])
            )


def test_a_set_with_a_single_prompt_still_makes_batches():
    encoded = list(label_columns(rows(KTO, range(1))))
    assert MismatchCollator(0, encoded[:1])(encoded)["KL_input_ids"].shape[0] == 2


def test_the_rarer_kind_of_answer_counts_more():
    encoded = rows(KTO, range(3))
    assert balance(encoded) == {"desirable_weight": 1, "undesirable_weight": 1}
    assert balance(encoded[:4]) == {"desirable_weight": 1, "undesirable_weight": 3}
    assert balance(encoded[2:]) == {"desirable_weight": 3, "undesirable_weight": 1}


@pytest.mark.parametrize(
    ("settings", "figures"),
    [(DPO, {"reward_accuracy", "reward_margin"}), (KTO, {"reward_margin"})],
    ids=["dpo", "kto"],
)
def test_it_draws_how_well_answers_are_told_apart(tmp_path, settings, figures):
    _, diary = fit(tmp_path, settings)
    drawn = [known.keys() - {"epoch"} for _, known in diary.rewards]
    assert figures in drawn  # of kto, where a step had both kinds of answers
    assert {f"eval_{name}" for name in figures} in drawn


@pytest.mark.parametrize("settings", [DPO, KTO], ids=["dpo", "kto"])
def test_a_continued_run_is_compared_with_the_adapter_that_it_continues(tmp_path, settings):
    first, _ = fit(tmp_path / "first", settings)
    train, held_out = rows(settings, range(3, 11)), rows(settings, range(3))
    second = trainer.fit(
        base(), train, held_out, settings, folder=tmp_path / "second", progress=Diary(), parent=first.folder
    )
    # Not moved yet: ln 2 for dpo, half of what there is to lose for kto.
    unmoved = {"dpo": 0.6931, "kto": 0.5}[settings.objective]
    assert second.metrics["eval_loss_before"] == pytest.approx(unmoved, abs=1e-3)


def test_answers_to_probes_don_t_depend_on_what_else_is_asked(tmp_path):
    """GPT-2 numbers positions: padding on the left must not be counted."""
    loaded = base(tiny_gpt2())
    diary = Diary()
    watcher = Probes(("Why?", "What is a very long question about a fever?"), loaded, "", diary)
    alone = Probes(("Why?",), loaded, "", diary)
    trainer.fit(
        loaded, rows(DPO, range(3, 11)), [], DPO, folder=tmp_path, progress=diary, watchers=[watcher, alone]
    )
    for step in {step for step, _, _ in diary.samples}:
        told = [text for when, probe, text in diary.samples if (when, probe) == (step, "Why?")]
        assert len(set(told)) == 1
        assert len(told) == 2
