"""What happens in the fine-tune tab's form: each handler unpacks, makes one service call and paints."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from adapters.hints import find_hints
from adapters.hyperparameters import HYPERPARAMETERS
from elara_ui.errors import ElaraError
from elara_ui.services import Services
from elara_ui.services.training import DataSource, Preview
from elara_ui.tabs import preview_view, training_form_view
from elara_ui.tabs.data_form import list_base_models
from elara_ui.tabs.data_form_handlers import DataHandlers
from elara_ui.tabs.markup import notice
from elara_ui.tabs.parts import Updates
from elara_ui.tabs.training_form_parts import FormParts, Gate, fill_fields, read_form

PRESET = ""
"""The choice of the recipe menu that is not a saved one."""
NO_ADAPTER = ("none: start afresh", "")
CHANGED = "The form has changed since its preview. Preview it again."


class FormHandlers:
    """The form's behaviour."""

    def __init__(self, services: Services, parts: FormParts) -> None:
        self._services = services
        self._data = parts.data
        self._recipe = parts.recipe
        self._launching = parts.launching
        self.parts = parts
        self.data = DataHandlers(services, parts.data)

    def check(self, reviewer: str, gate: Gate, *values: Any) -> Updates:
        """Say what would be trained on."""
        try:
            form = read_form(self._services.training, values)
            preview = self._services.training.preview(
                form.audience, form.data, form.settings, form.base_model, reviewer=reviewer or ""
            )
        except ElaraError as error:
            return {self._data.preview: notice(error.message)}
        gate = replace(gate, rows=preview.train)
        return {
            self._data.preview: training_form_view.render_data(preview),
            self._launching.gate: gate,
            **self._describe(gate, values),
        }

    # How

    def choose_base(self, audience: str, base_model: str, source: str, stored: str | None) -> Updates:
        """Set every field to where training begins for this audience on this model, and on this set."""
        followed = self._follow(source, stored, audience)
        objective = followed.get(self._objective)
        values = {} if objective is None else {"objective": objective}
        filled = self._fill(audience, base_model, values)
        return filled | followed | {self._data.preview: "", self._recipe.saved: PRESET}

    def choose_stored(self, gate: Gate, *values: Any) -> Updates:
        """Take the objective that a stored set is for, and say which of its rows are learned."""
        filled = dict(zip(self.parts.inputs, values, strict=True))
        data = self._data
        followed = self._follow(filled[data.source], filled[data.stored], filled[data.audience])
        now = filled | {part: value for part, value in followed.items() if part in filled}
        return followed | self._describe(gate, list(now.values())) | {data.preview: ""}

    @property
    def _objective(self) -> gr.components.Component:
        names = [info.name for info in HYPERPARAMETERS]
        return self._recipe.fields[names.index("objective")]

    def _follow(self, source: str, stored: str | None, audience: str) -> dict[Any, Any]:
        """What a stored set makes of the form; nothing while another source is chosen."""
        reference = (stored or "").strip()
        if source != DataSource.SNAPSHOT or not reference:
            return {}
        try:
            found = self._services.training.stored_set(reference)
        except ElaraError as error:
            return {self._data.told: notice(error.message)}
        return {
            self._objective: found.objective,
            self._data.told: training_form_view.render_stored(found, audience),
        }

    def choose_recipe(self, name: str, audience: str, base_model: str) -> Updates:
        """Set every field to a saved recipe, or back to the preset."""
        if not name:
            return self._fill(audience, base_model, {}) | {self._recipe.saved: PRESET}
        try:
            recipe = self._services.recipe_book.find(name)
        except ElaraError as error:
            return {self._recipe.changes: notice(error.message)}
        updates = self._fill(audience, base_model, recipe.values) | {self._recipe.saved: name}
        if (recipe.audience, recipe.base_model) != (audience, base_model):
            made = notice(f"“{name}” was made for {recipe.audience} on {recipe.base_model}.", "info")
            updates[self._recipe.changes] = made + str(updates[self._recipe.changes])
        return updates

    def reset(self, audience: str, base_model: str) -> Updates:
        """Back to the preset."""
        return self.choose_recipe(PRESET, audience, base_model)

    def save_recipe(self, name: str, *values: Any) -> Updates:
        """Keep the settings under a name."""
        try:
            form = read_form(self._services.training, values)
            saved = self._services.recipe_book.save(name, form.audience, form.base_model, form.settings)
        except ElaraError as error:
            return {self._recipe.changes: notice(error.message)}
        return {
            self._recipe.saved: gr.update(choices=self.list_recipes(), value=saved.name),
            self._recipe.name: "",
            self._recipe.changes: notice(f"Saved as “{saved.name}”.", "good"),
        }

    def delete_recipe(self, name: str) -> Updates:
        """Forget the saved recipe chosen; the fields stay as they are."""
        try:
            if name:
                self._services.recipe_book.delete(name)
        except ElaraError as error:
            return {self._recipe.changes: notice(error.message)}
        said = notice(f"“{name}” deleted.", "good") if name else notice("The preset can't be deleted.")
        return {
            self._recipe.saved: gr.update(choices=self.list_recipes(), value=PRESET),
            self._recipe.changes: said,
        }

    def refresh(self) -> Updates:
        """List base models, saved recipes, stored sets and adapters to continue from, as they are now."""
        names = [adapter.name for adapter in self._services.adapters.versions()]
        choices = gr.update(choices=[NO_ADAPTER, *names])
        kinds = zip(HYPERPARAMETERS, self._recipe.fields, strict=True)
        return {
            self._recipe.saved: gr.update(choices=self.list_recipes()),
            self._data.stored: gr.update(choices=self.data.list_stored()),
            self._data.base_model: gr.update(choices=list_base_models(self._services)),
            **{part: choices for info, part in kinds if info.kind == "adapter"},
        }

    def list_recipes(self) -> list[tuple[str, str]]:
        """The recipe menu: the preset, then what was saved."""
        saved = self._services.recipe_book.saved()
        return [("The preset of audience and model", PRESET), *((item.name, item.name) for item in saved)]

    def change(self, gate: Gate, *values: Any) -> Updates:
        """Say what differs from the preset, and shut the gate unless this is what was previewed."""
        return self._describe(gate, values)

    # Preview and start

    def preview(self, reviewer: str, *values: Any) -> Iterator[Updates]:
        """Work out what a run would do; the start opens when nothing speaks against it."""
        yield {
            self._launching.report: preview_view.render_wait(),
            self._launching.preview: gr.update(interactive=False),
            self._launching.launch: gr.update(interactive=False),
            self._launching.message: "",
        }
        again = {self._launching.preview: gr.update(interactive=True)}
        try:
            form = read_form(self._services.training, values)
            preview = self._services.training.preview_run(
                form.audience, form.data, form.settings, form.base_model, reviewer=reviewer or ""
            )
            command = self._services.training.command(
                form.audience, form.data, form.settings, form.base_model
            )
        except ElaraError as error:
            refusal = {self._launching.report: notice(error.message), self._launching.gate: Gate()}
            yield again | refusal
            return
        gate = Gate(form, preview.train)
        yield again | {
            self._launching.report: preview_view.render_preview(preview, command),
            self._launching.gate: gate,
            **self._describe(gate, values),
            self._launching.launch: _open(preview),
            self._launching.preview: gr.update(interactive=True, variant="secondary"),
        }

    def apply(self, event: gr.EventData, gate: Gate, *values: Any) -> Updates:
        """Take over the settings that a preview advises; they are to be previewed again."""
        advised = json.loads(str(event.item))
        filled = dict(zip(self.parts.inputs, values, strict=True))
        fields = {
            part: advised[info.name]
            for info, part in zip(HYPERPARAMETERS, self._recipe.fields, strict=True)
            if info.name in advised
        }
        said = notice("Taken over. Preview the run again.", "info")
        return {
            **fields,
            **self._describe(gate, list((filled | fields).values())),
            self._launching.report: said,
        }

    def launch(self, gate: Gate, *values: Any) -> Updates:
        """Start what was previewed; a refused start leaves everything as filled in."""
        try:
            form = read_form(self._services.training, values)
            if form != gate.previewed:
                return {
                    self._launching.message: notice(
                        "The form has changed since its preview. Preview it again."
                    ),
                    self._launching.launch: gr.update(interactive=False),
                }
            run_id = self._services.training.launch(form.audience, form.data, form.settings, form.base_model)
        except ElaraError as error:
            return {self._launching.message: notice(error.message)}
        return {
            self._launching.launched: run_id,
            self._launching.gate: replace(gate, previewed=None),
            self._launching.launch: gr.update(interactive=False),
            self._launching.message: notice(
                f"Run {run_id} is on its way. It goes on by itself: this page may be closed.", "good"
            ),
        }

    def _fill(self, audience: str, base_model: str, values: Mapping[str, object]) -> Updates:
        """Set every field, and shut the gate."""
        try:
            settings = self._services.recipe_book.settings(audience, base_model, values)
            differences = self._services.recipe_book.differences(audience, base_model, values)
        except ElaraError as error:
            return {self._recipe.changes: notice(error.message)}
        title = self._services.recipe_book.preset_title(base_model)
        return {
            **fill_fields(self._recipe.fields, settings),
            self._recipe.changes: training_form_view.render_changes(title, differences, settings.hints()),
            self._launching.launch: gr.update(interactive=False),
        }

    def _describe(self, gate: Gate, values: Sequence[Any]) -> Updates:
        """What differs from the preset and what is unusual, and whether the start is open."""
        book = self._services.recipe_book
        try:
            form = read_form(self._services.training, values)
            settings = book.settings(form.audience, form.base_model, form.settings)
            differences = book.differences(form.audience, form.base_model, form.settings)
        except ElaraError as error:
            shut = {self._launching.launch: gr.update(interactive=False)}
            return {self._recipe.changes: notice(error.message), **shut}
        text = training_form_view.render_changes(
            book.preset_title(form.base_model), differences, find_hints(settings, gate.rows)
        )
        stale = gate.previewed is not None and form != gate.previewed
        return {
            self._recipe.changes: text,
            self._launching.launch: gr.update(interactive=form == gate.previewed),
            self._launching.message: notice(CHANGED, "info") if stale else "",
        }


def _open(preview: Preview) -> Any:
    """The start button, once nothing but memory can speak against it."""
    if preview.memory.fits:
        return gr.update(value="Start training", variant="primary", interactive=True)
    return gr.update(value="Start, although memory may run out", variant="stop", interactive=True)
