"""Comparisons made in number: what answers, on which questions, and how far every batch is."""

from dataclasses import dataclass

import gradio as gr

from db.vocabulary import OVERLAP
from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.comparing import Comparison, ComparisonPlan, Voice, split_questions
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.training_data import DataChoice, DataSource
from elara_ui.tabs import pair_batches_view
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates, components_of
from elara_ui.tabs.training_form_view import name_stored

POLL_SECONDS = 1.5
GIVEN, ASKED, OWN = "given", "asked", "own"
SOURCES = (
    ("Answers that both have given already", GIVEN),
    ("Ask: questions asked here before, the latest first", ASKED),
    ("Ask: starter questions", DataSource.STARTER.value),
    ("Ask: questions of accepted reviews", DataSource.REVIEWS.value),
    ("Ask: my own, one a line", OWN),
)
USUAL_TEMPERATURE = -1
"""Stands for the audience's own temperature: a number field can't be empty."""


@dataclass(frozen=True)
class VoiceParts:
    """What answers, and how freely."""

    adapter: gr.Dropdown
    temperature: gr.Number


@dataclass(frozen=True)
class PairBatchParts:
    """The section's components."""

    audience: gr.Dropdown
    first: VoiceParts
    second: VoiceParts
    source: gr.Dropdown
    own: gr.Textbox
    number: gr.Number
    wanted: gr.Number
    batch: gr.Textbox
    start: gr.Button
    stop: gr.Button
    message: gr.HTML
    progress: gr.HTML
    batches: gr.HTML
    poll: gr.Timer

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What `PairBatchHandlers.start` takes."""
        return [
            *(self.audience, *components_of(self.first), *components_of(self.second)),
            *(self.source, self.own, self.number, self.wanted, self.batch),
        ]


def build_pair_batches(services: Services) -> "PairBatchHandlers":
    """Build the section and wire it."""
    parts = _build(services)
    handlers = PairBatchHandlers(services, parts)
    common = {"outputs": components_of(parts), "show_progress": "hidden", "concurrency_limit": None}
    parts.audience.input(handlers.choose_audience, [parts.audience], **common)
    parts.source.input(handlers.choose_source, [parts.source], **common)
    gr.on([parts.start.click, parts.batch.submit], handlers.start, parts.inputs, **common)
    parts.stop.click(handlers.stop, None, **common)
    parts.poll.tick(handlers.watch, None, **common)
    return handlers


def _build(services: Services) -> PairBatchParts:
    recipes = services.recipes
    gr.HTML(pair_batches_view.INTRODUCTION)
    with gr.Row():
        audience = gr.Dropdown(
            [(recipe.title, recipe.audience) for recipe in recipes.values()],
            value=next(iter(recipes)), label="Written for", min_width=160, elem_id="pairs-audience",
        )  # fmt: skip
    with gr.Row():
        first, second = _build_voice("One side", "first"), _build_voice("Other side", "second")
    with gr.Row():
        source = gr.Dropdown(
            list(SOURCES), value=GIVEN, label="Questions", min_width=280, scale=3, elem_id="pairs-source"
        )
        number = gr.Number(
            20, precision=0, minimum=1, label="How many at most", min_width=130, elem_id="pairs-number"
        )
        wanted = gr.Number(
            OVERLAP, precision=0, minimum=1, label="Judgements of each", min_width=130, elem_id="pairs-wanted"
        )
    own = gr.Textbox(
        label="Questions, one a line", lines=4, max_lines=12, visible=False, elem_id="pairs-questions"
    )
    with gr.Row(elem_classes="el-freeze-row"):
        batch = gr.Textbox(
            label="Name of the batch", placeholder="first look", max_lines=1, max_length=100, scale=3,
            min_width=180, elem_id="pairs-batch",
        )  # fmt: skip
        start = gr.Button("Send to be compared", variant="primary", min_width=180, elem_id="start-pairs")
        stop = gr.Button("Stop", variant="stop", visible=False, min_width=100, elem_id="stop-pairs")
    message = gr.HTML(elem_id="pairs-message")
    progress = gr.HTML(elem_id="pairs-progress")
    batches = gr.HTML(elem_id="pairs-batches")
    return PairBatchParts(
        *(audience, first, second, source, own, number, wanted, batch, start, stop),
        *(message, progress, batches, gr.Timer(POLL_SECONDS, active=False)),
    )


def _build_voice(label: str, name: str) -> VoiceParts:
    with gr.Column(min_width=280), gr.Row():
        adapter = gr.Dropdown(
            [pair_batches_view.BASE], value=BASE_ALONE, label=label, min_width=150, elem_id=f"pairs-{name}"
        )
        temperature = gr.Number(
            USUAL_TEMPERATURE, minimum=USUAL_TEMPERATURE, maximum=2, step=0.1,
            label="Temperature (−1: the usual)", visible=False, min_width=120,
            elem_id=f"pairs-{name}-temperature",
        )  # fmt: skip
    return VoiceParts(adapter, temperature)


class PairBatchHandlers:
    """The section's behaviour."""

    def __init__(self, services: Services, parts: PairBatchParts) -> None:
        self._services = services
        self._comparing = services.comparing
        self.parts = parts

    @property
    def chosen(self) -> list[gr.components.Component]:
        """What `refresh` takes."""
        return [self.parts.audience, self.parts.first.adapter, self.parts.second.adapter]

    def refresh(self, audience: str, first: str, second: str) -> Updates:
        """What can answer and be asked, and how far every batch is; what is chosen stays, if it differs."""
        stored = [
            (f"Ask: {name_stored(each)}", f"{DataSource.SNAPSHOT}:{each.id}")
            for each in self._services.training.stored_sets()
        ]
        return {
            **(self.choose_audience(audience) if first == second else self._offer(audience)),
            self.parts.source: gr.update(choices=[*SOURCES, *stored]),
            **self.watch(),
        }

    def choose_audience(self, audience: str) -> Updates:
        """Offer what speaks for this audience; what doesn't is no longer chosen."""
        menu = self._menu(audience)
        (_, base), (_, newest) = menu[0], menu[min(1, len(menu) - 1)]
        return {
            self.parts.first.adapter: gr.update(choices=menu, value=newest),
            self.parts.second.adapter: gr.update(choices=menu, value=base),
        }

    def choose_source(self, source: str) -> Updates:
        """A temperature matters only where answers are given anew."""
        anew = source != GIVEN
        return {
            self.parts.own: gr.update(visible=source == OWN),
            self.parts.first.temperature: gr.update(visible=anew),
            self.parts.second.temperature: gr.update(visible=anew),
            self.parts.start: "Ask both, and send" if anew else "Send to be compared",
        }

    def start(
        self,
        audience: str,
        first: str,
        first_temperature: float | None,
        second: str,
        second_temperature: float | None,
        source: str,
        own: str,
        number: float | None,
        wanted: float | None,
        batch: str,
    ) -> Updates:
        """Send what is there, or let both answer; a refused plan stays as filled in."""
        at_most, each = int(number or 0), int(wanted or 0)
        try:
            if source == GIVEN:
                sent = self._services.pairs.create_batch(
                    first, second, batch or "", audience=audience, wanted=each, limit=at_most
                )
                told = notice(pair_batches_view.describe_sent(sent), "good" if sent.sent else "info")
                return {self.parts.message: told, **self.watch()}
            plan = ComparisonPlan(
                audience=audience,
                first=Voice(first, _read_temperature(first_temperature)),
                second=Voice(second, _read_temperature(second_temperature)),
                questions=self._gather(audience, source, own, at_most),
                batch=batch or "",
                wanted=each,
            )
            self._comparing.start(plan)
        except ElaraError as error:
            return {self.parts.message: notice(error.message)}
        return {self.parts.message: "", **self.watch()}

    def stop(self) -> Updates:
        """Stop after the present question."""
        self._comparing.stop()
        return {self.parts.stop: gr.update(value="Stopping after this question …", interactive=False)}

    def watch(self) -> Updates:
        """How far the comparison under way and all batches are."""
        now = self._comparing.current
        busy = now is not None and now.is_under_way
        return {
            self.parts.progress: pair_batches_view.render_comparison(now),
            self.parts.batches: pair_batches_view.render_batches(self._services.pairs.batches()),
            self.parts.poll: gr.Timer(active=busy),
            self.parts.start: gr.update(interactive=not busy),
            **self._show_stop(now),
        }

    def _show_stop(self, now: Comparison | None) -> Updates:
        if now is not None and now.is_under_way:  # the button keeps saying that it has been pressed
            return {self.parts.stop: gr.update(visible=True)}
        return {self.parts.stop: gr.update(visible=False, value="Stop", interactive=True)}

    def _gather(self, audience: str, source: str, own: str, number: int) -> tuple[str, ...]:
        if source == OWN:
            return split_questions(own or "")[: max(number, 0)]
        if source == ASKED:
            return self._comparing.asked(audience, number)
        kind, _, reference = source.partition(":")
        return self._comparing.stored(audience, DataChoice(DataSource(kind), reference=reference), number)

    def _offer(self, audience: str) -> Updates:
        menu = self._menu(audience)
        return {voice.adapter: gr.update(choices=menu) for voice in (self.parts.first, self.parts.second)}

    def _menu(self, audience: str) -> list[tuple[str, str]]:
        names = self._comparing.voices(audience)
        return [pair_batches_view.BASE if name == BASE_ALONE else (name, name) for name in names]


def _read_temperature(value: float | None) -> float | None:
    return None if value is None or value < 0 else float(value)
