"""The command line: what the page can do, scriptable. Works on a home whether or not the app runs on it.

With ``--json`` a verb prints one JSON document on stdout and nothing else; a failure prints
``{"error": …}`` there. Errors also go to stderr, in one line, and the exit status is then not 0.
"""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters import catalog
from elara_ui.cli_text import (
    format_adapter,
    format_answer,
    format_preview,
    format_rejects,
    format_run,
    format_serving,
    format_table,
    write_document,
    write_note,
)
from elara_ui.errors import ElaraError, EngineError, InvalidInput
from elara_ui.services import Services, build_services
from elara_ui.services.answers import Answer, ChatEvent, Finished, Piece
from elara_ui.services.serving import ServingState, ServingStatus
from elara_ui.services.training import RunView, parse_data
from elara_ui.settings import Settings

CTRL_C = 130  # the shell's exit status for it
POLL_SECONDS = 1.0

AudienceOption = Annotated[str, typer.Option("--audience", help="For whom: patient, student, doctor, …")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder of everything Elara keeps; ELARA_HOME if not given.")
]
RunArgument = Annotated[str, typer.Argument(metavar="ID", help="The run's id.")]


def _make_group(**options: Any) -> typer.Typer:
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **options)


cli = _make_group(help="Ask, train, review and promote from a terminal.")
runs_cli = _make_group(help="Training runs.")
adapters_cli = _make_group(help="Adapter versions and which of them answer.")
reviews_cli = _make_group(help="What clinicians have judged.")
cli.add_typer(runs_cli, name="runs")
cli.add_typer(adapters_cli, name="adapters")
cli.add_typer(reviews_cli, name="reviews")


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
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Ask the model. The answer streams to stdout, its figures follow on stderr."""
    overrides = {"max_new_tokens": max_tokens, "temperature": temperature}
    with _open(home) as services:
        checked = services.chat.check(audience, question, overrides, adapter)
        answer = _follow_answer(services.chat.ask_once(checked), echo=not as_json)
    if as_json:
        write_document(asdict(answer))
    else:
        write_note(format_answer(answer, checked.recipe))


@cli.command()
def train(
    audience: AudienceOption,
    dataset: Annotated[
        str,
        typer.Option(
            help="A file (.jsonl, .json, .csv, .tsv, .parquet, MedQuAD .xml), a dataset folder, the hub's "
            "owner/name[:split], snapshot:ID, or the word starter or reviews."
        ),
    ],
    base: Annotated[str, typer.Option(help="Catalogue id, hub id or folder.")] = catalog.EMBEDDED,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter; repeatable.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="sft, dpo or kto: the same as --set objective=…")
    ] = None,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave bad rows out and say which, rather than refuse.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Tell rows, lengths, time and memory; don't train.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Launch a training run. It goes on by itself, in a process of its own."""
    settings = _parse_settings([*(values or ()), *([f"objective={objective}"] if objective else ())])
    data = parse_data(dataset, skip_bad_rows=skip_bad_rows)
    if preview and wait:
        raise InvalidInput(
            "--preview trains nothing, so there is no run to --wait for. Leave one of them out."
        )
    with _open(home) as services:
        if skip_bad_rows:
            write_note(format_rejects(services.training.preview(audience, data, settings)))
        if preview:
            report = services.training.preview_run(audience, data, settings, base)
            write_document(report.to_dict()) if as_json else print(format_preview(report))
            return
        run_id = services.training.launch(audience, data, settings, base)
        run = _follow_run(services, run_id) if wait else services.training.show(run_id)
    _print_run(run, as_json)
    if wait and run.adapter is None:
        write_note(f"Error: {run.error or f'run {run.run_id} is {run.status}'}")
        raise typer.Exit(1)


