import random
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.training.similarity import cluster, find_near_duplicates

ROOT = Path(__file__).resolve().parents[3]
LONG = (
    "Drink plenty of water, rest well, and see a doctor if the pain lasts longer than a week or gets worse."
)


def make_text(seed: int, words: int = 60) -> str:
    draw = random.Random(seed)
    return " ".join(f"word{draw.randrange(5000)}" for _ in range(words))


def test_a_text_with_one_word_changed_repeats_the_first():
    texts = [f"{make_text(1)} now", make_text(2), f"{make_text(1)} later", make_text(3)]
    assert find_near_duplicates(texts) == {2: 0}


def test_case_spacing_and_punctuation_make_no_difference():
    assert find_near_duplicates([LONG, LONG.upper().replace(",", " –")]) == {1: 0}


def test_different_words_in_a_short_text_are_no_repetition():
    assert (
        find_near_duplicates(["Gout?", "Asthma?", "What is gout?", "What is asthma?", "???", "!!!", ""]) == {}
    )


def test_the_threshold_is_the_jaccard_index_of_word_triples():
    words = [f"w{number}" for number in range(102)]  # 100 triples
    text = " ".join(words)
    # 100 triples in common with 123 (0.81) and with 127 (0.79) in all.
    nearly = " ".join([*words, *(f"x{number}" for number in range(23))])
    not_quite = " ".join([*words, *(f"y{number}" for number in range(27))])
    assert find_near_duplicates([text, nearly]) == {1: 0}
    assert find_near_duplicates([text, not_quite]) == {}


def test_clusters_reach_through_others():
    words = [f"w{number}" for number in range(60)]
    chain = [" ".join(words[start : start + 40]) for start in (0, 5, 10)]  # neighbours: 33 of 43 triples
    assert cluster([chain[0], "something else entirely", chain[2], chain[1]]) == [0, 1, 0, 0]


def test_alike_questions_are_one_cluster_and_unlike_ones_are_not():
    questions = [
        "What are the early signs and symptoms of gout in adults?",
        "What are the early signs and symptoms of gout in adults",
        "What are the early signs and symptoms of gout in older adults?",
        "How is asthma treated?",
    ]
    labels = cluster(questions)
    assert labels[:2] == [0, 0]
    assert labels[3] == 3


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_finds_the_same(seed):
    code = (
        "from adapters.training.similarity import cluster, find_near_duplicates\n"
        "texts = [' '.join(f'w{(n * 7 + k) % 90}' for k in range(40)) for n in range(60)]\n"
        "print(find_near_duplicates(texts), cluster(texts))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    texts = [" ".join(f"w{(n * 7 + k) % 90}" for k in range(40)) for n in range(60)]
    assert done.stdout.strip() == f"{find_near_duplicates(texts)} {cluster(texts)}"
