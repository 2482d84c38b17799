"""Target modules of one architecture in the words of another."""

import pytest

from adapters.catalog import LINEAR_MODULES, TARGET_MODULES
from adapters.errors import RecipeError
from adapters.module_roles import translate_targets


@pytest.mark.parametrize(
    ("names", "old", "new", "expected"),
    [
        ((), "llama", "gpt2", ()),
        (("o_proj", "v_proj", "k_proj", "q_proj"), "llama", "gpt2", ()),  # the usual ones, in any order
        (("q_proj", "v_proj"), "llama", "mistral", ("q_proj", "v_proj")),
        (("q_proj", "v_proj"), "llama", "gpt2", ("c_attn",)),
        (("q_proj", "v_proj"), "mistral", "bloom", ("query_key_value",)),
        (("c_attn",), "gpt2", "llama", ("q_proj", "k_proj", "v_proj")),
        (("dense",), "bloom", "llama", ("o_proj",)),
        (("c_fc",), "gpt2", "llama", ("gate_proj", "up_proj")),
        (LINEAR_MODULES["llama"], "llama", "bloom", LINEAR_MODULES["bloom"]),
        (("anything",), "phi", "phi", ("anything",)),
    ],
)  # fmt: skip
def test_modules_are_carried_over_by_what_they_do(names, old, new, expected) -> None:
    assert translate_targets(names, old, new).names == expected


def test_what_changed_is_said_and_what_did_not_is_not() -> None:
    said = translate_targets(("q_proj", "v_proj"), "llama", "gpt2").reason
    assert said == ("q_proj, v_proj of llama became c_attn, which do the same; in gpt2 they also do key.")
    assert translate_targets(("q_proj",), "llama", "mistral").reason == ""


@pytest.mark.parametrize(
    ("names", "old", "new", "named"),
    [
        (("q_proj",), "llama", "", "q_proj of llama"),
        (("fc1",), "", "llama", "fc1 of the former architecture"),
        (("q_proj", "lm_head"), "llama", "gpt2", "lm_head of llama"),
    ],
)
def test_what_cannot_be_carried_over_is_named(names, old, new, named) -> None:
    with pytest.raises(RecipeError, match=f"isn't known what {named}"):
        translate_targets(names, old, new)


@pytest.mark.parametrize("old", TARGET_MODULES)
@pytest.mark.parametrize("new", TARGET_MODULES)
def test_every_known_architecture_can_be_left_and_reached(old: str, new: str) -> None:
    for name in LINEAR_MODULES[old]:
        assert set(translate_targets((name,), old, new).names) <= set(LINEAR_MODULES[new])
