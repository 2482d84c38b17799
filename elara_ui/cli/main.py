"""The command line: what the page can do, scriptable. Works on a home whether or not the app runs on it.

With ``--json`` a verb prints one JSON document on stdout and nothing else; a failure prints
``{"error": …}`` there. Errors also go to stderr, in one line, and the exit status is then not 0.
"""

import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Annotated

import typer

from adapters import catalog
from adapters.recipe_files import SavedRecipe
from elara_ui.cli.adapters import adapters_cli
from elara_ui.cli.batch import batch
from elara_ui.cli.evaluate import evaluate
from elara_ui.cli.evaluations import evaluations_cli, suites_cli
from elara_ui.cli.insights import show_agreement, show_reading
from elara_ui.cli.models import models_cli
from elara_ui.cli.organising import compare_answers, list_known, mark_known, unmark_known
from elara_ui.cli.parts import (
    AcceptOption,
    AudienceOption,
    HomeOption,
    JsonOption,
    RedactOption,
    SetOption,
    TextOption,
    check_preview,
    choose_handling,
    make_group,
    open_services,
    parse_columns,
    parse_settings,
    with_options,
)
from elara_ui.cli.recipes import recipes_cli
from elara_ui.cli.release import release_cli
from elara_ui.cli.retention import retention
from elara_ui.cli.reviewers import reviewers_cli
from elara_ui.cli.reviews import reviews_cli
from elara_ui.cli.runs import follow_run, print_run, runs_cli
from elara_ui.cli.serve import serve_command
from elara_ui.cli.serving import serving_cli
from elara_ui.cli.snapshots import snapshots_cli, trace_lineage
from elara_ui.cli.text import (
    format_answer,
    format_preview,
    format_red_flags,
    format_rejects,
    write_document,
    write_note,
)
from elara_ui.cli.texts import readability, relevance
from elara_ui.cli.triage import triage
from elara_ui.clinical import identifiers
from elara_ui.errors import ElaraError, EngineError, IdentifiersFound, InvalidInput
from elara_ui.services.answer_marks import describe_marks
from elara_ui.services.answers import Answer, ChatEvent, Finished, Piece, Started
from elara_ui.services.identifier_guard import Handling, search
from elara_ui.services.training import parse_data

CTRL_C = 130  # the shell's exit status for it

cli = make_group(help="Ask, train, review and promote from a terminal.")
cli.add_typer(runs_cli, name="runs")
cli.add_typer(adapters_cli, name="adapters")
cli.add_typer(models_cli, name="models")
cli.add_typer(release_cli, name="release")
cli.add_typer(recipes_cli, name="recipes")
cli.add_typer(reviews_cli, name="reviews")
cli.add_typer(reviewers_cli, name="reviewers")
reviews_cli.command("agreement")(show_agreement)
reviews_cli.command("compare")(compare_answers)
reviews_cli.command("known")(list_known)
reviews_cli.command("mark")(mark_known)
reviews_cli.command("unmark")(unmark_known)
adapters_cli.command("reading")(show_reading)
cli.add_typer(snapshots_cli, name="snapshots")
cli.command("lineage")(trace_lineage)
cli.command()(batch)
cli.command()(triage)
cli.command()(readability)
cli.command()(relevance)
cli.command()(retention)
cli.command("serve-command")(serve_command)
cli.add_typer(serving_cli, name="serving")
cli.command()(evaluate)
cli.add_typer(suites_cli, name="suites")
cli.add_typer(evaluations_cli, name="evaluations")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one verb.

    Args:
        arguments: as typed after ``python -m elara_ui``; None takes the process's own.

    Returns:
        The exit status: 0 succeeded, 1 failed, 2 typed wrongly, 130 stopped by Ctrl-C.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status: int = (
            cli(args=given or ["--help"], prog_name="python -m elara_ui", standalone_mode=False) or 0
        )
    except ElaraError as error:
        return _fail(error.message, given, status=1)
    except typer.TyperException as error:
        return _fail(error.format_message(), given, status=error.exit_code)
    except Exception as error:  # a defect of ours: scripts still get their one document
        logging.getLogger(__name__).exception("Unexpected failure")
        return _fail(f"Unexpected {type(error).__name__}; the log above says more.", given, status=1)
    return _fail("Stopped.", given, status) if status == CTRL_C else status


