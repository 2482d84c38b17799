"""The command line's verbs for adapters."""

from dataclasses import asdict
from typing import Annotated

import typer

from elara_ui.cli.parts import HomeOption, JsonOption, is_for_a_command, make_group, open_services
from elara_ui.cli.text import format_adapter, format_table, write_document

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


@adapters_cli.command("promote")
def promote_adapter(
    name: Annotated[str, typer.Argument(help="The version, such as patient@1.")],
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
