"""The command line's verbs for adapters."""

from dataclasses import asdict
from typing import Annotated

import typer

from elara_ui.cli.parts import HomeOption, JsonOption, is_for_a_command, make_group, open_services
from elara_ui.cli.text import format_adapter, format_table, write_document, write_note
from elara_ui.services.exporting import Exported, Target

NameArgument = Annotated[str, typer.Argument(help="The version, such as patient@1.")]

adapters_cli = make_group(help="Adapter versions and which of them answer.")


@adapters_cli.callback(invoke_without_command=True)
def list_adapters(context: typer.Context, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List adapter versions; see the commands for a single one."""
    if is_for_a_command(context, as_json, home):
        return
    with open_services(home) as services:
        listed = services.adapters.versions()
    if as_json:
        write_document({"adapters": [asdict(adapter) for adapter in listed]})
    else:
        print(format_table([format_adapter(adapter) for adapter in listed]) or "No adapters yet.")


@adapters_cli.command("show")
def show_adapter(name: NameArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show an adapter's card: base model, data, figures, recipe and limits. Its files are checked."""
    with open_services(home) as services:
        details = services.adapters.details(name)
    if as_json:
        write_document(asdict(details))
    else:
        print(details.card)


@adapters_cli.command("promote")
def promote_adapter(
    name: NameArgument,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make an adapter answer its audience, from the next question on."""
    with open_services(home) as services:
        promoted = services.adapters.promote(name)
    if as_json:
        write_document(asdict(promoted))
    else:
        print(f"{promoted.name} is now live for {promoted.audience}.")


@adapters_cli.command("export")
def export_adapter(
    name: NameArgument,
    target: Annotated[
        Target,
        typer.Option("--to", help="peft: the folder as kept; gguf: for llama.cpp; merged: one model; hub."),
    ],
    destination: Annotated[
        str,
        typer.Argument(help="A folder to make; under exports if not given. For the hub: owner/name."),
    ] = "",
    public: Annotated[bool, typer.Option("--public", help="On the hub: for everybody to see.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Write an adapter out for other programs, or push it to the Hugging Face hub (with HF_TOKEN)."""
    with open_services(home) as services:
        exported = services.exports.export(
            name, target, destination, public=public, report=lambda stage: write_note(f"{stage} …")
        )
    if as_json:
        write_document(asdict(exported))
    else:
        _print_export(exported)


def _print_export(exported: Exported) -> None:
    print(exported.place)
    rows = [[file.name, f"{file.size:,} bytes", file.sha256] for file in exported.files]
    write_note(format_table(rows))
    if exported.note:
        write_note(exported.note)
