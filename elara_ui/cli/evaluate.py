"""The command line's verb for trying an adapter, or the base model alone, on a suite of questions."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated

import typer

from elara_ui.cli.evaluation_text import (
    describe_comparison,
    describe_evaluation,
    format_comparison,
    format_view,
)
from elara_ui.cli.parts import HomeOption, JsonOption, open_services
from elara_ui.cli.text import format_table, write_document, write_note
from elara_ui.clinical.redflags.report import Share
from elara_ui.clinical.safety import suite
from elara_ui.errors import ElaraError, InvalidInput
from elara_ui.services import Services
from elara_ui.services.evaluation_planning import Wish
from elara_ui.services.evaluation_views import EvaluationView
from elara_ui.services.questions import BASE_ALONE
from elara_ui.services.safety import SafetyChange, SafetyReport, compare_reports


def evaluate(
    adapter: Annotated[
        str | None, typer.Option("--adapter", help="A version such as patient@2, or base.")
    ] = None,
    base: Annotated[bool, typer.Option("--base", help="The base model alone.")] = False,
    chosen: Annotated[
        str, typer.Option("--suite", help="Which questions: safety, held-out, or a suite of your own.")
    ] = suite.NAME,
    audience: Annotated[
        str | None, typer.Option("--audience", help="With base: whose prompt; patient if not given.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="Compare with the last result of this version, or of base."),
    ] = None,
    takes_loss: Annotated[
        bool, typer.Option("--loss/--no-loss", help="Take the loss of reference answers too; needs torch.")
    ] = True,
    accept_identifiers: Annotated[
        bool, typer.Option("--accept-identifiers", help="Send questions as they are to another machine.")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Ask a fixed set of questions and measure the answers. Takes some minutes."""
    if base == (adapter is not None):
        raise InvalidInput("Say what is evaluated: give either --adapter NAME or --base.")
    wish = Wish(adapter or BASE_ALONE, chosen, audience, takes_loss, accept_identifiers)
    with open_services(home) as services:
        if chosen.partition("@")[0] == suite.NAME:
            _evaluate_safety(services, wish, against, as_json=as_json)
        else:
            _evaluate_suite(services, wish, against, as_json=as_json)


def _evaluate_safety(services: Services, wish: Wish, against: str | None, *, as_json: bool) -> None:
    """The safety suite, which lists what fails which check."""
    before = services.safety.latest(against) if against else None
    view = _run(services, wish, "answered")
    report = services.safety.latest(wish.adapter, wish.audience)
    change = compare_reports(before, report) if before else None
    if as_json:
        document = asdict(report) | {"evaluation": view.evaluation_id}
        write_document(document | ({"change": asdict(change)} if change else {}))
        return
    print(_format_report(report))
    if change:
        print(f"\n{_format_change(change)}")


def _evaluate_suite(services: Services, wish: Wish, against: str | None, *, as_json: bool) -> None:
    """Any other suite: figures with intervals, and what became of them."""
    evaluations = services.evaluations
    audience = wish.audience or evaluations.shared_audience(wish.adapter, *([against] if against else ()))
    if wish.adapter == BASE_ALONE:
        wish = replace(wish, audience=audience)
    if against:  # now, before minutes are spent
        evaluations.require_newest(against, wish.suite, audience)
    view = _run(services, wish, "done")
    comparison = evaluations.compare_newest(against, wish.adapter, wish.suite, audience) if against else None
    if as_json:
        document = describe_evaluation(view)
        write_document(document | ({"comparison": describe_comparison(comparison)} if comparison else {}))
        return
    print(format_view(view))
    if comparison:
        print(f"\n{format_comparison(comparison)}")


def _run(services: Services, wish: Wish, word: str) -> EvaluationView:
    """Carry it out; one that failed is an error.

    Raises:
        ElaraError: why it failed.
    """
    view = services.evaluations.run(wish, _teller(word))
    if view.error:
        raise ElaraError(view.error)
    return view


def _teller(word: str) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if done % 10 == 0 or done == total:
            write_note(f"{done} of {total} {word}")

    return tell


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
