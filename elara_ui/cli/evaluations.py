"""The command line's verbs for suites of questions, and for reading evaluations again."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elara_ui.cli.evaluation_text import (
    describe_comparison,
    describe_evaluation,
    describe_suite,
    format_comparison,
    format_suites,
    format_view,
)
from elara_ui.cli.parts import HomeOption, JsonOption, make_group, open_services
from elara_ui.cli.text import format_table, write_document
from elara_ui.services.suite_files import read_suite_file

suites_cli = make_group(help="Suites of fixed questions, on which versions are evaluated.")
evaluations_cli = make_group(help="What versions answered to suites, and how two compare.")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Of an evaluation.")]


@suites_cli.command("list")
def list_suites(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List every version of every suite."""
    with open_services(home) as services:
        suites = services.suites.all()
    if as_json:
        write_document({"suites": [describe_suite(suite) for suite in suites]})
    else:
        print(format_suites(suites))


@suites_cli.command("add")
def add_suite(
    file: Annotated[Path, typer.Argument(help="JSONL: id, question, and where you like reference, points.")],
    name: Annotated[str | None, typer.Option("--name", help="The file's own if not given.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Keep questions of your own as a suite; other questions under one name are its next version."""
    questions = read_suite_file(file)
    with open_services(home) as services:
        suite = services.suites.add(name or file.stem.lower(), questions, file.name)
    if as_json:
        write_document(describe_suite(suite))
    else:
        print(format_suites([suite]))


@suites_cli.command("show")
def show_suite(
    name: Annotated[str, typer.Argument(help="Such as safety, held-out-patient or mine@2.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Print the questions of a suite."""
    with open_services(home) as services:
        suite = services.suites.find(name)
    if as_json:
        write_document(describe_suite(suite))
        return
    print(format_suites([suite]))
    for question in suite.questions:
        print(f"\n{question.question_id}  {question.question}")
        if question.reference:
            print(f"  Reference: {' '.join(question.reference.split())}")
        for point in question.points:
            print(f"  Point, weight {point.weight:g}: {point.text}")


@evaluations_cli.command("list")
def list_evaluations(
    adapter: Annotated[str | None, typer.Option("--adapter", help="Only of this version, or base.")] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="Only on the suite of this name.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List evaluations, the latest first."""
    with open_services(home) as services:
        services.evaluations.reconcile()
        found = services.evaluations.find(adapter, suite)
    if as_json:
        write_document({"evaluations": [describe_evaluation(view) for view in found]})
        return
    head = ["Id", "Made by", "Suite", "Status", "Steps", "Begun (UTC)"]
    rows = [
        [
            view.evaluation_id,
            view.label,
            view.suite_label,
            str(view.status),
            f"{view.done}/{view.total}",
            f"{view.created_at:%Y-%m-%d %H:%M}",
        ]
        for view in found
    ]
    print(format_table([head, *rows]))


@evaluations_cli.command("show")
def show_evaluation(evaluation: IdArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Print an evaluation's figures; with --json its answers, too."""
    with open_services(home) as services:
        view = services.evaluations.show(evaluation)
        answers = services.evaluations.answers(evaluation)
    if as_json:
        write_document(describe_evaluation(view) | {"answers": [asdict(answer) for answer in answers]})
    else:
        print(format_view(view))


@evaluations_cli.command("compare")
def compare_evaluations(
    before: IdArgument, after: IdArgument, as_json: JsonOption = False, home: HomeOption = None
) -> None:
    """Tell what improved and what fell from one evaluation to another of the same questions."""
    with open_services(home) as services:
        comparison = services.evaluations.compare(before, after)
    if as_json:
        write_document(describe_comparison(comparison))
    else:
        print(format_comparison(comparison))


@evaluations_cli.command("cancel")
def cancel_evaluation(evaluation: IdArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Stop an evaluation that waits or runs, in whatever process."""
    with open_services(home) as services:
        view = services.evaluations.cancel(evaluation)
    if as_json:
        write_document(describe_evaluation(view))
    else:
        print(format_view(view))
