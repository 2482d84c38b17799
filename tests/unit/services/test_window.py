"""The word limit cuts where a reader would."""

import random

import pytest

from db.vocabulary import FinishReason
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


def test_a_stop_ends_the_text_before_it_even_when_it_comes_in_parts() -> None:
    writing = LimitedText(100, stop=("###", "END"))
    seen = []
    for piece in ("Take a ", "rest.#", "#", "# More EN", "D"):
        done = writing.add(piece)
        seen.append(writing.text)
        if done:
            break
    assert seen == ["Take a ", "Take a rest.", "Take a rest.", "Take a rest."]
    assert writing.ended_by is FinishReason.STOP


def test_half_a_stop_at_the_end_belongs_to_the_text() -> None:
    writing = LimitedText(100, stop=("###",))
    writing.add("Item ##")
    assert writing.text == "Item "
    writing.finish()
    assert (writing.text, writing.ended_by) == ("Item ##", None)


@pytest.mark.parametrize("seed", range(200))
def test_what_is_settled_is_never_taken_back(seed: int) -> None:
    draw = random.Random(seed)
    words = ["a", "aspirin", "hydrochlorothiazide", "0.5", "mg.", "Wait!", "1.", "no\n", "yes?)", "##", "EN"]
    writing = LimitedText(draw.randint(1, 40), stop=draw.choice(((), ("###",), ("END now", "wait a"))))
    settled = ""
    for _ in range(draw.randint(1, 90)):
        done = writing.add(draw.choice(words) + draw.choice((" ", "", "  ", "\n")))
        assert writing.settled.startswith(settled)
        settled = writing.settled
        if done:
            break
    writing.finish()
    assert writing.text.startswith(settled)


def test_far_from_the_limit_every_word_is_settled_at_once() -> None:
    writing = LimitedText(300)
    writing.add("Drink water and")
    assert writing.settled == "Drink water and"


def test_a_line_that_ends_at_the_limit_is_kept() -> None:
    assert limited("- call for help\n- sit them up\n- wait", 8) == "- call for help\n- sit them up"
