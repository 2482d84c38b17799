import pytest
from tiny_models import tiny_llama, tiny_tokenizer

from adapters.catalog import BaseModel
from adapters.engines.base import Turn
from adapters.recipe import Hyperparameters
from adapters.training import worker
from adapters.training.examples import Example
from adapters.training.loading import LoadedBase, Source
from adapters.training.supervisor import FrozenRecipe
from db.errors import NotFound
from db.vocabulary import Role


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "The disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "The disk is full"),
        (MemoryError(), "Memory ran out"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            "Memory ran out",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "smaller batch_size"),
        (
            ZeroDivisionError("division by zero\nsecond line"),
            "unexpected ZeroDivisionError: division by zero. ",
        ),
        (KeyError(), "unexpected KeyError: no message"),
    ],
)
def test_unforeseen_failures_are_told_in_one_sentence(error, said):
    text = worker.explain(error)
    assert said in text
    assert "\n" not in text


def test_a_run_that_is_not_ours_is_not_trained(home, database, capsys):
    with pytest.raises(NotFound, match="no run 'abc'"):
        worker.main(["abc", "--home", str(home.root)])


def test_no_example_is_longer_than_the_model_can_read(caplog):
    tiny = Source(BaseModel("tiny", "Tiny", "/tiny"), "/tiny", "0" * 64)
    base = LoadedBase(tiny, tiny_llama(), tiny_tokenizer(), "", "fp32")  # reads 2048 tokens, a byte each
    recipe = FrozenRecipe("patient", "tiny", "Be brief.", 300, Hyperparameters(max_length=4096))
    examples = [Example((Turn(Role.USER, "x"), Turn(Role.ASSISTANT, "y" * size))) for size in (300, 3000)]
    with caplog.at_level("INFO"):
        assert len(worker._encode(examples, base, recipe)) == 1
    assert "1 of 2 examples left out: longer than 2048 tokens" in caplog.text
