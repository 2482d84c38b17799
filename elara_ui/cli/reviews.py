"""The command line's verbs for reviews."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elara_ui.cli.parts import (
    AcceptOption,
    HomeOption,
    JsonOption,
    RedactOption,
    choose_handling,
    make_group,
    open_services,
    with_options,
)
from elara_ui.cli.text import write_document
from elara_ui.errors import IdentifiersFound

DROPPED_SHOWN = 10

reviews_cli = make_group(help="What clinicians judge and have judged.")


@reviews_cli.callback()
def reviews() -> None:
    """Work with what clinicians have judged."""


@reviews_cli.command("import")
def import_answers(
    file: Annotated[Path, typer.Argument(help="JSONL, CSV or TSV with prompt, response, model, audience.")],
    audience: Annotated[
        str | None, typer.Option(help="For whom those answers are that don't say so themselves.")
    ] = None,
    batch: Annotated[
        str, typer.Option(help="Name of these answers in the queue; made up if not given.")
    ] = "",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Bring in answers of any model and send them to review."""
    with open_services(home) as services:
        report = services.importing.import_answers(file, audience, batch=batch)
    if as_json:
        write_document(asdict(report))
        return
    print(f"Sent to review as “{report.batch}”: {report.kept}. Rows left out: {len(report.dropped)}.")
    for row in report.dropped[:DROPPED_SHOWN]:
        print(f"  line {row.line}: {row.reason}")
    if len(report.dropped) > DROPPED_SHOWN:
        print(f"  and {len(report.dropped) - DROPPED_SHOWN} more; --json lists them all")


@reviews_cli.command("export")
def export_reviews(
    file: Annotated[Path, typer.Argument(help="JSONL file to write; replaced if it exists.")],
    redact: RedactOption = False,
    accept_identifiers: AcceptOption = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Write accepted and corrected answers as training rows."""
    handling = choose_handling(redact, accept_identifiers)
    with open_services(home) as services:
        try:
            export = services.reviewing.export(file.absolute(), handling)
        except IdentifiersFound as found:
            raise with_options(found) from None
    if as_json:
        write_document(asdict(export))
    else:
        print(f"{export.rows} training rows written to {export.path}.")


@reviews_cli.command("stats")
def show_stats(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Count what waits and what was judged."""
    with open_services(home) as services:
        figures = services.reviewing.figures()
    if as_json:
        write_document(asdict(figures))
        return
    print(
        f"Sent to review: {figures.items}; {figures.open} open, {figures.contested} to adjudicate, "
        f"{figures.calibration} for calibration."
    )
    verdicts = ", ".join(f"{number} {name}" for name, number in sorted(figures.reviews.items())) or "none yet"
    print(f"Reviews: {verdicts}. Comparisons: {figures.preferences}. Reviewers: {figures.reviewers}.")
