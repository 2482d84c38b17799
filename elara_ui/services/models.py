"""The base models: which there are, which fit this machine; adding, downloading and deleting them."""

from collections.abc import Callable, Mapping

from adapters import catalog, model_store
from adapters.base_model import BaseModel, Weights, from_document, to_document
from adapters.engines.choice import Choice, EngineKind
from adapters.hub_files import Hub
from adapters.machine import MachineMemory, look_at_memory
from adapters.memory_fit import (
    Fit,
    Recommendation,
    Window,
    judge,
    reckon,
    recommend,
    weight_bytes,
)
from adapters.model_store import StoredWeights
from db import adapters as adapter_store
from db import added_models, runs
from db import serving as choice_store
from db.home import Home
from db.session import Database
from elara_ui.errors import InvalidInput, ModelError
from elara_ui.services.model_downloads import Download, ModelDownloads
from elara_ui.services.model_views import FormView, ModelView, forms_of, is_of

__all__ = ["Download", "FormView", "ModelService", "ModelView"]


class ModelService:
    """Lists base models, adds to them, and brings their weights.

    Args:
        database: where added models are.
        home: where weights are kept.
        window: of the conversations that are served, which the memory is reckoned for.
        serving: tells what answers now; None while nothing does.
        coming: tells what is to answer next, while somebody switches to it.
        is_local: whether nobody else can reach the page.
        hub: where models are looked up; told anew each time.
        look: at the machine's memory.
    """

    def __init__(
        self,
        database: Database,
        home: Home,
        window: Window,
        serving: Callable[[], Choice | None],
        coming: Callable[[], Choice | None] = lambda: None,
        is_local: bool = True,
        hub: Callable[[], Hub] = Hub.from_environment,
        look: Callable[[], MachineMemory] = look_at_memory,
    ) -> None:
        self._database = database
        self._home = home
        self.window = window
        self._serving = serving
        self._coming = coming
        self._is_local = is_local
        self._hub = hub
        self._look = look
        self.downloads = ModelDownloads(home.models, hub)

    def machine(self) -> MachineMemory:
        """The memory of this machine, now."""
        return self._look()

    def check_open(self) -> None:
        """Refuse changes from a page that other people can reach: disk, memory and token are the owner's.

        Raises:
            InvalidInput: it is such a page.
        """
        if not self._is_local:
            raise InvalidInput(
                "Base models are added, downloaded and deleted from the page only where Elara listens on "
                "this machine alone, and other machines can reach this one. Use `python -m elara_ui models` "
                "on it."
            )

    @property
    def has_token(self) -> bool:
        """Whether there is a token of the hub, which gated models need."""
        return bool(self._hub().token)

    def known(self) -> tuple[BaseModel, ...]:
        """The catalogue, and after it what people have added."""
        with self._database.reading() as session:
            added = [(found.id, found.description) for found in added_models.list_all(session)]
        listed = {entry.id for entry in catalog.CATALOG}
        return (
            *catalog.CATALOG,
            *(from_document(model_id, told) for model_id, told in added if model_id not in listed),
        )

    def find(self, model_id: str) -> BaseModel:
        """A known model by its id, or any that `catalog.find` makes out.

        Raises:
            ModelError: there is none.
        """
        wanted = model_id.strip().lower()
        found = next((model for model in self.known() if model.id.lower() == wanted), None)
        return found or catalog.find(model_id)

    def trainable(self) -> tuple[BaseModel, ...]:
        """Those on which adapters can be trained, as far as is known: the embedded one, then what is here."""
        offered = [model for model in self.known() if model.trainable]
        return tuple(sorted(offered, key=lambda model: (not model.embedded, not self.is_here(model))))

    def is_here(self, model: BaseModel) -> bool:
        """Whether what training on it needs is on this machine: its full weights, or a file of its own."""
        stored = model_store.list_weights(self._home.models, model)
        return model.embedded or any(each.weights is Weights.FULL or not each.own for each in stored)

    def list(self) -> tuple[ModelView, ...]:
        """Every known model with what this machine makes of it."""
        machine, served = self.machine(), self._serving()
        added = {model.id for model in self.known()} - {entry.id for entry in catalog.CATALOG}
        versions = self._versions()
        return tuple(
            self._view(model, machine, served, model.id in added, versions.get(model.id, ()))
            for model in self.known()
        )

    def view(self, model_id: str) -> ModelView:
        """One of them.

        Raises:
            ModelError: there is none of that id.
        """
        wanted = self.find(model_id)
        for view in self.list():
            if view.model.id == wanted.id:
                return view
        return self._view(wanted, self.machine(), self._serving(), False, self._versions().get(wanted.id, ()))

    def recommended(self) -> tuple[Recommendation, ...]:
        """The best models that fit the memory that is there now, with the form to have each in."""
        return recommend(self.known(), self.window, self.machine())

    def add(self, reference: str) -> BaseModel:
        """Add a model by its hub id or its path on this machine; it is looked at first.

        Raises:
            InvalidInput: nothing was named.
            ModelError: it is no model, is in the catalogue, or the hub can't be asked.
        """
        wanted = reference.strip()
        if not wanted:
            raise InvalidInput(
                "A model is added by its hub id, written owner/name, or by the path of a folder or GGUF "
                "file. Give one."
            )
        model = catalog.find(wanted)
        if any(model.id == entry.id for entry in catalog.CATALOG):
            raise ModelError(f"{model.id} is in the catalogue already, as {model.title}. Nothing was added.")
        if not model.local:
            model = self._hub().describe(model.id)
        with self._database.session() as session:
            added_models.put(session, model.id, to_document(model))
        return model

    def remove(self, model_id: str) -> None:
        """Take an added model off the list; its weights stay.

        Raises:
            NotFound: it wasn't added.
            ModelError: it answers now.
        """
        if any(choice.base_model == model_id for choice in self._in_use()):
            raise ModelError(
                f"{model_id} is served and so stays on the list. Serve another one, then remove it."
            )
        with self._database.session() as session:
            added_models.remove(session, model_id)

    def check_download(self, model_id: str, weights: Weights, accepted: bool) -> BaseModel:
        """Refuse a download that makes no sense; a model that isn't on the list yet is added to it.

        Args:
            accepted: whether the model's licence and limits were read and accepted.

        Raises:
            ModelError: it is here already or isn't a model of the hub.
            InvalidInput: its terms have to be accepted first.
        """
        model = self.find(model_id)
        if not model.hub_id or model.embedded:
            raise ModelError(
                f"{model.title} is on this machine or comes by itself: there is nothing to download."
            )
        if all(model.id != known.id for known in self.known()):
            model = self.add(model.id)
        if model_store.find_weights(self._home.models, model, weights):
            raise ModelError(f"The {weights.value} weights of {model.title} are here already. Serve them.")
        if model.use_limits and not accepted:
            raise InvalidInput(
                f"{model.title} has terms of its own ({model.licence or 'see its page'}). {model.use_limits} "
                f"Read them on its page, {self._hub().endpoint}/{model.hub_id}, and say that you accept them."
            )
        return model

    def download(self, model_id: str, weights: Weights, accepted: bool = False) -> None:
        """Begin to download in the background, or go on with what was begun; see `check_download`.

        Raises:
            ModelError: there is nothing to download.
            InvalidInput: the model's terms have to be accepted first.
            Conflict: it is going on already.
        """
        self.downloads.start(self.check_download(model_id, weights, accepted), weights)

    def stop(self, model_id: str, weights: Weights) -> None:
        """Stop a download; what has come is kept for the next start."""
        self.downloads.stop(model_id, weights)

    def delete(self, model_id: str, weights: Weights) -> int:
        """Delete weights from this machine, whole or begun.

        Returns:
            What that freed, bytes.

        Raises:
            ModelError: they are in use, aren't here, or aren't Elara's to delete.
        """
        model = self.find(model_id)
        self._check_unused(model, weights)
        freed = model_store.delete_weights(self._home.models, model, weights)
        self.downloads.forget(model.id, weights)
        return freed

    def choice(self, model_id: str, weights: Weights, dtype: str = "") -> Choice:
        """What to hand to `ServingService.switch` to have these weights answer.

        Args:
            model_id: of a known model.
            weights: in which form.
            dtype: what the transformers engine keeps them in; empty for the usual.

        Raises:
            ModelError: they aren't on this machine.
        """
        model = self.find(model_id)
        stored = model_store.find_weights(self._home.models, model, weights)
        if stored is None and not model.embedded:
            raise ModelError(
                f"The {weights.value} weights of {model.title} must be on this machine to be served, and "
                "they aren't. Download them first."
            )
        if weights.is_gguf:
            place = None if model.embedded or stored is None else stored.place
            only = model.embedded or model.local  # one file: there is no form to tell it from
            return Choice(EngineKind.LLAMACPP, model.id, place, "" if only else weights.value)
        return Choice(EngineKind.TRANSFORMERS, model.id, stored.place if stored else None, dtype)

    def close(self) -> None:
        """Stop what is being downloaded; the next start goes on from there."""
        self.downloads.close()

    def _view(
        self,
        model: BaseModel,
        machine: MachineMemory,
        served: Choice | None,
        added: bool,
        adapters: tuple[str, ...],
    ) -> ModelView:
        stored = {each.weights: each for each in model_store.list_weights(self._home.models, model)}
        answers = served is not None and served.base_model == model.id
        forms = tuple(
            self._form(model, weights, machine, stored.get(weights), served if answers else None)
            for weights in forms_of(model, stored)
        )
        return ModelView(model, forms, added, answers, adapters)

    def _form(
        self,
        model: BaseModel,
        weights: Weights,
        machine: MachineMemory,
        stored: StoredWeights | None,
        served: Choice | None,
    ) -> FormView:
        need = reckon(model, weights, self.window, stored.size if stored else 0)
        brought = 0
        if stored is None and model.hub_id:
            brought = model_store.brought_bytes(model_store.folder_of(self._home.models, model, weights))
        answers = served is not None and is_of(served, model, weights)
        return FormView(
            weights,
            stored.size if stored else weight_bytes(model, weights),
            need,
            Fit.FITS if answers else judge(need, weights, machine),  # its memory isn't free: it has it
            stored,
            brought,
            self.downloads.find(model.id, weights),
            answers,
        )

    def _versions(self) -> Mapping[str, tuple[str, ...]]:
        with self._database.reading() as session:
            found: dict[str, tuple[str, ...]] = {}
            for adapter in adapter_store.list_all(session):
                found[adapter.base_model] = (*found.get(adapter.base_model, ()), adapter.name)
            return found

    def _in_use(self) -> tuple[Choice, ...]:
        """What answers and what is to; where nothing does here, what another process was told to serve."""
        served = self._serving()
        if served is None:
            with self._database.reading() as session:
                chosen = choice_store.newest(session)
                if chosen is not None and chosen.engine != EngineKind.REMOTE:
                    served = Choice(EngineKind(chosen.engine), chosen.base_model, None, chosen.weights)
        return tuple(choice for choice in (served, self._coming()) if choice is not None)

    def _check_unused(self, model: BaseModel, weights: Weights) -> None:
        what = f"The {weights.value} weights of {model.title}"
        if any(choice.base_model == model.id and is_of(choice, model, weights) for choice in self._in_use()):
            raise ModelError(f"{what} are served. Serve another model, then delete them.")
        going = self.downloads.find(model.id, weights)
        if going is not None and not going.state.ended:
            raise ModelError(f"{what} are being downloaded. Stop that, then delete them.")
        with self._database.reading() as session:
            busy = [run.id for run in runs.list_unended(session) if run.base_model == model.id]
        if busy and weights is Weights.FULL:
            raise ModelError(f"{what} are needed by run {busy[0]}. Let it end or stop it, then delete them.")
