"""A beginning that all rows share is read once, and nothing is learned differently for it."""

import pytest

pytest.importorskip("torch")

import torch
from tiny_models import tiny_model

from adapters.recipe import Hyperparameters, override
from adapters.training.dropout import QuickDropout
from adapters.training.lora import add_lora
from adapters.training.loss import PLAIN_HEADS, count_shared, sum_loss
from adapters.training.rendering import IGNORED

BEGINNING = list(range(3, 23))
QUESTIONS = ([30, 31], [30, 33, 34, 35], [36])
ANSWERS = ([40, 41, 42, 43], [44, 45], [46, 47, 48])


def batch(beginnings=(BEGINNING,) * 3):
    """Rows of unlike lengths, padded on the right, with the wanted positions and their targets."""
    rows = [
        (begin + question + answer, [IGNORED] * len(begin + question) + answer)
        for begin, question, answer in zip(beginnings, QUESTIONS, ANSWERS, strict=True)
    ]
    length = max(len(ids) for ids, _ in rows)
    inputs = {
        "input_ids": torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in rows]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (length - len(ids)) for ids, _ in rows]),
    }
    labels = torch.tensor([labels + [IGNORED] * (length - len(labels)) for _, labels in rows])
    targets = labels[:, 1:].flatten()
    positions = (targets != IGNORED).nonzero().flatten()
    return inputs, positions, targets[positions]


@pytest.mark.parametrize("architecture", sorted(PLAIN_HEADS))
def test_reading_it_once_gives_the_same_loss_and_the_same_gradients(architecture):
    torch.manual_seed(0)
    settings = override(Hyperparameters(), {"precision": "fp32", "lora_r": 4, "lora_dropout": 0})
    model = add_lora(tiny_model(architecture), settings)
    for name, weight in model.named_parameters():  # a fresh LoRA adds nothing
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    core = model.get_base_model().train()
    for module in core.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0
    inputs, positions, targets = batch()
    shared = count_shared(core, inputs, positions)
    assert shared == len(BEGINNING)
    losses, gradients = [], []
    for tokens in (0, shared):
        model.zero_grad()
        loss = sum_loss(core, inputs, positions, targets, tokens)
        loss.backward()
        losses.append(float(loss))
        gradients.append([weight.grad.clone() for weight in model.parameters() if weight.requires_grad])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for apart, once in zip(*gradients, strict=True):
        assert torch.allclose(apart, once, rtol=1e-3, atol=1e-5)


def test_it_ends_before_the_first_answer_and_with_the_first_difference():
    core = tiny_model("llama").train()
    alike, positions, _ = batch()
    alike["input_ids"][:] = alike["input_ids"][:1]
    assert count_shared(core, alike, positions) == int((positions % (alike["input_ids"].shape[1] - 1)).min())
    other = [*BEGINNING[:17], 99, *BEGINNING[18:]]
    inputs, positions, _ = batch((BEGINNING, other, BEGINNING))
    assert count_shared(core, inputs, positions) == 17


def test_nothing_is_shared_where_it_can_not_be_or_is_not_worth_it():
    core = tiny_model("llama").train()
    inputs, positions, _ = batch()
    short, short_positions, _ = batch((BEGINNING[:9],) * 3)
    assert count_shared(core, short, short_positions) == 0
    single = {name: rows[:1] for name, rows in inputs.items()}
    assert count_shared(core, single, positions[:1]) == 0
    packed = {"input_ids": inputs["input_ids"], "position_ids": inputs["input_ids"]}
    assert count_shared(core, packed, positions) == 0
    padded_on_the_left = inputs | {"attention_mask": inputs["attention_mask"].flip(1)}
    assert count_shared(core, padded_on_the_left, positions) == 0
    core.activation_checkpointing_enable()
    assert count_shared(core, inputs, positions) == 0
    assert count_shared(core.eval(), inputs, positions) == len(BEGINNING)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_quick_dropout_hides_the_share_it_should_and_keeps_the_mean(dtype):
    torch.manual_seed(0)
    dropout = QuickDropout(0.1)
    seen = dropout(torch.ones(3, 100_001, dtype=dtype))
    assert seen.dtype == dtype
    assert float((seen == 0).float().mean()) == pytest.approx(0.1, abs=0.003)
    assert float(seen.float().mean()) == pytest.approx(1, abs=0.005)
    by_column = (seen == 0).float().mean(dim=0).view(-1)[:100_000].view(-1, 4).mean(dim=0)
    assert by_column == pytest.approx([0.1] * 4, abs=0.005)  # none of the four numbers of a draw is special


def test_quick_dropout_repeats_with_the_generator_and_rests_in_evaluation():
    dropout, ones = QuickDropout(0.5), torch.ones(1000)
    torch.manual_seed(3)
    first = dropout(ones)
    torch.manual_seed(3)
    assert torch.equal(dropout(ones), first)
    assert not torch.equal(dropout(ones), first)
    assert torch.equal(dropout.eval()(ones), ones)
    assert torch.equal(QuickDropout(0.0)(ones), ones)
