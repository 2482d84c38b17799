"""The command line's verbs for adapters."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters import catalog
from adapters.hyperparameters import Hyperparameters, override
from adapters.probing import QUESTIONS
from adapters.training.rejects import shorten
from elara_ui.cli.adapters_text import describe_accepted, format_accepted, format_probe
from elara_ui.cli.parts import (
    AcceptOption,
    AudienceOption,
    HomeOption,
    JsonOption,
    SetOption,
    is_for_a_command,
    make_group,
    open_services,
    parse_settings,
)
from elara_ui.cli.release import promote
from elara_ui.cli.text import format_adapter, format_rejects, format_table, write_document, write_note
from elara_ui.errors import ElaraError, IdentifiersFound, InvalidInput
from elara_ui.services import Services
from elara_ui.services.distillation import Lesson
from elara_ui.services.exporting import Exported, Target
from elara_ui.services.training import DataChoice, DataSource, parse_data

NameArgument = Annotated[str, typer.Argument(help="The version, such as patient@1.")]

BaseOption = Annotated[
    str | None,
    typer.Option("--base", help="The base model that shall learn: catalogue id, hub id or folder."),
]

adapters_cli = make_group(help="Adapter versions and which of them answer.")


@adapters_cli.callback(invoke_without_command=True)
def list_adapters(context: typer.Context, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List adapter versions; see the commands for a single one."""
    if is_for_a_command(context, as_json, home):
        return
    with open_services(home) as services:
        listed = services.adapters.versions()
    if as_json:
        write_document({"adapters": [asdict(adapter) for adapter in listed]})
    else:
        print(format_table([format_adapter(adapter) for adapter in listed]) or "No adapters yet.")


