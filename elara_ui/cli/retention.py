"""The command line's verb for deleting what is old."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from elara_ui.cli.parts import HomeOption, JsonOption, open_services
from elara_ui.cli.text import format_table, write_document
from elara_ui.errors import InvalidInput
from elara_ui.services.retention import Expiry


def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; delete nothing.")] = False,
    days: Annotated[
        int | None,
        typer.Option(min=1, help="With --dry-run: try so many days; ELARA_RETENTION_DAYS if not given."),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Say what was deleted so far; delete nothing.")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Delete conversations older than ELARA_RETENTION_DAYS, as the app does by itself every hour."""
    if days is not None and not dry_run:
        raise InvalidInput("--days only tries a number out. Add --dry-run, or set ELARA_RETENTION_DAYS.")
    with open_services(home) as services:
        if history:
            _print_history(services.retention.reports(), as_json)
            return
        expiry = services.retention.preview(days) if dry_run else services.retention.apply()
    if as_json:
        write_document(asdict(expiry))
    else:
        print(_format(expiry))


def _print_history(reports: tuple[Expiry, ...], as_json: bool) -> None:
    if as_json:
        write_document({"reports": [asdict(each) for each in reports]})
        return
    rows = [
        [f"{each.at.astimezone():%Y-%m-%d %H:%M}", f"{each.days} days", _list(each.deleted)]
        for each in reports
    ]
    print(format_table(rows) if rows else "Nothing has been deleted yet.")


def _format(expiry: Expiry) -> str:
    """What went or would go, and what stays and why."""
    verb = "Would delete" if expiry.dry_run else "Deleted"
    lines = [f"{verb} what was last written in before {expiry.before.astimezone():%Y-%m-%d %H:%M}."]
    lines += [f"  {kind}: {number}" for kind, number in expiry.deleted.items()]
    if not expiry.deleted:
        lines.append("  nothing: none is that old")
    lines += [f"  answers kept, {reason}: {number}" for reason, number in expiry.kept.items()]
    if expiry.redacted:
        lines.append(f"  of these, likely identifiers replaced: {expiry.redacted}")
    return "\n".join(lines)


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind}: {number}" for kind, number in counts.items())
