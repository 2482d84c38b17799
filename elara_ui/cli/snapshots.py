"""The command line's verbs for training sets that were curated from judgements."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from db.curation_rules import CurationRules
from elara_ui.cli.parts import HomeOption, JsonOption, is_for_a_command, make_group, open_services
from elara_ui.cli.text import format_table, write_document, write_note
from elara_ui.errors import InvalidInput
from elara_ui.services.curation_check import CheckReport
from elara_ui.services.rule_files import read_rules
from elara_ui.services.snapshots import DatasetForm, RowChange, SnapshotView

SetArgument = Annotated[str, typer.Argument(help="Its name, name@version or id.")]
RulesOption = Annotated[
    Path | None, typer.Option("--rules", help="YAML or JSON with the rules; the plain ones if not given.")
]
IdentifiersOption = Annotated[
    bool, typer.Option("--accept-identifiers", help="Likely identifiers were looked at and may stay.")
]

snapshots_cli = make_group(help="Training sets curated from what clinicians have judged.")


@snapshots_cli.callback(invoke_without_command=True)
def snapshots(context: typer.Context, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the named training sets; see the commands for a single one."""
    if not is_for_a_command(context, as_json, home):
        list_snapshots(as_json=as_json, home=home)


@snapshots_cli.command("list")
def list_snapshots(
    everything: Annotated[bool, typer.Option("--all", help="Those without a name too.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the named training sets, the newest first."""
    with open_services(home) as services:
        listed = services.snapshots.list(named=not everything)
    if as_json:
        write_document({"snapshots": [asdict(each) for each in listed]})
    else:
        rows = [_format_row(each) for each in listed]
        print(format_table(rows) if rows else "No named training sets yet.")


@snapshots_cli.command("create")
def create_snapshot(
    rules: RulesOption = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the set; without it nothing is frozen, only checked.")
    ] = None,
    accept_identifiers: IdentifiersOption = False,
    leave_out_leaks: Annotated[
        bool, typer.Option("--leave-out-leaks", help="Leave out rows whose prompts evaluation sets hold.")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Freeze what the rules select, as the next version of a name; without a name, say what they select."""
    chosen = read_rules(rules) if rules else CurationRules()
    with open_services(home) as services:
        if name is None:
            count, report = services.curation.count(chosen), services.curation.check(chosen)
            if as_json:
                write_document({"count": asdict(count), "check": asdict(report)})
            else:
                print(_format_count(count.rows, count.kinds, count.left_out))
                print(_format_check(report))
                write_note("Nothing was frozen: give --name for that.")
            return
        made = services.curation.freeze(
            chosen, name, accept_identifiers=accept_identifiers, leave_out_leaks=leave_out_leaks
        )
    _print_set(made, as_json)


@snapshots_cli.command("show")
def show_snapshot(reference: SetArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show a set: its rules, counts, raters and the runs that learned from it."""
    with open_services(home) as services:
        found = services.snapshots.show(reference)
    _print_set(found, as_json)


@snapshots_cli.command("diff")
def diff_snapshots(
    before: SetArgument, after: SetArgument, as_json: JsonOption = False, home: HomeOption = None
) -> None:
    """Say which rows the second set has more, has no longer, or has with other text."""
    with open_services(home) as services:
        diff = services.snapshots.diff(before, after)
    if as_json:
        write_document(asdict(diff))
        return
    print(
        f"{diff.before} → {diff.after}: {diff.added} rows added, {diff.gone} gone, {diff.changed} changed, "
        f"{diff.kept} kept"
    )
    for sign, changes in (("+", diff.rows_added), ("-", diff.rows_gone), ("~", diff.rows_changed)):
        for change in changes:
            print(_format_change(sign, change))


@snapshots_cli.command("export")
def export_snapshot(
    reference: SetArgument,
    form: Annotated[
        DatasetForm, typer.Option("--to", help="jsonl, parquet, folder (for datasets) or hub.")
    ] = DatasetForm.JSONL,
    destination: Annotated[
        str,
        typer.Argument(
            help="The file or folder to make; under exports if not given. For the hub: owner/name."
        ),
    ] = "",
    accept_identifiers: IdentifiersOption = False,
    public: Annotated[bool, typer.Option("--public", help="On the hub: for everybody to see.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Write a set out with its manifest, or push it to the Hugging Face hub (with HF_TOKEN)."""
    with open_services(home) as services:
        exported = services.snapshots.export(
            reference, form, destination, accept_identifiers=accept_identifiers, public=public
        )
    if as_json:
        write_document(asdict(exported))
    else:
        print(f"{exported.rows} rows written to {exported.place}.")


@snapshots_cli.command("rebuild")
def rebuild_snapshot(reference: SetArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Freeze a set anew without the reviewers and answers withdrawn since, as the next version."""
    with open_services(home) as services:
        made = services.curation.rebuild_without(reference)
    _print_set(made, as_json)


@snapshots_cli.command("withdraw")
def withdraw_answer(
    response_id: Annotated[str, typer.Argument(help="Id of the answer.")],
    reason: Annotated[str, typer.Option(help="Why it may not be learned from.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Let an answer shape no new set, and say which sets, runs and adapters it has shaped."""
    with open_services(home) as services:
        services.curation.withdraw_answer(response_id, reason)
        shaped = services.lineage.shaped_by(response=response_id)
    if as_json:
        write_document(asdict(shaped) | {"summary": shaped.summary})
    else:
        print(f"Withdrawn. {shaped.summary}")


def trace_lineage(
    reference: Annotated[
        str, typer.Argument(help="Id of an answer or a review, or an adapter such as patient@1.")
    ] = "",
    reviewer: Annotated[
        str | None, typer.Option("--reviewer", help="Where this person's judgements went.")
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """What shaped an answer or adapter, or where a judgement went."""
    if bool(reference) == (reviewer is not None):
        raise InvalidInput("Lineage is asked of one thing. Give an id or an adapter, or --reviewer NAME.")
    with open_services(home) as services:
        found = (
            services.lineage.shaped_by(reviewer=reviewer)
            if reviewer is not None
            else services.lineage.trace(reference)
        )
    if as_json:
        write_document(asdict(found) | {"summary": found.summary})
    else:
        print(found.summary)


def _print_set(found: SnapshotView, as_json: bool) -> None:
    if as_json:
        write_document(asdict(found))
        return
    runs = ", ".join(f"{run.run_id} ({run.adapter or run.status})" for run in found.runs) or "none yet"
    rows = [
        ["Name", found.label],
        ["Id", found.snapshot_id],
        ["Rows", f"{found.rows}: {found.train} to learn from, {found.evaluation} held out"],
        ["Objective", found.objective],
        ["SHA-256", found.sha256],
        ["Runs", runs],
    ]
    rows += [
        [name.capitalize(), ", ".join(f"{key} {value}" for key, value in found.manifest[name].items())]
        for name in ("audiences", "kinds", "adapters", "raters")
        if found.manifest.get(name)
    ]
    if found.withdrawn:
        rows.append(["Withdrawn", f"{found.withdrawn} rows since; snapshots rebuild leaves them out"])
    print(format_table(rows))


def _format_row(found: SnapshotView) -> list[str]:
    made = found.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    used = f"{len(found.runs)} runs"
    return [
        found.label,
        found.snapshot_id,
        f"{found.rows} rows",
        found.objective,
        found.sha256[:12],
        made,
        used,
    ]


def _format_count(rows: int, kinds: Mapping[str, int], left_out: Mapping[str, int]) -> str:
    table = [[f"{number}", reason] for reason, number in kinds.items()]
    out = [[f"{number}", f"left out: {reason}"] for reason, number in left_out.items()]
    return f"{rows} rows\n{format_table([*table, *out]) if table or out else ''}".rstrip()


def _format_check(report: CheckReport) -> str:
    if report.problem:
        return report.problem
    lines: list[Any] = [
        f"{report.train} to learn from, {report.evaluation} held out ({report.held_again} again)",
        f"{report.duplicates} duplicates and {report.near_duplicates} near-duplicates left out",
    ]
    lines += [f"Likely identifiers: {number} × {kind}" for kind, number in report.identifiers.items()]
    if report.leak_count:
        lines.append(f"{report.leak_count} rows share a prompt with an evaluation set:")
        lines += [f"  {leak.answers[0]}: {leak.question[:80]} ({leak.set_name})" for leak in report.leaks]
    return "\n".join(lines)


def _format_change(sign: str, change: RowChange) -> str:
    return f"{sign} {change.response_id}  {' '.join(change.question.split())[:80]}"
