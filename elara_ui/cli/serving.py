"""The command line's verbs for what answers: which base model, in which engine."""

from typing import Annotated, Any

import typer

from adapters.engines.choice import DTYPES, QUANTIZATIONS, Choice
from elara_ui.cli.parts import HomeOption, JsonOption, make_group, open_services
from elara_ui.cli.text import format_table, write_document
from elara_ui.services.serving_choice import AUTO, check_memory, choose
from elara_ui.services.serving_options import is_served, list_options

serving_cli = make_group(help="Which base model answers, in which engine.", no_args_is_help=True)
_FOLLOWS = "The app that runs on this home switches to it within 15 seconds; its header shows how that goes."
_NEXT_START = "It answers from the next start on."


@serving_cli.command("show")
def show(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show what answers at the next start, and what else could on this machine."""
    with open_services(home) as services:
        base_model, engine = services.serving.intended
        options = list_options(services.settings, services.database)
        running = is_served(services.settings.folders)
    if as_json:
        document = {"base_model": base_model, "engine": engine or AUTO, "app_running": running}
        write_document(document | {"options": [_describe(option) for option in options]})
        return
    print(f"{base_model} answers, in {engine.label if engine else 'the engine that suits the machine'}.")
    print("\nOn this machine:")
    print(format_table([[option.base_model, option.kind, option.weights or "usual"] for option in options]))


@serving_cli.command("switch")
def switch(
    base: Annotated[str, typer.Argument(help="Catalogue id, hub id, or the path of a GGUF file or folder.")],
    engine: Annotated[str, typer.Option(help="llamacpp, transformers, remote or auto.")] = AUTO,
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            "--dtype",
            help=f"{', '.join(QUANTIZATIONS)} for llamacpp; {', '.join(DTYPES)} for transformers.",
        ),
    ] = "",
    insist: Annotated[
        bool, typer.Option("--insist", help="Even though it likely doesn't fit the memory.")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Have another base model answer: in the running app soon, else from the next start on."""
    with open_services(home) as services:
        choice = choose(services.settings, base, engine, weights)
        if not insist:
            check_memory(choice, services.settings)
        services.serving.choose_for_next_start(choice)
        running = is_served(services.settings.folders)
    if as_json:
        write_document(_describe(choice) | {"app_running": running})
    else:
        print(f"{choice.title} is chosen. {_FOLLOWS if running else _NEXT_START}")


def _describe(choice: Choice) -> dict[str, Any]:
    return {
        "base_model": choice.base_model,
        "engine": choice.kind,
        "weights": choice.weights,
        "path": str(choice.path) if choice.path else None,
    }