@runs_cli.callback(invoke_without_command=True)
def list_runs(context: typer.Context, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List training runs, newest first; see the commands for a single one."""
    if _is_for_a_command(context, as_json, home):
        return
    with _open(home) as services:
        services.training.reconcile()
        runs = services.training.recent()
    if as_json:
        write_document({"runs": [asdict(run) for run in runs]})
    else:
        print(format_table([format_run(run) for run in runs]) or "No runs yet.")


@runs_cli.command("show")
def show_run(run_id: RunArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show a run with its losses."""
    with _open(home) as services:
        services.training.reconcile()
        run = services.training.show(run_id)
    _print_run(run, as_json)


@runs_cli.command("log")
def show_log(run_id: RunArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Print the last lines that a run's process wrote."""
    with _open(home) as services:
        run = services.training.show(run_id)
        log = services.training.log(run_id)
    if as_json:
        write_document({"run_id": run.run_id, "log": log})
    else:
        print(log)


@runs_cli.command("cancel")
def cancel_run(run_id: RunArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Cancel a run: a queued one at once, a running one at its next step."""
    with _open(home) as services:
        run = services.training.cancel(run_id)
    _print_run(run, as_json)


@runs_cli.command("resume")
def resume_run(run_id: RunArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Let an interrupted, failed or cancelled run go on from its last checkpoint."""
    with _open(home) as services:
        run = services.training.resume(run_id)
    _print_run(run, as_json)


@adapters_cli.callback(invoke_without_command=True)
def list_adapters(context: typer.Context, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List adapter versions; see the commands for a single one."""
    if _is_for_a_command(context, as_json, home):
        return
    with _open(home) as services:
        listed = services.adapters.versions()
    if as_json:
        write_document({"adapters": [asdict(adapter) for adapter in listed]})
    else:
        print(format_table([format_adapter(adapter) for adapter in listed]) or "No adapters yet.")


@adapters_cli.command("promote")
def promote_adapter(
    name: Annotated[str, typer.Argument(help="The version, such as patient@1.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make an adapter answer its audience, from the next question on."""
    with _open(home) as services:
        promoted = services.adapters.promote(name)
    if as_json:
        write_document(asdict(promoted))
    else:
        print(f"{promoted.name} is now live for {promoted.audience}.")


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
    with _open(home) as services:
        export = services.reviewing.export(file.absolute())
    if as_json:
        write_document(asdict(export))
    else:
        print(f"{export.rows} training rows written to {export.path}.")


@contextmanager
def _open(home: Path | None) -> Iterator[Services]:
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


def _follow_answer(events: Iterable[ChatEvent], *, echo: bool) -> Answer:
    """Take an answer in to its end, printing what is new of it on the way."""
    printed = 0
    for event in events:
        if isinstance(event, Piece) and echo:
            sys.stdout.write(event.text[printed:])
            sys.stdout.flush()
            printed = len(event.text)
        elif isinstance(event, Finished):
            if echo:
                print()
            return event.answer
    raise EngineError("The engine ended without finishing the answer. Ask again.")


def _follow_run(services: Services, run_id: str) -> RunView:
    """Report a run's progress on stderr until it has ended."""
    told = ""
    try:
        while True:
            run = services.training.show(run_id)
            if (text := "  ".join(filter(None, format_run(run)))) != told:
                told = text
                write_note(text)
            if run.status.ended:
                return run
            time.sleep(POLL_SECONDS)
            services.training.reconcile()  # a worker that was killed can't say so itself
    except KeyboardInterrupt:
        write_note(
            f"The run goes on by itself. See “runs show {run_id}”; stop it with “runs cancel {run_id}”."
        )
        raise


def _parse_settings(values: Sequence[str]) -> dict[str, str]:
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


def _is_for_a_command(context: typer.Context, as_json: bool, home: Path | None) -> bool:
    """Whether a command follows the group's name; its options must stand after it, lest they be lost.

    Raises:
        InvalidInput: an option stands before the command.
    """
    command = context.invoked_subcommand
    if command is not None and (as_json or home is not None):
        raise InvalidInput(f"--json and --home stand before {command!r}. Write them after it.")
    return command is not None


def _print_run(run: RunView, as_json: bool) -> None:
    if as_json:
        write_document(asdict(run))
        return
    print(format_table([format_run(run)]))
    if run.error:
        print(run.error)


def _fail(message: str, arguments: Sequence[str], status: int) -> int:
    """Say what went wrong: one line on stderr and, when JSON was asked for, a document on stdout."""
    line = " ".join(message.split())
    write_note(f"Error: {line}")
    if "--json" in arguments:
        write_document({"error": line})
    return status