@adapters_cli.command("show")
def show_adapter(name: NameArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show an adapter's card: base model, data, figures, recipe and limits. Its files are checked."""
    with open_services(home) as services:
        details = services.adapters.details(name)
    if as_json:
        write_document(asdict(details))
    else:
        print(details.card)


adapters_cli.command("promote")(promote)


@adapters_cli.command("export")
def export_adapter(
    name: NameArgument,
    target: Annotated[
        Target,
        typer.Option("--to", help="peft: the folder as kept; gguf: for llama.cpp; merged: one model; hub."),
    ],
    destination: Annotated[
        str,
        typer.Argument(help="A folder to make; under exports if not given. For the hub: owner/name."),
    ] = "",
    public: Annotated[bool, typer.Option("--public", help="On the hub: for everybody to see.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Write an adapter out for other programs, or push it to the Hugging Face hub (with HF_TOKEN)."""
    with open_services(home) as services:
        exported = services.exports.export(
            name, target, destination, public=public, report=lambda stage: write_note(f"{stage} …")
        )
    if as_json:
        write_document(asdict(exported))
    else:
        _print_export(exported)


@adapters_cli.command("add")
def add_adapter(
    path: Annotated[
        list[Path], typer.Argument(help="A zip, a folder, or adapter_model.safetensors with its config.")
    ],
    audience: AudienceOption,
    base: Annotated[
        str, typer.Option("--base", help="The base model it was trained on; what its files say if not given.")
    ] = "",
    by: Annotated[str, typer.Option("--by", help="Who brings it, for its card.")] = "",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Take in a LoRA that was trained elsewhere, as a candidate. It answers nobody before its probe."""
    with open_services(home) as services:
        accepted = services.intake.take_in(path, audience, base, by, lambda stage: write_note(f"{stage} …"))
    if as_json:
        write_document(describe_accepted(accepted))
    else:
        print(format_accepted(accepted))


@adapters_cli.command("probe")
def probe_adapter(name: NameArgument, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Ask an adapter and its base model a few questions. One that was brought in must pass to be promoted."""
    with open_services(home) as services:
        total = len(QUESTIONS)
        probe = services.probes.run(name, lambda done: write_note(f"{done} of {total} questions"))
    if as_json:
        write_document({"name": name, **probe.to_document()})
    else:
        print(format_probe(name, probe))
    if not probe.passed:
        raise typer.Exit(1)


def _print_export(exported: Exported) -> None:
    print(exported.place)
    rows = [[file.name, f"{file.size:,} bytes", file.sha256] for file in exported.files]
    write_note(format_table(rows))
    if exported.note:
        write_note(exported.note)


@adapters_cli.command("distill")
def distill_adapter(
    name: NameArgument,
    prompts: Annotated[
        str,
        typer.Option("--prompts", help="What to ask: snapshot:ID, a file, or what train takes as --dataset."),
    ],
    base: BaseOption = None,
    train: Annotated[bool, typer.Option("--train", help="Train --base on what was accepted.")] = False,
    review: Annotated[
        bool, typer.Option("--review", help="Send what was accepted to review instead of storing a set.")
    ] = False,
    max_grade: Annotated[
        float | None, typer.Option(help="Highest reading grade; the audience's target if not given.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer, tokens.")] = None,
    accept_identifiers: AcceptOption = False,
    values: SetOption = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Let an adapter answer the prompts of a set, and make a set of the answers that pass the rules."""
    settings = parse_settings(values or ())
    _check_distillation(base, train=train, review=review, settings=settings)
    with open_services(home) as services:
        lesson = services.distillation.plan(name, parse_data(prompts), max_tokens)
        _follow_teacher(services, lesson, accept_identifiers=accept_identifiers)
        judged = services.distillation.judge(lesson, max_grade)
        if review:
            outcome: dict[str, Any] = {"in_review": services.distillation.send_to_review(judged)}
            write_note(format_rejects(f"{outcome['in_review']} answers are in review.", judged.rejects))
        else:
            distilled = services.distillation.freeze(lesson, judged)
            outcome = asdict(distilled)
            write_note(format_rejects(distilled.summary, distilled.rejects))
            if train and base is not None:
                outcome["run_id"] = _launch(services, lesson.audience, distilled.snapshot, settings, base)
    write_document(outcome) if as_json else print(_describe_outcome(outcome, lesson.audience, base))


def _launch(services: Services, audience: str, snapshot: str, settings: Mapping[str, str], base: str) -> str:
    """Train on the new set; a refusal says where the set is, which took long to make."""
    try:
        data = DataChoice(DataSource.SNAPSHOT, reference=snapshot)
        return services.training.launch(audience, data, settings, base)
    except ElaraError as error:
        stored = _describe_outcome({"snapshot": snapshot}, audience, base)
        raise type(error)(f"{error.message} {stored}") from error


def _check_distillation(base: str | None, *, train: bool, review: bool, settings: Mapping[str, str]) -> None:
    """Refuse contradictions before hours are spent on answers."""
    if train and base is None:
        raise InvalidInput("--train needs a base model to train. Give it with --base.")
    if train and review:
        raise InvalidInput(
            "--train and --review exclude each other: people judge first. Leave one of them out."
        )
    if settings and not train:
        raise InvalidInput("--set is for the run that --train starts. Leave it out, or add --train.")
    override(Hyperparameters(), settings)
    if base is not None:
        catalog.find(base)


def _follow_teacher(services: Services, lesson: Lesson, *, accept_identifiers: bool) -> None:
    """Tell each answer as it comes."""
    done, total = lesson.done, len(lesson.examples)
    if done:
        write_note(f"{done} of {total} were answered before; going on from there.")
    try:
        answering = services.distillation.answer(lesson, accept_identifiers=accept_identifiers)
        with closing(answering) as answers:
            for done, answer in enumerate(answers, start=lesson.done + 1):
                write_note(f"{done}/{total}  {shorten(answer.text) or answer.trouble}")
    except IdentifiersFound as met:
        for text in met.previews:
            write_note(f"Redacted: {text}")
        remedy = "Add --accept-identifiers if they may."
        raise IdentifiersFound(f"{met.message} {remedy}", met.kinds, met.previews) from None
    except KeyboardInterrupt:
        write_note(
            f"{done} of {total} answers are kept in {lesson.log.path}; the same command goes on from there."
        )
        raise


def _describe_outcome(outcome: Mapping[str, Any], audience: str, base: str | None) -> str:
    if "in_review" in outcome:
        return f"{outcome['in_review']} answers wait in the review queue."
    if "run_id" in outcome:
        return f"Stored set {outcome['snapshot']}; run {outcome['run_id']} learns from it."
    command = f"train --audience {audience} --dataset snapshot:{outcome['snapshot']} --base {base or 'MODEL'}"
    return f"Stored set {outcome['snapshot']}. Train on it with: {command}"
