"""The command line's verbs for reviews."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import typer

from adapters.training.columns import read_parts
from db.review_figures import VERDICT
from db.vocabulary import Axis
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
from elara_ui.cli.text import format_table, write_document
from elara_ui.errors import IdentifiersFound, InvalidInput
from elara_ui.services.answer_files import AnswerColumns
from elara_ui.services.importing import Dropped
from elara_ui.services.insight_figures import SCALES, OriginFigures, PairFigures

DROPPED_SHOWN = 10
TOLD = (Axis.ACCURACY, Axis.HARM, Axis.READABILITY, VERDICT)
"""What is told of each adapter: the share of answers with the best value."""
ORIGIN_HEAD = ["answered by", "audience", "answers", "reviews", "accuracy", "harm", "readability", "verdict"]
PAIR_HEAD = ["first", "second", "audience", "first wins", "pairs", "judgements"]

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
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns with other names: prompt=NAME,response=NAME,model=…,audience=…,language=…"
        ),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Say what would be taken; take nothing.")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Bring in answers of any model and send them to review."""
    chosen = _parse_columns(columns)
    with open_services(home) as services:
        if preview:
            seen = services.importing.preview(file, audience, chosen)
            if as_json:
                write_document(asdict(seen))
            else:
                print(f"Would be sent to review: {seen.fresh}. Rows left out: {len(seen.dropped)}.")
                _print_dropped(seen.dropped)
            return
        report = services.importing.import_answers(file, audience, batch=batch, columns=chosen)
    if as_json:
        write_document(asdict(report))
        return
    print(f"Sent to review as “{report.batch}”: {report.kept}. Rows left out: {len(report.dropped)}.")
    _print_dropped(report.dropped)


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
    """Count what waits and what was judged, and tell what it says of each adapter and each comparison."""
    with open_services(home) as services:
        figures, summary = services.reviewing.figures(), services.insights.summary()
    if as_json:
        write_document({**asdict(figures), **asdict(summary)})
        return
    print(
        f"Sent to review: {figures.items}; {figures.open} open, {figures.contested} to adjudicate, "
        f"{figures.calibration} for calibration."
    )
    verdicts = ", ".join(f"{number} {name}" for name, number in sorted(figures.reviews.items())) or "none yet"
    print(f"Reviews: {verdicts}. Comparisons: {figures.preferences}. Reviewers: {figures.reviewers}.")
    overview = summary.overview
    print(
        f"Counted: {overview.reviews} reviews of {overview.answers} answers by {overview.reviewers} "
        "reviewers; those outside a reviewer's scope and by withdrawn reviewers are left out."
    )
    if summary.origins:
        print(f"\n{format_table([ORIGIN_HEAD, *map(_format_origin, summary.origins)])}")
    if summary.pairs:
        print(f"\n{format_table([PAIR_HEAD, *map(_format_pair, summary.pairs)])}")


def _format_origin(row: OriginFigures) -> list[str]:
    best = [
        f"{scale.best_label} {row.shares[scale.column][scale.values.index(scale.best)].value:.0%}"
        if row.shares[scale.column]
        else "not judged"
        for scale in SCALES
        if scale.column in TOLD
    ]
    return [row.made_by, row.audience, str(row.answers), str(row.reviews), *best]


def _format_pair(row: PairFigures) -> list[str]:
    rate = f"{row.rate.value:.0%} ({row.rate.low:.0%} to {row.rate.high:.0%})" if row.rate else "all unsafe"
    return [row.first, row.second, row.audience, rate, str(row.pairs), str(row.judgements)]


def _print_dropped(dropped: Sequence[Dropped]) -> None:
    for row in dropped[:DROPPED_SHOWN]:
        print(f"  line {row.line}: {row.reason}")
    if len(dropped) > DROPPED_SHOWN:
        print(f"  and {len(dropped) - DROPPED_SHOWN} more; --json lists them all")


def _parse_columns(text: str | None) -> AnswerColumns:
    """The columns of ``prompt=NAME,response=NAME``; those not named are found by their usual names.

    Raises:
        InvalidInput: a part is unknown or empty.
    """
    parts = read_parts(text or "")
    known = [field.name for field in fields(AnswerColumns)]
    if text is not None and not (parts and parts.keys() <= set(known) and all(parts.values())):
        raise InvalidInput(
            f"--columns takes {', '.join(f'{name}=NAME' for name in known)}, but it is {text[:80]!r}. Put a "
            "name with a comma in double quotes."
        )
    return AnswerColumns(**parts)
