"""How hard an answer is to read, beneath it: a bar against the audience's target, measures and hard words.

It is painted once the answer is finished, from figures stored with it, so that it neither slows nor moves the
text that is being written.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from adapters.recipe import Recipe
from elara_ui.clinical.glossary import load_glossary
from elara_ui.clinical.hard_words import HardWord, find_hard_words
from elara_ui.clinical.readability import PLAIN_GRADE, describe_target, judge
from elara_ui.services.answers import Answer
from elara_ui.tabs.markup import escape

SCALE = 18
"""Grades that the bar is long: twelve years of school and six more."""

LOOKS = {
    "simpler than needed": ("under", "◂"), "on target": ("met", "✓"), "a little hard": ("over", "▲"),
    "too hard": ("high", "▲▲"), None: ("none", ""),
}  # fmt: skip
"""Verdict → class and sign, so that colour isn't all that tells."""

_TAG = re.compile(r"(<[^>]*>)")
_CLOSED_TO_MARKS = ("a", "code", "pre")

KEEP_OPEN_SCRIPT = """
const keptOpen = new Set();
element.addEventListener('toggle', (event) => {
  const key = event.target.dataset?.keep;
  if (key) { if (event.target.open) keptOpen.add(key); else keptOpen.delete(key); }
}, true);
watch('value', () => {
  for (const box of element.querySelectorAll('details[data-keep]'))
    if (keptOpen.has(box.dataset.keep)) box.open = true;
});
"""
"""What a reader has unfolded stays so when the thread is painted again."""


def wants_plain_words(recipe: Recipe | None) -> bool:
    """Whether hard words are shown to this audience's readers: those whose target is plain language."""
    return recipe is not None and recipe.readability_aim is not None and recipe.readability_aim <= PLAIN_GRADE


def render_meter(answer: Answer, recipe: Recipe | None) -> str:
    """Grade against target, unfolding to the other measures, and the hard words; empty without a grade."""
    if answer.reading_grade is None:
        return ""
    words = find_hard_words(answer.text) if wants_plain_words(recipe) else ()
    return (
        f'<div class="el-meter">{_render_grade(answer, answer.reading_grade, recipe)}'
        f"{_render_words(answer.response_id, words)}</div>"
    )


def mark_hard_words(html: str, answer: Answer, recipe: Recipe | None) -> str:
    """An answer's HTML with each glossary term underlined and its plain words as a tooltip.

    Args:
        html: from `elara_ui.tabs.markup.markdown`, in which text holds no bare ``<``.
    """
    return _mark_html(html, answer.text) if wants_plain_words(recipe) else html


@lru_cache(maxsize=512)  # a thread is painted whole whenever something in it changes
def _mark_html(html: str, text: str) -> str:
    terms = {word.term for word in find_hard_words(text) if word.plain}
    if not terms:
        return html
    closed, parts = 0, []
    for part in _TAG.split(html):
        if part.startswith("<"):
            name = part.strip("</>").split(" ")[0]
            if name in _CLOSED_TO_MARKS:
                closed += -1 if part.startswith("</") else 1
            parts.append(part)
        else:
            parts.append(part if closed else _mark(part, terms))
    return "".join(parts)


def _mark(text: str, terms: set[str]) -> str:
    for found in reversed(list(load_glossary().find(text))):
        if found.entry.term in terms:
            marked = f'<span class="el-hard" title="{escape(found.entry.plain)}">{found.text}</span>'
            text = text[: found.start] + marked + text[found.end :]
    return text


def _render_grade(answer: Answer, grade: float, recipe: Recipe | None) -> str:
    aim, warn, floor = (
        (recipe.readability_aim, recipe.readability_warn, recipe.readability_floor)
        if recipe
        else (None, None, None)
    )
    verdict = judge(grade, aim, warn, floor)
    look, sign = LOOKS[verdict]
    target = describe_target(aim, floor)
    if verdict:
        said = f'<b class="el-grade-{look}">{sign} {verdict}</b> <span>aim: {target}</span>'
    else:
        said = "<span>no target for this audience</span>"
    return (
        f'<details data-keep="grade-{escape(answer.response_id)}"><summary title="More measures">'
        f'{_render_bar(grade, aim, floor, look)}<span class="el-meter-said">Reading grade {grade:.1f} {said}'
        f"</span></summary>{_render_measures(answer.readability)}</details>"
    )


def _render_bar(grade: float, aim: float | None, floor: float | None, look: str) -> str:
    """A bar as long as the grade, over the grades that are wanted."""
    zone = ""
    if aim is not None:
        start, end = _place(floor or 0), _place(aim)
        zone = f'<i style="left:{start:.1f}%;width:{end - start:.1f}%"></i>'
    return (
        f'<span class="el-meter-bar" aria-hidden="true">{zone}'
        f'<span class="el-meter-{look}" style="width:{max(3.0, _place(grade)):.1f}%"></span></span>'
    )


def _place(grade: float) -> float:
    return 100 * min(1.0, max(0.0, grade / SCALE))


def _render_measures(figures: dict[str, Any]) -> str:
    """Each measure with what it means; a dash where the text is too short for it."""
    words, difficult = figures.get("words") or 0, figures.get("difficult_words") or 0
    share = f" of {words} words ({100 * difficult / words:.0f} %)" if words else ""
    rows = (
        ("Flesch–Kincaid grade", _figure(figures.get("flesch_kincaid_grade")), "years of school in the US"),
        (
            "Flesch reading ease",
            _figure(figures.get("flesch_reading_ease")),
            "higher is easier; 60 to 70 is plain",
        ),
        ("SMOG index", _figure(figures.get("smog_index")), "years of school; from three sentences on"),
        ("Dale–Chall score", _figure(figures.get("dale_chall")), "up to 4.9 is grade 4, from 9 college"),
        ("Difficult words", f"{difficult}{share}", "two syllables or more, on no list of easy words"),
        ("Sentences", str(figures.get("sentences") or 0), "as counted for these formulas"),
    )
    body = "".join(
        f"<tr><th scope='row'>{name}</th><td>{value}</td><td class='el-muted'>{meaning}</td></tr>"
        for name, value, meaning in rows
    )
    return (
        f'<table class="el-measures">{body}</table>'
        '<p class="el-muted">Formulas see the length of words and sentences, neither jargon nor truth.</p>'
    )


def _figure(value: Any) -> str:
    return "–" if value is None else f"{value:.1f}".replace("-", "−")


def _render_words(response_id: str, words: Sequence[HardWord]) -> str:
    """The list of hard words, reachable by key and finger; nothing when there are none."""
    if not words:
        return ""
    explained = [word for word in words if word.plain]
    others = [word.text for word in words if not word.plain]
    items = "".join(
        f"<li><b>{escape(word.text)}</b>{_times(word)} <span>say “{escape(word.plain)}”</span>"
        f"{f'<small>{escape(word.note)}</small>' if word.note else ''}</li>"
        for word in explained
    )
    plain = f"<ul>{items}</ul>" if items else ""
    rest = f'<p class="el-muted">Other long words: {escape(", ".join(others))}.</p>' if others else ""
    number = f"{len(words)} hard word{'' if len(words) == 1 else 's'}"
    caution = (
        '<p class="el-muted">Suggestions come from a glossary that clinicians have not reviewed.</p>'
        if items
        else ""
    )
    return (
        f'<details class="el-hard-words" data-keep="words-{escape(response_id)}"><summary>{number}</summary>'
        f"{plain}{rest}{caution}</details>"
    )


def _times(word: HardWord) -> str:
    return f" <small>×{word.times}</small>" if word.times > 1 else ""
