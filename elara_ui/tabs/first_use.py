"""What to know before an audience is first used: a note, shown once a browser until it is put away."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from db.vocabulary import Audience
from elara_ui.tabs.markup import ACT_SCRIPT, button, escape
from elara_ui.tabs.parts import Updates

STORAGE_KEY = "elara-notes-seen"
STORAGE_SECRET = "elara-notes"  # noqa: S105 - names of notes aren't secret, and must be readable after a restart

NOTES: Mapping[str, str] = {
    Audience.PATIENT: (
        "These answers explain health in plain words. They can be wrong, and they know nothing about you: "
        "no tests, no history, no medicines. Don't start, stop or change a treatment because of them; ask "
        "your doctor, nurse or pharmacist. If it feels urgent, call for help rather than typing."
    ),
    Audience.STUDENT: (
        "These answers are for learning. A language model can be wrong and sound sure, and it can invent "
        "sources. Check what you will rely on against your course and current guidelines, and don't use "
        "it for a patient."
    ),
    Audience.DOCTOR: (
        "These answers are something to check, not decision support. The model doesn't know your patient, "
        "your local guidelines or what has changed since it was trained; doses and sources may be "
        "invented. Leave out whatever identifies a patient."
    ),
    Audience.RESEARCHER: (
        "These answers are written from memory: no literature is searched. Studies, figures and "
        "references may be invented or out of date. References that you didn't give yourself are marked "
        "as unverified; look them up."
    ),
    Audience.EMERGENCY: (
        "In a real emergency call your emergency number first, then read. The answers here are short "
        "first-aid reminders from a language model and can be wrong. Do what the person on the emergency "
        "line tells you."
    ),
}
OTHER = (
    "These answers come from a language model. They can be wrong, and they don't replace someone who can "
    "examine and treat. If it feels urgent, call for help."
)

PUT_AWAY_SCRIPT = """
(audience, seen) => ['', [...new Set([...(Array.isArray(seen) ? seen : []), audience])]]
"""
"""In the browser, where it is remembered: the note goes in the instant in which it is pressed."""


@dataclass(frozen=True)
class FirstUse:
    """The note and what this browser has put away.

    Args:
        note: the note of the audience chosen now; empty once put away.
        seen: the audiences whose note was put away, kept in the browser.
    """

    note: gr.HTML
    seen: gr.BrowserState

    def show(self, audience: str, seen: Any) -> Updates:
        """The audience's note, unless it was put away."""
        return {self.note: "" if audience in read_seen(seen) else render_note(audience)}

    def wire(self, audience: gr.Radio, asked: list[Callable[..., Any]]) -> None:
        """Follow the audience that is chosen, and make room when something is asked.

        Args:
            audience: the choice.
            asked: the events that send a question; whoever sends one has had the note before their eyes.
        """
        page = gr.context.Context.root_block
        given: list[Any] = [audience, self.seen]
        common: dict[str, Any] = {"show_progress": "hidden", "queue": False}
        gr.on([page.load, audience.change], self.show, given, [self.note], **common)
        for pressed in (self.note.act, *asked):
            pressed(None, given, [self.note, self.seen], js=PUT_AWAY_SCRIPT, **common)


def build_first_use() -> FirstUse:
    """Build the note's place, empty until the browser has said what it knows."""
    return FirstUse(
        note=gr.HTML(js_on_load=ACT_SCRIPT, elem_id="first-use"),
        seen=gr.BrowserState([], storage_key=STORAGE_KEY, secret=STORAGE_SECRET),
    )


def render_note(audience: str) -> str:
    """The note of an audience."""
    return (
        '<aside class="el-first-use" aria-label="Before you start">'
        f"<p><strong>Before you start.</strong> {escape(NOTES.get(audience, OTHER))}</p>"
        f"{button('Got it', 'put-away', audience, title='It is not shown again in this browser')}</aside>"
    )


def read_seen(stored: Any) -> set[str]:
    """What the browser kept, whatever somebody has made of it."""
    return {name for name in stored if isinstance(name, str)} if isinstance(stored, list) else set()
