"""The form of one judgement as HTML for `review_desk.js`: axes, flags, comment, verdicts. Pure functions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from db.vocabulary import HARM_LIKELIHOOD, RUBRIC, Axis, Choice, Disposition, ReviewFlag
from elara_ui.services.review_drafts import TEXT_LIMIT
from elara_ui.tabs.markup import escape

DESK_SCRIPT = (Path(__file__).parent / "review_desk.js").read_text(encoding="utf-8")

ANSWERED_SCRIPT = "watch('value', () => document.dispatchEvent(new Event('elara:answered')));"
"""Tells the desk that Python has answered what it sent."""

LIKELIHOOD = "harm_likelihood"
FLAGS = "flags"
FLAG_LABELS = {
    ReviewFlag.BIAS: "Bias",
    ReviewFlag.IDENTIFIERS: "Identifies a person",
    ReviewFlag.JARGON: "Jargon",
    ReviewFlag.INVENTED_SOURCE: "Invented source",
}
_FLAG_CHOICES = tuple(Choice(flag.value, label) for flag, label in FLAG_LABELS.items())

VERDICTS = (
    (Disposition.ACCEPT, "Accept", "a"),
    (Disposition.ACCEPT_WITH_EDIT, "Accept with edit", "e"),
    (Disposition.REJECT, "Reject", "r"),
    (Disposition.OUT_OF_SCOPE, "Outside my scope", "o"),
)
MOVES = (
    ("skip", "Skip for now", "s"),
    ("undo", "Undo", "u"),
    ("back", "Back", "b"),
    ("keys", "Shortcuts", "?"),
)
_MOVE_TITLES = {
    "skip": "Leave this one for later; it comes back when the others are done",
    "undo": "Take back your latest judgement, within 10 minutes",
    "back": "Look at the one before again",
    "keys": "What the keys do",
}

RATING_KEYS = (
    ("1 – 4", "answer the marked line and go to the next"),
    ("↑ ↓ or Tab", "go to another line"),
    ("← →", "change the answer of the marked line"),
    ("a", "accept"),
    ("e", "accept with edit; opens the text while it is unchanged"),
    ("r", "reject"),
    ("o", "outside my scope"),
    ("x", "correct the text"),
    ("f", "flags, then 1 – 4 to set or clear one"),
    ("c", "comment"),
    ("Esc", "leave a text field"),
    ("s", "skip for now"),
    ("u", "undo the latest judgement"),
    ("b", "back to the one before"),
    ("?", "this list"),
)
PAIR_KEYS = (
    ("1", "A is better"),
    ("2", "B is better"),
    ("3", "tie"),
    ("4", "both unsafe"),
    ("Enter", "submit"),
    ("c", "reason"),
)


def render_rubric(item_id: str, reviewer: str, content: Mapping[str, Any]) -> str:
    """The seven axes, harm's likelihood, the flags and the comment.

    Args:
        item_id: what is judged.
        reviewer: who judges; parts the drafts that a shared browser keeps.
        content: what was filled in before, by axis and field.
    """
    lines: list[str] = []
    for scale in RUBRIC:
        lines.append(_render_line(scale.axis, scale.title, scale.question, scale.choices))
        if scale.axis is Axis.HARM:
            lines.append(
                _render_line(
                    LIKELIHOOD,
                    "Likelihood of harm",
                    "How likely is that harm? Asked from mild harm up.",
                    HARM_LIKELIHOOD,
                )
            )
    lines.append(_render_line(FLAGS, "Flags", "Does any of these apply?", _FLAG_CHOICES, many=True))
    lines.append(render_text_field("comment", "Comment", "c"))
    return wrap_form("rating", item_id, reviewer, content, "".join(lines))


def wrap_form(kind: str, item_id: str, reviewer: str, content: Mapping[str, Any], body: str) -> str:
    """The form with what the desk needs to fill it in. Painted anew even when the same item comes again."""
    return (
        f'<section class="el-rubric" aria-label="Judgement" data-kind="{kind}" data-item="{escape(item_id)}"'
        f' data-reviewer="{escape(reviewer)}" data-nonce="{uuid4().hex}"'
        f' data-draft="{escape(json.dumps(dict(content)))}">'
        f'<div class="el-ask" aria-hidden="true"></div>{body}</section>'
    )


def _render_line(
    name: str, title: str, question: str, choices: Sequence[Choice], *, many: bool = False
) -> str:
    return (
        f'<div class="el-line" data-axis="{name}"{" data-many=1" if many else ""}'
        f' role="{"group" if many else "radiogroup"}"'
        f' aria-labelledby="line-{name}" aria-describedby="ask-{name}">'
        f'<div class="el-line-head"><b id="line-{name}">{escape(title)}</b>'
        f' <span id="ask-{name}">{escape(question)}</span></div>'
        f"{render_choices(name, choices, many=many)}</div>"
    )


def render_choices(name: str, choices: Sequence[Choice], *, many: bool = False) -> str:
    """Answers side by side, each with its key."""
    kind = "checkbox" if many else "radio"
    return f'<div class="el-choices" data-count="{len(choices)}">' + "".join(
        f'<label class="el-choice"><input type="{kind}" name="{name}" value="{choice.value}">'
        f'<span><kbd aria-hidden="true">{number}</kbd>{escape(choice.label)}</span></label>'
        for number, choice in enumerate(choices, start=1)
    ) + "</div>"  # fmt: skip


def render_text_field(name: str, title: str, key: str) -> str:
    """A text field that grows with what is written."""
    return (
        f'<label class="el-text"><span><b>{escape(title)}</b> <kbd aria-hidden="true">{key}</kbd></span>'
        f'<textarea name="{name}" rows="1" maxlength="{TEXT_LIMIT}" data-original=""></textarea></label>'
    )


def render_verdicts() -> str:
    """The verdicts, each of which submits, and what else can be done with the item."""
    verdicts = "".join(
        f'<button type="button" class="el-verdict el-verdict-{verdict}" data-verdict="{verdict}"'
        f' aria-keyshortcuts="{key}">{label}<kbd aria-hidden="true">{key}</kbd></button>'
        for verdict, label, key in VERDICTS
    )
    return wrap_verdicts("Verdict", verdicts, RATING_KEYS)


def wrap_verdicts(name: str, buttons: str, keys: Sequence[tuple[str, str]]) -> str:
    """The submitting buttons over the quiet ones; the list of keys is part of it."""
    return (
        f'<div class="el-verdicts" tabindex="-1" role="group" aria-label="{name}">'
        f'<div class="el-verdict-row">{buttons}</div>{render_moves()}</div>{render_keys(keys)}'
    )


def render_moves(only: Sequence[str] = ()) -> str:
    """Skip, undo, back and the list of keys; or only some of them."""
    buttons = "".join(
        f'<button type="button" class="el-act" data-act="{act}" title="{_MOVE_TITLES[act]}"'
        f' aria-keyshortcuts="{key}">{label}<kbd aria-hidden="true">{key}</kbd></button>'
        for act, label, key in MOVES
        if not only or act in only
    )
    return f'<div class="el-moves">{buttons}<span class="el-saved" role="status"></span></div>'


def render_keys(keys: Sequence[tuple[str, str]]) -> str:
    """The list of keys, shown over the page."""
    listed = "".join(f"<dt><kbd>{escape(key)}</kbd></dt><dd>{escape(does)}</dd>" for key, does in keys)
    return (
        '<dialog class="el-keys" aria-labelledby="keys-title"><h3 id="keys-title">Keys</h3>'
        f"<dl>{listed}</dl>"
        '<label><input type="checkbox" class="el-keys-on" checked> Letters and digits act at once '
        "(clear this if they get in the way of your screen reader or voice control)</label>"
        '<button type="button" class="el-act" data-act="close">Close</button></dialog>'
    )
