"""What the verbs of the command line share: their options, and the services they call."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.training.columns import ColumnMap, read_parts
from elara_ui.cli.text import format_serving, write_note
from elara_ui.errors import IdentifiersFound, InvalidInput
from elara_ui.services import Services, build_services
from elara_ui.services.identifier_guard import Handling
from elara_ui.services.serving import ServingState, ServingStatus
from elara_ui.settings import Settings

AudienceOption = Annotated[str, typer.Option("--audience", help="For whom: patient, student, doctor, …")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder of everything Elara keeps; ELARA_HOME if not given.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter; repeatable.")
]
TextOption = Annotated[
    bool, typer.Option("--text", help="The preview for reading in a terminal, rather than as JSON.")
]
RedactOption = Annotated[
    bool, typer.Option("--redact", help="Replace likely identifiers of people by their kinds.")
]
AcceptOption = Annotated[
    bool,
    typer.Option("--accept-identifiers", help="Likely identifiers of people were looked at and may stay."),
]
ByOption = Annotated[str, typer.Option("--by", help="Who does it: it is kept with what is done.")]
WhyOption = Annotated[
    str, typer.Option("--why", help="Why: needed where the release gate isn't met, and kept.")
]


def choose_handling(redact: bool, accept: bool) -> Handling:
    """What becomes of likely identifiers, by the options given.

    Raises:
        InvalidInput: both were.
    """
    if redact and accept:
        raise InvalidInput(
            "--redact replaces identifiers and --accept-identifiers keeps them. Give one of them."
        )
    return Handling.REDACT if redact else Handling.KEEP if accept else Handling.ASK


def with_options(found: IdentifiersFound) -> IdentifiersFound:
    """The same, saying which options decide; the redacted text goes to stderr first."""
    for text in found.previews:
        write_note(f"Redacted: {text}")
    remedy = "Add --redact to have them replaced, or --accept-identifiers to keep them."
    return IdentifiersFound(f"{found.message} {remedy}", found.kinds, found.previews)


def check_preview(*, preview: bool, text: bool, as_json: bool) -> None:
    """A preview is a JSON document unless it is asked for as text.

    Raises:
        InvalidInput: text of nothing, or both forms.
    """
    if text and not preview:
        raise InvalidInput("--text is a form of the preview. Add --preview, or leave it out.")
    if text and as_json:
        raise InvalidInput("--text and --json exclude each other. Leave one of them out.")


def make_group(**options: Any) -> typer.Typer:
    """A group of verbs that leaves errors to `elara_ui.cli.main`."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **options)


@contextmanager
def open_services(home: Path | None) -> Iterator[Services]:
    """The services on one home, closed afterwards. Runs that were launched go on."""
    settings = Settings.read(home=home)
    logging.basicConfig(stream=sys.stderr, level=settings.log_level)
    last_told = ""

    def tell(status: ServingStatus) -> None:
        nonlocal last_told
        if status.state is ServingState.FAILED:
            return  # it comes back as the error of whoever asked
        if (text := format_serving(status)) != last_told:
            last_told = text
            write_note(text)

    services = build_services(settings, report=tell)
    try:
        yield services
    finally:
        services.close()


def is_for_a_command(context: typer.Context, as_json: bool, home: Path | None) -> bool:
    """Whether a command follows the group's name; its options must stand after it, lest they be lost.

    Raises:
        InvalidInput: an option stands before the command.
    """
    command = context.invoked_subcommand
    if command is not None and (as_json or home is not None):
        raise InvalidInput(f"--json and --home stand before {command!r}. Write them after it.")
    return command is not None


def parse_settings(values: Sequence[str]) -> dict[str, str]:
    """Hyperparameters from ``NAME=VALUE`` words.

    Raises:
        InvalidInput: a word without an equals sign.
    """
    for word in values:
        if "=" not in word:
            raise InvalidInput(
                f"--set takes NAME=VALUE, but it is {word[:60]!r}. Write, say, --set lora_r=8."
            )
    return {name.strip(): value.strip() for name, _, value in (word.partition("=") for word in values)}


def parse_columns(text: str | None) -> ColumnMap | None:
    """The columns of ``prompt=NAME,answer=NAME[,context=NAME][,rejected=NAME]``; None when not given.

    A name with a comma is quoted as in a CSV file: ``prompt="Q, as asked",answer=A``.

    Raises:
        InvalidInput: a part is unknown, or prompt or answer is missing.
    """
    if text is None:
        return None
    parts = read_parts(text)
    known = {item.name for item in fields(ColumnMap)}
    needed = {"prompt", "answer"}
    if not needed <= parts.keys() <= known or not all(parts.values()):
        raise InvalidInput(
            f"--columns takes prompt=NAME,answer=NAME and may add {' or '.join(sorted(known - needed))}, "
            f"but it is {text[:80]!r}. Put a name with a comma in double quotes."
        )
    return ColumnMap(**parts)