@cli.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you would like to know.")],
    audience: AudienceOption,
    adapter: Annotated[
        str | None, typer.Option(help="An adapter version, or base for none; the live one if not given.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Most new tokens.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 always takes the likeliest word.")] = None,
    redact: RedactOption = False,
    accept_identifiers: AcceptOption = False,
    private: Annotated[bool, typer.Option("--private", help="Store neither question nor answer.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Ask the model. The answer streams to stdout; red flags come before it and figures after, on stderr."""
    overrides = {"max_new_tokens": max_tokens, "temperature": temperature}
    handling = choose_handling(redact, accept_identifiers)
    found = search([question])
    if found.kinds and handling is not Handling.ASK:
        done = "replaced" if handling is Handling.REDACT else "sent as they are"
        write_note(f"Likely identifiers, {done}: {found.summary}.")
    if handling is Handling.REDACT:
        question = identifiers.redact(question)
    with open_services(home) as services:
        chat = services.private_chat if private else services.chat
        try:
            checked = chat.check(
                audience, question, overrides, adapter, accept_identifiers=handling is Handling.KEEP
            )
        except IdentifiersFound as met:
            raise with_options(met) from None
        answer = _follow_answer(chat.ask_once(checked), echo=not as_json)
    if as_json:
        write_document(asdict(answer))
    else:
        write_note(format_answer(answer, checked.recipe))
        for mark in describe_marks(answer):
            write_note(mark)


@cli.command()
def train(
    dataset: Annotated[
        str,
        typer.Option(
            help="A file (.jsonl, .json, .csv, .tsv, .parquet, MedQuAD .xml), a dataset folder, the hub's "
            "owner/name[:split], snapshot:ID, or the word starter or reviews."
        ),
    ],
    audience: Annotated[
        str | None, typer.Option(help="For whom: patient, student, doctor, …; the recipe's if not given.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Catalogue id, hub id or folder; the recipe's, else the embedded model."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="A saved recipe, a recipe's file or a run's.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="sft, dpo or kto: the same as --set objective=…")
    ] = None,
    values: SetOption = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="prompt=NAME,answer=NAME", help="Where a file keeps what is learned."),
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave bad rows out and say which, rather than refuse.")
    ] = False,
    preview: Annotated[
        bool,
        typer.Option("--preview", help="Print rows, lengths, time and memory as JSON; don't train."),
    ] = False,
    text: TextOption = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Launch a training run. It goes on by itself, in a process of its own."""
    changed: dict[str, object] = dict(
        parse_settings([*(values or ()), *([f"objective={objective}"] if objective else ())])
    )
    data = replace(parse_data(dataset, skip_bad_rows=skip_bad_rows), columns=parse_columns(columns))
    check_preview(preview=preview, text=text, as_json=as_json)
    if preview and wait:
        raise InvalidInput(
            "--preview trains nothing, so there is no run to --wait for. Leave one of them out."
        )
    with open_services(home) as services:
        saved = services.recipe_book.find(recipe) if recipe else SavedRecipe("", "", "", {})
        audience, base = audience or saved.audience, base or saved.base_model or catalog.EMBEDDED
        if not audience:
            raise InvalidInput("--audience is needed: for whom the adapter will speak, such as patient.")
        settings = {**saved.values, **changed}
        if skip_bad_rows:
            known = services.training.preview(audience, data, settings, base)
            write_note(format_rejects(known.summary, known.rejects))
        if preview:
            report = services.training.preview_run(audience, data, settings, base)
            print(format_preview(report)) if text else write_document(report.to_dict())
            return
        run_id = services.training.launch(audience, data, settings, base)
        run = follow_run(services, run_id) if wait else services.runs.show(run_id)
    print_run(run, as_json)
    if wait and run.adapter is None:
        write_note(f"Error: {run.error or f'run {run.run_id} is {run.status}'}")
        raise typer.Exit(1)


def _follow_answer(events: Iterable[ChatEvent], *, echo: bool) -> Answer:
    """Take an answer in to its end, printing what is new of it on the way."""
    printed = 0
    for event in events:
        if isinstance(event, Started) and echo and event.red_flags.emergency:
            write_note(format_red_flags(event.red_flags))
        elif isinstance(event, Piece) and echo:
            sys.stdout.write(event.text[printed:])
            sys.stdout.flush()
            printed = len(event.text)
        elif isinstance(event, Finished):
            if echo:
                print()
            return event.answer
    raise EngineError("The engine ended without finishing the answer. Ask again.")


def _fail(message: str, arguments: Sequence[str], status: int) -> int:
    """Say what went wrong: one line on stderr and, when JSON was asked for, a document on stdout."""
    line = " ".join(message.split())
    write_note(f"Error: {line}")
    if "--json" in arguments:
        write_document({"error": line})
    return status
