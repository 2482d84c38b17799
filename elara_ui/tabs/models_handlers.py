"""What happens in the models tab: each handler unpacks, makes one service call and paints."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import gradio as gr

from adapters.base_model import Weights
from elara_ui.errors import ElaraError, InvalidInput, NotEnoughMemory
from elara_ui.services import Services
from elara_ui.services.adapter_shelf import list_shelf
from elara_ui.tabs import models_view
from elara_ui.tabs.adapters_view import describe_size
from elara_ui.tabs.markup import notice
from elara_ui.tabs.models_parts import POLL_SECONDS, ModelParts
from elara_ui.tabs.models_shelf_view import render_shelf
from elara_ui.tabs.models_view import ALL, Asked, item_of, read_item
from elara_ui.tabs.parts import Updates


@dataclass(frozen=True)
class ModelsState:
    """What somebody looks at.

    Args:
        shown: id of the model whose details are open; empty for none.
        asked: what waits for its confirmation.
    """

    shown: str = ""
    asked: Asked | None = None


class ModelHandlers:
    """The tab's behaviour."""

    def __init__(self, services: Services, parts: ModelParts) -> None:
        self._services = services
        self._models = services.models
        self.parts = parts

    def refresh(self, state: ModelsState, family: str) -> Updates:
        """Paint everything as it is now; the clock goes while something is downloaded."""
        busy = self.is_busy  # before anything is looked at: what ends meanwhile is painted by the next tick
        views = self._models.list()
        families = models_view.families_of(views)
        family = family if family in families else ALL
        shelf = list_shelf(
            self._services.database, self._services.settings.folders, self._services.serving.base_model
        )
        parts = self.parts
        return {
            parts.machine: models_view.render_machine(self._models.machine(), self._models.window),
            parts.recommended: models_view.render_recommended(self._models.recommended(), views),
            parts.family: gr.update(choices=families, value=family),
            parts.list: models_view.render_models(
                models_view.choose(views, family), state.shown, state.asked, has_token=self._models.has_token
            ),
            parts.shelf: render_shelf(shelf),
            parts.state: state,
            parts.clock: gr.Timer(POLL_SECONDS, active=busy),
        }

    @property
    def is_busy(self) -> bool:
        """Whether something is downloaded or switched to, which is worth following."""
        return bool(self._models.downloads.going_on()) or self._services.serving.status.is_switching

    def tell_end(self) -> Updates:
        """Take back that something is coming up; say why when it didn't."""
        switching = self._services.serving.status.switching
        failed = switching is not None and switching.failed
        return {self.parts.message: notice(switching.message) if switching is not None and failed else ""}

    def narrow(self, state: ModelsState, family: str) -> Updates:
        """Show the models of one family."""
        return self.refresh(replace(state, asked=None), family) | {self.parts.message: ""}

    def add(self, state: ModelsState, family: str, reference: str) -> Updates:
        """Put a model on the list."""
        try:
            self._models.check_open()
            added = self._models.add(reference)
        except ElaraError as error:
            return {self.parts.added: notice(error.message)}
        where = added.family or models_view.ADDED
        said = f"{added.title} is on the list, under {where}. Its weights aren't here yet."
        if added.local:
            said = f"{added.title} is on the list, under {where}, and can be served."
        return self.refresh(ModelsState(added.id), where) | {
            self.parts.added: notice(said, "good"),
            self.parts.reference: "",
        }

    def act(self, state: ModelsState, family: str, event: gr.EventData) -> Updates:
        """Whatever a button asks for."""
        act, item = str(event.act), str(event.item)
        try:
            if act == "show":
                return self._show(state, family, item)
            if act == "forget":
                return self._forget(family, item)
            model_id, weights = _read(item)
            handler = self._handlers().get(act)
            if handler is None:
                raise InvalidInput(f"The page knows no button {act[:40]!r}. Reload it.")
            return handler(state, family, model_id, weights)
        except ElaraError as error:
            said = notice(error.message)
            return self.refresh(replace(state, asked=None), family) | {self.parts.message: said}

    def _handlers(self) -> dict[str, Callable[[ModelsState, str, str, Weights], Updates]]:
        return {
            "download": self._download,
            "confirm-download": self._confirm_download,
            "cancel": self._cancel,
            "delete": self._ask_delete,
            "confirm-delete": self._delete,
            "serve": self._serve,
            "confirm-serve": self._insist,
            "leave": self._leave,
        }

    def _show(self, state: ModelsState, family: str, model_id: str) -> Updates:
        """Open a model, or close it; one pressed among those recommended opens in the list."""
        opened = "" if state.shown == model_id else model_id
        shown = [view.model.id for view in models_view.choose(self._models.list(), family)]
        if opened and opened not in shown:
            family = ALL
        return self.refresh(ModelsState(opened), family) | {self.parts.message: ""}

    def _forget(self, family: str, model_id: str) -> Updates:
        self._models.check_open()
        self._models.remove(model_id)
        said = notice(f"{model_id} is off the list. Its files stay where they are.", "good")
        return self.refresh(ModelsState(), family) | {self.parts.message: said}

    def _download(self, state: ModelsState, family: str, model_id: str, weights: Weights) -> Updates:
        """Begin, unless terms have to be accepted first: those are shown within the model."""
        self._models.check_open()
        try:
            self._models.download(model_id, weights)
        except InvalidInput as terms:
            return self._ask(Asked("download", model_id, weights, terms.message), family)
        return self.refresh(ModelsState(model_id), family) | {self.parts.message: ""}

    def _confirm_download(self, state: ModelsState, family: str, model_id: str, weights: Weights) -> Updates:
        self._models.check_open()
        accepted = state.asked is not None and item_of(state.asked.model_id, state.asked.weights) == item_of(
            model_id, weights
        )
        self._models.download(model_id, weights, accepted)
        return self.refresh(ModelsState(model_id), family) | {self.parts.message: ""}

    def _cancel(self, state: ModelsState, family: str, model_id: str, weights: Weights) -> Updates:
        self._models.check_open()
        self._models.stop(model_id, weights)
        return self.refresh(state, family)

    def _ask_delete(self, state: ModelsState, family: str, model_id: str, weights: Weights) -> Updates:
        said = f"This deletes the {weights.value} weights of {model_id} from this machine. Adapters stay."
        return self._ask(Asked("delete", model_id, weights, said), family)

    def _delete(self, state: ModelsState, family: str, model_id: str, weights: Weights) -> Updates:
        self._models.check_open()
        freed = self._models.delete(model_id, weights)
        said = notice(f"Deleted; that freed {describe_size(freed)}.", "good")
        return self.refresh(ModelsState(model_id), family) | {self.parts.message: said}

    def _serve(self, state: ModelsState, family: str, model_id: str, weights: Weights) -> Updates:
        """Have it answer; where memory may run out, that is confirmed first."""
        try:
            return self._switch(family, model_id, weights, insist=False)
        except NotEnoughMemory as short:
            return self._ask(Asked("serve", model_id, weights, short.message), family)

    def _insist(self, state: ModelsState, family: str, model_id: str, weights: Weights) -> Updates:
        return self._switch(family, model_id, weights, insist=True)

    def _switch(self, family: str, model_id: str, weights: Weights, *, insist: bool) -> Updates:
        self._models.check_open()
        choice = self._models.choice(model_id, weights)
        self._services.serving.switch(choice, insist=insist)
        said = f"{choice.title} is coming up. What answers now goes on until then; the header says when."
        return self.refresh(ModelsState(model_id), family) | {self.parts.message: notice(said, "info")}

    def _leave(self, state: ModelsState, family: str, model_id: str, weights: Weights) -> Updates:
        return self.refresh(replace(state, asked=None), family) | {self.parts.message: ""}

    def _ask(self, asked: Asked, family: str) -> Updates:
        """Open the model with the question in it."""
        shown = [view.model.id for view in models_view.choose(self._models.list(), family)]
        family = family if asked.model_id in shown else ALL
        return self.refresh(ModelsState(asked.model_id, asked), family) | {self.parts.message: ""}


def _read(item: str) -> tuple[str, Weights]:
    try:
        return read_item(item)
    except ValueError:
        raise InvalidInput("That button names no form of a model. Reload the page.") from None
