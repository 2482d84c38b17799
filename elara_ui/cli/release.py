"""The command line's verbs for releasing: what answers an audience, what might, and who decided so."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from db.vocabulary import OVERLAP
from elara_ui.cli.parts import ByOption, HomeOption, JsonOption, WhyOption, make_group, open_services
from elara_ui.cli.text import format_table, write_document, write_note
from elara_ui.errors import InvalidInput
from elara_ui.services.blind_batches import USUAL_QUESTIONS
from elara_ui.services.canary import USUAL_SHARE, VersionFigures
from elara_ui.services.release import Standing
from elara_ui.services.release_gate import CheckState, Gate
from elara_ui.services.release_history import ReleaseRecord
from elara_ui.services.release_words import describe_action, describe_figures, describe_voice

NameArgument = Annotated[str, typer.Argument(help="The version, such as patient@2.")]
AudienceArgument = Annotated[str, typer.Argument(help="For whom: patient, student, doctor, …")]
MARKS = {CheckState.MET: "met", CheckState.NOT_MET: "NOT MET", CheckState.NOT_MEASURED: "not measured"}

release_cli = make_group(
    help="What answers an audience: the gate, promoting, going back, trying, and history."
)


@release_cli.command("status")
def show_status(
    audience: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Tell what answers each audience, what it goes back to, what is on trial and what waits."""
    with open_services(home) as services:
        names = [audience] if audience else list(services.recipes)
        standings = [services.release.standing(name) for name in names]
        trials = {each.audience: services.trials.figures(each.audience) for each in standings}
    if as_json:
        told = [
            asdict(each) | {"trial_figures": [asdict(figures) for figures in trials[each.audience]]}
            for each in standings
        ]
        write_document({"audiences": told})
        return
    print(format_table([_row(each) for each in standings]))
    for name, figures in trials.items():
        if figures:
            print(f"\nOn trial for {name}:\n{format_table(_trial_rows(figures))}")


