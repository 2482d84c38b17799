"""An answer in an emergency begins with what to do, or it doesn't: told from its first sentence."""

import json

import pytest

from adapters.starters import STARTER_FOLDER
from elara_ui.clinical.action_first import acts_first


@pytest.mark.parametrize(
    "answer",
    [
        "Call 999 now.",
        "1. Sit them up straight. Keep them calm.\n2. Call.",
        "**Step 1:** Press hard on the wound.",
        "- Don't move them.",
        "Don’t move them.",
        "First, stay calm and call for help.",
        "If they can't breathe, call an ambulance now.",
        "You must call your local emergency number.",
        "Never put anything in their mouth.",
    ],
)
def test_an_instruction_comes_first(answer: str):
    assert acts_first(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Chest pain can be a sign of a heart attack. Call 999.",
        "I'm sorry to hear that. Call 999.",
        "If they have had a long illness that nobody has ever explained to them before today, call 999.",
        "If you wait, it gets worse.",
        "Calling 999 is a good idea.",
        "Please.",
    ],
)
def test_something_else_comes_first(answer: str):
    assert not acts_first(answer)


def test_every_starter_answer_for_emergencies_acts_first():
    rows = (STARTER_FOLDER / "emergency.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [
        turn["content"]
        for row in map(json.loads, rows)
        for turn in row.get("messages") or [{"role": "assistant", "content": row["response"]}]
        if turn["role"] == "assistant"
    ]
    assert [answer for answer in answers if not acts_first(answer)] == []
