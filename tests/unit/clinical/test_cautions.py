"""What in an answer calls for caution: found where it is put to the reader, not where it is explained."""

import pytest

from elara_ui.clinical.cautions import Cautions, find_cautions, read_words


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Take 400 mg of ibuprofen.", Cautions(("ibuprofen",), ("400 mg",))),
        ("**Paracetamol** helps: two tablets at night.", Cautions(("Paracetamol",), ("two tablets",))),
        ("Use 0.5 ml, or 200–400 mg of it.", Cautions(doses=("0.5 ml", "200–400 mg"))),
        ("Ibuprofen helps. Don't take ibuprofen twice.", Cautions(("Ibuprofen",))),
        ("You may need a short course of antibiotics.", Cautions(("antibiotics",))),
        ("Try an antihistamine, or Piriton and nasal spray.", Cautions(("antihistamine",))),
        ("Stop taking your blood thinners.", Cautions(("blood thinners",))),
        ("Take water tablets, then ibuprofen.", Cautions(("water tablets", "ibuprofen"))),
        ("You probably have a chest infection.", Cautions(diagnoses=("chest infection",))),
        ("It sounds like you have mild asthma.", Cautions(diagnoses=("mild asthma",))),
        ("Your symptoms suggest appendicitis.", Cautions(diagnoses=("appendicitis",))),
    ],
)
def test_medicines_doses_and_diagnoses_are_found_as_written(answer: str, expected: Cautions) -> None:
    assert find_cautions(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "Rest and drink 500 ml of water.",
        "Eat 30 g of fibre a day.",
        "Low sugar is under 70 mg/dL.",
        "If you have asthma, carry your inhaler.",
        "People who have diabetes check their feet.",
        "The pancreas makes insulin, and insulin resistance means that it does less.",
        "A stroke happens when blood can't reach the brain.",
        "You may have tests for cancer.",
        "Antibiotics don't work against viruses.",
        "Steroids are hormones that calm inflammation.",
        "Bacteria become resistant to antibiotics.",
        "",
    ],
)
def test_food_figures_and_explanations_call_for_none(answer: str) -> None:
    assert not find_cautions(answer)


def test_the_list_of_medicines_is_of_some_length_and_in_lower_case() -> None:
    medicines = read_words().medicines
    assert len(medicines) > 400
    assert all(name == name.casefold() for name in medicines)
