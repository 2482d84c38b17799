"""The banner of a red flag: what to do now, whom to call, and why it shows. Pure functions to HTML.

It stands between a question and its answer, whatever that says. Cards of compassion speak in their own voice
and in full to everyone; the others are folded to a line for professionals, and where a turn above told the same.
"""

import re
from dataclasses import dataclass

from db.vocabulary import LAY_AUDIENCES, Role
from elara_ui.clinical.redflags import Advice, Finding, Reason
from elara_ui.services.answers import Thread
from elara_ui.tabs.markup import escape

_ITEM = re.compile(r"^(?:\d+\.|-)\s+")
SENTENCE_SHOWN = 160
"""Characters of the user's sentence that are quoted as the reason."""

URGENT_ICON = (
    '<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" fill="none" stroke="currentColor"'
    ' stroke-width="2" stroke-linejoin="round" stroke-linecap="round"><path d="M12 3 2 20h20zM12 10v4M12 17v.5"/></svg>'
)
KIND_ICON = (
    '<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" fill="none" stroke="currentColor"'
    ' stroke-width="2" stroke-linejoin="round"><path d="M12 20S3 14.5 3 8.5A4.5 4.5 0 0 1 12 7a4.5 4.5 0 0 1 9 1.5'
    'C21 14.5 12 20 12 20z"/></svg>'
)
ALARM_SCRIPT = """
const offsetIn = (box, alarm) => alarm.getBoundingClientRect().top - box.getBoundingClientRect().top;
const followAlarm = (box) => {
  const alarm = box.querySelector('.el-flag[role="alert"]');
  if (!alarm) return false;
  if (box.dataset.alarm !== alarm.dataset.flag) {
    box.dataset.alarm = alarm.dataset.flag;
    box.scrollTop += offsetIn(box, alarm) - 8;
    box.dataset.offset = offsetIn(box, alarm);
    box.scrollIntoView({block: 'nearest'});
    const leave = () => { delete box.dataset.offset; };
    for (const kind of ['wheel', 'touchmove', 'pointerdown', 'keydown']) {
      box.addEventListener(kind, leave, {once: true, passive: true});
    }
  } else if (box.dataset.offset) {
    box.scrollTop += offsetIn(box, alarm) - Number(box.dataset.offset);
  }
  return true;
};
"""
"""Brings a new banner into sight and holds it there while the answer grows, until the reader scrolls."""

FOOT = "Shown by fixed rules, whatever the model answers. Not a diagnosis, and not clinically reviewed."


@dataclass(frozen=True)
class _Words:
    """A card's text in its parts: what comes before the steps, the steps, what comes after."""

    before: tuple[str, ...]
    steps: tuple[str, ...]
    after: tuple[str, ...]
    numbered: bool


def render_banners(thread: Thread) -> dict[int, str]:
    """Position of a question → its banner, for those on which something fired.

    The newest is announced by screen readers; one that tells nothing new is folded.
    """
    shown: set[str] = set()
    banners: dict[int, str] = {}
    following = [*thread.messages[1:], None]
    newest = max((m.position for m in thread.messages if m.role is Role.USER), default=-1)
    for message, after in zip(thread.messages, following, strict=True):
        if message.red_flags is None or not message.red_flags.emergency:
            continue
        audience = after.answer.audience if after and after.answer else thread.audience
        told = shown.issuperset(message.red_flags.categories)
        banners[message.position] = render_banner(
            message.red_flags,
            quiet=audience not in LAY_AUDIENCES,
            told=told,
            alert=message.position == newest,
            key=f"{thread.conversation_id}-{message.position}",
        )
        shown.update(message.red_flags.categories)
    return banners


def render_banner(
    finding: Finding, *, quiet: bool, told: bool = False, alert: bool = True, key: str = ""
) -> str:
    """The cards of a finding; empty when nothing fired.

    Args:
        finding: what the rules said.
        quiet: for professionals: all but the cards of compassion are folded to their first step.
        told: the same stands a turn above: every card is folded.
        alert: whether screen readers announce it.
        key: names the banner to the script that keeps it in sight.
    """
    reasons = {reason.category: reason for reason in finding.reasons}
    cards = [
        _render_folded(card, reasons.get(card.category))
        if told or (not card.compassionate and (quiet or place > 0))
        else _render_card(card, reasons.get(card.category))
        for place, card in enumerate(finding.advice)
    ]
    if not cards:
        return ""
    role = 'role="alert"' if alert else 'role="note"'
    return (
        f'<section class="el-flag" {role} aria-label="Urgent advice" data-flag="{escape(key)}">{"".join(cards)}'
        f'<p class="el-flag-foot">{FOOT}</p></section>'
    )


