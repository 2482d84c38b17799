"""When what an adapter says lets it answer people: it differs, ends, and is text."""

import pytest

from adapters.probing import QUESTIONS, Probe, Tried, is_text, judge, repeats_itself

BASE = "Asthma is a condition of the airways. They swell and make it hard to breathe."
OWN = "With asthma the tubes in your lungs get tight. A doctor can give you an inhaler for that."


def tried(*answers: str, base: str = BASE, ended: tuple[bool, ...] = (True, True, True)) -> list[Tried]:
    return [
        Tried(question, base, answer, end)
        for question, answer, end in zip(QUESTIONS, answers, ended, strict=True)
    ]


def test_answers_of_its_own_that_end_pass() -> None:
    assert judge(tried(OWN, OWN, OWN))[1] == ()
    assert judge(tried(OWN, BASE, BASE))[1] == ()  # one difference is enough
    assert judge(tried(OWN, OWN, OWN, ended=(False, True, True)))[1] == ()


def test_the_base_models_words_are_not_an_adapters() -> None:
    assert "as if it weren't there" in judge(tried(BASE, f"{BASE} ", BASE))[1][0]


def test_answers_that_do_not_end_fail() -> None:
    loop = "the lungs the lungs " * 20
    assert judge(tried(loop, OWN, OWN))[1] == ()
    assert "2 of its 3 answers" in judge(tried(loop, OWN, OWN, ended=(True, False, True)))[1][0]
    assert "2 of its 3 answers" in judge(tried(loop, loop, OWN))[1][0]
    assert judge(tried(loop, OWN, OWN))[0][0].faults == ("says the same again and again",)
    assert "2 of its 3 answers don't end" in judge(tried(OWN, OWN, OWN, ended=(False, False, True)))[1][0]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("", "says nothing"),
        ("Yes.", "fewer than 3 words"),
        ("�� \x00\x01 airway �", "isn't text"),
        ("{[(<>)]} == ++ -- ;; :: // \\\\ && || !! ?? 12 34 56 ## $$", "isn't text"),
        ("a" * 80 + " is asthma", "isn't text"),
    ],
)
def test_one_answer_that_is_noise_fails_the_adapter(answer: str, fault: str) -> None:
    looked_at, faults = judge(tried(OWN, answer, OWN))
    assert fault in faults[0]
    assert QUESTIONS[1] in faults[0]
    assert fault in looked_at[1].faults[0]


@pytest.mark.parametrize(
    "text",
    [
        "Das Asthma verengt die Atemwege. Ein Spray öffnet sie wieder, und danach fällt das Atmen leichter.",
        "哮喘是一种气道疾病。气道会变窄，呼吸变得困难。医生可以开吸入器来帮助您。",
        "الربو مرض يصيب الشعب الهوائية ويجعل التنفس صعبا.",
        "1. Wash the cut with clean water.\n2. Press on it until it stops.\n3. Cover it with a plaster.",
        "A reading of 120/80 mmHg has two numbers: the first is the pressure while the heart beats, the "
        "second the pressure between beats. Below 140/90 is usual; 135/85 at home.",
    ],
)
def test_plain_answers_in_any_language_are_text(text: str) -> None:
    assert is_text(text)
    assert repeats_itself(f"{text} " * 9)
    assert not repeats_itself(text)


def test_a_probe_is_read_back_as_it_was_written() -> None:
    probe = Probe(False, ("why",), tuple(tried(OWN, OWN, OWN)), "smollm2-135m", "llama.cpp", "2026-01-01")
    assert Probe.of_document(probe.to_document()) == probe
    assert Probe.of_document({}) is None
    assert Probe.of_document({"tried": [{"odd": 1}], "faults": []}) is None