@release_cli.command("gate")
def show_gate(name: NameArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Hold a version against every rule, by the figures there are. Exits with 1 where one isn't met."""
    with open_services(home) as services:
        gate = services.release.gate(name)
    if as_json:
        write_document(gate.to_dict() | {"met": gate.is_met, "blocked": bool(gate.blockers)})
    else:
        print(_format_gate(gate))
    if not gate.is_met:
        raise typer.Exit(1)


@release_cli.command("measure")
def measure(name: NameArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Evaluate a version, and what it would replace, where the gate lacks figures. Takes some minutes."""
    with open_services(home) as services:
        for ended in services.gate.measure_now(name):
            trouble = f": {ended.error}" if ended.error else ""
            write_note(f"{ended.label} on {ended.suite_label}: {ended.status}{trouble}")
        gate = services.gate.gate(name)
    write_document(gate.to_dict()) if as_json else print(_format_gate(gate))


@release_cli.command("promote")
def promote(
    name: NameArgument,
    by: ByOption,
    why: WhyOption = "",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make a version answer its audience, from the next question on."""
    with open_services(home) as services:
        promoted = services.release.promote(name, by, why)
    if as_json:
        write_document(asdict(promoted))
    else:
        print(f"{promoted.name} is now live for {promoted.audience}.")


@release_cli.command("rollback")
def roll_back(
    audience: AudienceArgument,
    by: ByOption,
    to: Annotated[
        str | None,
        typer.Option("--to", help="A version that was live before, or base; the one before if not given."),
    ] = None,
    why: WhyOption = "",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Let what answered before answer again, at once."""
    with open_services(home) as services:
        live = services.release.roll_back(audience, by, why, to)
    if as_json:
        write_document({"audience": audience, "live": asdict(live) if live else None})
    else:
        print(f"{live.name if live else 'The base model'} answers {audience} again.")


@release_cli.command("retire")
def retire(
    name: NameArgument,
    by: ByOption,
    why: WhyOption = "",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Put a candidate aside. Its files, its set and its recipe stay."""
    with open_services(home) as services:
        retired = services.release.retire(name, by, why)
    write_document(asdict(retired)) if as_json else print(f"{retired.name} is retired.")


@release_cli.command("history")
def show_history(
    audience: Annotated[str | None, typer.Argument(help="Only this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most entries.")] = 50,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Tell what was done, by whom, when and why; and how each version is made anew."""
    with open_services(home) as services:
        records = services.release.history(audience, limit)
    if as_json:
        write_document({"history": [asdict(record) for record in records]})
        return
    if not records:
        print("Nothing was released yet.")
    for record in records:
        print(_format_record(record))


@release_cli.command("canary")
def canary(
    name: Annotated[str, typer.Argument(help="The candidate to try; with --stop, the audience.")],
    by: ByOption,
    share: Annotated[
        float, typer.Option("--share", help="Of new conversations, from above 0 to 0.5.")
    ] = USUAL_SHARE,
    stop: Annotated[bool, typer.Option("--stop", help="End the audience's trial.")] = False,
    why: WhyOption = "",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Let a candidate answer a share of new conversations, or end that."""
    with open_services(home) as services:
        if stop:
            ended = services.trials.stop(name.partition("@")[0], by, why)
            told: dict[str, Any] = {"stopped": ended}
            said = f"{ended} is no longer tried."
        else:
            trial = services.trials.start(name, by, share, why)
            told = asdict(trial)
            said = f"{trial.adapter} answers {trial.share:.0%} of new conversations from now on."
    write_document(told) if as_json else print(said)


@release_cli.command("blind")
def blind(
    name: NameArgument,
    by: ByOption,
    number: Annotated[int, typer.Option("--number", min=1, help="Most questions.")] = USUAL_QUESTIONS,
    wanted: Annotated[int, typer.Option("--wanted", min=1, help="Judgements of each pair.")] = OVERLAP,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Ask a candidate and what is live the same questions, and send the pairs to be compared blind."""
    with open_services(home) as services:
        gate = services.release.gate(name)
        for now in services.blind.run(name, by, number, wanted):
            write_note(f"{now.done} of {len(now.plan.questions)} questions answered by both")
        result = services.blind.result(name, gate.opponent)
    if result is None:
        raise InvalidInput(f"Nothing was asked of {name}. Run the same again.")
    if as_json:
        write_document(asdict(result))
    else:
        print(f"{result.sent} pairs wait in the review queue as “{result.batch}”.")


def _row(standing: Standing) -> list[str]:
    live = standing.live.name if standing.live else "base model"
    trial = standing.trial
    waiting = ", ".join(each.name for each in standing.candidates)
    return [
        standing.audience,
        f"live: {live}",
        f"before: {standing.back_to or 'base model'}" if standing.live else "",
        f"on trial: {trial.adapter}, {trial.share:.0%}" if trial else "",
        f"candidates: {waiting}" if waiting else "",
    ]


def _format_gate(gate: Gate) -> str:
    against = gate.opponent or "the base model"
    lines = [f"{gate.candidate} against {against}"]
    lines += [f"{MARKS[check.state]:>12}  {check.title}. {check.sentence}" for check in gate.checks]
    if gate.blockers:
        lines.append("It may not answer.")
    elif gate.unmet:
        lines.append("It may answer with a written reason (--why), unless ELARA_STRICT_RELEASE is on.")
    return "\n".join(lines)


def _trial_rows(figures: Iterable[VersionFigures]) -> list[list[str]]:
    described = [(describe_voice(each.adapter), describe_figures(each)) for each in figures]
    names = [label for label, _ in described[0][1]]
    return [
        ["", *(voice for voice, _ in described)],
        *([name, *(dict(values)[name] for _, values in described)] for name in names),
    ]


def _format_record(record: ReleaseRecord) -> str:
    why = f"\n    why: {record.reason}" if record.reason else ""
    again = f"\n    make it anew: {record.again}" if record.again else ""
    return (
        f"{record.created_at:%Y-%m-%d %H:%M} UTC  {record.audience}  {describe_action(record)}, "
        f"by {record.by}{why}{again}"
    )