def _render_card(card: Advice, reason: Reason | None) -> str:
    words = _parse(card.text)
    head = (
        f"{KIND_ICON}<strong>You are not alone</strong>"
        if card.compassionate
        else f"{URGENT_ICON}<strong>Get help now</strong> <span>{escape(card.title)}</span>"
    )
    call = (
        f'<a class="el-call" href="tel:{card.dial}">Call {card.dial}</a>'
        if card.dial and not card.compassionate
        else ""
    )
    kind = "el-flag-kind" if card.compassionate else "el-flag-urgent"
    return (
        f'<div class="el-flag-card {kind}"><div class="el-flag-head">{head}</div>{_paragraphs(words.before)}'
        f"{_list(words, words.steps)}{_paragraphs(words.after)}{call}{_render_reason(card, reason)}</div>"
    )


def _render_folded(card: Advice, reason: Reason | None) -> str:
    """The first step, with the emergency number whatever it says, and the rest to unfold."""
    words = _parse(card.text)
    first = words.steps[0] if words.steps else " ".join(words.before)
    number = f" Emergency: {card.emergency}." if card.emergency and card.emergency not in first else ""
    rest = _list(words, words.steps[1:], start=2) + _paragraphs(words.after)
    label = "Help is there" if card.compassionate else "Red flag"
    return (
        f'<details class="el-flag-card el-flag-folded"><summary><span class="el-flag-head">'
        f"{KIND_ICON if card.compassionate else URGENT_ICON}<strong>{label}</strong> <span>{escape(card.title)}</span></span>"
        f"<span>{escape(first)}{escape(number)}</span></summary>{_paragraphs(words.before)}{rest}"
        f"{_render_source(card)}</details>{_render_reason(card, reason, folded=True)}"
    )


def _render_reason(card: Advice, reason: Reason | None, *, folded: bool = False) -> str:
    source = "" if folded else f" {_render_source(card)}"
    if reason is None:
        return source
    return f'<p class="el-flag-why">Why this shows: you wrote “{_quote(reason)}”.{source}</p>'


def _render_source(card: Advice) -> str:
    return (
        f'<a class="el-flag-source" href="{escape(card.url)}" target="_blank" rel="noopener noreferrer">'
        f"After: {escape(card.source)}</a>"
    )


def _quote(reason: Reason) -> str:
    """The sentence with the words that met a rule marked; only the words where it is long."""
    sentence = " ".join(reason.sentence.split()).rstrip(".!?")
    if len(sentence) > SENTENCE_SHOWN:
        return " … ".join(escape(words) for words in reason.matched)
    words = sorted({escape(" ".join(found.split())) for found in reason.matched}, key=len, reverse=True)
    marked = re.compile("|".join(rf"(?<!\w){re.escape(found)}(?!\w)" for found in words if found))
    return marked.sub(r"<mark>\g<0></mark>", escape(sentence)) if words else escape(sentence)


def _parse(text: str) -> _Words:
    """Split a card's text; a line that is no step and is indented goes on with the one before."""
    before: list[str] = []
    steps: list[str] = []
    after: list[str] = []
    for line in text.splitlines():
        if match := _ITEM.match(line):
            steps.append(line[match.end() :].strip())
        elif steps and line.startswith(" "):
            steps[-1] += f" {line.strip()}"
        elif line.strip():
            into = after if steps else before
            into.append(line.strip())
    return _Words(
        (" ".join(before),) if before else (),
        tuple(steps),
        tuple(after),
        bool(re.search(r"^\d+\.", text, re.M)),
    )


def _list(words: _Words, steps: tuple[str, ...], start: int = 1) -> str:
    if not steps:
        return ""
    tag, first = ("ol", f' start="{start}"' if start > 1 else "") if words.numbered else ("ul", "")
    return f"<{tag}{first}>{''.join(f'<li>{escape(step)}</li>' for step in steps)}</{tag}>"


def _paragraphs(texts: tuple[str, ...]) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in texts)
