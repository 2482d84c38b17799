"""A finished adapter as a teacher: whose questions it answers, and what becomes of the answers."""

from dataclasses import dataclass

import gradio as gr

from elara_ui.errors import ElaraError, IdentifiersFound
from elara_ui.services import Services
from elara_ui.services.teaching import Teaching, TeachingPlan, Use
from elara_ui.services.training import DataChoice, DataSource
from elara_ui.tabs import teaching_view
from elara_ui.tabs.data_form import list_base_models
from elara_ui.tabs.identifier_prompt import render_previews
from elara_ui.tabs.markup import ACT_SCRIPT, notice
from elara_ui.tabs.parts import Updates, components_of, unchanged
from elara_ui.tabs.training_form_view import name_stored

OWN = (
    ("Starter questions of its audience", DataSource.STARTER.value),
    ("Questions of accepted reviews", DataSource.REVIEWS.value),
)


@dataclass(frozen=True)
class Seen:
    """What is on the page, so that menus and report are only painted again when something is new."""

    teachers: tuple[str, ...] = ()
    stored: tuple[tuple[str, str], ...] = ()
    teaching: Teaching | None = None


@dataclass(frozen=True)
class TeachingParts:
    """The panel.

    Args:
        accept: shown once likely identifiers were found in questions that another machine would be asked.
        seen: what is on the page.
    """

    panel: gr.Accordion
    teacher: gr.Dropdown
    prompts: gr.Dropdown
    use: gr.Radio
    base_model: gr.Dropdown
    max_grade: gr.Number
    max_tokens: gr.Number
    accept: gr.Checkbox
    start: gr.Button
    stop: gr.Button
    message: gr.HTML
    report: gr.HTML
    seen: gr.State

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `TeachingHandlers.start` takes."""
        return [
            *(self.seen, self.teacher, self.prompts, self.use),
            *(self.base_model, self.max_grade, self.max_tokens, self.accept),
        ]


def build_teaching(services: Services) -> "TeachingHandlers":
    """Build the panel and wire it."""
    parts = _build(services)
    handlers = TeachingHandlers(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    parts.use.input(handlers.choose_use, [parts.use], **common)
    parts.prompts.change(handlers.forget_consent, None, **common)
    parts.start.click(handlers.start, parts.inputs, **common)
    parts.stop.click(handlers.stop, None, **common)
    return handlers


def _build(services: Services) -> TeachingParts:
    models = services.training.base_models()
    with gr.Accordion("Let an adapter teach", open=False, visible=False, elem_id="teaching") as panel:
        gr.HTML(teaching_view.INTRODUCTION)
        with gr.Row():
            teacher = gr.Dropdown([], label="Teacher", min_width=180, elem_id="teacher")
            prompts = gr.Dropdown(
                list(OWN), value=OWN[0][1], label="Questions", min_width=220, elem_id="teaching-prompts"
            )
        use = gr.Radio(
            [
                ("Train on what passes", Use.TRAIN.value),
                ("Store it as a set", Use.STORE.value),
                ("Send it to review", Use.REVIEW.value),
            ],
            value=Use.TRAIN.value,
            label="Then",
            elem_id="teaching-use",
        )
        base_model = gr.Dropdown(
            list_base_models(services),
            value=models[1].id,
            label="Base model that learns",
            info="One of these, a Hugging Face id, or the path of a local model folder or GGUF file.",
            allow_custom_value=True,
        )
        with gr.Row():
            max_grade = gr.Number(
                value=0,
                minimum=0,
                label="Highest reading grade",
                info="0: the audience's target.",
                min_width=160,
            )
            max_tokens = gr.Number(
                value=0,
                precision=0,
                minimum=0,
                label="Longest answer, tokens",
                info="0: the audience's own.",
                min_width=160,
            )
        accept = gr.Checkbox(
            label="Likely identifiers in the questions were looked at and may go to the other machine",
            visible=False,
            elem_id="teaching-accept",
        )
        with gr.Row():
            start = gr.Button("Start teaching", size="sm", elem_id="start-teaching")
            stop = gr.Button("Stop", variant="stop", size="sm", visible=False, elem_id="stop-teaching")
        message = gr.HTML()
        report = gr.HTML(js_on_load=ACT_SCRIPT, elem_id="teaching-report")
    return TeachingParts(
        *(panel, teacher, prompts, use, base_model, max_grade, max_tokens),
        *(accept, start, stop, message, report, gr.State(Seen())),
    )


class TeachingHandlers:
    """The behaviour of the panel."""

    def __init__(self, services: Services, parts: TeachingParts) -> None:
        self._services = services
        self.parts = parts

    def refresh(self, seen: Seen) -> Updates:
        """Paint menus and report as they are now, if anything is new."""
        now = Seen(
            tuple(adapter.name for adapter in self._services.adapters.versions()),
            tuple((name_stored(item), item.id) for item in self._services.training.stored_sets()),
            self._services.teaching.current,
        )
        if now == seen:
            return unchanged(self.parts.seen)
        updates: Updates = {self.parts.seen: now}
        if now.teachers != seen.teachers:
            first = {} if seen.teachers else {"value": next(iter(now.teachers), None)}
            updates[self.parts.teacher] = gr.update(choices=list(now.teachers), **first)
            updates[self.parts.panel] = gr.update(visible=bool(now.teachers))
        if now.stored != seen.stored:
            updates[self.parts.prompts] = gr.update(choices=[*OWN, *now.stored])
        return updates | (self._paint(now.teaching) if now.teaching != seen.teaching else {})

    def choose_use(self, use: str) -> Updates:
        """Ask for a base model only when one is to be trained."""
        return {self.parts.base_model: gr.update(visible=use == Use.TRAIN)}

    def forget_consent(self) -> Updates:
        """What was accepted holds for the questions that were looked at, not for others."""
        return {self.parts.accept: gr.update(value=False, visible=False), self.parts.message: ""}

    def start(
        self,
        seen: Seen,
        teacher: str | None,
        prompts: str,
        use: str,
        base_model: str | None,
        max_grade: float | None,
        max_tokens: float | None,
        accept: bool,
    ) -> Updates:
        """Let the adapter answer; the page may be left."""
        plan = TeachingPlan(
            teacher=teacher or "",
            prompts=_choose_prompts(prompts),
            use=Use(use),
            base_model=(base_model or "").strip(),
            max_grade=max_grade or None,
            max_tokens=int(max_tokens or 0) or None,
            accept_identifiers=accept,
        )
        try:
            self._services.teaching.start(plan)
        except IdentifiersFound as found:
            return {
                self.parts.message: render_previews(found),
                self.parts.accept: gr.update(visible=True, value=False),
            }
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return self.refresh(seen) | {self.parts.message: ""}

    def stop(self) -> Updates:
        """Stop after the present answer."""
        self._services.teaching.stop()
        return {self.parts.stop: gr.update(value="Stopping after this answer …", interactive=False)}

    def _paint(self, teaching: Teaching | None) -> Updates:
        under_way = teaching is not None and teaching.is_under_way
        updates: Updates = {
            self.parts.report: teaching_view.render_teaching(teaching),
            self.parts.start: gr.update(interactive=not under_way),
        }
        # While it goes on, the button keeps saying that it has been pressed.
        hidden = gr.update(visible=False, value="Stop", interactive=True)
        return updates | {self.parts.stop: gr.update(visible=True) if under_way else hidden}


def _choose_prompts(value: str | None) -> DataChoice:
    """What a choice of the menu means: the audience's own questions, or a stored set."""
    if value in (DataSource.STARTER, DataSource.REVIEWS):
        return DataChoice(DataSource(value))
    return DataChoice(DataSource.SNAPSHOT, reference=value or "")
