import pytest

pytest.importorskip("torch")

import torch

from adapters.engines.transformers.prefixes import Prefixes
from adapters.engines.transformers.prompt import segments

ONE_KB = [(torch.zeros(1, 1, 16, 8), torch.zeros(1, 1, 16, 8))]  # bytes: 2 tensors of 128 floats


def kept(prefixes, voice, parts):
    return len(prefixes.find(voice, parts))


def keep_all(prefixes, voice, parts):
    for end in range(1, len(parts) + 1):
        prefixes.keep(voice, parts[:end], ONE_KB)


def test_a_beginning_is_found_as_far_as_it_is_the_same():
    prefixes = Prefixes(1 << 20)
    keep_all(prefixes, "a", [[1, 2], [3], [4, 5]])
    assert kept(prefixes, "a", [[1, 2], [3], [4, 5], [6]]) == 3
    assert kept(prefixes, "a", [[1, 2], [3], [4, 6]]) == 2
    assert kept(prefixes, "a", [[1], [2], [3]]) == 0
    assert kept(prefixes, "a", [[3], [4, 5]]) == 0
    assert kept(prefixes, "a", [[12], [3]]) == 0


def test_no_voice_finds_anothers():
    prefixes = Prefixes(1 << 20)
    keep_all(prefixes, "a", [[1, 2]])
    assert [kept(prefixes, voice, [[1, 2]]) for voice in ("a", "b", None)] == [1, 0, 0]


def test_memory_is_bounded_and_what_was_used_last_stays():
    prefixes = Prefixes(4 << 10)
    for number in range(4):
        keep_all(prefixes, "a", [[number]])
    assert kept(prefixes, "a", [[0]]) == 1
    keep_all(prefixes, "a", [[9]])
    assert prefixes.size == 4 << 10
    assert [kept(prefixes, "a", [[number]]) for number in (0, 1, 2, 3, 9)] == [1, 0, 1, 1, 1]


def test_the_beginning_of_a_prompt_is_forgotten_last():
    """Without it the rest can't be found, and would take memory for nothing."""
    prefixes = Prefixes(3 << 10)
    keep_all(prefixes, "a", [[1], [2], [3]])
    kept(prefixes, "a", [[1], [2], [3]])
    keep_all(prefixes, "b", [[7]])
    assert kept(prefixes, "a", [[1], [2], [3]]) == 2


def test_a_retired_voices_memory_is_given_back():
    prefixes = Prefixes(1 << 20)
    keep_all(prefixes, "a", [[1], [2]])
    keep_all(prefixes, "b", [[1]])
    prefixes.forget("a")
    assert (len(prefixes), prefixes.size) == (1, 1 << 10)
    assert kept(prefixes, "a", [[1]]) == 0


def test_with_a_bound_of_nothing_nothing_is_remembered():
    prefixes = Prefixes(0)
    keep_all(prefixes, "a", [[1]])
    assert len(prefixes) == prefixes.size == 0


@pytest.mark.parametrize(
    ("length", "system", "lengths"),
    [(10, 0, [4, 4, 2]), (10, 3, [3, 4, 3]), (10, 9, [4, 4, 1, 1]), (10, 8, [4, 4, 2]), (1, 0, [1])],
)
def test_segments_end_with_the_system_prompt_and_are_bounded(length, system, lengths):
    tokens = list(range(length))
    parts = segments(tokens, system, 4)
    assert [len(part) for part in parts] == lengths
    assert [token for part in parts for token in part] == tokens
