"""Two answers to one question, side by side: which is better, and why. Pure functions for `review_desk.js`."""

from collections.abc import Mapping
from typing import Any

from adapters.recipe import Recipe
from db.vocabulary import Choice
from elara_ui.services.review_tasks import PairTask
from elara_ui.tabs.markup import markdown
from elara_ui.tabs.review_form import (
    PAIR_KEYS,
    RATING_KEYS,
    render_choices,
    render_text_field,
    wrap_form,
    wrap_verdicts,
)
from elara_ui.tabs.review_view import render_aim, render_question

CHOICES = (
    Choice("a", "A is better"),
    Choice("b", "B is better"),
    Choice("tie", "Tie"),
    Choice("both_unsafe", "Both unsafe"),
)
SHARED_KEYS = ("Esc", "s", "u", "b", "?")


def render_pair(task: PairTask, recipes: Mapping[str, Recipe]) -> str:
    """The question and both answers, stacked on a narrow screen. Names nothing that made them."""
    answers = "".join(
        f'<section class="el-pair-answer" aria-label="Answer {letter}"><h3 class="el-label">Answer {letter}</h3>'
        f'<div class="el-answer">{markdown(text)}</div></section>'
        for letter, text in (("A", task.answer_a), ("B", task.answer_b))
    )
    return (
        f'<article class="el-exam el-pair">{render_aim(task, recipes)}'
        f"{render_question(task.question, task.context)}"
        f'<div class="el-pair-answers">{answers}</div></article>'
    )


def render_choice(item_id: str, reviewer: str, content: Mapping[str, Any]) -> str:
    """Which answer is better, and the reason.

    Args:
        item_id: the pair.
        reviewer: who compares.
        content: choice and reason filled in before.
    """
    body = (
        '<div class="el-line" data-axis="choice" role="radiogroup" aria-labelledby="line-choice"'
        ' aria-describedby="ask-choice">'
        '<div class="el-line-head"><b id="line-choice">Which is better?</b>'
        ' <span id="ask-choice">Which of the two would you rather have this person read?</span></div>'
        f"{render_choices('choice', CHOICES)}</div>{render_text_field('reason', 'Reason', 'c')}"
    )
    return wrap_form("pair", item_id, reviewer, content, body)


def render_pair_verdicts() -> str:
    """One button that submits the choice."""
    submit = (
        '<button type="button" class="el-verdict el-verdict-accept" data-verdict="choose"'
        ' aria-keyshortcuts="Enter">Submit<kbd aria-hidden="true">Enter</kbd></button>'
    )
    keys = (*PAIR_KEYS, *(pair for pair in RATING_KEYS if pair[0] in SHARED_KEYS))
    return wrap_verdicts("Submit", submit, keys)
