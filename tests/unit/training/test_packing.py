"""Packed rows: the same answers and the same learning as rows apart, in fewer rows."""

import pytest

torch = pytest.importorskip("torch")
from tiny_models import tiny_model, tiny_tokenizer  # noqa: E402
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling  # noqa: E402

from adapters.catalog import BaseModel  # noqa: E402
from adapters.engines.base import Turn  # noqa: E402
from adapters.errors import RecipeError  # noqa: E402
from adapters.recipe import Hyperparameters, override  # noqa: E402
from adapters.training import trainer  # noqa: E402
from adapters.training.batching import planned_steps  # noqa: E402
from adapters.training.loading import LoadedBase, Source  # noqa: E402
from adapters.training.loss import sum_loss  # noqa: E402
from adapters.training.packing import PACKABLE, arrange, pack  # noqa: E402
from adapters.training.progress import Silence  # noqa: E402
from adapters.training.rendering import IGNORED, Encoded, encode  # noqa: E402
from db.vocabulary import Role  # noqa: E402

SETTINGS = override(
    Hyperparameters(),
    {"precision": "fp32", "lora_dropout": 0, "num_epochs": 1, "packing": True, "max_length": 256},
)
TOKENIZER = tiny_tokenizer()
ROWS = [
    encode((Turn(Role.USER, f"What is {n}?"), Turn(Role.ASSISTANT, "one " * n)), TOKENIZER)
    for n in range(1, 9)
]
COLLATE = DataCollatorForLanguageModeling(TOKENIZER.pad_token_id, return_position_ids=True)


def batch(rows):
    inputs = COLLATE([vars(row) for row in rows])
    del inputs["attention_mask"]
    return inputs


def test_every_example_is_packed_once_and_no_row_is_too_long():
    packed = pack(ROWS, 256)
    assert sorted(length for row in packed for length in row.seq_lengths) == sorted(
        len(row.input_ids) for row in ROWS
    )
    assert all(sum(row.seq_lengths) == len(row.input_ids) == len(row.labels) <= 256 for row in packed)
    assert len(packed) == 2
    assert sum(row.supervised for row in packed) == sum(row.supervised for row in ROWS)
    assert pack(ROWS, 256) == packed


def test_no_example_is_predicted_from_the_one_before():
    (row,) = pack([Encoded([1, 2], [1, 2]), Encoded([3], [3])], 8)
    assert row.labels == [IGNORED, 2, IGNORED]


@pytest.mark.parametrize("changes", [*[{"architecture": name} for name in sorted(PACKABLE)], {"window": 16}])
def test_a_packed_row_says_what_its_examples_say_apart(changes):
    extra = {"sliding_window": changes["window"]} if "window" in changes else {}
    model = tiny_model(changes.get("architecture", "mistral"), **extra).eval()
    packed = pack(ROWS, 256)
    with torch.no_grad():
        inputs = batch(packed)
        del inputs["labels"]
        logits = model(**inputs, use_cache=False).logits
        by_tokens = {tuple(row.input_ids): model(torch.tensor([row.input_ids])).logits[0] for row in ROWS}
    for number, row in enumerate(packed):
        start = 0
        for length in row.seq_lengths:
            span = slice(start, start + length)
            alone = by_tokens[tuple(row.input_ids[span])]
            assert torch.allclose(logits[number, span], alone, atol=1e-4)
            start += length


@pytest.mark.parametrize("architecture", sorted(PACKABLE))
def test_the_loss_is_the_same_sum(architecture):
    model = tiny_model(architecture).eval()

    def total(rows):
        inputs = batch(rows)
        targets = inputs["labels"][:, 1:].flatten()
        positions = (targets != IGNORED).nonzero().flatten()
        with torch.no_grad():
            return float(sum_loss(model, inputs, positions, targets[positions]))

    assert total(pack(ROWS, 256)) == pytest.approx(sum(total([row]) for row in ROWS), rel=1e-5)


class Diary(Silence):
    def stage(self, text, total_steps=None):
        self.total_steps = total_steps


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_packed_run_learns_as_one_with_the_same_examples_in_a_batch(tmp_path, precision):
    losses, diaries, tokens = [], [], []
    for name, values in (("packed", {"batch_size": 3}), ("apart", {"batch_size": 8, "packing": False})):
        torch.manual_seed(0)
        base = LoadedBase(
            Source(BaseModel("tiny", "", ""), "", ""), tiny_model("llama"), TOKENIZER, "", precision
        )
        diary = Diary()
        settings = override(SETTINGS, values)
        fit = trainer.fit(base, ROWS, ROWS[:2], settings, folder=tmp_path / name, progress=diary)
        losses.append([fit.metrics[part] for part in ("train_loss", "eval_loss_before", "eval_loss_after")])
        tokens.append(fit.metrics["train_tokens"])
        diaries.append(diary)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4 if precision == "fp32" else 0.02)
    assert tokens[0] == tokens[1] == sum(len(row.input_ids) for row in ROWS)  # padding isn't counted
    assert [diary.total_steps for diary in diaries] == [1, 1]


def test_steps_count_packed_rows():
    settings = override(SETTINGS, {"batch_size": 1})
    assert planned_steps(len(arrange(ROWS, settings, 256, "llama")), settings) == 2


def test_an_architecture_that_would_mix_examples_is_refused():
    with pytest.raises(RecipeError, match=r"gpt2, llama, .*The base model is bloom\. Set packing to false"):
        arrange(ROWS, SETTINGS, 256, "bloom")
    assert arrange(ROWS, override(SETTINGS, {"packing": False}), 256, "bloom") == ROWS
