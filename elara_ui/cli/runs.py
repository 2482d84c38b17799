"""The command line's verbs for training runs."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from elara_ui.cli.parts import (
    HomeOption,
    JsonOption,
    SetOption,
    TextOption,
    check_preview,
    is_for_a_command,
    make_group,
    open_services,
    parse_settings,
)
from elara_ui.cli.text import (
    format_comparison,
    format_preview,
    format_run,
    format_table,
    write_document,
    write_note,
)
from elara_ui.services import Services
from elara_ui.services.run_views import RunView

POLL_SECONDS = 1.0

RunArgument = Annotated[str, typer.Argument(metavar="ID", help="The run's id.")]

runs_cli = make_group(help="Training runs.")


@runs_cli.callback(invoke_without_command=True)
def list_runs(context: typer.Context, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List training runs, newest first; see the commands for a single one."""
    if is_for_a_command(context, as_json, home):
        return
    with open_services(home) as services:
        services.runs.reconcile()
        runs = services.runs.recent()
    if as_json:
        write_document({"runs": [asdict(run) for run in runs]})
    else:
        print(format_table([format_run(run) for run in runs]) or "No runs yet.")


@runs_cli.command("show")
def show_run(run_id: RunArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show a run with its losses."""
    with open_services(home) as services:
        services.runs.reconcile()
        run = services.runs.show(run_id)
    print_run(run, as_json)


@runs_cli.command("log")
def show_log(run_id: RunArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Print the last lines that a run's process wrote."""
    with open_services(home) as services:
        run = services.runs.show(run_id)
        log = services.runs.log(run_id)
    if as_json:
        write_document({"run_id": run.run_id, "log": log})
    else:
        print(log)


@runs_cli.command("cancel")
def cancel_run(run_id: RunArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Cancel a run: a queued one at once, a running one at its next step."""
    with open_services(home) as services:
        run = services.runs.cancel(run_id)
    print_run(run, as_json)


@runs_cli.command("resume")
def resume_run(run_id: RunArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Let an interrupted, failed or cancelled run go on from its last checkpoint."""
    with open_services(home) as services:
        run = services.runs.resume(run_id)
    print_run(run, as_json)


@runs_cli.command("retry")
def retry_run(
    run_id: RunArgument,
    values: SetOption = None,
    remedy: Annotated[
        str | None,
        typer.Option(
            metavar="N|NAME",
            help="Take a remedy that “runs show” offers: its number, or a setting that it changes.",
        ),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Cancel the run itself if it still trains.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Launch a run once more on the same stored set, with some settings changed."""
    with open_services(home) as services:
        chosen = services.runs.show(run_id).find_offer(remedy).values if remedy is not None else {}
        run = services.runs.retry(run_id, {**chosen, **parse_settings(values or ())}, stop=stop)
    print_run(run, as_json)


@runs_cli.command("move")
def move_run(
    run_id: RunArgument,
    where: Annotated[str, typer.Argument(metavar="WHERE", help="up, down or first.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Give a waiting run another place in the queue."""
    with open_services(home) as services:
        run = services.runs.move(run_id, where)
    print_run(run, as_json)


@runs_cli.command("remove")
def remove_run(run_id: RunArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Delete a run that waits or has ended, and its folder; the stored set stays."""
    with open_services(home) as services:
        services.runs.remove(run_id)
    if as_json:
        write_document({"removed": run_id})
    else:
        print(f"Removed {run_id}.")


@runs_cli.command("compare")
def compare_runs(
    run_ids: Annotated[list[str], typer.Argument(metavar="ID ID …", help="The runs' ids.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Put runs side by side: final figures, and the choices in which they differ."""
    with open_services(home) as services:
        services.runs.reconcile()
        comparison = services.runs.compare(run_ids)
    if as_json:
        write_document(asdict(comparison))
    else:
        print(format_comparison(comparison))


@runs_cli.command("export")
def export_run(
    run_id: RunArgument,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A file; for tensorboard a folder.")],
    to: Annotated[str, typer.Option("--to", help="tensorboard, csv or jsonl.")] = "tensorboard",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Write a run's figures for other tools."""
    with open_services(home) as services:
        written = services.runs.export(run_id, to, path)
    if as_json:
        write_document({"run_id": run_id, "path": written})
    else:
        print(written)


@runs_cli.command("rerun")
def rerun(
    run_id: RunArgument,
    base: Annotated[str, typer.Option("--base", help="Another base model: catalogue id, hub id or folder.")],
    values: SetOption = None,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview", help="Print what would change, rows, time and memory as JSON; don't train."
        ),
    ] = False,
    text: TextOption = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Run a finished run's recipe and rows on another base model."""
    check_preview(preview=preview, text=text, as_json=as_json)
    with open_services(home) as services:
        transfer = services.transfer.prepare(run_id, base, parse_settings(values or ()), calibrate=preview)
        for change in transfer.changes:
            write_note(change)
        if not preview:
            run = services.runs.show(services.transfer.launch(transfer))
    if not preview:
        print_run(run, as_json)
    elif text:
        print(format_preview(transfer.preview))
    else:
        told = {"changes": transfer.changes, "values": transfer.values, "preview": transfer.preview.to_dict()}
        write_document(told)


def follow_run(services: Services, run_id: str) -> RunView:
    """Report a run's progress on stderr until it has ended."""
    told = ""
    try:
        while True:
            run = services.runs.show(run_id)
            if (text := "  ".join(filter(None, format_run(run)))) != told:
                told = text
                write_note(text)
            if run.status.ended:
                return run
            time.sleep(POLL_SECONDS)
            services.runs.reconcile()  # a worker that was killed can't say so itself
    except KeyboardInterrupt:
        write_note(
            f"The run goes on by itself. See “runs show {run_id}”; stop it with “runs cancel {run_id}”."
        )
        raise


def print_run(run: RunView, as_json: bool) -> None:
    """Write a run to stdout, for a person or as JSON."""
    if as_json:
        write_document(asdict(run))
        return
    print(format_table([format_run(run)]))
    if run.error:
        print(run.error)
    if run.log_tail:
        print("\n".join(f"    {line}" for line in run.log_tail.splitlines()))
    for advice in run.advice:
        print(advice.message)
    if run.resumable:
        where = f"at step {run.checkpoint_step}" if run.checkpoint_step else "at the beginning"
        print(f"“runs resume {run.run_id}” goes on {where}.")
    if run.offers:
        print("“runs retry --remedy N” starts it again with:")
    for number, remedy in enumerate(run.offers, start=1):
        values = ", ".join(f"{name}={value}" for name, value in remedy.values.items())
        print(f"  {number}. {remedy.label} ({values})")
