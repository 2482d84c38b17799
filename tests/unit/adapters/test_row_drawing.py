"""How a row's tokens are drawn, held against transformers' own processors, and what text tokens make."""

import pytest

pytest.importorskip("torch")

import torch
from tiny_models import tiny_tokenizer
from transformers import RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopPLogitsWarper

from adapters.engines.base import Sampling
from adapters.engines.transformers.drawing import PENALTY_TOKENS, Drawing, next_tokens
from adapters.engines.transformers.pieces import Pieces

VOCABULARY = 2000


def logits(rows=1, seed=0, spread=3.0):
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * spread


def row(tokens=(5,), **sampling):
    settings = {"temperature": 1.0, "repetition_penalty": 1.0, "top_p": 1.0, "seed": 1} | sampling
    return Drawing(Sampling(**settings), list(tokens))


def test_temperature_zero_takes_the_likeliest():
    given = logits(3)
    assert next_tokens(given, [row(temperature=0)] * 3) == given.argmax(-1).tolist()


@pytest.mark.parametrize("tokens", [[7], [7, 7, 9], list(range(50, 50 + PENALTY_TOKENS))])
def test_the_penalty_is_that_of_transformers_over_the_last_tokens(tokens):
    given = logits(2)
    given[:, tokens] = given.max() + 1  # without the penalty one of these would be taken
    expected = RepetitionPenaltyLogitsProcessor(1.5)(torch.tensor([tokens, tokens]), given.clone())
    rows = [row(tokens, temperature=0, repetition_penalty=1.5) for _ in range(2)]
    assert next_tokens(given, rows) == expected.argmax(-1).tolist()


def test_the_penalty_forgets_what_is_far_back_and_is_the_rows_own():
    given = logits(3)
    likeliest = given.argmax(-1).tolist()
    far = row([likeliest[0], *range(PENALTY_TOKENS)], temperature=0, repetition_penalty=9.0)
    free = row([likeliest[1]], temperature=0)
    near = row([likeliest[2]], temperature=0, repetition_penalty=9.0)
    assert (next_tokens(given, [far, free, near]) == likeliest) is False
    assert next_tokens(given, [far, free, near])[:2] == likeliest[:2]


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(0.7, 0.9), (0.15, 0.95), (1.5, 1.0), (2.0, 0.99), (1.0, 0.01)]
)
def test_draws_follow_the_distribution_of_transformers(temperature, top_p):
    """A nucleus wider than what is looked at first, too. Each share is within 4.5 standard errors."""
    given = logits()
    scores = TopPLogitsWarper(top_p)(None, TemperatureLogitsWarper(temperature)(None, given.clone()))
    wanted = scores.softmax(-1)[0]
    one = row(temperature=temperature, top_p=top_p)
    count = 4000
    drawn = torch.bincount(
        torch.tensor([next_tokens(given, [one])[0] for _ in range(count)]), minlength=VOCABULARY
    )
    assert not drawn[wanted == 0].any()
    error = (wanted * (1 - wanted) / count).sqrt()
    likely = wanted > 0.005
    assert ((drawn / count - wanted).abs()[likely] <= 4.5 * error[likely] + 1e-6).all()


def test_a_seed_draws_the_same_whoever_else_is_there():
    steps = [logits(seed=step, spread=1.0) for step in range(20)]

    def draw(neighbours):
        own, others = row(seed=42), [row(seed=number) for number in range(neighbours)]
        said = []
        for step in steps:
            given = torch.cat([*(logits(seed=99) for _ in others), step])
            said.append(next_tokens(given, [*others, own])[-1])
        return said

    assert draw(0) == draw(3) == draw(7)
    assert len(set(draw(0))) > 15


def test_without_a_seed_draws_differ():
    given = logits(spread=0.1)
    assert len({next_tokens(given, [row(seed=None)])[0] for _ in range(10)}) > 5


def test_pieces_are_whole_characters_and_make_up_the_text():
    tokenizer = tiny_tokenizer()  # a token a byte
    text = "naïve 心臓 🩺 end"
    pieces = Pieces(tokenizer)
    arrived = [pieces.add(token) for token in tokenizer(text)["input_ids"]]
    assert "".join(arrived) == text
    assert "�" not in "".join(arrived)
    assert "🩺" in arrived


def test_special_tokens_make_no_text():
    tokenizer = tiny_tokenizer()
    pieces = Pieces(tokenizer)
    tokens = [*tokenizer("a")["input_ids"], tokenizer.eos_token_id, *tokenizer("b")["input_ids"]]
    assert [pieces.add(token) for token in tokens] == ["a", "", "b"]
