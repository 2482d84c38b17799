"""Who is reviewing: asked once, kept in the browser, changed here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from adapters.recipe import Recipe
from elara_ui.errors import ElaraError, InvalidInput
from elara_ui.services import Services
from elara_ui.services.reviewers import ReviewerProfile
from elara_ui.tabs.markup import escape, notice
from elara_ui.tabs.parts import Updates, unchanged

PROFESSIONS = (
    "Physician", "Nurse", "Nurse practitioner", "Pharmacist", "Paramedic", "Midwife", "Physiotherapist",
    "Psychologist", "Dentist", "Dietitian", "Medical student", "Researcher",
)  # fmt: skip
SPECIALTIES = (
    "General practice", "Internal medicine", "Emergency medicine", "Paediatrics", "Cardiology",
    "Respiratory medicine", "Gastroenterology", "Endocrinology", "Nephrology", "Neurology", "Oncology",
    "Haematology", "Infectious diseases", "Rheumatology", "Dermatology", "Psychiatry", "Geriatrics",
    "Palliative care", "Obstetrics and gynaecology", "Surgery", "Orthopaedics", "Anaesthesiology",
    "Intensive care", "Radiology", "Ophthalmology", "Ear, nose and throat", "Urology", "Public health",
)  # fmt: skip
LANGUAGES = (
    ("Arabic", "ar"), ("Bengali", "bn"), ("Chinese", "zh"), ("Czech", "cs"), ("Dutch", "nl"),
    ("English", "en"), ("French", "fr"), ("German", "de"), ("Greek", "el"), ("Hindi", "hi"),
    ("Italian", "it"), ("Japanese", "ja"), ("Korean", "ko"), ("Persian", "fa"), ("Polish", "pl"),
    ("Portuguese", "pt"), ("Russian", "ru"), ("Spanish", "es"), ("Swahili", "sw"), ("Swedish", "sv"),
    ("Turkish", "tr"), ("Ukrainian", "uk"), ("Urdu", "ur"), ("Vietnamese", "vi"),
)  # fmt: skip

INTRODUCTION = (
    "<h3>Who is reviewing?</h3>"
    '<p class="el-muted">Asked once and kept in this browser. Only the name is needed; a pseudonym will do, '
    "as long as it stays the same. What you add is your own declaration, stored with your reviews. "
    "Specialty, audiences and languages decide which answers you are given; what is left empty stands for "
    "all.</p>"
)


@dataclass(frozen=True)
class ProfileParts:
    """The profile's components."""

    intro: gr.HTML
    name: gr.Textbox
    profession: gr.Dropdown
    specialty: gr.Dropdown
    years: gr.Textbox
    country: gr.Textbox
    registration: gr.Textbox
    audiences: gr.CheckboxGroup
    languages: gr.Dropdown
    save: gr.Button
    message: gr.HTML


def build_profile(recipes: Mapping[str, Recipe]) -> ProfileParts:
    """The form; every field but the name may stay empty."""
    intro = gr.HTML(INTRODUCTION)
    with gr.Row():
        name = gr.Textbox(
            label="Name or pseudonym", max_length=120, max_lines=1, min_width=240, elem_id="reviewer-name"
        )
        profession = gr.Dropdown(
            list(PROFESSIONS), label="Profession", value=None, allow_custom_value=True, min_width=200
        )
        specialty = gr.Dropdown(
            list(SPECIALTIES), label="Specialty", value=None, allow_custom_value=True, min_width=200
        )
    with gr.Row():
        # Not gr.Number: it shows "not said" as 0.
        years = gr.Textbox(label="Years in the profession", max_length=2, max_lines=1, min_width=160)
        country = gr.Textbox(label="Country", max_length=80, max_lines=1, min_width=180)
        registration = gr.Textbox(label="Registration number", max_length=80, max_lines=1, min_width=200)
    audiences = gr.CheckboxGroup(
        [(recipe.title, recipe.audience) for recipe in recipes.values()],
        label="Audiences you judge answers for",
        info="None ticked: all of them.",
    )
    languages = gr.Dropdown(
        list(LANGUAGES),
        label="Languages you read",
        info="None chosen: all of them.",
        multiselect=True,
        value=[],
    )
    message = gr.HTML()
    save = gr.Button(
        "Save and go to the queue", variant="primary", scale=0, min_width=240, elem_id="save-profile"
    )
    return ProfileParts(
        intro, name, profession, specialty, years, country, registration, audiences, languages, save, message
    )


class ProfileHandlers:
    """The behaviour of the profile."""

    def __init__(self, services: Services, parts: ProfileParts) -> None:
        self._reviewers = services.reviewers
        self.parts = parts

    def recognise(self, name: str) -> Updates:
        """Show what is known of the name typed in, so that saving doesn't empty it."""
        if not name.strip():
            return unchanged(self.parts.message)
        try:
            known = self.find(name)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        if known is None:  # what is filled in is theirs to keep
            return {self.parts.message: ""}
        return self.fill(known.name)

    def find(self, name: str) -> ReviewerProfile | None:
        """Whom a name belongs to; None when nothing is known under it.

        Raises:
            InvalidInput: the name is too long.
        """
        profile = self._reviewers.profile(name)
        return None if profile == ReviewerProfile(profile.name) else profile

    def fill(self, reviewer: str) -> Updates:
        """Show what is known of a reviewer; an empty form for nobody."""
        if not reviewer.strip():
            return unchanged(self.parts.message)
        try:
            profile = self._reviewers.profile(reviewer)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return {self.parts.message: describe_mark(profile), **self._values(profile)}

    def save(
        self,
        name: str,
        profession: str | None,
        specialty: str | None,
        years: str,
        country: str,
        registration: str,
        audiences: list[str],
        languages: list[str],
    ) -> ReviewerProfile:
        """Store the profile.

        Returns:
            As it is stored.

        Raises:
            InvalidInput: a field breaks its rule.
        """
        return self._reviewers.save(
            ReviewerProfile(
                name=name,
                profession=profession or "",
                specialty=specialty or "",
                years=read_years(years),
                country=country,
                registration=registration,
                audiences=tuple(audiences),
                languages=tuple(languages),
            )
        )

    def _values(self, profile: ReviewerProfile) -> dict[gr.blocks.Block, Any]:
        parts = self.parts
        return {
            parts.name: profile.name,
            parts.profession: profile.profession or None,
            parts.specialty: profile.specialty or None,
            parts.years: "" if profile.years is None else str(profile.years),
            parts.country: profile.country,
            parts.registration: profile.registration,
            parts.audiences: list(profile.audiences),
            parts.languages: list(profile.languages),
        }


def read_years(text: str) -> int | None:
    """Years as typed; None when nothing was.

    Raises:
        InvalidInput: it is no whole number.
    """
    if not text.strip():
        return None
    try:
        return int(text)
    except ValueError as error:
        raise InvalidInput(
            f"Years in the profession are a whole number; got {text!r}. Correct it or leave it out."
        ) from error


def describe_mark(profile: ReviewerProfile) -> str:
    """Whether an administrator has verified, or withdrawn, this reviewer."""
    name = escape(profile.name)
    if profile.withdrawn_at is not None:
        words = f"{name} has been withdrawn: no answers are handed out under this name."
    elif profile.verified:
        words = f'<span class="el-verified">✓ verified</span> An administrator has checked who {name} is.'
    else:
        words = "Not verified: an administrator can set the mark once they know who you are."
    return f'<p class="el-muted">{words}</p>'
