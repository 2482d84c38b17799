"""The command line's verbs for what reviews say of each other, and how hard answers are to read."""

from dataclasses import asdict
from typing import Annotated

import typer

from elara_ui.cli.parts import HomeOption, JsonOption, open_services
from elara_ui.cli.text import format_table, write_document
from elara_ui.clinical.readability import describe_target
from elara_ui.services.agreement import LEAST_UNITS, Agreement
from elara_ui.services.insight_figures import SCALES, AgreementRow
from elara_ui.services.insights import choose
from elara_ui.services.reading import ReadingFigures

AudienceChoice = Annotated[str | None, typer.Option("--audience", help="Only answers for this audience.")]
AdapterChoice = Annotated[
    str | None, typer.Option("--adapter", help="Only answers by this adapter, or base model without one.")
]
DaysChoice = Annotated[int | None, typer.Option("--days", help="Only reviews of the last so many days.")]


def show_agreement(
    audience: AudienceChoice = None,
    adapter: AdapterChoice = None,
    days: DaysChoice = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Tell how far reviewers agree: ordinal alpha with its 95 % interval, and raw agreement."""
    selection = choose(audience, adapter, days)
    with open_services(home) as services:
        rows = services.insights.agreement(selection)
    if as_json:
        write_document({"agreement": [asdict(row) for row in rows]})
    else:
        print(format_agreement(rows))


def show_reading(
    audience: AudienceChoice = None,
    adapter: AdapterChoice = None,
    days: Annotated[int | None, typer.Option("--days", help="Only answers of the last so many days.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Tell how hard stored answers are to read, by adapter: median and quartiles of the reading grade."""
    selection = choose(audience, adapter, days)
    with open_services(home) as services:
        rows = services.reading.grades(selection)
    if as_json:
        write_document({"reading": [asdict(row) for row in rows]})
    else:
        print(format_reading(rows))


def format_reading(rows: list[ReadingFigures]) -> str:
    """A line for each maker."""
    head = ["answered by", "answers", "median", "middle half", "target", "within target", "95 % interval"]
    return format_table([head, *map(_reading_line, rows)])


def _reading_line(row: ReadingFigures) -> list[str]:
    within = (
        []
        if row.within is None
        else [f"{row.within.value:.0%}", f"{row.within.low:.0%} to {row.within.high:.0%}"]
    )
    return [
        f"{row.audience} {row.made_by}",
        str(row.answers),
        f"{row.median:.1f}",
        f"{row.lower:.1f} to {row.upper:.1f}",
        describe_target(row.aim, row.floor) or "reported only",
        *(within or ["", ""]),
    ]


def format_agreement(rows: list[AgreementRow]) -> str:
    """Axis by axis, for all answers and for each audience and adapter."""
    head = ["answers", "axis", "alpha", "95 % interval", "same choice", "judged twice"]
    lines = [
        [_name(row), scale.title, *_format_measured(row.axes[scale.column])]
        for row in rows
        for scale in SCALES
        if scale.column in row.axes
    ]
    note = f"Alpha is told from {LEAST_UNITS} answers that two people judged."
    return f"{format_table([head, *lines])}\n\n{note}"


def _name(row: AgreementRow) -> str:
    return " ".join(filter(None, (row.audience, row.made_by))) or "all"


def _format_measured(measured: Agreement) -> list[str]:
    if measured.missing:
        return [f"{measured.missing} more to go", "", "", str(measured.units)]
    same = f"{measured.raw:.0%}"
    if measured.alpha is None:
        return ["all the same", "", same, str(measured.units)]
    interval = f"{measured.low:z.2f} to {measured.high:z.2f}"
    return [f"{measured.alpha:z.2f}", interval, same, str(measured.units)]
