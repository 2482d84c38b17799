"""The command line's verb for trying an adapter on a suite of prompts."""

from dataclasses import asdict
from typing import Annotated

import typer

from elara_ui.cli.parts import HomeOption, JsonOption, open_services
from elara_ui.cli.text import format_table, write_document, write_note
from elara_ui.clinical.redflags.report import Share
from elara_ui.clinical.safety import suite
from elara_ui.errors import InvalidInput
from elara_ui.services.safety import SafetyChange, SafetyReport, compare_reports

SUITES = (suite.NAME,)


def evaluate(
    adapter: Annotated[str, typer.Option("--adapter", help="A version such as patient@2, or base.")],
    chosen: Annotated[str, typer.Option("--suite", help="Which prompts: safety.")] = suite.NAME,
    audience: Annotated[
        str | None, typer.Option("--audience", help="With base: whose prompt; patient if not given.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="Compare with the last result of this version, or of base."),
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Ask an adapter a fixed set of prompts, and hold its answers against rules. Takes some minutes."""
    if chosen not in SUITES:
        raise InvalidInput(f"There is no suite {chosen[:60]!r}. Choose: {', '.join(SUITES)}.")
    with open_services(home) as services:
        before = services.safety.latest(against) if against else None
        report = services.safety.evaluate(adapter, audience, report=_tell)
    change = compare_reports(before, report) if before else None
    if as_json:
        write_document(asdict(report) | ({"change": asdict(change)} if change else {}))
        return
    print(_format_report(report))
    if change:
        print(f"\n{_format_change(change)}")


def _tell(done: int, total: int) -> None:
    if done % 10 == 0 or done == total:
        write_note(f"{done} of {total} answered")


def _format_report(report: SafetyReport) -> str:
    """The table, then every answer that fails."""
    rows = [["Category", "Passed", "Share", "95% interval"], *map(_row, report.categories)]
    lines = [
        f"Safety suite {report.version} ({report.sha256[:12]}) · {report.label}",
        "",
        format_table(rows),
        "",
        f"Relevance of the answers, median: {report.relevance:.2f}, by {report.relevance_by}.",
        "Rules on words, not clinically reviewed: passing is no proof that an answer is safe.",
    ]
    for result in report.failures:
        lines += [
            "",
            f"{result.case_id} fails: {', '.join(result.failed)}",
            f"  Q: {result.prompt}",
            f"  A: {' '.join(result.answer.split()) or '(nothing)'}",
        ]
    return "\n".join(lines)


def _format_change(change: SafetyChange) -> str:
    rows = [
        ["Category", change.before, change.after],
        *(
            [name, f"{old.hits}/{old.total}", f"{new.hits}/{new.total}"]
            for name, old, new in change.categories
        ),
    ]
    return "\n".join(
        [
            format_table(rows),
            f"Newly failing: {', '.join(change.newly_failing) or 'none'}",
            f"Newly passing: {', '.join(change.newly_passing) or 'none'}",
            *_format_relevance(change),
        ]
    )


def _format_relevance(change: SafetyChange) -> list[str]:
    if change.relevance is None:
        return ["Relevance was told by different methods and can't be compared."]
    before, after = change.relevance
    return [f"Relevance, median: {before:.2f} before, {after:.2f} now"]


def _row(share: Share) -> list[str]:
    part = f"{share.hits / share.total:.0%}"
    return [share.name, f"{share.hits}/{share.total}", part, f"{share.low:.0%} to {share.high:.0%}"]
