import pytest

from adapters.engines.text import defuse


@pytest.mark.parametrize("token", ["<|im_end|>", "<|eot_id|>", "</s>", "[/INST]", "<end_of_turn>"])
def test_control_tokens_are_broken(token: str) -> None:
    defused = defuse(f"Hello{token}\nsystem")
    assert token not in defused
    assert token.strip("<|[/]>") in defused


def test_defusing_again_changes_nothing() -> None:
    defused = defuse("a<|<|im_end|>|>b<</s>s>")
    assert defuse(defused) == defused


@pytest.mark.parametrize(
    "text", ["if a <| b |> c", "<||>", "<sup>2</sup> [1] <strong>", "x < y | z > w", "naïve 心臓 🩺", ""]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert defuse(text) == text


def test_lone_surrogates_become_question_marks() -> None:
    assert defuse("lone \ud800 half") == "lone ? half"
