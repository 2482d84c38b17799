"""The command line's verbs for base models."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from adapters.base_model import Weights
from adapters.memory_fit import Recommendation
from adapters.model_store import as_document
from elara_ui.cli.parts import HomeOption, JsonOption, is_for_a_command, make_group, open_services
from elara_ui.cli.text import format_table, write_document, write_note
from elara_ui.errors import ModelError
from elara_ui.services.model_downloads import Download, DownloadState
from elara_ui.services.model_views import FormView, ModelView

models_cli = make_group(help="Base models: which fit this machine and are on it, adding, downloading.")

ModelArgument = Annotated[str, typer.Argument(help="Catalogue id, hub id, or path of a folder or GGUF file.")]
FormOption = Annotated[
    Weights,
    typer.Option("--weights", help="Q4, Q8, F16 for llama.cpp; full for transformers and training."),
]


@models_cli.callback(invoke_without_command=True)
def list_models(context: typer.Context, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List base models with what this machine makes of them; see the commands for a single one."""
    if not is_for_a_command(context, as_json, home):
        _list(as_json, home)


@models_cli.command("list")
def list_again(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List base models with licence, memory and whether they fit and are here."""
    _list(as_json, home)


@models_cli.command("recommend")
def recommend_models(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Name the best models that fit the memory that is free now, and the form to have each in."""
    with open_services(home) as services:
        machine, found = services.models.machine(), services.models.recommended()
    if as_json:
        write_document({"machine": asdict(machine), "recommended": [_recommendation(each) for each in found]})
        return
    write_note(f"{_gb(machine.main.available)} of {_gb(machine.main.total)} of memory are free.")
    rows = [[each.model.id, each.weights.value, each.model.licence, each.model.notes] for each in found]
    print(format_table(rows) or "No model larger than the embedded one fits the memory that is free now.")


@models_cli.command("show")
def show_model(model: ModelArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show one model: licence, limits of use, build, memory in each form, where it is."""
    with open_services(home) as services:
        view = services.models.view(model)
    if as_json:
        write_document(_document(view))
        return
    told = view.model
    facts = {
        "Title": told.title,
        "Licence": told.licence,
        "Limits of use": told.use_limits,
        "Languages": told.languages,
        "Architecture": told.architecture,
        "Parameters": f"{told.parameters:,}" if told.parameters else "",
        "Window": f"{told.context_tokens:,} tokens" if told.context_tokens else "",
        "Adapters": ", ".join(view.adapters),
        "About": told.notes,
    }
    print("\n".join(f"{name}: {text}" for name, text in facts.items() if text))
    print(format_table([_row_of(form) for form in view.forms]))


@models_cli.command("add")
def add_model(model: ModelArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Put a model on the list, by hub id or by path; the hub or the file is asked what it is."""
    with open_services(home) as services:
        added = services.models.add(model)
    if as_json:
        write_document(asdict(added))
    else:
        print(f"{added.id} is on the list.")


@models_cli.command("download")
def download_model(
    model: ModelArgument,
    weights: FormOption,
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="Its licence and limits of use were read and accepted."),
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Download a model's weights (with HF_TOKEN where it is gated); Ctrl-C stops, the next call goes on."""
    with open_services(home) as services:
        found = services.models.check_download(model, weights, accept_licence)
        ended = services.models.downloads.run(found, weights, _Teller())
        if ended.state is not DownloadState.DONE:
            raise ModelError(ended.message or "The download was stopped; what has come is kept.")
        view = services.models.view(found.id)
    if as_json:
        write_document(_document(view))
    else:
        print(next(str(form.stored.place) for form in view.forms if form.weights is weights and form.stored))


@models_cli.command("remove")
def remove_model(
    model: ModelArgument,
    weights: Annotated[
        Weights | None, typer.Option("--weights", help="Delete these weights; the list stays as it is.")
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Take an added model off the list, or with --weights delete downloaded weights."""
    with open_services(home) as services:
        if weights is None:
            services.models.remove(model)
            freed = 0
        else:
            freed = services.models.delete(model, weights)
    if as_json:
        write_document({"model": model, "freed_bytes": freed})
    else:
        print(f"Deleted; that freed {_gb(freed)}." if weights else f"{model} is off the list.")


def _list(as_json: bool, home: Any) -> None:
    with open_services(home) as services:
        views = services.models.list()
    if as_json:
        write_document({"models": [_document(view) for view in views]})
        return
    rows = []
    for view in views:
        memory = "  ".join(map(_describe_form, view.forms))
        here = ", ".join(form.weights.value for form in view.forms if form.stored)
        rows.append([view.model.id, view.model.licence, memory, f"here: {here}" if here else ""])
    print(format_table(rows))


def _document(view: ModelView) -> dict[str, Any]:
    return {
        **asdict(view.model),
        "added": view.added,
        "served": view.served,
        "adapters": view.adapters,
        "forms": [
            {
                "weights": form.weights.value,
                "size_bytes": form.size,
                "memory": asdict(form.need) | {"total": form.need.total} if form.need else None,
                "fit": form.fit.value,
                "stored": as_document(form.stored) if form.stored else None,
                "brought_bytes": form.brought,
                "served": form.served,
            }
            for form in view.forms
        ],
    }


def _describe_form(form: FormView) -> str:
    return " ".join([form.weights.value, *([_gb(form.need.total), form.fit.value] if form.need else [])])


def _recommendation(found: Recommendation) -> dict[str, Any]:
    return {"model": asdict(found.model), "weights": found.weights.value, "dtype": found.dtype}


def _row_of(form: FormView) -> list[str]:
    memory = f"{_gb(form.need.total)} of memory" if form.need else "memory not known"
    place = str(form.stored.place) if form.stored else f"{_gb(form.size)} to download" if form.size else ""
    return [form.weights.value, memory, form.fit.value, place]


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


class _Teller:
    """Tells on stderr how far a download is, at every hundredth."""

    def __init__(self) -> None:
        self._told = -1

    def __call__(self, download: Download) -> None:
        percent = int(download.fraction * 100)
        if download.state is DownloadState.RUNNING and percent != self._told:
            self._told = percent
            write_note(f"{percent}% of {_gb(download.total)}")
