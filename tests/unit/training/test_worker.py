import pytest

from adapters.training import worker


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
    with pytest.raises(Exception, match="no run 'abc'"):
        worker.main(["abc", "--home", str(home.root)])
