"""The command line's verbs for reviews."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elara_ui.cli.parts import HomeOption, JsonOption, make_group, open_services
from elara_ui.cli.text import write_document

reviews_cli = make_group(help="What clinicians have judged.")


@reviews_cli.callback()
def reviews() -> None:
    """Work with what clinicians have judged."""


@reviews_cli.command("export")
def export_reviews(
    file: Annotated[Path, typer.Argument(help="JSONL file to write; replaced if it exists.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Write accepted and corrected answers as training rows."""
    with open_services(home) as services:
        export = services.reviewing.export(file.absolute())
    if as_json:
        write_document(asdict(export))
    else:
        print(f"{export.rows} training rows written to {export.path}.")
