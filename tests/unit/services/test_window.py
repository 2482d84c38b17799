"""The word limit cuts where a reader would."""

import pytest

from elara_ui.services.window import LimitedText


def limited(text: str, words: int) -> str:
    writing = LimitedText(words)
    for piece in text.split(" "):
        if writing.add(piece + " "):
            break
    return writing.text.strip()


def test_a_short_answer_is_left_as_it_is() -> None:
    assert limited("One two three.", 5) == "One two three."


def test_the_cut_is_at_the_last_whole_sentence_when_it_is_near() -> None:
    assert limited("One two three. Four five six. Seven eight nine.", 7) == "One two three. Four five six."


def test_the_cut_is_in_the_sentence_when_its_beginning_is_far() -> None:
    assert limited("Yes. " + "word " * 30, 20) == "Yes. " + "word " * 18 + "word…"


def test_a_list_s_number_is_no_end_of_a_sentence() -> None:
    text = "1. Call for help now\n2. Sit them up straight\n3. Stay with them\n4. Give the inhaler"
    assert limited(text, 15).endswith("3. Stay with them")


@pytest.mark.parametrize("words", range(1, 12))
def test_the_limit_always_holds(words: int) -> None:
    assert (
        len(limited("1. Call. Then wait (here)! And\n- rest\n- drink a lot of water", words).split()) <= words
    )
