"""Which words of an answer are hard, and what isn't."""

from elara_ui.clinical.hard_words import find_hard_words, is_everyday


def words(text: str) -> list[tuple[str, str]]:
    return [(word.text, word.plain) for word in find_hard_words(text)]


def test_terms_come_first_with_their_plain_words_then_other_long_words() -> None:
    assert words("Environmental factors and **hypertension** matter.") == [
        ("hypertension", "high blood pressure"),
        ("Environmental", ""),
    ]


def test_a_word_is_listed_once_with_how_often_it_stands_there() -> None:
    (word,) = find_hard_words("Oedema is seen. The edema stays. Oedemas hurt.")
    assert (word.text, word.times, word.term) == ("Oedema", 3, "oedema")


def test_everyday_words_and_names_are_not_hard() -> None:
    assert words("The hospital in Cambridge gave Paracetamol and antibiotics to another family.") == []
    assert words("Call the emergency department. Remember your medicines, especially tablets.") == []


def test_a_term_that_the_answer_explains_is_not_hard() -> None:
    assert words("**Hypertension** (high blood pressure) is common.") == []


def test_addresses_and_figures_are_no_words() -> None:
    assert words("See https://example.org/hypertension-pathophysiology or take 0.5 mg.") == []


def test_inflections_of_easy_words_are_easy() -> None:
    assert all(
        is_everyday(word) for word in ("breathing", "tired", "families", "bigger", "swollen", "stopped")
    )
    assert not is_everyday("pathophysiology")
